/**
 * How large compressed bytes can become, from the structure of their format alone, before anything is decompressed. The
 * libraries for snappy, lz4 and zstd have no limit of their own that could be set everywhere.
 */

/** Bytes of a snappy block: a varint at its start. Source: "Snappy compressed format description". NaN if it is cut short. */
export function snappySize(bytes: Buffer): number {
  let size = 0;
  for (let i = 0; i < 5; i++) {
    const byte = bytes[i];
    if (byte === undefined) return Number.NaN;
    size += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return size;
  }
  return Number.NaN;
}

const LZ4_MAGIC = 0x184d2204;
const LZ4_CONTENT_SIZE = 0x08;
const LZ4_DICTIONARY_ID = 0x01;
const LZ4_BLOCK_CHECKSUM = 0x10;
const LZ4_CONTENT_CHECKSUM = 0x04;
const LZ4_SIZE_MASK = 0x7fffffff;

/**
 * Most bytes of lz4 frames: the number of blocks times their largest size, which all blocks but the last have. Source:
 * "LZ4 Frame Format Description". Stops at anything that is no frame; the library judges that.
 */
export function lz4SizeMax(bytes: Buffer): number {
  let total = 0;
  let at = 0;
  while (bytes.length - at >= 7 && bytes.readUInt32LE(at) === LZ4_MAGIC) {
    const flags = bytes[at + 4]!;
    const blockMax = 2 ** (8 + 2 * ((bytes[at + 5]! >> 4) & 7));
    at += 7 + (flags & LZ4_CONTENT_SIZE ? 8 : 0) + (flags & LZ4_DICTIONARY_ID ? 4 : 0);
    for (; bytes.length - at >= 4; total += blockMax) {
      const size = bytes.readUInt32LE(at) & LZ4_SIZE_MASK;
      at += 4;
      if (size === 0) break;
      at += size + (flags & LZ4_BLOCK_CHECKSUM ? 4 : 0);
    }
    if (flags & LZ4_CONTENT_CHECKSUM) at += 4;
  }
  return total;
}

const ZSTD_MAGIC = 0xfd2fb528;
const ZSTD_SKIPPABLE = 0x184d2a50;
const ZSTD_BLOCK_MAX = 128 * 1024;
const ZSTD_RAW = 0;
const ZSTD_RLE = 1;

/**
 * Most bytes of zstd frames: the sum over their blocks, of which a compressed one has at most 128 KiB. Source: RFC 8878,
 * section 3.1.1. The size in the header is not believed. Stops at anything that is no frame; the library judges that.
 */
export function zstdSizeMax(bytes: Buffer): number {
  let total = 0;
  let at = 0;
  while (bytes.length - at >= 8) {
    const magic = bytes.readUInt32LE(at);
    if ((magic & 0xfffffff0) >>> 0 === ZSTD_SKIPPABLE) {
      at += 8 + bytes.readUInt32LE(at + 4);
      continue;
    }
    if (magic !== ZSTD_MAGIC) break;
    const descriptor = bytes[at + 4]!;
    const isSingleSegment = (descriptor & 0x20) !== 0;
    const contentSizeFlag = descriptor >> 6;
    const contentSizeBytes = contentSizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** contentSizeFlag;
    at += 5 + (isSingleSegment ? 0 : 1) + [0, 1, 2, 4][descriptor & 3]! + contentSizeBytes;
    for (let isLast = false; !isLast && bytes.length - at >= 3; ) {
      const header = bytes.readUIntLE(at, 3);
      const size = header >> 3;
      const type = (header >> 1) & 3;
      isLast = (header & 1) === 1;
      at += 3 + (type === ZSTD_RLE ? 1 : size);
      total += type === ZSTD_RAW || type === ZSTD_RLE ? size : ZSTD_BLOCK_MAX;
    }
    if (descriptor & 0x04) at += 4;
  }
  return total;
}
