/** I14: a segment of the log is missing, cut, or another one: the start is refused and names it; put back, all is there. */
import assert from 'node:assert/strict';
import { copyFile, readdir, rename, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../support/random.js';
import { EmbeddedScene } from './harness/embedded-scene.js';
import { report, seed } from './harness/report.js';

const EVENTS = 2000;
const DAMAGES = [
  ['missing', async () => undefined],
  ['empty', (path: string, aside: string) => copyFile(aside, path).then(() => truncate(path, 0))],
  ['cut', (path: string, aside: string) => copyFile(aside, path).then(() => truncate(path, 100))],
] as const;

test('a segment goes missing', { timeout: 300_000 }, async (t) => {
  const scene = await EmbeddedScene.filled(t, EVENTS);
  const random = new Random(seed);
  const segments = (await readdir(scene.logFolder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.name.endsWith('.log'))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => path.includes('/topics/events/') || path.includes('/topics/interactions'));
  assert.ok(segments.length >= 8, segments.join(' '));
  let faults = 0;
  for (const [what, damage] of DAMAGES) {
    const path = segments[random.below(segments.length)]!;
    const aside = join(scene.folder, 'aside');
    await rename(path, aside);
    await damage(path, aside);
    faults++;
    const errors = await scene.refusal();
    assert.ok(errors.includes(path.slice(0, path.lastIndexOf('/'))), `${what}: ${path}: ${errors}`);
    await rename(aside, path);
  }
  await scene.deployment.start();
  const verdict = await scene.verify();
  assert.equal(verdict.events, EVENTS);
  report('segment-missing', { faults, kills: 0, verdict });
});
