/**
 * The journal of commits. A commit is first written to its partitions, then noted here with its end in each of them;
 * only the note makes it count. A checkpoint says that all commits up to one are on disk. The file starts with the end
 * of every partition at some commit, and is rewritten from time to time.
 *
 *   file   = record*            the first is a base
 *   record = length u32, crc32c u32, kind u8, commit f64, time f64, count u32, count × place     (little endian)
 *   place  = topic id f64, partition u32, segment f64, position f64, next offset f64 [, first f64, last append time f64]
 */
import { crc32c } from '@node-rs/crc32';
import { type Disk, UNFINISHED_SUFFIX } from './disk.js';

/** The end of a partition: the end of its last batch in the segment that starts with `segment`. */
export interface Place {
  readonly topicId: number;
  readonly partition: number;
  readonly segment: number;
  readonly position: number;
  readonly nextOffset: number;
}

/** A place with the append times of its segment, which batches do not contain. */
export interface BasePlace extends Place {
  readonly firstAppendMs: number;
  readonly lastAppendMs: number;
}

interface CommitNote {
  readonly commit: number;
  readonly timeMs: number;
  readonly places: readonly Place[];
}

export interface TransactionLogContents {
  /** When the newest commit of the base was made, ms; 0 in files of versions that did not note it. */
  readonly baseTimeMs: number;
  /** The ends of the partitions at `baseCommit`; a partition that is not listed was empty. */
  readonly baseCommit: number;
  readonly base: readonly BasePlace[];
  readonly notes: readonly CommitNote[];
  /** All commits up to this one are on disk. */
  readonly durableCommit: number;
  /** End of the last intact record; anything after it is a note that was never finished. */
  readonly end: number;
  /** What follows had been on disk: a crash cannot explain that it is damaged. */
  readonly damagedInside: boolean;
}

const KIND_BASE = 1;
const KIND_COMMIT = 2;
const KIND_DURABLE = 3;

const HEAD_BYTES = 8;
const FIXED_BYTES = 1 + 8 + 8 + 4;
const PLACE_BYTES = 8 + 4 + 8 + 8 + 8;
const BASE_PLACE_BYTES = PLACE_BYTES + 16;

function encode(kind: number, commit: number, timeMs: number, places: readonly (Place | BasePlace)[]): Buffer {
  const each = kind === KIND_BASE ? BASE_PLACE_BYTES : PLACE_BYTES;
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + FIXED_BYTES + each * places.length);
  let at = bytes.writeUInt8(kind, HEAD_BYTES);
  at = bytes.writeDoubleLE(commit, at);
  at = bytes.writeDoubleLE(timeMs, at);
  at = bytes.writeUInt32LE(places.length, at);
  for (const place of places) {
    at = bytes.writeDoubleLE(place.topicId, at);
    at = bytes.writeUInt32LE(place.partition, at);
    at = bytes.writeDoubleLE(place.segment, at);
    at = bytes.writeDoubleLE(place.position, at);
    at = bytes.writeDoubleLE(place.nextOffset, at);
    if (kind !== KIND_BASE) continue;
    const { firstAppendMs, lastAppendMs } = place as BasePlace;
    at = bytes.writeDoubleLE(firstAppendMs, at);
    at = bytes.writeDoubleLE(lastAppendMs, at);
  }
  bytes.writeUInt32LE(bytes.length - HEAD_BYTES, 0);
  bytes.writeUInt32LE(crc32c(bytes.subarray(HEAD_BYTES)), 4);
  return bytes;
}

function decodePlaces(bytes: Buffer, from: number, count: number, base: boolean): BasePlace[] {
  const each = base ? BASE_PLACE_BYTES : PLACE_BYTES;
  return Array.from({ length: count }, (_, i) => {
    const at = from + i * each;
    return {
      topicId: bytes.readDoubleLE(at),
      partition: bytes.readUInt32LE(at + 8),
      segment: bytes.readDoubleLE(at + 12),
      position: bytes.readDoubleLE(at + 20),
      nextOffset: bytes.readDoubleLE(at + 28),
      firstAppendMs: base ? bytes.readDoubleLE(at + 36) : 0,
      lastAppendMs: base ? bytes.readDoubleLE(at + 44) : 0,
    };
  });
}

interface Entry extends CommitNote {
  readonly kind: number;
  /** Position after it. */
  readonly end: number;
  readonly places: readonly BasePlace[];
}

/** The record at a position; null if there is no intact one. */
function entryAt(bytes: Buffer, at: number): Entry | null {
  if (bytes.length - at < HEAD_BYTES + FIXED_BYTES) return null;
  const length = bytes.readUInt32LE(at);
  const body = at + HEAD_BYTES;
  if (length < FIXED_BYTES || length > bytes.length - body) return null;
  if (crc32c(bytes.subarray(body, body + length)) !== bytes.readUInt32LE(at + 4)) return null;
  const kind = bytes.readUInt8(body);
  return {
    kind,
    commit: bytes.readDoubleLE(body + 1),
    timeMs: bytes.readDoubleLE(body + 9),
    places: decodePlaces(bytes, body + FIXED_BYTES, bytes.readUInt32LE(body + 17), kind === KIND_BASE),
    end: body + length,
  };
}

/** Null if the bytes do not even start with an intact base. Reading ends at the first record that is not intact. */
export function decodeTransactionLog(bytes: Buffer): TransactionLogContents | null {
  const base = entryAt(bytes, 0);
  if (base?.kind !== KIND_BASE) return null;
  const notes: CommitNote[] = [];
  let durableCommit = base.commit;
  let last = base.commit;
  let end = base.end;
  for (let entry = entryAt(bytes, end); entry !== null; entry = entryAt(bytes, end)) {
    if (entry.kind === KIND_COMMIT && entry.commit === last + 1) {
      last = entry.commit;
      notes.push(entry);
    } else if (entry.kind === KIND_DURABLE) durableCommit = Math.min(entry.commit, last);
    else break;
    end = entry.end;
  }
  const damagedInside = hasSyncedEntries(bytes, end);
  return {
    baseTimeMs: base.timeMs,
    baseCommit: base.commit,
    base: base.places,
    notes,
    durableCommit,
    end,
    damagedInside,
  };
}

/**
 * Whether something after `from` proves that a sync had put `from` on disk: a mark is written after the sync of the one
 * before, so two of them are proof, however much of the last second is missing.
 */
function hasSyncedEntries(bytes: Buffer, from: number): boolean {
  let marks = 0;
  for (let at = from; at < bytes.length && marks < 2; ) {
    const entry = entryAt(bytes, at);
    if (entry?.kind === KIND_DURABLE) marks++;
    at = entry?.end ?? at + 1;
  }
  return marks === 2;
}

export class TransactionLog {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #folder: string;
  #fd = -1;
  #size = 0;
  /** Notes of commits that may not be on disk yet: a new file must contain them too. */
  #unsafe: { commit: number; bytes: Buffer }[] = [];

  constructor(disk: Disk, folder: string) {
    this.#disk = disk;
    this.#folder = folder;
    this.#path = `${folder}/transactions`;
  }

  get size(): number {
    return this.#size;
  }

  /** Null if there is no transaction log. */
  async read(): Promise<Buffer | null> {
    await this.#disk.remove(this.#path + UNFINISHED_SUFFIX);
    return this.#disk.readWhole(this.#path);
  }

  /** Continues with the existing file. */
  async open(): Promise<void> {
    this.#fd = await this.#disk.open(this.#path, 'r+');
    this.#size = (await this.#disk.stat(this.#fd)).size;
  }

  /** Notes a commit. If this fails, the file may or may not contain the note: cutBack() removes it. */
  async append(note: CommitNote): Promise<void> {
    const bytes = encode(KIND_COMMIT, note.commit, note.timeMs, note.places);
    await this.#disk.write(this.#fd, [bytes], this.#size);
    this.#size += bytes.length;
    this.#unsafe.push({ commit: note.commit, bytes });
  }

  /** Removes what a failed append wrote. Throws if that fails too. */
  async cutBack(): Promise<void> {
    await this.#disk.truncate(this.#fd, this.#size);
  }

  /** Notes that the partitions' files have all commits up to `commit` on disk. Takes effect at the next sync(). */
  async markDurable(commit: number): Promise<void> {
    const bytes = encode(KIND_DURABLE, commit, 0, []);
    await this.#disk.write(this.#fd, [bytes], this.#size);
    this.#size += bytes.length;
    this.#unsafe = this.#unsafe.filter((note) => note.commit > commit);
  }

  async sync(): Promise<void> {
    await this.#disk.sync(this.#fd);
  }

  /** Rewrites the file: the ends of the partitions at `commit`, all of it on disk, made at `timeMs`, and the notes after it. */
  async begin(commit: number, timeMs: number, places: readonly BasePlace[]): Promise<void> {
    const kept = this.#unsafe.filter((note) => note.commit > commit);
    const chunks = [encode(KIND_BASE, commit, timeMs, places), ...kept.map((note) => note.bytes)];
    const fresh = this.#path + UNFINISHED_SUFFIX;
    const fd = await this.#disk.open(fresh, 'w+');
    try {
      await this.#disk.write(fd, chunks, 0);
      await this.#disk.sync(fd);
      await this.#disk.rename(fresh, this.#path);
    } catch (error) {
      await this.#disk.close(fd);
      throw error;
    }
    const old = this.#fd;
    this.#fd = fd;
    this.#unsafe = kept;
    this.#size = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    if (old !== -1) await this.#disk.close(old);
    await this.#disk.syncFolder(this.#folder);
  }

  async close(): Promise<void> {
    if (this.#fd === -1) return;
    const fd = this.#fd;
    this.#fd = -1;
    await this.#disk.close(fd);
  }
}
