/**
 * Factors in a file, as passed from the build to the stores and to any reader with numpy. Little endian:
 *
 *   0    "FRESHAL1"
 *   8    u32 rows           12   u32 factors
 *   16   u64 where the ids begin          24   u64 where the factors begin, a multiple of 64
 *   32   u64 length of the file           40   zeros up to 64
 *   64   u32 per row: where its id ends, from the start of the ids
 *        ids, UTF-8, end to end, in byte order, each once
 *        factors, float32, rows × factors
 *
 * In Python: rows, n, ids_at, at = struct.unpack_from('<IIQQ', data, 8);
 * numpy.frombuffer(data, '<f4', rows * n, at).reshape(rows, n).
 */
import { type FileHandle, open } from 'node:fs/promises';
import { TextDecoder } from 'node:util';
import { FreshetError } from '../../../runtime/process/errors.js';

export const USER_FACTORS_FILE = 'user_factors.bin';
export const ITEM_FACTORS_FILE = 'item_factors.bin';

const MAGIC = Buffer.from('FRESHAL1', 'latin1');
const HEADER = 64;
const FACTORS_MAX = 65_536;
/** Rows read or written at a time. */
const BLOCK = 2_048;

export interface FactorRow {
  readonly id: string;
  /** All finite. A copy: the caller may keep it. */
  readonly factors: Float32Array;
}

interface FactorFileHead {
  readonly rows: number;
  readonly factors: number;
}

export interface FactorSource extends FactorFileHead {
  /** UTF-8 of the row's id; rows are in the order of these bytes. A view, valid until the next call. */
  idOf(row: number): Uint8Array;
  /** Copies a row's factors to target[at..at + factors). */
  copyFactors(row: number, target: Float32Array, at: number): void;
}

/** Writes a new file. Errors: those of the disk. */
export async function writeFactors(path: string, source: FactorSource): Promise<void> {
  const { rows, factors } = source;
  const file = await open(path, 'wx');
  try {
    const ends = Buffer.alloc(rows * 4);
    let idBytes = 0;
    for (let row = 0; row < rows; row++) {
      idBytes += source.idOf(row).length;
      ends.writeUInt32LE(idBytes, row * 4);
    }
    const idsAt = HEADER + ends.length;
    const factorsAt = Math.ceil((idsAt + idBytes) / 64) * 64;
    const header = Buffer.alloc(HEADER);
    MAGIC.copy(header);
    header.writeUInt32LE(rows, 8);
    header.writeUInt32LE(factors, 12);
    header.writeBigUInt64LE(BigInt(idsAt), 16);
    header.writeBigUInt64LE(BigInt(factorsAt), 24);
    header.writeBigUInt64LE(BigInt(factorsAt + rows * factors * 4), 32);
    await file.writeFile(header);
    await file.writeFile(ends);
    for (let first = 0; first < rows; first += BLOCK) {
      const ids: Uint8Array[] = [];
      for (let row = first; row < Math.min(rows, first + BLOCK); row++) ids.push(Buffer.from(source.idOf(row)));
      await file.writeFile(Buffer.concat(ids));
    }
    await file.writeFile(Buffer.alloc(factorsAt - idsAt - idBytes));
    const block = new Float32Array(BLOCK * factors);
    for (let first = 0; first < rows; first += BLOCK) {
      const count = Math.min(BLOCK, rows - first);
      for (let i = 0; i < count; i++) source.copyFactors(first + i, block, i * factors);
      await file.writeFile(new Uint8Array(block.buffer, 0, count * factors * 4));
    }
  } finally {
    await file.close();
  }
}

/**
 * The rows in order, with a few thousand in memory at a time. Errors: FreshetError 'invalid_data' if the file is not
 * complete, ids are out of order or not UTF-8, or a factor is not finite; those of the disk.
 */
export async function* readFactors(path: string): AsyncGenerator<FactorRow> {
  const file = await open(path, 'r');
  try {
    const { rows, factors, idsAt, factorsAt } = await headOf(file, path);
    const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    let idEnd = 0;
    let before: Buffer | null = null;
    for (let first = 0; first < rows; first += BLOCK) {
      const count = Math.min(BLOCK, rows - first);
      const ends = await bytesAt(file, path, HEADER + first * 4, count * 4);
      const begin = idEnd;
      const last = ends.readUInt32LE((count - 1) * 4);
      if (last < begin || idsAt + last > factorsAt) throw damaged(path, `the ids of row ${first} and after it`);
      const ids = await bytesAt(file, path, idsAt + begin, last - begin);
      const numbers = await bytesAt(file, path, factorsAt + first * factors * 4, count * factors * 4);
      for (let i = 0; i < count; i++) {
        const end = ends.readUInt32LE(i * 4);
        if (end < idEnd || end > last) throw damaged(path, `the id of row ${first + i}`);
        const bytes = ids.subarray(idEnd - begin, end - begin);
        if (before !== null && Buffer.compare(before, bytes) >= 0) throw damaged(path, `the order of row ${first + i}`);
        before = bytes;
        idEnd = end;
        const row = new Float32Array(factors);
        for (let f = 0; f < factors; f++) row[f] = numbers.readFloatLE((i * factors + f) * 4);
        if (!row.every(Number.isFinite)) throw damaged(path, `a factor of row ${first + i}`);
        yield { id: textOf(utf8, bytes, path, first + i), factors: row };
      }
    }
  } finally {
    await file.close();
  }
}

/** A file that stays open for reading single rows; its ids are in memory, in the same format as in the file. */
export interface OpenFactors extends FactorFileHead {
  /** UTF-8, end to end; neither their order nor their ends have been checked. */
  readonly ids: Buffer;
  /** Where each id ends in `ids`. */
  readonly ends: Uint32Array;
  /** One row of 0..rows − 1. */
  row(position: number): Promise<Float32Array>;
  close(): Promise<void>;
}

/** Errors: FreshetError 'invalid_data' if it is not a complete file of factors; those of the disk. */
export async function openFactors(path: string): Promise<OpenFactors> {
  const file = await open(path, 'r');
  try {
    const { rows, factors, idsAt, factorsAt } = await headOf(file, path);
    const ends = new Uint32Array(rows);
    (await bytesAt(file, path, HEADER, rows * 4)).copy(new Uint8Array(ends.buffer));
    const idBytes = ends.at(-1) ?? 0;
    if (idsAt + idBytes > factorsAt) throw damaged(path, 'the end of its ids');
    const ids = await bytesAt(file, path, idsAt, idBytes);
    const rowBytes = factors * 4;
    const row = async (position: number) => {
      const bytes = await bytesAt(file, path, factorsAt + position * rowBytes, rowBytes);
      return new Float32Array(bytes.buffer, bytes.byteOffset, factors);
    };
    return { rows, factors, ids, ends, row, close: () => file.close() };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function headOf(file: FileHandle, path: string) {
  const { size } = await file.stat();
  if (size < HEADER) throw damaged(path, 'its length');
  const header = await bytesAt(file, path, 0, HEADER);
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged(path, 'its beginning');
  const rows = header.readUInt32LE(8);
  const factors = header.readUInt32LE(12);
  const idsAt = Number(header.readBigUInt64LE(16));
  const factorsAt = Number(header.readBigUInt64LE(24));
  const length = Number(header.readBigUInt64LE(32));
  if (factors < 1 || factors > FACTORS_MAX || idsAt !== HEADER + rows * 4 || factorsAt < idsAt || factorsAt % 64 !== 0)
    throw damaged(path, 'its header');
  if (length !== factorsAt + rows * factors * 4 || length !== size) throw damaged(path, 'its length');
  return { rows, factors, idsAt, factorsAt };
}

async function bytesAt(file: FileHandle, path: string, at: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, at + filled);
    if (bytesRead === 0) throw damaged(path, 'its length');
    filled += bytesRead;
  }
  return bytes;
}

function textOf(utf8: TextDecoder, bytes: Buffer, path: string, row: number): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw damaged(path, `the id of row ${row}`);
  }
}

function damaged(path: string, what: string): FreshetError {
  return new FreshetError('invalid_data', `${path} is not a complete file of factors: ${what} is wrong.`);
}
