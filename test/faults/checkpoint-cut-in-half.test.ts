/**
 * I1, I2: checkpoints cut in half, emptied, or with a bit flipped by the disk while the process was down: detected
 * before any of their content is used, discarded with an explanation, and the state is restored from the changelog.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allCheckpoints, checkpointFile } from '../support/checkpoint-files.js';
import { Random } from '../support/random.js';
import { report, seed } from './harness/report.js';
import { Scene } from './harness/scene.js';

const random = new Random(seed);

const DAMAGES: Readonly<Record<string, (path: string) => Promise<void>>> = {
  'cut in half': async (path) => truncate(path, Math.floor((await readFile(path)).length / 2)),
  emptied: (path) => truncate(path, 0),
  'cut by one byte': async (path) => truncate(path, (await readFile(path)).length - 1),
  'a bit flipped': async (path) => {
    const bytes = await readFile(path);
    const at = random.below(bytes.length);
    bytes[at] = bytes[at]! ^ (1 << random.below(8));
    await writeFile(path, bytes);
  },
};

test('a damaged checkpoint is detected and replaced', { timeout: 180_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const folder = await mkdtemp(join(tmpdir(), 'freshet-disk-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const plan = { steps: [], pinned: { tasks: null, confirmed: true } };
  const start = () => scene.start({ plan, settings: { FRESHET_DATA_DIR: folder } });
  scene.sender.start();
  let member = start();
  await member.holds(scene.tasks);
  let faults = 0;
  let kills = 0;
  for (const [how, damage] of Object.entries(DAMAGES)) {
    await allCheckpoints(folder, scene.taskNames);
    await member.kill();
    kills++;
    for (const task of scene.taskNames) {
      await damage(checkpointFile(folder, task));
      faults++;
    }
    member = start();
    await member.holds(scene.tasks);
    const discarded = member.lines.filter(({ event }) => event === 'checkpoint_discarded').map(({ task }) => task!);
    assert.deepEqual(discarded.sort(), scene.taskNames.toSorted(), `${how}: every one was discarded`);
    for (const { event, from } of member.lines)
      if (event === 'task_restored') assert.equal(from, 'changelog', `${how}: and none was used`);
  }
  const verdict = await scene.settled();
  report('checkpoint-cut-in-half', { faults, kills, verdict, restoreSeconds: scene.restoreSeconds });
});
