/** Decompression for records of other producers: gzip, snappy, lz4, zstd. We write uncompressed. */
import { createRequire } from 'node:module';
import zlib from 'node:zlib';
import { FreshetError, messageOf } from '../../../process/errors.js';
import { lz4SizeMax, snappySize, zstdSizeMax } from './inflated-size.js';

const require = createRequire(import.meta.url);

/**
 * Largest size of a decompressed batch, bytes: 32 times the largest batch that brokers accept by default. Inflating it
 * took 40 to 150 ms, depending on the codec; anything larger is a decompression bomb.
 */
const BATCH_BYTES_MAX = 32 * 1024 * 1024;

const GZIP = 1;
const SNAPPY = 2;
const LZ4 = 3;
const ZSTD = 4;

/** Thrown when a codec must be loaded first: await `ready`, then repeat the call. */
export class CodecLoading extends Error {
  readonly ready: Promise<void>;

  constructor(ready: Promise<void>) {
    super('a compression codec is being loaded');
    this.name = 'CodecLoading';
    this.ready = ready;
  }
}

/**
 * The records of a compressed batch. Throws 'invalid_data' for damaged bytes, an unknown codec, and more than 32 MiB of
 * records, of which at most 32 MiB are ever in memory; CodecLoading at the first use of zstd on a Node without it.
 */
export function decompress(codec: number, bytes: Buffer): Buffer {
  try {
    if (codec === GZIP) return zlib.gunzipSync(bytes, { maxOutputLength: BATCH_BYTES_MAX });
    if (codec === SNAPPY) return unsnappy(bytes);
    if (codec === LZ4) return unlz4(bounded(bytes, lz4SizeMax(bytes)));
    if (codec === ZSTD) return unzstd(bounded(bytes, zstdSizeMax(bytes)));
  } catch (error) {
    if (error instanceof CodecLoading || error instanceof FreshetError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge();
    throw new FreshetError('invalid_data', `A record batch cannot be decompressed: ${messageOf(error)}`, {
      cause: error,
    });
  }
  throw new FreshetError('invalid_data', `A record batch is compressed with unknown codec ${codec}.`);
}

function tooLarge(): FreshetError {
  return new FreshetError('invalid_data', `it decompresses to more than ${BATCH_BYTES_MAX} bytes`);
}

/** The bytes, if they decompress to no more than `sizeMax`, an upper bound. */
function bounded(bytes: Buffer, sizeMax: number): Buffer {
  if (sizeMax > BATCH_BYTES_MAX) throw tooLarge();
  return bytes;
}

const XERIAL_MAGIC = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00]);
const XERIAL_HEADER_BYTES = 16;

/** Java writes snappy in blocks after its own header, C clients write one bare block. */
function unsnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, XERIAL_MAGIC.length).equals(XERIAL_MAGIC)) return unsnappyBlock(bytes);
  const blocks: Buffer[] = [];
  let total = 0;
  for (let at = XERIAL_HEADER_BYTES; at < bytes.length; ) {
    const length = bytes.readInt32BE(at);
    const end = at + 4 + length;
    if (length < 0 || end > bytes.length) throw new Error('a snappy block is cut short');
    const block = unsnappyBlock(bytes.subarray(at + 4, end));
    total += block.length;
    if (total > BATCH_BYTES_MAX) throw tooLarge();
    blocks.push(block);
    at = end;
  }
  return Buffer.concat(blocks, total);
}

interface Snappy {
  uncompressSync(bytes: Buffer, options: { readonly asBuffer: true }): Buffer;
}

let snappy: Snappy | null = null;

function unsnappyBlock(bytes: Buffer): Buffer {
  snappy ??= require('snappy') as Snappy;
  return snappy.uncompressSync(bounded(bytes, snappySize(bytes)), { asBuffer: true });
}

interface Lz4 {
  decompressFrameSync(bytes: Buffer): Buffer;
}

let lz4: Lz4 | null = null;

function unlz4(bytes: Buffer): Buffer {
  lz4 ??= require('lz4-napi') as Lz4;
  return lz4.decompressFrameSync(bytes);
}

interface ZstdCodec {
  readonly ZstdCodec: {
    run(ready: (zstd: { readonly Streaming: new () => Zstd }) => void): void;
  };
}

interface Zstd {
  /** Null for damaged bytes. */
  decompress(bytes: Uint8Array): Uint8Array | null;
}

/** Node has a built-in zstd from 22.15 on. */
const nodeZstd: unknown = Reflect.get(zlib, 'zstdDecompressSync');
let zstd: Zstd | null = null;
let zstdLoading: Promise<void> | null = null;

function unzstd(bytes: Buffer): Buffer {
  if (typeof nodeZstd === 'function') return nodeZstd(bytes, { maxOutputLength: BATCH_BYTES_MAX }) as Buffer;
  if (zstd === null) {
    zstdLoading ??= loadZstd();
    throw new CodecLoading(zstdLoading);
  }
  const out = zstd.decompress(bytes);
  if (out === null) throw new Error('damaged zstd frame');
  return Buffer.from(out.buffer, out.byteOffset, out.byteLength);
}

/** 35 MB of memory, so it is loaded only when needed. */
function loadZstd(): Promise<void> {
  return new Promise((resolve) => {
    (require('zstd-codec') as ZstdCodec).ZstdCodec.run(({ Streaming }) => {
      zstd = new Streaming();
      resolve();
    });
  });
}
