/** Record batches: every built batch is walked to the same rows, and damage is never read as data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { crc32c } from '@node-rs/crc32';
import fc from 'fast-check';
import {
  BATCH_HEADER_BYTES,
  type ProducerStamp,
  RecordBatchBuilder,
  type WalkOptions,
  walkBatches,
} from '../../../../runtime/log/record-batch.js';
import { FreshetError, hasCode } from '../../../../runtime/process/errors.js';
import { readInt64 } from '../../../../runtime/process/int64.js';
import { rowsOf } from '../../../conformance/log-rows.js';

interface Plain {
  readonly offset: number;
  readonly timestamp: number;
  readonly key: string | null;
  readonly value: string | null;
}

const noCompression = () => assert.fail('nothing is compressed here');
const options = (more: Partial<WalkOptions> = {}): WalkOptions => ({
  topic: 't',
  partition: 3,
  fromOffset: 0,
  aborted: null,
  untilOffset: Number.POSITIVE_INFINITY,
  decompress: noCompression,
  checkCrc: true,
  ...more,
});
const bytes = (text: string | null) => (text === null ? null : Buffer.from(text, 'latin1'));
const walk = (data: Buffer, more: Partial<WalkOptions> = {}) => {
  const columns = walkBatches(data, 0, data.length, options(more));
  const rows: Plain[] = columns
    .flatMap((each) => rowsOf(each))
    .map(({ offset, timestamp, key, value }) => ({ offset, timestamp, key, value }));
  return { columns, rows, next: columns.at(-1)!.nextOffset };
};
const invalid = (error: unknown) => hasCode(error, 'invalid_data');

/** A batch of the records in order; offsets and times as given. */
function build(records: readonly Plain[], stamp?: ProducerStamp, baseOffset = records[0]?.offset ?? 0): Buffer {
  const builder = new RecordBatchBuilder(64);
  for (const { offset, timestamp, key, value } of records)
    builder.add(bytes(key), bytes(value), timestamp, offset - baseOffset);
  return builder.finish(baseOffset, stamp);
}

const transactional = (producerId: bigint): ProducerStamp => ({
  producerId,
  producerEpoch: 4,
  baseSequence: 0,
  transactional: true,
});

/** Sets attribute bits of a finished batch and updates its checksum. */
function withAttributes(batch: Buffer, bits: number, payload?: Buffer): Buffer {
  const header = Buffer.from(batch.subarray(0, BATCH_HEADER_BYTES));
  const out = Buffer.concat([header, payload ?? batch.subarray(BATCH_HEADER_BYTES)]);
  out.writeInt16BE(out.readInt16BE(21) | bits, 21);
  return seal(out);
}

function seal(batch: Buffer): Buffer {
  batch.writeInt32BE(batch.length - 12, 8);
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17);
  return batch;
}

function marker(producerId: bigint, offset: number): Buffer {
  const batch = build([{ offset, timestamp: 1, key: '\0\0\0\0', value: '\0\0\0\0\0\0' }], transactional(producerId));
  return withAttributes(batch, 0x20);
}

const text = fc.option(fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)) }), {
  nil: null,
});
const time = fc.integer({ min: -1, max: 4_102_444_800_000 });
const record = fc.record({ gap: fc.integer({ min: 1, max: 5_000 }), timestamp: time, key: text, value: text });
const batchOf = fc.array(record, { minLength: 1, maxLength: 40 });
/** Batches in sequence from a first offset on, with gaps as compaction leaves them. */
const batchesOf = fc
  .record({ first: fc.integer({ min: 0, max: 2 ** 52 }), batches: fc.array(batchOf, { minLength: 1, maxLength: 6 }) })
  .map(({ first, batches }) => {
    let offset = first;
    return batches.map((batch) =>
      batch.map(({ gap, ...rest }) => {
        offset += gap;
        return { ...rest, offset };
      }),
    );
  });

describe('record batches', () => {
  test('every built batch is walked to the same rows', () => {
    fc.assert(
      fc.property(batchesOf, (batches) => {
        const { rows, next, columns } = walk(Buffer.concat(batches.map((batch) => build(batch))));
        assert.deepEqual(rows, batches.flat());
        assert.equal(next, batches.at(-1)!.at(-1)!.offset + 1);
        for (const each of columns) assert.deepEqual([each.topic, each.partition], ['t', 3]);
      }),
      { seed: 1, numRuns: 300 },
    );
  });

  test('a range of offsets gives exactly its rows, and the position never skips a remaining one', () => {
    fc.assert(
      fc.property(batchesOf, fc.nat(20_000), fc.nat(20_000), (batches, from, length) => {
        const all = batches.flat();
        const fromOffset = all[0]!.offset + (from % (all.at(-1)!.offset - all[0]!.offset + 2));
        const untilOffset = fromOffset + length;
        const data = Buffer.concat(batches.map((batch) => build(batch)));
        const { rows, next } = walk(data, { fromOffset, untilOffset });
        assert.deepEqual(
          rows,
          all.filter(({ offset }) => offset >= fromOffset && offset < untilOffset),
        );
        assert.ok(next >= fromOffset && next <= Math.max(untilOffset, fromOffset));
        const left = all.find(({ offset }) => offset >= next);
        assert.ok(left === undefined || !rows.includes(left));
        const seen = all.filter(({ offset }) => offset >= fromOffset && offset < next);
        assert.deepEqual(rows, seen, 'everything below the next position was returned');
      }),
      { seed: 2, numRuns: 300 },
    );
  });

  test('an answer cut anywhere gives the whole batches before the cut', () => {
    const batches = [0, 3, 6].map((first) =>
      build([0, 1, 2].map((i) => ({ offset: first + i, timestamp: i, key: `k${i}`, value: 'v'.repeat(10) }))),
    );
    const data = Buffer.concat(batches);
    for (let end = 0; end <= data.length; end++) {
      let whole = 0;
      for (let at = 0; whole < 3 && at + batches[whole]!.length <= end; whole++) at += batches[whole]!.length;
      const { rows, next } = walk(data.subarray(0, end));
      assert.equal(rows.length, whole * 3, `cut at ${end}`);
      assert.equal(next, whole * 3);
    }
  });

  test('every damaged byte after the length field is found by the checksum', () => {
    const batch = build([{ offset: 5, timestamp: 7, key: 'key', value: 'value' }]);
    for (let at = 21; at < batch.length; at++) {
      const damaged = Buffer.from(batch);
      damaged[at]! ^= 0x10;
      assert.throws(() => walk(damaged), invalid, `byte ${at}`);
    }
  });

  test('without the checksum, damage is either found or never reads outside of the buffer', () => {
    const records = Array.from({ length: 5 }, (_, i) => ({
      offset: i,
      timestamp: i,
      key: `key ${i}`,
      value: 'x'.repeat(i),
    }));
    const batch = build(records);
    const place = fc.integer({ min: 21, max: batch.length - 1 });
    fc.assert(
      fc.property(fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 }), (changes) => {
        const damaged = Buffer.from(batch);
        for (const [at, value] of changes) damaged[at] = value;
        damaged[22]! &= 0xf8;
        try {
          for (const columns of walkBatches(damaged, 0, damaged.length, options({ checkCrc: false }))) {
            for (let row = 0; row < columns.count; row++) {
              assert.ok(columns.valueEnd[row]! <= damaged.length && columns.keyEnd[row]! <= damaged.length);
              assert.ok(columns.valueStart[row]! <= columns.valueEnd[row]!);
            }
          }
        } catch (error) {
          assert.ok(invalid(error), String(error));
        }
      }),
      { seed: 3, numRuns: 2000 },
    );
  });

  test('another magic, an impossible length and an impossible count are damage', () => {
    const batch = build([{ offset: 0, timestamp: 1, key: 'k', value: 'v' }]);
    const old = Buffer.from(batch);
    old[16] = 1;
    assert.throws(() => walk(old), /magic 1/);
    const short = Buffer.from(batch);
    short.writeInt32BE(10, 8);
    assert.throws(() => walk(short), invalid);
    const many = Buffer.from(batch);
    many.writeInt32BE(1_000_000_000, 57);
    assert.throws(() => walk(seal(many), { checkCrc: false }), /1000000000 records/);
  });

  test('a batch with a right checksum that cannot be read becomes one row, and the walk continues', () => {
    const three = [0, 1, 2].map((i) => build([{ offset: i * 10, timestamp: i, key: `k${i}`, value: 'v' }]));
    const reject = () => {
      throw new FreshetError('invalid_data', 'it decompresses to more than 33554432 bytes');
    };
    const unreadable = {
      'a bomb': withAttributes(three[1]!, 1, gzipSync(three[1]!)),
      'a record past the end': seal(Buffer.concat([three[1]!.subarray(0, 61), Buffer.from([0x7e, 0, 0, 0, 0, 0, 0])])),
      'too many records': seal(Buffer.from(three[1]!.map((byte, at) => (at === 57 ? 0x40 : byte)))),
    };
    for (const [what, batch] of Object.entries(unreadable)) {
      const { columns, rows, next } = walk(Buffer.concat([three[0]!, batch, three[2]!]), { decompress: reject });
      assert.deepEqual(
        rows.map(({ offset, key }) => [offset, key]),
        [
          [0, 'k0'],
          [10, null],
          [20, 'k2'],
        ],
        what,
      );
      assert.equal(next, 21);
      const [row, reason] = [...columns[0]!.unreadable!][0]!;
      assert.equal(row, 1);
      assert.match(reason, /^a batch of \d+ records, offsets 10 to 10, \d+ bytes: /);
      // Nothing of a damaged log is taken for it.
      const flipped = Buffer.from(batch);
      flipped[30]! ^= 1;
      assert.throws(() => walk(flipped, { decompress: reject }), /checksum mismatch/);
    }
  });

  test('log append time is the time of every record', () => {
    const builder = new RecordBatchBuilder();
    builder.add(bytes('a'), null, 5);
    builder.add(null, bytes('b'), 500);
    const { rows } = walk(builder.finish(10, undefined, 1_700_000_000_123));
    assert.deepEqual(rows, [
      { offset: 10, timestamp: 1_700_000_000_123, key: 'a', value: null },
      { offset: 11, timestamp: 1_700_000_000_123, key: null, value: 'b' },
    ]);
  });

  test('headers of records are skipped', () => {
    // length, attributes, time, offset, key -1, value 1 byte, one header "h" = "x"
    const record = Buffer.from([20, 0, 0, 0, 1, 2, 0x76, 2, 2, 0x68, 2].concat([0x78]));
    record[0] = (record.length - 1) * 2;
    const empty = build([{ offset: 0, timestamp: 9, key: null, value: null }]);
    const batch = seal(Buffer.concat([empty.subarray(0, BATCH_HEADER_BYTES), record]));
    assert.deepEqual(walk(batch).rows, [{ offset: 0, timestamp: 9, key: null, value: 'v' }]);
  });

  test('a batch emptied by compaction only moves the position', () => {
    const header = Buffer.from(
      build([{ offset: 20, timestamp: 1, key: 'k', value: 'v' }]).subarray(0, BATCH_HEADER_BYTES),
    );
    header.writeInt32BE(0, 57);
    header.writeInt32BE(9, 23);
    const { rows, next } = walk(seal(header), { fromOffset: 20 });
    assert.deepEqual(rows, []);
    assert.equal(next, 30);
  });

  test('compressed batches are decompressed, each into its own columns', () => {
    const plain = [0, 1, 2].map((i) => build([{ offset: i * 2, timestamp: i, key: `k${i}`, value: 'v'.repeat(500) }]));
    const squeezed = withAttributes(plain[1]!, 1, gzipSync(plain[1]!.subarray(BATCH_HEADER_BYTES)));
    const codecs: number[] = [];
    const decompress = (codec: number, data: Buffer) => {
      codecs.push(codec);
      return gunzipSync(data);
    };
    const { rows, columns, next } = walk(Buffer.concat([plain[0]!, squeezed, plain[2]!]), { decompress });
    assert.deepEqual(
      rows.map(({ offset, key, value }) => [offset, key, value?.length]),
      [
        [0, 'k0', 500],
        [2, 'k1', 500],
        [4, 'k2', 500],
      ],
    );
    assert.deepEqual(codecs, [1]);
    assert.equal(columns.length, 3);
    assert.equal(next, 5);
  });

  describe('transactions', () => {
    const data = (producerId: bigint, first: number, value: string) =>
      build(
        [0, 1].map((i) => ({ offset: first + i, timestamp: 1, key: 'k', value })),
        transactional(producerId),
      );
    // 7 aborts its first transaction, commits its second and aborts its third; 8 commits; another writes without one.
    const log = Buffer.concat([
      data(7n, 0, 'aborted'),
      data(8n, 2, 'eight'),
      data(7n, 4, 'aborted too'),
      build([{ offset: 6, timestamp: 1, key: 'k', value: 'plain' }]),
      marker(7n, 7),
      data(7n, 8, 'seven'),
      marker(8n, 10),
      marker(7n, 11),
      data(7n, 12, 'aborted again'),
      marker(7n, 14),
    ]);
    const aborted = [
      { producerId: 7n, firstOffset: 12 },
      { producerId: 7n, firstOffset: 0 },
    ];

    test('read_committed skips aborted ones and their markers', () => {
      const { rows, next } = walk(log, { aborted });
      assert.deepEqual(
        rows.map(({ offset, value }) => [offset, value]),
        [
          [2, 'eight'],
          [3, 'eight'],
          [6, 'plain'],
          [8, 'seven'],
          [9, 'seven'],
        ],
      );
      assert.equal(next, 15);
    });

    test('read_uncommitted returns everything except the markers', () => {
      const { rows, next } = walk(log, { aborted: null });
      assert.deepEqual(
        rows.map(({ offset }) => offset),
        [0, 1, 2, 3, 4, 5, 6, 8, 9, 12, 13],
      );
      assert.equal(next, 15);
    });

    test('reading may start inside an aborted transaction', () => {
      for (let fromOffset = 0; fromOffset <= 15; fromOffset++) {
        const { rows } = walk(log, { aborted, fromOffset });
        assert.deepEqual(
          rows.map(({ offset }) => offset),
          [2, 3, 6, 8, 9].filter((offset) => offset >= fromOffset),
        );
      }
    });

    test('a batch of markers alone still moves the position', () => {
      const { rows, next, columns } = walk(marker(7n, 7), { aborted: [], fromOffset: 7 });
      assert.deepEqual(rows, []);
      assert.equal(columns.length, 1);
      assert.equal(next, 8);
    });

    test('the last stable offset can cut a batch', () => {
      const { rows, next } = walk(data(8n, 2, 'eight'), { aborted: [], fromOffset: 2, untilOffset: 3 });
      assert.deepEqual(
        rows.map(({ offset }) => offset),
        [2],
      );
      assert.equal(next, 3);
    });
  });

  describe('the builder', () => {
    test('grows, reports its size and can be reused', () => {
      const builder = new RecordBatchBuilder(1);
      for (let round = 0; round < 3; round++) {
        for (let i = 0; i < 1000; i++) builder.add(bytes(`key ${i}`), bytes('v'.repeat(i)), 1_000_000 - i);
        assert.equal(builder.count, 1000);
        const batch = builder.finish(round * 1000);
        assert.equal(builder.size, batch.length);
        const { rows } = walk(batch, { fromOffset: 0 });
        assert.equal(rows.length, 1000);
        assert.equal(rows[999]!.offset, round * 1000 + 999);
        assert.equal(rows[999]!.timestamp, 999_001);
        builder.reset();
        assert.equal(builder.count, 0);
      }
    });

    test('seal gives the same bytes as finish, and again with another stamp', () => {
      const builder = new RecordBatchBuilder();
      builder.add(bytes('k'), bytes('v'), 12);
      const plain = builder.finish(3);
      assert.deepEqual(Buffer.from(builder.seal(3)), plain);
      const stamped = Buffer.from(builder.seal(3, { ...transactional(9n), baseSequence: 77 }));
      assert.equal(stamped.readBigInt64BE(43), 9n);
      assert.equal(stamped.readInt16BE(51), 4);
      assert.equal(stamped.readInt32BE(53), 77);
      assert.equal(walk(stamped).rows.length, 1);
      assert.deepEqual(Buffer.from(builder.seal(3)), plain);
    });

    test('the largest time of a batch is in its header', () => {
      const batch = build([30, 10, 20].map((timestamp, offset) => ({ offset, timestamp, key: null, value: null })));
      assert.equal(readInt64(batch, 27), 30);
      assert.equal(readInt64(batch, 35), 30);
    });
  });
});
