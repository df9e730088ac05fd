import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { RecordColumns } from '../../../../runtime/log/log.js';
import { readRaw } from '../../../../serving/reading/raw-reader.js';
import { columnsOf } from '../../../support/columns.js';
import { ScriptedLog } from '../../../support/scripted-log.js';

/** Columns of one partition with these offsets. */
function columns(partition: number, offsets: readonly number[], nextOffset = offsets.at(-1)! + 1): RecordColumns {
  const records = offsets.map((offset) => ({ key: 'k', value: Buffer.from(`${offset}`), timestamp: 0, offset }));
  return { ...columnsOf('events', partition, records), nextOffset };
}

/** A log whose reader returns these answers, one per poll; all partitions end at `end`. */
async function logWith(polls: RecordColumns[][], end: number) {
  const log = await ScriptedLog.of(['events']);
  const reader = log.reader([]);
  let polled = 0;
  reader.poll = async () => polls[polled++] ?? [];
  log.reader = () => reader;
  log.offsets = async () => ({ earliest: 0, lastStable: end, highWatermark: end });
  return { log, polled: () => polled };
}

const START = [
  { partition: 0, offset: 0 },
  { partition: 1, offset: 0 },
];

async function run(polls: RecordColumns[][], end: number, limit: number, isOver = () => false) {
  const { log, polled } = await logWith(polls, end);
  const rows: string[] = [];
  const next = await readRaw(
    log,
    'events',
    START,
    { limit, waitMs: 0, isOver },
    ({ partition, offsets }, row) => rows.push(`${partition}:${offsets[row]}`),
    () => Promise.resolve(),
  );
  return { rows, next: next.map(({ partition, offset }) => `${partition}:${offset}`), polled: polled() };
}

describe('readRaw', () => {
  it('keeps the order of a partition that arrives in several columns', async () => {
    const answer = [columns(0, [0, 1, 2]), columns(0, [3, 4]), columns(1, [0, 1, 2, 3, 4])];
    const { rows, next } = await run([answer], 5, 100);
    assert.deepEqual(
      rows.filter((row) => row.startsWith('0')),
      ['0:0', '0:1', '0:2', '0:3', '0:4'],
    );
    assert.equal(rows.length, 10);
    assert.deepEqual(next, ['0:5', '1:5']);
  });

  it('continues at the first row that was not returned', async () => {
    const answer = [columns(0, [0, 2]), columns(0, [7, 9], 12), columns(1, [5], 8)];
    const { rows, next } = await run([answer], 12, 4);
    assert.deepEqual(rows, ['0:0', '1:5', '0:2', '0:7']);
    assert.deepEqual(next, ['0:9', '1:8']);
    const earlier = await run([answer], 12, 2);
    assert.deepEqual(earlier.next, ['0:2', '1:8'], 'later columns do not hide the rest of the first');
  });

  it('skips columns without rows', async () => {
    const nothing = { ...columns(0, [0]), count: 0, nextOffset: 5 };
    const { rows, next, polled } = await run([[nothing], [columns(1, [4])]], 5, 10);
    assert.deepEqual(rows, ['1:4']);
    assert.deepEqual(next, ['0:5', '1:5']);
    assert.equal(polled, 2);
  });

  it('ends early on request, with the rows so far', async () => {
    const { rows, next } = await run([], 5, 10, () => true);
    assert.deepEqual([rows, next], [[], ['0:0', '1:0']]);
  });
});
