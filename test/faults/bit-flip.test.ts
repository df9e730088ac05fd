/**
 * I14: a flipped bit in the metadata of the log while nothing runs. The start is refused with a sentence that names the
 * file, and changes nothing; with the bit set right again, everything is there.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Random } from '../support/random.js';
import { EmbeddedScene } from './harness/embedded-scene.js';
import { isFull, report, seed } from './harness/report.js';

const EVENTS = 2000;

async function metadataIn(folder: string): Promise<string[]> {
  const paths = (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && /^(topic|start|segments|life|format)\.json$|^transactions$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name));
  assert.ok(paths.length > 20, paths.join(' '));
  return paths;
}

test('a bit of the metadata flips', { timeout: 600_000 }, async (t) => {
  const scene = await EmbeddedScene.filled(t, EVENTS);
  const random = new Random(seed);
  const paths = await metadataIn(scene.logFolder);
  const flips = isFull ? 60 : 6;
  for (let flip = 0; flip < flips; flip++) {
    // The critical one first: a digit of the id of a topic with records.
    const path = flip === 0 ? join(scene.logFolder, 'topics/events/topic.json') : paths[random.below(paths.length)]!;
    const whole = await readFile(path);
    const at = flip === 0 ? whole.indexOf('"id": ') + 6 : random.below(whole.length);
    const flipped = Buffer.from(whole);
    flipped[at]! ^= flip === 0 ? 1 : 1 << random.below(8);
    await writeFile(path, flipped);
    const errors = await scene.refusal();
    assert.ok(errors.includes(scene.logFolder), `${path}, byte ${at}: ${errors}`);
    await writeFile(path, whole);
  }
  await scene.deployment.start();
  const verdict = await scene.verify();
  assert.equal(verdict.events, EVENTS);
  report('bit-flip', { faults: flips, kills: 0, verdict });
});
