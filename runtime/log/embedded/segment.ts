/**
 * One segment file of a partition: record batches, appended to while it is active, then closed and from then on only
 * replaced as a whole. The file of a closed segment is open only while it is being read.
 */
import { crc32c } from '@node-rs/crc32';
import { FreshetError } from '../../process/errors.js';
import { BATCH_HEADER_BYTES } from '../record-batch.js';
import { batchBaseOffset, batchMaxTimestamp, batchStamp } from './batch-header.js';
import { type Disk, replaceFile } from './disk.js';
import { type Scanned, scanBatches } from './scan.js';
import { noFacts, type SegmentFacts, SegmentIndex } from './segment-index.js';

export const SEGMENT_SUFFIX = '.log';
export const INDEX_SUFFIX = '.index';

/** File name of a segment: its first offset in 20 digits, so that names sort like offsets. */
export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(20, '0') + SEGMENT_SUFFIX;
}

/** What tells a closed segment from any other file of its name. */
interface Fingerprint {
  /** Bytes. */
  readonly size: number;
  /** CRC-32C of the header of its first batch; that of no bytes if it has none. */
  readonly header: number;
}

export class Segment {
  readonly baseOffset: number;
  readonly path: string;
  readonly #disk: Disk;
  #index: SegmentIndex | null = null;
  #loading: Promise<SegmentIndex> | null = null;
  #fd: Promise<number | null> | null = null;
  #users = 0;
  #saving: Promise<void> = Promise.resolve();
  #active = false;
  #fingerprint: Fingerprint | null = null;
  /** Its file has been replaced or removed: readers that hold it may finish, but no new one may start. */
  retired = false;
  /** Number of the last commit with a batch in this segment; 0 if that was before the log was opened. */
  lastCommit = 0;
  facts: SegmentFacts = noFacts();

  constructor(disk: Disk, folder: string, baseOffset: number) {
    this.#disk = disk;
    this.baseOffset = baseOffset;
    this.path = `${folder}/${segmentName(baseOffset)}`;
  }

  get #indexPath(): string {
    return this.path.slice(0, -SEGMENT_SUFFIX.length) + INDEX_SUFFIX;
  }

  /** Index of a loaded segment; the active one always is loaded. */
  get index(): SegmentIndex {
    if (this.#index === null) throw new FreshetError('internal', `${this.path}: index used before it was loaded`);
    return this.#index;
  }

  get size(): number {
    return this.index.size;
  }

  /** Adopts an index built elsewhere: for a new segment, or one that was scanned when the log was opened. */
  adopt(index: SegmentIndex, facts: SegmentFacts): void {
    this.#index = index;
    this.facts = facts;
  }

  /** Starts with a file opened elsewhere, as if by acquire(); needs a release. */
  hold(fd: number): void {
    this.#users++;
    this.#fd = Promise.resolve(fd);
  }

  /** Keeps the file open from now on. */
  activate(): void {
    this.#fingerprint = null;
    this.facts.compacted = false;
    this.#active = true;
  }

  /** The opened file; every non-null result needs a release. Null if the segment has been replaced. */
  async acquire(): Promise<number | null> {
    this.#users++;
    this.#fd ??= this.#open();
    const opening = this.#fd;
    try {
      const fd = await opening;
      if (fd !== null) return fd;
    } catch (error) {
      if (!this.retired) {
        this.#users--;
        if (this.#fd === opening) this.#fd = null;
        throw error;
      }
    }
    this.#users--;
    if (this.#fd === opening) this.#fd = null;
    return null;
  }

  /** If it is replaced while being opened, the name may already lead to the new file: then nothing is opened. */
  async #open(): Promise<number | null> {
    if (this.retired) return null;
    const fd = await this.#disk.open(this.path, 'r+');
    if (!this.retired) return fd;
    await this.#disk.close(fd);
    return null;
  }

  async release(): Promise<void> {
    this.#users--;
    await this.#closeIfUnused();
  }

  /** Ends appending: the file is closed as soon as no reader holds it. */
  async deactivate(): Promise<void> {
    this.#active = false;
    await this.#closeIfUnused();
  }

  /** Its files are about to be replaced or removed; readers that hold them may finish. */
  async retire(): Promise<void> {
    this.retired = true;
    await this.#saving;
    await this.deactivate();
  }

  async #closeIfUnused(): Promise<void> {
    if (this.#users > 0 || this.#active || this.#fd === null) return;
    const opened = this.#fd;
    this.#fd = null;
    const fd = await opened.catch(() => null);
    if (fd !== null) await this.#disk.close(fd);
  }

  /** Reads the index of a closed segment, or builds it from the batches. Null if the segment was replaced meanwhile. */
  async load(): Promise<SegmentIndex | null> {
    if (this.#index !== null) return this.#index;
    this.#loading ??= this.#load().finally(() => {
      this.#loading = null;
    });
    try {
      return await this.#loading;
    } catch (error) {
      if (this.retired) return null;
      throw error;
    }
  }

  async #load(): Promise<SegmentIndex> {
    const fd = await this.acquire();
    if (fd === null) throw new FreshetError('state', `${this.path} was replaced`);
    try {
      const { size, modifiedMs } = await this.#disk.stat(fd);
      const saved = await this.#disk.readWhole(this.#indexPath);
      const decoded = saved === null ? null : SegmentIndex.decode(saved, size);
      if (this.retired) throw new FreshetError('state', `${this.path} was replaced`);
      if (decoded !== null) {
        this.adopt(decoded.index, decoded.facts);
        return decoded.index;
      }
      const { end } = await this.scan(size, modifiedMs);
      if (end !== size) throw this.damaged(end);
      // Failing to save it only costs the next opening some time.
      await this.saveIndex().catch(() => undefined);
      return this.index;
    } finally {
      await this.release();
    }
  }

  /**
   * Builds index and facts from the first `size` bytes. `appendedMs` stands in for the append times, which are not in
   * the batches; `visit` gets each batch's commit (0: compacted) and end. Returns where the intact batches end.
   */
  async scan(size: number, appendedMs: number, visit?: (commit: number, end: number) => void): Promise<Scanned> {
    const index = new SegmentIndex();
    let tombstonesMs = Number.POSITIVE_INFINITY;
    let compacted = true;
    const fd = await this.acquire();
    if (fd === null) throw new FreshetError('state', `${this.path} was replaced`);
    try {
      const scanned = await scanBatches(
        this.#disk,
        fd,
        { from: 0, to: size },
        this.baseOffset,
        (bytes, at, length, position) => {
          index.add(batchBaseOffset(bytes, at), length, batchMaxTimestamp(bytes, at));
          const stamp = batchStamp(bytes, at);
          compacted &&= stamp.compacted;
          if (stamp.compacted && stamp.value >= 0) tombstonesMs = Math.min(tombstonesMs, stamp.value);
          visit?.(stamp.compacted ? 0 : stamp.value, position + length);
          return true;
        },
      );
      this.adopt(index, {
        firstAppendMs: appendedMs,
        lastAppendMs: appendedMs,
        compacted: compacted && index.size > 0,
        tombstonesMs,
      });
      return scanned;
    } finally {
      await this.release();
    }
  }

  /** Writes the index file of a closed segment. It only saves time: a lost or torn one is rebuilt. */
  saveIndex(): Promise<void> {
    if (this.retired) return Promise.resolve();
    const saving = replaceFile(this.#disk, this.#indexPath, this.index.encode(this.facts), false);
    this.#saving = saving.catch(() => undefined);
    return saving;
  }

  /** Fingerprint of a closed segment. Null if it has been replaced. */
  async fingerprint(): Promise<Fingerprint | null> {
    if (this.#fingerprint !== null) return this.#fingerprint;
    const fd = await this.acquire();
    if (fd === null) return null;
    try {
      const found = await readFingerprint(this.#disk, fd);
      if (!this.#active) this.#fingerprint = found;
      return found;
    } finally {
      await this.release();
    }
  }

  async removeIndex(): Promise<void> {
    await this.#disk.remove(this.#indexPath);
  }

  /** Removes both files. Readers that hold the segment can still read the opened file. */
  async remove(): Promise<void> {
    await this.removeIndex();
    await this.#disk.remove(this.path);
  }

  damaged(at: number): FreshetError {
    return new FreshetError(
      'invalid_data',
      `${this.path} is damaged at byte ${at}: the rest had been safely written to disk, so the log does not guess. ` +
        'Restore the file from a backup, or move the data folder away and start with an empty one.',
    );
  }
}

/** Fingerprint of a file that has not got the name of a segment yet. */
export async function fingerprintOf(disk: Disk, path: string): Promise<Fingerprint> {
  const fd = await disk.open(path, 'r+');
  try {
    return await readFingerprint(disk, fd);
  } finally {
    await disk.close(fd);
  }
}

async function readFingerprint(disk: Disk, fd: number): Promise<Fingerprint> {
  const { size } = await disk.stat(fd);
  const header = Buffer.alloc(Math.min(BATCH_HEADER_BYTES, size));
  await disk.read(fd, header, header.length, 0);
  return { size, header: crc32c(header) };
}
