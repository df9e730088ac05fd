/** I6: whatever a bad record contains, what is written because of it fits into a record. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lateEventOf } from '../../../../processors/intake/late-event.js';
import { deadLetterOf } from '../../../../runtime/log/dead-letter.js';
import { RECORD_BYTES_MAX, type RecordColumns } from '../../../../runtime/log/log.js';
import { Rejects } from '../../../../runtime/tasks/rejects.js';
import { Codec } from '../../../../schemas/codec.js';

const codec = new Codec();
const KIB = 1024;

function columnsOf(key: Buffer | null, value: Buffer | null, unreadable?: string): RecordColumns {
  const bytes = Buffer.concat([key ?? Buffer.alloc(0), value ?? Buffer.alloc(0)]);
  const keyBytes = key?.length ?? 0;
  return {
    topic: 't'.repeat(249),
    partition: 9_999,
    count: 1,
    offsets: Float64Array.of(2 ** 52),
    timestamps: Float64Array.of(Date.UTC(2026, 0, 1)),
    bytes,
    keyStart: Int32Array.of(key === null ? -1 : 0),
    keyEnd: Int32Array.of(key === null ? -1 : keyBytes),
    valueStart: Int32Array.of(value === null ? -1 : keyBytes),
    valueEnd: Int32Array.of(value === null ? -1 : bytes.length),
    nextOffset: 2 ** 52 + 1,
    ...(unreadable === undefined ? {} : { unreadable: new Map([[0, unreadable]]) }),
  };
}

const size = fc.constantFrom(0, 1, 64 * KIB - 1, 64 * KIB, 64 * KIB + 1, 512 * KIB - 1, 512 * KIB, 33_000 * KIB);
const bytes = fc.option(
  fc.tuple(size, fc.constantFrom(0, 1, 0x22, 0x7f, 0xff)).map(([length, byte]) => Buffer.alloc(length, byte)),
);
/** Texts that grow when they are quoted or encoded. */
const text = fc
  .tuple(
    fc.constantFrom('a', '"', '\u0000', '\u0001', 'é', '漢', '👩‍🚀', '\ud800'),
    fc.constantFrom(0, 1, 1_999, 2_000, 2_001, 90_000, 600_000),
  )
  .map(([unit, count]) => unit.repeat(count));

test('a dead letter of any record is smaller than the largest record', () => {
  fc.assert(
    fc.property(bytes, bytes, text, fc.boolean(), (key, value, message, isUnreadable) => {
      const columns = columnsOf(key, value, isUnreadable ? message : undefined);
      const letter = deadLetterOf(columns, 0, { job: 'j', code: 'c', message: JSON.stringify(message), createdAt: 1 });
      const encoded = codec.encode('DeadLetter', letter);
      assert.ok(encoded.length + Buffer.byteLength(letter.id) < RECORD_BYTES_MAX / 2, `${encoded.length} bytes`);
      assert.equal(letter.size, value?.length ?? 0);
      assert.equal(letter.reason_code, isUnreadable ? 'unreadable_batch' : 'c');
      assert.ok(value === null || value.subarray(0, 64 * KIB).equals(letter.input));
    }),
    { seed: 5, numRuns: 300 },
  );
});

test('so are a letter that waits for a commit and a late event', () => {
  fc.assert(
    fc.property(bytes, bytes, text, (key, value, message) => {
      const columns = columnsOf(key, value);
      const rejects = new Rejects({ job: 'j', encode: (letter) => codec.encode('DeadLetter', letter), idPrefix: 'p/' });
      rejects.deadLetter(columns, 0, { code: 'c', message });
      for (const record of [...rejects.take(), lateEventOf(codec, columns, 0, 1)])
        assert.ok(record.key.length + record.value!.length < RECORD_BYTES_MAX / 2);
    }),
    { seed: 6, numRuns: 200 },
  );
});
