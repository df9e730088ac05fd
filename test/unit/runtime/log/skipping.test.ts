/** Readers that pass over what was given up: every other record exactly once, whatever the batches. */
import assert from 'node:assert/strict';
import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { openEmbeddedLog } from '../../../../runtime/log/embedded/log.js';
import type { Log, LogReader, RecordColumns } from '../../../../runtime/log/log.js';
import { type SkippedRange, skippingLog } from '../../../../runtime/log/skipping.js';
import { hasCode } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { rowsOf } from '../../../conformance/log-rows.js';
import { listener, type Said } from '../../../support/listener.js';
import { makeFolder } from './embedded/folders.js';
import { readPartition, topicConfig } from './embedded/support.js';

const AT = { topic: 't', partition: 0 };
/** Offsets 0 to 39 in ten batches of four. */
const BATCHES = 10;
const PER_BATCH = 4;
const END = BATCHES * PER_BATCH;

interface Stage {
  readonly whole: Log;
  readonly folder: string;
  readonly id: string | null;
  /** The log whose readers skip these ranges, and what it reports. */
  skipping(...ranges: [from: number, to: number][]): { log: Log; said: Said[] };
}

async function onStage(t: TestContext): Promise<Stage> {
  const folder = await makeFolder();
  const whole = await openEmbeddedLog(folder, silentLogger);
  t.after(() => whole.close());
  await whole.admin.createTopic(topicConfig('t', { partitions: 2 }));
  const writer = await whole.writer(['t']);
  for (let n = 0; n < BATCHES; n++) {
    for (let i = 0; i < PER_BATCH; i++)
      writer.add('t', Buffer.from('k'), Buffer.from(`v${n * PER_BATCH + i}`), { partition: 0 });
    await writer.flush();
  }
  await writer.close();
  const id = await whole.admin.topicId('t');
  return {
    whole,
    folder,
    id,
    skipping: (...ranges) => {
      const said: Said[] = [];
      const all: SkippedRange[] = ranges.map(([from, to]) => ({ from, to, topicId: id }));
      const of = ({ partition }: { partition: number }) => (partition === 0 ? all : []);
      return { log: skippingLog(whole, { of }, listener(said)), said };
    },
  };
}

async function valuesFrom(log: Log, offset: number): Promise<(string | null)[]> {
  const reader = log.reader([{ ...AT, offset }]);
  const values: (string | null)[] = [];
  let next = offset;
  while (reader.position(AT) < END)
    for (const columns of await reader.poll()) {
      assert.ok(columns.nextOffset > next, 'each answer moves the position');
      next = columns.nextOffset;
      values.push(...rowsOf(columns).map(({ value }) => value));
    }
  assert.equal(next, END);
  await reader.close();
  return values;
}

const allBut = (from: number, ranges: readonly (readonly [number, number])[]) =>
  Array.from({ length: END - from }, (_, i) => from + i)
    .filter((offset) => !ranges.some(([start, end]) => start <= offset && offset < end))
    .map((offset) => `v${offset}`);

describe('a reader passes over ranges that were given up', () => {
  const cases: [string, ...[number, number][]][] = [
    ['a whole batch', [8, 12]],
    ['the middle of a batch', [9, 11]],
    ['across batches', [6, 21]],
    ['the beginning', [0, 5]],
    ['the end', [33, 40]],
    ['ranges that touch and overlap', [4, 8], [8, 13], [10, 17], [30, 31]],
    ['everything', [0, 40]],
  ];
  for (const [what, ...ranges] of cases)
    test(what, async (t) => {
      const stage = await onStage(t);
      for (const from of [0, 3, 10, 12, 39])
        assert.deepEqual(await valuesFrom(stage.skipping(...ranges).log, from), allBut(from, ranges), `from ${from}`);
    });

  test('and reports each with its place', async (t) => {
    const { log, said } = (await onStage(t)).skipping([4, 8], [20, 22]);
    await valuesFrom(log, 5);
    assert.deepEqual(
      said.map(({ event, from, to }) => [event, from, to]),
      [
        ['records_skipped', 5, 8],
        ['records_skipped', 20, 22],
      ],
    );
  });

  test('what is paused stays paused, and other partitions go on', async (t) => {
    const { whole, skipping } = await onStage(t);
    const writer = await whole.writer(['t']);
    writer.add('t', Buffer.from('k'), Buffer.from('other'), { partition: 1 });
    await writer.flush();
    await writer.close();
    const { log } = skipping([0, 4], [8, 30]);
    const other = { ...AT, partition: 1 };
    const reader = log.reader(
      [
        { ...AT, offset: 0 },
        { ...other, offset: 0 },
      ],
      { maxWaitMs: 1, maxBytesPerPartition: 1 },
    );
    reader.pause(other);
    const values: (string | null)[] = [];
    const take = (columns: RecordColumns) => values.push(...rowsOf(columns).map(({ value }) => value));
    while (reader.position(AT) < END) (await reader.poll()).forEach(take);
    assert.deepEqual(
      values,
      allBut(0, [
        [0, 4],
        [8, 30],
      ]),
    );
    assert.equal(reader.position(other), 0);
    reader.resume(other);
    while (reader.position(other) < 1) (await reader.poll()).forEach(take);
    assert.equal(values.at(-1), 'other');
    await reader.close();
  });

  test('but not over those of an earlier topic of the same name', async (t) => {
    const { whole } = await onStage(t);
    const log = skippingLog(whole, { of: () => [{ from: 0, to: 40, topicId: 'another' }] }, silentLogger);
    assert.deepEqual(await valuesFrom(log, 0), allBut(0, []));
  });

  test('a capture holds what it reads against compaction meanwhile', async (t) => {
    const { whole, skipping } = await onStage(t);
    const { log } = skipping([4, 8]);
    const reader = log.reader([{ ...AT, offset: 0, until: END }]);
    await reader.poll();
    await reader.poll();
    assert.equal(reader.position(AT) > 8, true);
    await reader.close();
    assert.equal((await whole.offsets(AT)).earliest, 0);
  });
});

describe('a batch with a wrong checksum', () => {
  /** Changes one byte in the value of this offset, which occurs in the file once. */
  async function damage(folder: string, offset: number): Promise<void> {
    const topic = join(folder, 'topics', 't');
    for (const name of await readdir(topic, { recursive: true })) {
      if (!name.endsWith('.log')) continue;
      const file = await open(join(topic, name), 'r+');
      const bytes = await file.readFile();
      const at = bytes.indexOf(`v${offset}`);
      if (at >= 0) await file.write(Buffer.from('x'), 0, 1, at);
      await file.close();
    }
  }

  async function until(reader: LogReader, values: (string | null)[]): Promise<unknown> {
    try {
      while (reader.position(AT) < END)
        for (const columns of await reader.poll()) values.push(...rowsOf(columns).map(({ value }) => value));
      return null;
    } catch (error) {
      return error;
    }
  }

  test('stops a reader at its first offset, after everything before it, and names what it holds', async (t) => {
    const { whole, folder } = await onStage(t);
    await damage(folder, 17);
    const values: (string | null)[] = [];
    const reader = whole.reader([{ ...AT, offset: 0 }]);
    const error = await until(reader, values);
    assert.ok(hasCode(error, 'invalid_data'), String(error));
    assert.match(String(error), /t\[0\] .*checksum mismatch of the batch with the offsets 16 to 19/);
    assert.equal(reader.position(AT), 16);
    assert.deepEqual(values, allBut(0, [[16, END]]));
    await reader.close();
  });

  test('is passed over once it was given up', async (t) => {
    const stage = await onStage(t);
    await damage(stage.folder, 17);
    await assert.rejects(readPartition(stage.whole, 't'), /checksum mismatch/);
    const { log } = stage.skipping([16, 20]);
    for (const from of [0, 15, 18, 20]) assert.deepEqual(await valuesFrom(log, from), allBut(from, [[16, 20]]));
  });
});
