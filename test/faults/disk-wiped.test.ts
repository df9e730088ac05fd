/**
 * I1, I2: the local disk is wiped: between two runs of a process, so that all state is restored from the log, and under
 * a running process, which does not need it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { allCheckpoints } from '../support/checkpoint-files.js';
import { report } from './harness/report.js';
import { Scene } from './harness/scene.js';

const LIVES = 3;

test('a wiped disk only makes the restore longer', { timeout: 180_000 }, async (t) => {
  const scene = await Scene.open(t);
  if (scene === null) return;
  const folder = await mkdtemp(join(tmpdir(), 'freshet-disk-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const plan = { steps: [], pinned: { tasks: null, confirmed: true } };
  const start = () => scene.start({ plan, settings: { FRESHET_DATA_DIR: folder } });
  scene.sender.start();
  let kills = 0;
  for (let life = 0; life < LIVES; life++) {
    const member = start();
    await member.holds(scene.tasks);
    const from = new Set(member.lines.filter(({ event }) => event === 'task_restored').map(({ from }) => from));
    assert.deepEqual([...from], [life === 0 ? 'nothing' : 'changelog']);
    await allCheckpoints(folder, scene.taskNames);
    await rm(folder, { recursive: true, force: true });
    // It continues, and writes checkpoints again as soon as the disk allows it.
    await allCheckpoints(folder, scene.taskNames);
    await member.kill();
    kills++;
    await rm(folder, { recursive: true, force: true });
  }
  await start().holds(scene.tasks);
  const verdict = await scene.settled();
  report('disk-wiped', { faults: 2 * LIVES, kills, verdict, restoreSeconds: scene.restoreSeconds });
});
