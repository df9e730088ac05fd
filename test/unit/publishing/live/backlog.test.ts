import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Layout } from '../../../../publishing/layout.js';
import { Backlog, type Batch } from '../../../../publishing/live/backlog.js';
import type { KeyedTopic } from '../../../../publishing/sinks/keyed-topic.js';
import { popularityOnline } from '../../../../publishing/sinks/popularity.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Popularity } from '../../../../schemas/records.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { columnsOf } from '../../../support/columns.js';
import { codec, HALF_LIFE_MS, popularity } from '../../../support/publishing.js';

const { topic } = popularityOnline(featureSet(1), new Layout(), HALF_LIFE_MS);

function backlog(rowsMax = 100, own = codec, pressedRowsMax = rowsMax): Backlog {
  const sizes = { rowsMax, pressedRowsMax, batchBytesMax: 4 * 1024 * 1024 };
  return new Backlog({ topic, codec: own, partitions: 1, ...sizes });
}

/** Records from `first` on: a number is the score of the product named, null deletes it. */
function columns(first: number, records: [string, number | null][], nextOffset?: number) {
  const rows = records.map(([key, score], i) => ({
    key,
    value: score === null ? null : codec.encode('Popularity', popularity(key, { score })),
    timestamp: 1000 + first + i,
    offset: first + i,
  }));
  const made = columnsOf(topic.name, 0, rows);
  return nextOffset === undefined ? made : { ...made, nextOffset };
}

function shown(batch: Batch | null): Record<string, number | null> {
  assert.ok(batch !== null);
  return Object.fromEntries(
    batch.changes.map(({ key, value }) => [key, value === null ? null : (value as Popularity).score]),
  );
}

describe('a batch of pending records', () => {
  test('has the newest change of each key, over several fetches', async () => {
    const waiting = backlog();
    waiting.offer(
      columns(0, [
        ['a', 1],
        ['b', 1],
        ['a', 2],
      ]),
    );
    waiting.offer(
      columns(3, [
        ['b', null],
        ['c', 5],
      ]),
    );
    const batch = await waiting.next();
    assert.deepEqual(shown(batch), { a: 2, b: null, c: 5 });
    assert.equal(batch?.nextOffset, 5);
    assert.deepEqual(batch?.timestamps, [1000, 1001, 1002, 1003, 1004]);
    assert.ok(waiting.isEmpty);
    assert.equal(await waiting.next(), null);
  });

  test('ends at its number of rows, and the next one continues there', async () => {
    const waiting = backlog(2);
    waiting.offer(
      columns(
        10,
        [
          ['a', 1],
          ['a', 2],
          ['b', 1],
          ['b', 2],
          ['c', 3],
        ],
        20,
      ),
    );
    const first = await waiting.next();
    assert.deepEqual(shown(first), { a: 2, b: 1 });
    assert.equal(first?.nextOffset, 13);
    assert.equal(waiting.rows, 2);
    const second = await waiting.next();
    assert.deepEqual(shown(second), { b: 2, c: 3 });
    assert.equal(second?.nextOffset, 20, 'past control records after the last row');
  });

  test('grows with the pending records, up to a separate maximum of rows', async () => {
    const waiting = backlog(2, codec, 3);
    waiting.offer(
      columns(0, [
        ['a', 1],
        ['b', 1],
        ['a', 2],
        ['b', 2],
        ['c', 1],
        ['d', 1],
        ['e', 1],
      ]),
    );
    const first = await waiting.next();
    assert.deepEqual(shown(first), { a: 2, b: 2, c: 1 });
    assert.equal(first?.nextOffset, 5);
    assert.deepEqual(shown(await waiting.next()), { d: 1, e: 1 });
  });

  test('decodes only the newest record of a key', async () => {
    let reads = 0;
    const counted: KeyedTopic<Popularity> = {
      ...topic,
      read: (own, bytes, start, end) => {
        reads++;
        return own.decode('Popularity', bytes, start, end);
      },
    };
    const sizes = { rowsMax: 10, pressedRowsMax: 10, batchBytesMax: 1e6 };
    const waiting = new Backlog({ topic: counted as KeyedTopic<never>, codec, partitions: 1, ...sizes });
    waiting.offer(
      columns(0, [
        ['a', 1],
        ['a', 2],
        ['a', 3],
        ['b', 1],
      ]),
    );
    assert.deepEqual(shown(await waiting.next()), { a: 3, b: 1 });
    assert.equal(reads, 2);
  });

  test('that fails while it is read is not lost', async () => {
    let broken = true;
    const failing: KeyedTopic<Popularity> = {
      ...topic,
      idOf: (row) => {
        if (broken && row.product_id === 'b') throw new Error('not caused by the record');
        return row.product_id;
      },
    };
    const sizes = { rowsMax: 10, pressedRowsMax: 10, batchBytesMax: 1e6 };
    const waiting = new Backlog({ topic: failing as KeyedTopic<never>, codec, partitions: 1, ...sizes });
    waiting.offer(columns(0, [['a', 1]]));
    waiting.offer(columns(1, [['b', 1]]));
    const { rows, bytes } = waiting;
    await assert.rejects(waiting.next(), /not caused by the record/);
    assert.deepEqual([waiting.rows, waiting.bytes], [rows, bytes]);
    broken = false;
    assert.deepEqual(shown(await waiting.next()), { a: 1, b: 1 });
  });

  test('may only move the offset', async () => {
    const waiting = backlog();
    waiting.offer(columns(7, [], 9));
    const batch = await waiting.next();
    assert.deepEqual(shown(batch), {});
    assert.equal(batch?.nextOffset, 9);
  });

  test('ends at a number of bytes', async () => {
    const waiting = backlog(1_000);
    const category = 'x'.repeat(400_000);
    const rows = Array.from({ length: 30 }, (_, i) => {
      const value = codec.encode('Popularity', popularity(`p${i}`, { category }));
      return { key: `p${i}`, value, timestamp: 1, offset: i };
    });
    waiting.offer(columnsOf(topic.name, 0, rows));
    const total = waiting.bytes;
    const batch = await waiting.next();
    assert.equal(batch?.changes.length, 11);
    assert.ok(waiting.bytes > 0 && waiting.bytes < total);
    while ((await waiting.next()) !== null);
    assert.equal(waiting.bytes, 0);
    assert.equal(waiting.rows, 0);
  });

  test('sets poison aside and keeps the key’s previous value', async () => {
    const waiting = backlog();
    const rows = [
      { key: 'a', value: codec.encode('Popularity', popularity('a', { score: 1 })), timestamp: 1, offset: 0 },
      { key: 'a', value: Buffer.from('poison'), timestamp: 1, offset: 1 },
    ];
    waiting.offer(columnsOf(topic.name, 0, rows));
    const batch = await waiting.next();
    assert.deepEqual(shown(batch), { a: 1 });
    assert.equal(batch?.nextOffset, 2);
    assert.deepEqual(
      batch?.poison.map(({ row, poison }) => [row, poison.reason, poison.key]),
      [[1, 'unknown_framing', 'a']],
    );
  });

  test('takes nothing while a schema cannot be fetched', async () => {
    let registry: 'down' | 'up' = 'down';
    const lookup = {
      schemaById: async () => {
        if (registry === 'down') throw new Error('the registry is down');
        return null;
      },
    };
    const waiting = backlog(100, new Codec(lookup));
    const value = Buffer.from([0, 0, 0, 0, 5, 1]);
    waiting.offer(columnsOf(topic.name, 0, [{ key: 'a', value, timestamp: 1, offset: 0 }]));
    await assert.rejects(waiting.next(), /registry is down/);
    assert.equal(waiting.rows, 1);
    registry = 'up';
    const batch = await waiting.next();
    assert.equal(batch?.poison[0]?.poison.reason, 'unknown_schema');
  });

  test('can be dropped on demand', async () => {
    const waiting = backlog();
    waiting.offer(columns(0, [['a', 1]]));
    waiting.clear();
    assert.ok(waiting.isEmpty);
    assert.equal(waiting.bytes, 0);
    assert.equal(await waiting.next(), null);
    waiting.offer(columns(5, [['b', 1]]));
    assert.equal((await waiting.next())?.nextOffset, 6);
  });
});
