/** A problem of a record has the same code wherever it is read, and the first problem is the one that is reported. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { wrongId, wrongKey } from '../../../../runtime/log/record-problem.js';
import { partitionOf } from '../../../../topics/partition.js';
import { columnsOf } from '../../../support/columns.js';

const PARTITIONS = 4;

function codeOf(key: string | Buffer | null, partition = 0): string | undefined {
  const batch = columnsOf('things', partition, [{ key, value: null, timestamp: 0, offset: 0 }]);
  return wrongKey('thing_id', batch, 0, PARTITIONS)?.code;
}

test('I7: a key is an id in the partition that murmur2 gives it', () => {
  const home = partitionOf(PARTITIONS, Buffer.from('ä'));
  assert.equal(codeOf('ä', home), undefined);
  assert.equal(codeOf('ä', (home + 1) % PARTITIONS), 'wrong_partition');
  assert.equal(codeOf(null), 'missing_key');
  assert.equal(codeOf('', home), 'empty_id', 'what is wrong with the id comes before its place');
});

test('an id is 1 to 256 bytes of UTF-8 without NUL', () => {
  const check = (id: Buffer) =>
    wrongId('doc_id', Buffer.concat([Buffer.from('<'), id, Buffer.from('>')]), 1, 1 + id.length);
  assert.equal(check(Buffer.from('a'.repeat(256))), null);
  assert.equal(check(Buffer.from('ü'.repeat(128))), null);
  assert.deepEqual(check(Buffer.from('a'.repeat(257))), {
    code: 'id_too_long',
    message: 'doc_id has 257 bytes; at most 256 are allowed',
  });
  assert.equal(check(Buffer.from('a\0'))?.code, 'invalid_id');
  assert.equal(check(Buffer.from([0x61, 0xff]))?.code, 'invalid_utf8');
  assert.equal(check(Buffer.alloc(0))?.code, 'empty_id');
});
