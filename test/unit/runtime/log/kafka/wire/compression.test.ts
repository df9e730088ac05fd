/** Decompression of every codec that producers use, and of damaged data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { CodecLoading, decompress } from '../../../../../../runtime/log/kafka/wire/compression.js';
import { hasCode } from '../../../../../../runtime/process/errors.js';
import { javaSnappy, zstd } from '../../../../../support/services/kafka-tools.js';

const data = Buffer.from('freshness is a promise; '.repeat(5000));

/** Loads the codec if it must be loaded first. */
async function unfold(codec: number, bytes: Buffer): Promise<Buffer> {
  try {
    return decompress(codec, bytes);
  } catch (error) {
    if (!(error instanceof CodecLoading)) throw error;
    await error.ready;
    return decompress(codec, bytes);
  }
}

describe('decompression', async () => {
  const kinds: [name: string, codec: number, bytes: Buffer][] = [
    ['gzip', 1, gzipSync(data)],
    ['snappy', 2, compressSync(data)],
    ['snappy as Java frames it', 2, javaSnappy(data)],
    ['lz4', 3, compressFrameSync(data)],
    ['zstd', 4, await zstd(data)],
  ];

  for (const [name, codec, bytes] of kinds) {
    test(`${name}: restores the original bytes`, async () => {
      assert.ok(bytes.length < data.length);
      assert.ok((await unfold(codec, bytes)).equals(data));
      // As in an answer: somewhere inside a larger buffer.
      const inside = Buffer.concat([Buffer.alloc(7), bytes, Buffer.alloc(5)]).subarray(7, 7 + bytes.length);
      assert.ok((await unfold(codec, inside)).equals(data));
    });

    test(`${name}: half of it is invalid data`, async () => {
      const half = bytes.subarray(0, bytes.length >> 1);
      const outcome = await unfold(codec, half).then(
        (out) => out,
        (error: unknown) => error,
      );
      // A stream codec may return the intact part; the walk finds that records are missing.
      if (outcome instanceof Buffer) assert.ok(outcome.length < data.length);
      else assert.ok(hasCode(outcome, 'invalid_data'), String(outcome));
    });
  }

  test('an unknown codec is invalid data', () => {
    assert.throws(
      () => decompress(5, data),
      (error) => hasCode(error, 'invalid_data'),
    );
  });
});
