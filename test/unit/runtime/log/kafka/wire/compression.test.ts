/** Decompression of every codec that producers use, and of damaged data. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { compressFrameSync } from 'lz4-napi';
import { compressSync } from 'snappy';
import { CodecLoading, decompress } from '../../../../../../runtime/log/kafka/wire/compression.js';
import { hasCode } from '../../../../../../runtime/process/errors.js';
import { Random } from '../../../../../support/random.js';
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

/** Bombs, made without ever holding what they decompress to. */
describe('bombs', () => {
  const MIB = 1024 * 1024;

  /** `blocks` zstd blocks that repeat one byte 128 KiB times: 4 bytes each. */
  function zstdBomb(blocks: number): Buffer {
    const header = Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]);
    const body = Buffer.alloc(4 * blocks);
    for (let i = 0; i < blocks; i++)
      body.writeUIntLE(((128 * 1024) << 3) | (1 << 1) | (i === blocks - 1 ? 1 : 0), 4 * i, 3);
    return Buffer.concat([header, body]);
  }

  /** Frames of the library with 4 MiB of zeros each, one after the other. */
  const lz4Bomb = (frames: number) => Buffer.concat(new Array(frames).fill(compressFrameSync(Buffer.alloc(4 * MIB))));

  /** gzip members of 1 MiB of zeros each. */
  const gzipBomb = (members: number) => Buffer.concat(new Array(members).fill(gzipSync(Buffer.alloc(MIB))));

  const snappyBomb = (mib: number) => {
    const size = mib * MIB;
    const varint: number[] = [];
    for (let rest = size; ; rest = Math.floor(rest / 128)) {
      varint.push((rest % 128) | (rest >= 128 ? 0x80 : 0));
      if (rest < 128) break;
    }
    return Buffer.concat([Buffer.from(varint), Buffer.alloc(1000)]);
  };

  for (const [name, codec, bytes] of [
    ['gzip, 300 MB', 1, gzipBomb(300)],
    ['gzip, just above the limit', 1, gzipBomb(33)],
    ['snappy, 1 GB announced', 2, snappyBomb(1000)],
    ['snappy in Java’s framing', 2, javaSnappy(Buffer.alloc(33 * MIB))],
    ['lz4, 400 MB', 3, lz4Bomb(100)],
    ['zstd, 900 MB', 4, zstdBomb(7200)],
  ] as const)
    test(`${name}: refused quickly, and never in memory`, async () => {
      const before = process.memoryUsage().rss;
      const started = performance.now();
      const refused = await unfold(codec, bytes).catch((error: unknown) => error);
      assert.ok(hasCode(refused, 'invalid_data'), String(refused));
      assert.match((refused as Error).message, /decompresses to more than 33554432 bytes/);
      assert.ok(performance.now() - started < 2_000, 'the event loop is not blocked for long');
      assert.ok(process.memoryUsage().rss - before < 160 * MIB, 'memory is bounded');
    });

  test('zstd: just below the limit is no bomb', async () => {
    assert.equal((await unfold(4, zstdBomb(31 * 8))).length, 31 * MIB);
  });

  for (const [name, codec, compress] of [
    ['gzip', 1, (data: Buffer) => gzipSync(data)],
    ['snappy', 2, (data: Buffer) => compressSync(data)],
    ['lz4', 3, (data: Buffer) => compressFrameSync(data)],
  ] as const)
    test(`${name}: 28 MiB of real data is no bomb`, async () => {
      const random = new Random(codec);
      const data = Buffer.alloc(28 * MIB);
      for (let i = 0; i < data.length; i += 8) data.writeUInt32LE(random.below(5_000), i);
      assert.ok((await unfold(codec, compress(data))).equals(data));
    });
});
