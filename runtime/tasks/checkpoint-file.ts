/**
 * A checkpoint on disk: a fixed head, a readable header, the columns as raw bytes end to end, and a checksum over
 * everything. It is written to another name, synced and renamed, so the name always leads to a complete file or to
 * none; later damage is detected by the checksum before any of it is used.
 *
 *   "FRESHCP1"  header length u32  CRC-32C of the header u32 | header, JSON | columns | CRC-32C of everything before u32
 */
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { endianness } from 'node:os';
import { dirname } from 'node:path';
import { crc32c } from '@node-rs/crc32';
import { z } from 'zod';
import { FreshetError } from '../process/errors.js';
import { faultPoint } from './fault-points.js';
import type { NumberColumn } from './state/columns.js';
import { SavedColumns } from './state/saved-columns.js';

const MAGIC = Buffer.from('FRESHCP1', 'latin1');
const HEAD_BYTES = 16;
const HEADER_BYTES_MAX = 1024 * 1024;
const TAIL_BYTES = 4;
/** One write, and one step of the checksum on the task's own thread: a quarter of a millisecond. */
const SLICE_BYTES = 1024 * 1024;
/** Syncing everything at once would delay all other writes to the disk, those of the log first of all. */
const SYNC_EVERY_BYTES = 16 * SLICE_BYTES;

const TYPES = {
  f64: Float64Array,
  i32: Int32Array,
  u32: Uint32Array,
  u16: Uint16Array,
  u8: Uint8Array,
} as const satisfies Record<string, new (buffer: ArrayBuffer) => NumberColumn>;

const count = z.number().int().min(0);
const headerSchema = z.object({
  /** Raw numbers are in the order of the machine that wrote them. */
  byte_order: z.enum(['LE', 'BE']),
  created_at: z.number(),
  application: z.string(),
  task: z.string(),
  fingerprint: z.string(),
  incarnation: z.string(),
  /** Id of the changelog topic in the log: another one if the log has lost commits. Null where the log has no ids. */
  changelog_id: z.string().nullable(),
  /** Sequence of the last commit that it contains. */
  sequence: count,
  /** Where to read the changelog for that commit's marker and the later ones. */
  changelog_offset: count,
  parts: z.array(
    z.object({ topic: z.string(), partition: count, offset: count, clock: z.number(), swept_day: z.number() }),
  ),
  columns: z.array(
    z.object({ name: z.string(), type: z.enum(Object.keys(TYPES) as (keyof typeof TYPES)[]), length: count }),
  ),
});

/** The header of a checkpoint, without the layout of its columns. */
export type CheckpointHeader = Omit<z.infer<typeof headerSchema>, 'byte_order' | 'columns'>;

/** Replaces the previous checkpoint; returns the size in bytes. Errors: those of the disk. */
export async function writeCheckpoint(path: string, header: CheckpointHeader, columns: SavedColumns): Promise<number> {
  const beside = `${path}.new`;
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(beside, 'w', 0o600);
  let size: number;
  try {
    size = await writeAll(file, header, columns);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(beside, { force: true });
    throw error;
  }
  await file.close();
  await faultPoint('checkpoint.written', header.task);
  await rename(beside, path);
  await syncFolder(dirname(path));
  await faultPoint('checkpoint.renamed', header.task);
  return size;
}

async function writeAll(file: FileHandle, header: CheckpointHeader, columns: SavedColumns): Promise<number> {
  const layout = [...columns.entries].map(([name, column]) => ({ name, type: typeOf(column), length: column.length }));
  const text = Buffer.from(JSON.stringify({ byte_order: endianness(), ...header, columns: layout }));
  const head = Buffer.alloc(HEAD_BYTES);
  MAGIC.copy(head);
  head.writeUInt32LE(text.length, 8);
  head.writeUInt32LE(crc32c(text), 12);
  let crc = 0;
  let written = 0;
  let synced = 0;
  for (const bytes of gathered([head, text, ...[...columns.entries.values()].map(bytesOf)])) {
    crc = crc32c(bytes, crc);
    await writeWhole(file, bytes);
    written += bytes.length;
    if (written - synced < SYNC_EVERY_BYTES) continue;
    await file.datasync();
    synced = written;
  }
  const tail = Buffer.alloc(TAIL_BYTES);
  tail.writeUInt32LE(crc);
  await writeWhole(file, tail);
  return written + TAIL_BYTES;
}

/** Joins small pieces and slices large ones, so that each is one write. */
function* gathered(pieces: Iterable<Buffer>): Generator<Buffer> {
  let small: Buffer[] = [];
  let smallBytes = 0;
  for (const piece of pieces) {
    if (piece.length + smallBytes <= SLICE_BYTES) {
      small.push(piece);
      smallBytes += piece.length;
      continue;
    }
    if (smallBytes > 0) yield Buffer.concat(small);
    small = [];
    smallBytes = 0;
    for (let at = 0; at < piece.length; at += SLICE_BYTES) yield piece.subarray(at, at + SLICE_BYTES);
  }
  if (smallBytes > 0) yield Buffer.concat(small);
}

/** A write may be partial, for example on a nearly full disk. */
async function writeWhole(file: FileHandle, bytes: Buffer): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at, bytes.length - at)).bytesWritten;
}

/** Removes a checkpoint for good: its name must not reappear after a power failure. Errors: those of the disk. */
export async function removeCheckpoint(path: string): Promise<void> {
  await rm(path, { force: true });
  await syncFolder(dirname(path));
}

/** The new name must survive a power failure; where folders cannot be synced, the checksum decides. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, 'r');
    await folder.sync().finally(() => folder.close());
  } catch {
    return;
  }
}

/** A checkpoint whose header has been read and whose columns have not. */
export class CheckpointFile {
  readonly header: CheckpointHeader;
  readonly #file: FileHandle;
  readonly #layout: z.infer<typeof headerSchema>['columns'];
  readonly #start: Buffer;
  readonly #size: number;

  private constructor(file: FileHandle, header: z.infer<typeof headerSchema>, start: Buffer, size: number) {
    const { byte_order, columns, ...rest } = header;
    this.header = rest;
    this.#file = file;
    this.#layout = columns;
    this.#start = start;
    this.#size = size;
  }

  /** Null if there is none. Errors: FreshetError('invalid_data') when it is damaged or of another format. */
  static async open(path: string): Promise<CheckpointFile | null> {
    let file: FileHandle;
    try {
      file = await open(path, 'r');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
    try {
      return await CheckpointFile.#read(file);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  static async #read(file: FileHandle): Promise<CheckpointFile> {
    const { size } = await file.stat();
    const head = Buffer.alloc(HEAD_BYTES);
    if (size < HEAD_BYTES + TAIL_BYTES) throw damaged('it is cut short');
    await readWhole(file, head, 0);
    if (!head.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged('it is of another format');
    const length = head.readUInt32LE(8);
    if (length > Math.min(HEADER_BYTES_MAX, size)) throw damaged('its header is damaged');
    const text = Buffer.alloc(length);
    await readWhole(file, text, HEAD_BYTES);
    if (crc32c(text) !== head.readUInt32LE(12)) throw damaged('its header is damaged');
    const parsed = headerSchema.safeParse(JSON.parse(text.toString('utf8')));
    if (!parsed.success || parsed.data.byte_order !== endianness()) throw damaged('it is of another format');
    const columns = parsed.data.columns.reduce((sum, { type, length }) => sum + length * bytesEach(type), 0);
    if (HEAD_BYTES + text.length + columns + TAIL_BYTES !== size) throw damaged('it is cut short');
    return new CheckpointFile(file, parsed.data, Buffer.concat([head, text]), size);
  }

  /** Reads and checks everything; may be called once. Errors: FreshetError('invalid_data') when it is damaged. */
  async columns(): Promise<SavedColumns> {
    const columns = new SavedColumns();
    let crc = crc32c(this.#start);
    let at = this.#start.length;
    for (const { name, type, length } of this.#layout) {
      const column = new TYPES[type](new ArrayBuffer(length * bytesEach(type)));
      const bytes = bytesOf(column);
      for (let from = 0; from < bytes.length; from += SLICE_BYTES) {
        const slice = bytes.subarray(from, from + SLICE_BYTES);
        await readWhole(this.#file, slice, at);
        crc = crc32c(slice, crc);
        at += slice.length;
      }
      columns.share(name, column);
    }
    const tail = Buffer.alloc(TAIL_BYTES);
    await readWhole(this.#file, tail, this.#size - TAIL_BYTES);
    if (tail.readUInt32LE() !== crc) throw damaged('its checksum is wrong');
    return columns;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

async function readWhole(file: FileHandle, into: Buffer, position: number): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const { bytesRead } = await file.read(into, at, into.length - at, position + at);
    if (bytesRead === 0) throw damaged('it is cut short');
    at += bytesRead;
  }
}

function bytesOf(column: NumberColumn): Buffer {
  return Buffer.from(column.buffer, column.byteOffset, column.byteLength);
}

function bytesEach(type: keyof typeof TYPES): number {
  return TYPES[type].BYTES_PER_ELEMENT;
}

function typeOf(column: NumberColumn): keyof typeof TYPES {
  const found = Object.entries(TYPES).find(([, type]) => column instanceof type);
  return found![0] as keyof typeof TYPES;
}

function damaged(how: string): FreshetError {
  return new FreshetError('invalid_data', how);
}
