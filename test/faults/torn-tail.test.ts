/**
 * I36: a power failure takes the tail of the log, but not what the stores have already got of it. Afterwards every
 * store holds what the log holds: the events that are gone from the log count nowhere, and the later ones everywhere.
 */
import assert from 'node:assert/strict';
import { readdir, readFile, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeTransactionLog } from '../../runtime/log/embedded/transaction-log.js';
import type { Deployment } from '../support/deployment.js';
import { unsafeFrom } from '../support/transaction-logs.js';
import type { Verdict } from './harness/checker.js';
import { EmbeddedScene } from './harness/embedded-scene.js';
import { isFull, report } from './harness/report.js';

const EVENTS = 3000;
const PER_TAIL = 1000;

/** The newest offset of every partition of the interactions. */
async function endsOf(deployment: Deployment): Promise<number[]> {
  const ends: number[] = [];
  for (const { partition, offset } of await deployment.records('interactions.v1'))
    ends[partition] = Math.max(ends[partition] ?? 0, offset);
  return ends;
}

test('the log loses its tail while the stores keep theirs', { timeout: 300_000 }, async (t) => {
  const scene = await EmbeddedScene.open(t);
  const { deployment } = scene;
  await deployment.start();
  let faults = 0;
  let verdict: Verdict | null = null;
  for (let round = 0; round < (isFull ? 6 : 2); round++) {
    await scene.send(EVENTS);
    await scene.verify();
    // The stores get these, and the disk does not.
    await scene.send(PER_TAIL);
    const before = await endsOf(deployment);
    await deployment.killEverything();
    const path = join(scene.logFolder, 'transactions');
    const bytes = await readFile(path);
    const { notes, durableCommit } = decodeTransactionLog(bytes)!;
    // One commit alone cannot be told from one that was never acknowledged, unless the machine was restarted.
    if (notes.filter(({ commit }) => commit > durableCommit).length < 2) {
      await deployment.start();
      round--;
      continue;
    }
    await truncate(path, unsafeFrom(bytes));
    faults++;
    // Before any sink looks at its position, the offsets of the lost records are given out again.
    await deployment.start({}, 'ready', ['--roles', 'processor,serving']);
    await deployment.until(async () => {
      await scene.send(PER_TAIL);
      const now = await endsOf(deployment);
      return before.every((offset, partition) => now[partition]! > offset);
    }, 'past the lost offsets');
    await deployment.stop();
    await deployment.start();
    verdict = await scene.verify();
    assert.ok(verdict.events < scene.sent, 'events are gone from the log');
    assert.equal((await readdir(join(scene.logFolder, 'lost'))).length, faults, 'what was cut is kept');
  }
  report('torn-tail', { faults, kills: faults, verdict: verdict! });
});
