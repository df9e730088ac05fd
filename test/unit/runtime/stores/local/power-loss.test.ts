/** A power failure at any step of the local store's files: the records up to some point, never others, never a mix. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { putTogether, remainsOf, watchFiles } from '../../../../support/power-loss.js';
import { makeFolder } from '../../log/embedded/folders.js';

await watchFiles();
const { Journal } = await import('../../../../../runtime/stores/local/journal.js');

const KEYS = 4;
const RECORDS = 24;
interface Entry {
  readonly key: number;
  readonly n: number;
}

class State {
  readonly values = new Map<number, number>();

  accept({ key, n }: Entry): void {
    this.values.set(key, n);
  }

  clear(): void {
    this.values.clear();
  }

  *picture(): Generator<Entry> {
    for (const [key, n] of [...this.values]) yield { key, n };
  }

  toString(): string {
    return [...this.values].sort().join(' ');
  }
}

test('I14: the local store after a power failure at every step, snapshots and their removal included', async () => {
  const base = await makeFolder();
  const folder = join(base, 'store');
  await mkdir(folder);
  const state = new State();
  /** The state after each number of records. */
  const states = [String(state)];
  const remains = await remainsOf(folder, async () => {
    const journal = await Journal.open<Entry>(folder, { rotateBytesMin: 1 }, state, silentLogger);
    for (let n = 0; n < RECORDS; n++) {
      const entry = { key: n % KEYS, n };
      journal.append(entry);
      state.accept(entry);
      states.push(String(state));
      // While the third rotation writes, records keep arriving.
      if (n % 8 === 7) void journal.rotate(state.picture());
      if (n % 8 === 3) await journal.settled();
    }
    await journal.close();
  });
  assert.ok(remains.length > 150, `${remains.length} states of the disk`);
  const reached = new Set<number>();
  for (const left of remains) {
    const copy = join(base, 'copy');
    putTogether(copy, left);
    const found = new State();
    const journal = await Journal.open<Entry>(copy, {}, found, silentLogger);
    await journal.close();
    const at = states.indexOf(String(found));
    assert.ok(at >= 0, `step ${left.step}, ${left.what}: ${String(found)} is no state of the past`);
    reached.add(at);
  }
  assert.equal(Math.max(...reached), RECORDS);
  const last = remains.findLast(({ what }) => what.startsWith('only what was synced'))!;
  putTogether(join(base, 'copy'), last);
  const found = new State();
  await (await Journal.open<Entry>(join(base, 'copy'), {}, found, silentLogger)).close();
  assert.equal(String(found), states.at(-1), 'a store that was closed has everything on disk');
});
