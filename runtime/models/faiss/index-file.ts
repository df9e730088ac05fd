/**
 * The format of FAISS's index files, as far as we write, change and check it. FAISS trusts a file and ends the process on a
 * damaged one, so the whole structure is checked here first. All numbers are little endian:
 *
 *   every index   4 letters · d int32 · count int64 · 2 × int64 · trained byte · metric int32                     37 bytes
 *   IxFI, IxF2    … · number of floats uint64 · floats                               flat; inner product, squared distance
 *   IHNf          … · 5 columns of the graph, each with its length · entry, top, efConstruction, efSearch, beam int32 ·
 *                 the flat index of its vectors
 *   IwFl          … · nlist, nprobe uint64 · the flat index of the lists' centres · direct map · lists: ilar · nlist,
 *                 bytes per vector uint64 · full · column of lengths · per list its vectors, then their positions int64
 *
 * Source: faiss/impl/index_write.cpp of FAISS 1.7.3; 1.15.1 reads and writes the same.
 */
import { type FileHandle, open } from 'node:fs/promises';
import { FreshetError } from '../../process/errors.js';
import { COUNT_MAX, DIMENSION_MAX, type IndexKind, type Metric } from './vector-index.js';

export const FLOAT_BYTES = 4;
const HEADER_BYTES = 37;
/** Where the floats of a flat index start, relative to its own start. */
export const FLAT_DATA_AT = HEADER_BYTES + 8;
const NPROBE_AT = HEADER_BYTES + 8;
/** FAISS writes this in place of fields of older versions. */
const FILLER = 1n << 20n;
const LISTS_MAX = 1 << 20;

export interface IndexFile {
  readonly kind: IndexKind;
  readonly metric: Metric;
  readonly dimension: number;
  readonly count: number;
  /** The search breadth: efSearch of hnsw, nprobe of ivf; null: flat. */
  readonly breadth: number | null;
  /** Number of lists of ivf, else null. */
  readonly lists: number | null;
  /** The location of its vectors. */
  readonly vectors: VectorPlace;
}

type VectorPlace =
  /** One after another, in order. */
  | { readonly at: number }
  /** By list: the start of each and its number of vectors. */
  | { readonly listAt: Float64Array; readonly listLength: Float64Array };

/** The first bytes of a flat index; `count` × `dimension` floats follow. */
export function flatHeader(metric: Metric, dimension: number, count: number): Buffer {
  const header = Buffer.alloc(FLAT_DATA_AT);
  header.write(metric === 'l2' ? 'IxF2' : 'IxFI', 0, 'latin1');
  header.writeInt32LE(dimension, 4);
  header.writeBigInt64LE(BigInt(count), 8);
  header.writeBigInt64LE(FILLER, 16);
  header.writeBigInt64LE(FILLER, 24);
  header.writeUInt8(1, 32);
  header.writeInt32LE(metric === 'l2' ? 1 : 0, 33);
  header.writeBigUInt64LE(BigInt(dimension * count), HEADER_BYTES);
  return header;
}

/** Reads and checks the structure of an index file. Throws 'invalid_data' naming the problem. */
export async function readIndexFile(path: string): Promise<IndexFile> {
  const file = await openForReading(path);
  try {
    const { size } = await file.stat();
    const cursor = new FileCursor(file, size, path);
    const found = await walk(cursor);
    if (cursor.at !== size) throw cursor.damaged(`${size - cursor.at} bytes follow its end`);
    return found;
  } finally {
    await file.close();
  }
}

/**
 * Sets the search breadth in the index file: FAISS uses it from the next loading on. Throws 'invalid_data' for a flat
 * index, or a breadth that does not fit.
 */
export async function writeBreadth(path: string, breadth: number): Promise<void> {
  const { kind, lists } = await readIndexFile(path);
  const most = kind === 'ivf' ? lists! : COUNT_MAX;
  if (kind === 'flat' || !Number.isInteger(breadth) || breadth < 1 || breadth > most)
    throw new FreshetError('invalid_data', `A breadth of ${breadth} does not fit an index of kind ${kind}.`);
  const file = await open(path, 'r+');
  try {
    if (kind === 'ivf') {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt(breadth));
      await file.write(bytes, 0, 8, NPROBE_AT);
    } else {
      const { size } = await file.stat();
      const cursor = new FileCursor(file, size, path);
      await header(cursor);
      await graphColumns(cursor);
      const bytes = Buffer.alloc(4);
      bytes.writeInt32LE(breadth);
      await file.write(bytes, 0, 4, cursor.at + 12);
    }
    await file.datasync();
  } finally {
    await file.close();
  }
}

/** Byte offsets of single vectors, to read back what a file was built from. Uses 8 bytes per vector for ivf. */
export async function vectorOffsets(path: string, index: IndexFile): Promise<(position: number) => number> {
  const { vectors, dimension, count } = index;
  const bytes = dimension * FLOAT_BYTES;
  if ('at' in vectors) return (position) => vectors.at + position * bytes;
  const offsets = new Float64Array(count).fill(-1);
  const file = await openForReading(path);
  try {
    for (let list = 0; list < vectors.listAt.length; list++) {
      const length = vectors.listLength[list]!;
      if (length === 0) continue;
      const at = vectors.listAt[list]!;
      const ids = Buffer.alloc(length * 8);
      await file.read(ids, 0, ids.length, at + length * bytes);
      for (let i = 0; i < length; i++) {
        const position = Number(ids.readBigInt64LE(i * 8));
        if (position < 0 || position >= count || offsets[position] !== -1)
          throw new FreshetError('invalid_data', `${path} is damaged: list ${list} names the position ${position}.`);
        offsets[position] = at + i * bytes;
      }
    }
  } finally {
    await file.close();
  }
  return (position) => offsets[position]!;
}

interface Header {
  readonly letters: string;
  readonly dimension: number;
  readonly count: number;
  readonly metric: Metric;
}

async function walk(cursor: FileCursor): Promise<IndexFile> {
  const { letters, dimension, count, metric } = await header(cursor);
  const common = { metric, dimension, count };
  if (letters === 'IxFI' || letters === 'IxF2')
    return { ...common, kind: 'flat', breadth: null, lists: null, vectors: { at: await flatBody(cursor, common) } };
  if (letters === 'IHNf') return graph(cursor, common);
  if (letters === 'IwFl') return lists(cursor, common);
  throw cursor.damaged(`it begins with ${JSON.stringify(letters)}, which is not a known kind of index`);
}

async function header(cursor: FileCursor): Promise<Header> {
  const bytes = await cursor.take(HEADER_BYTES);
  const dimension = bytes.readInt32LE(4);
  const count = Number(bytes.readBigInt64LE(8));
  const metric = bytes.readInt32LE(33);
  if (dimension < 1 || dimension > DIMENSION_MAX) throw cursor.damaged(`its vectors have ${dimension} numbers`);
  if (count < 0 || count > COUNT_MAX) throw cursor.damaged(`it claims to contain ${count} vectors`);
  if (bytes.readUInt8(32) !== 1) throw cursor.damaged('it is not trained');
  if (metric !== 0 && metric !== 1) throw cursor.damaged(`its metric is number ${metric}`);
  return { letters: bytes.toString('latin1', 0, 4), dimension, count, metric: metric === 0 ? 'inner_product' : 'l2' };
}

/** Skips the floats and returns where they start. */
async function flatBody(
  cursor: FileCursor,
  { dimension, count }: Pick<Header, 'dimension' | 'count'>,
): Promise<number> {
  const floats = await cursor.count();
  if (floats !== dimension * count) throw cursor.damaged(`it contains ${floats} numbers for ${count} × ${dimension}`);
  const at = cursor.at;
  cursor.skip(floats * FLOAT_BYTES);
  return at;
}

async function graph(cursor: FileCursor, common: Omit<Header, 'letters'>): Promise<IndexFile> {
  const { levels, offsets } = await graphColumns(cursor);
  if (levels !== common.count || offsets !== common.count + 1)
    throw cursor.damaged(`its graph has ${levels} nodes for ${common.count} vectors`);
  const numbers = await cursor.take(5 * 4);
  const entry = numbers.readInt32LE(0);
  if (entry < -1 || entry >= common.count) throw cursor.damaged(`its graph starts at node ${entry}`);
  const at = await storage(cursor, common);
  return { ...common, kind: 'hnsw', breadth: numbers.readInt32LE(12), lists: null, vectors: { at } };
}

/** Skips the columns of a graph. */
async function graphColumns(cursor: FileCursor): Promise<{ levels: number; offsets: number }> {
  await cursor.column(8);
  await cursor.column(4);
  const levels = await cursor.column(4);
  const offsets = await cursor.column(8);
  await cursor.column(4);
  return { levels, offsets };
}

/** The flat index inside another one. */
async function storage(cursor: FileCursor, { dimension, count }: Pick<Header, 'dimension' | 'count'>): Promise<number> {
  const inner = await header(cursor);
  if (!inner.letters.startsWith('IxF') || inner.dimension !== dimension || inner.count !== count)
    throw cursor.damaged(`inside it is ${inner.letters} with ${inner.count} × ${inner.dimension}`);
  return flatBody(cursor, inner);
}

async function lists(cursor: FileCursor, common: Omit<Header, 'letters'>): Promise<IndexFile> {
  const count = await cursor.count();
  if (count < 1 || count > LISTS_MAX) throw cursor.damaged(`it has ${count} lists`);
  const breadth = await cursor.count();
  await storage(cursor, { dimension: common.dimension, count });
  const map = (await cursor.take(1)).readUInt8();
  if (map !== 0) throw cursor.damaged(`it has a direct map of kind ${map}`);
  await cursor.column(8);
  const letters = (await cursor.take(4)).toString('latin1');
  const inside = await cursor.count();
  const vectorBytes = await cursor.count();
  const form = (await cursor.take(4)).toString('latin1');
  if (letters !== 'ilar' || inside !== count || vectorBytes !== common.dimension * FLOAT_BYTES || form !== 'full')
    throw cursor.damaged(`its lists are ${letters} ${form}, ${inside} of them with ${vectorBytes} bytes per vector`);
  const lengths = await cursor.count();
  if (lengths !== count) throw cursor.damaged(`it has ${lengths} lengths for ${count} lists`);
  const sizes = await cursor.take(lengths * 8);
  const listAt = new Float64Array(count);
  const listLength = new Float64Array(count);
  let total = 0;
  for (let list = 0; list < count; list++) {
    const length = Number(sizes.readBigUInt64LE(list * 8));
    listAt[list] = cursor.at;
    listLength[list] = length;
    total += length;
    cursor.skip(length * (vectorBytes + 8));
  }
  if (total !== common.count) throw cursor.damaged(`its lists contain ${total} of ${common.count} vectors`);
  return { ...common, kind: 'ivf', breadth, lists: count, vectors: { listAt, listLength } };
}

async function openForReading(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new FreshetError('invalid_data', `The index file ${path} cannot be opened.`, { cause: error });
  }
}

/** Reads a file in order; never past its end. */
class FileCursor {
  at = 0;
  readonly #file: FileHandle;
  readonly #size: number;
  readonly #path: string;

  constructor(file: FileHandle, size: number, path: string) {
    this.#file = file;
    this.#size = size;
    this.#path = path;
  }

  async take(length: number): Promise<Buffer> {
    const at = this.at;
    this.skip(length);
    const bytes = Buffer.alloc(length);
    const { bytesRead } = await this.#file.read(bytes, 0, length, at);
    if (bytesRead !== length) throw this.damaged('it is cut short');
    return bytes;
  }

  /** A uint64, which must be a possible length of a file. */
  async count(): Promise<number> {
    const value = Number((await this.take(8)).readBigUInt64LE());
    if (value > Number.MAX_SAFE_INTEGER) throw this.damaged(`it contains a length of ${value}`);
    return value;
  }

  /** Skips a column of items of this many bytes; returns the number of items. */
  async column(itemBytes: number): Promise<number> {
    const items = await this.count();
    this.skip(items * itemBytes);
    return items;
  }

  skip(length: number): void {
    if (this.at + length > this.#size) throw this.damaged('it is cut short');
    this.at += length;
  }

  damaged(what: string): FreshetError {
    return new FreshetError('invalid_data', `The index file ${this.#path} is damaged: ${what}.`);
  }
}
