/**
 * Records on disk: an append-only journal, replaced from time to time by a snapshot.
 *
 *   snapshot-<n>   the state when journal <n> was started, as records; the last line has their number
 *   journal-<n>    records since then; several exist while a snapshot is being written, or if that was interrupted. Each
 *                  begins with the size of the one before it
 *
 * A line is the CRC-32 of its JSON in hexadecimal, a space, the JSON. The operating system has a record before it
 * counts (kill -9 loses nothing), and the disk has it within a second (a power failure loses at most that). Only the
 * end of the history can be lost: reading stops at the first damaged line and the rest is cut off, so positions and
 * values still belong together and a sink continues from its position. A damaged snapshot leaves nothing: the sinks
 * find no position and rebuild.
 */
import * as fs from 'node:fs';
import * as files from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { crc32 } from 'node:zlib';
import { FreshetError, messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';

const SYNC_INTERVAL_MS = 1000;
const READ_BYTES = 4 * 1024 * 1024;
const WRITE_BYTES = 1024 * 1024;
const LINE_HEAD = 9;
const NEW_LINE = 10;
/** A smaller journal is not worth a snapshot. */
const ROTATE_BYTES_MIN = 32 * 1024 * 1024;

const datasync = promisify(fs.fdatasync);

export interface JournalOptions {
  /** Default 32 MiB. */
  readonly rotateBytesMin?: number;
}

/** Receives the records when the journal is opened. */
interface JournalTarget<R> {
  accept(record: R): void;
  /** Drops everything accepted so far. */
  clear(): void;
}

interface SnapshotEnd {
  readonly end: number;
}

/**
 * First line of a journal that follows another: that one's size. After a power failure the other may be shorter, and
 * then these records are not what came next.
 */
interface JournalStart {
  readonly follows: number;
}

export class Journal<R extends object> {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #rotateBytesMin: number;
  /** Numbers of the snapshot (0 if none) and of the current journal. */
  #base: number;
  #number: number;
  #fd: number;
  /** Size of the current journal, and of all journals since the snapshot. */
  #size: number;
  #sizeOfAll: number;
  #snapshotSize: number;
  #dirty = false;
  #broken = false;
  #closed = false;
  #syncing: Promise<void> = Promise.resolve();
  #rotating: Promise<void> | null = null;
  readonly #timer: NodeJS.Timeout;

  /** Reads the existing records in order, and is then ready to append. */
  static async open<R extends object>(
    folder: string,
    options: JournalOptions,
    target: JournalTarget<R>,
    logger: Logger,
  ): Promise<Journal<R>> {
    await files.mkdir(folder, { recursive: true, mode: 0o700 });
    const found = await restore(folder, target, logger);
    return new Journal<R>(folder, options, found, logger);
  }

  private constructor(folder: string, options: JournalOptions, found: Restored, logger: Logger) {
    this.#folder = folder;
    this.#logger = logger;
    this.#rotateBytesMin = options.rotateBytesMin ?? ROTATE_BYTES_MIN;
    this.#base = found.base;
    this.#number = found.number;
    this.#size = found.size;
    this.#sizeOfAll = found.sizeOfAll;
    this.#snapshotSize = found.snapshotSize;
    this.#fd = fs.openSync(journalPath(folder, found.number), 'a', 0o600);
    this.#timer = setInterval(() => this.#sync(), SYNC_INTERVAL_MS);
    this.#timer.unref();
  }

  /** True when the journal is more than twice as large as the state it describes. */
  get outgrown(): boolean {
    return this.#rotating === null && this.#sizeOfAll > Math.max(this.#rotateBytesMin, 2 * this.#snapshotSize);
  }

  /** True while a snapshot is being written. */
  get rotating(): boolean {
    return this.#rotating !== null;
  }

  /** Resolves when no snapshot is being written; valid until the caller's next await. */
  async settled(): Promise<void> {
    while (this.#rotating !== null) await this.#rotating;
  }

  /** Passes the record to the operating system. Throws FreshetError('unavailable') on failure; then nothing is kept. */
  append(record: R): void {
    if (this.#broken || this.#closed) throw new FreshetError('unavailable', `${this.#folder}: the journal is closed.`);
    const line = encodeLine(record);
    try {
      let written = 0;
      while (written < line.length) written += fs.writeSync(this.#fd, line, written);
    } catch (error) {
      this.#takeBack();
      throw new FreshetError('unavailable', `${this.#folder}: writing failed: ${messageOf(error)}`, { cause: error });
    }
    this.#size += line.length;
    this.#sizeOfAll += line.length;
    this.#dirty = true;
  }

  /** Half a line must not be left in front of the next one. */
  #takeBack(): void {
    try {
      fs.ftruncateSync(this.#fd, this.#size);
    } catch (error) {
      this.#broken = true;
      this.#logger.error(
        { event: 'local_store_broken', folder: this.#folder, error: messageOf(error) },
        'restart needed',
      );
    }
  }

  #sync(): void {
    if (!this.#dirty) return;
    this.#dirty = false;
    const fd = this.#fd;
    this.#syncing = this.#syncing
      .then(() => datasync(fd))
      .catch((error: unknown) => {
        this.#dirty = true;
        this.#logger.warn({ event: 'local_store_sync_failed', folder: this.#folder, error: messageOf(error) }, 'fsync');
      });
  }

  /**
   * Starts a new journal and writes a snapshot next to it, while records keep arriving. `picture` yields the state that
   * results from the records so far; it may include later ones, as long as these are absolute. Never throws: if the
   * snapshot fails, the old files remain and the next rotation tries again.
   */
  rotate(picture: Iterable<R>): Promise<void> {
    if (this.#rotating === null && !this.#closed) {
      this.#rotating = this.#rotate(picture)
        .catch((error: unknown) => {
          // Raise the threshold, or every batch would start another attempt on a full disk.
          this.#snapshotSize = this.#sizeOfAll;
          const why = messageOf(error);
          this.#logger.warn({ event: 'local_store_snapshot_failed', folder: this.#folder, error: why }, 'snapshot');
        })
        .finally(() => {
          this.#rotating = null;
        });
    }
    return this.#rotating ?? Promise.resolve();
  }

  async #rotate(picture: Iterable<R>): Promise<void> {
    const number = this.#number + 1;
    const oldFd = this.#fd;
    const { fd, size: start } = startJournal(journalPath(this.#folder, number), this.#size);
    this.#fd = fd;
    this.#number = number;
    this.#size = start;
    const sizeBefore = this.#sizeOfAll;
    this.#sizeOfAll += start;
    await this.#syncing;
    await datasync(oldFd).finally(() => fs.closeSync(oldFd));
    const path = snapshotPath(this.#folder, number);
    const size = await this.#writeSnapshot(`${path}.tmp`, picture);
    if (size === null) {
      await files.rm(`${path}.tmp`);
      return;
    }
    // The picture may include records that only the new journal has: these must be on disk before it counts.
    await datasync(this.#fd);
    await files.rename(`${path}.tmp`, path);
    await syncFolder(this.#folder);
    const base = this.#base;
    this.#base = number;
    this.#snapshotSize = size;
    this.#sizeOfAll -= sizeBefore;
    await removeOlder(this.#folder, base, number);
  }

  /** Returns its size in bytes; null if the journal was closed meanwhile. */
  async #writeSnapshot(path: string, picture: Iterable<R>): Promise<number | null> {
    const file = await files.open(path, 'w', 0o600);
    try {
      let lines: Buffer[] = [];
      let waiting = 0;
      let size = 0;
      let count = 0;
      const flush = async () => {
        await file.appendFile(Buffer.concat(lines));
        size += waiting;
        lines = [];
        waiting = 0;
      };
      for (const record of picture) {
        const line = encodeLine(record);
        lines.push(line);
        waiting += line.length;
        count++;
        if (waiting < WRITE_BYTES) continue;
        await flush();
        if (this.#closed) return null;
      }
      const end: SnapshotEnd = { end: count };
      lines.push(encodeLine(end));
      waiting += lines.at(-1)!.length;
      await flush();
      await file.sync();
      return size;
    } finally {
      await file.close();
    }
  }

  /** Waits until everything is on disk; abandons a snapshot in progress. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearInterval(this.#timer);
    await this.#rotating;
    await this.#syncing;
    try {
      await datasync(this.#fd);
    } finally {
      fs.closeSync(this.#fd);
    }
  }
}

interface Restored {
  readonly base: number;
  readonly number: number;
  readonly size: number;
  readonly sizeOfAll: number;
  readonly snapshotSize: number;
}

async function restore<R extends object>(folder: string, target: JournalTarget<R>, logger: Logger): Promise<Restored> {
  const names = await files.readdir(folder);
  for (const name of names.filter((each) => each.endsWith('.tmp'))) await files.rm(join(folder, name), { force: true });
  const base = Math.max(0, ...numbersOf(names, 'snapshot'));
  const journals = numbersOf(names, 'journal').sort((a, b) => a - b);
  await removeOlder(folder, 0, base);

  let snapshotSize = 0;
  if (base > 0) {
    const read = await readSnapshot(folder, base, target);
    if (read === null) return startOver(folder, names, target, logger);
    snapshotSize = read;
  } else if (journals.length > 0 && journals[0] !== 1) return startOver(folder, names, target, logger);

  let number = Math.max(1, base);
  let size = 0;
  let sizeOfAll = 0;
  let next = number;
  for (const each of journals.filter((one) => one >= base)) {
    const path = journalPath(folder, each);
    if (each !== next) {
      // Anything after a gap or a damaged line is no part of the history.
      await files.rm(path);
      continue;
    }
    let isGap = false;
    const before = each === base ? null : size;
    const read = await readLines<R | JournalStart>(path, (record) => {
      if ('follows' in record) isGap = before !== null && record.follows !== before;
      else if (!isGap) target.accept(record);
    });
    if (isGap) {
      await files.rm(path);
      next = Number.NaN;
      continue;
    }
    number = each;
    size = read.goodBytes;
    sizeOfAll += read.goodBytes;
    next = read.damaged ? Number.NaN : each + 1;
    if (read.damaged) await cutTail(path, read.goodBytes, logger);
  }
  return { base, number, size, sizeOfAll, snapshotSize };
}

async function cutTail(path: string, goodBytes: number, logger: Logger): Promise<void> {
  const bytes = (await files.stat(path)).size - goodBytes;
  logger.warn({ event: 'local_store_tail_cut', path, bytes }, 'an unfinished end of the journal was cut off');
  await files.truncate(path, goodBytes);
}

async function startOver(
  folder: string,
  names: readonly string[],
  target: { clear(): void },
  logger: Logger,
): Promise<Restored> {
  logger.error({ event: 'local_store_damaged', folder }, 'the local store is damaged: it starts empty and is rebuilt');
  target.clear();
  for (const name of names) if (/^(snapshot|journal)-/.test(name)) await files.rm(join(folder, name), { force: true });
  return { base: 0, number: 1, size: 0, sizeOfAll: 0, snapshotSize: 0 };
}

/** The snapshot's size in bytes; null if a line is damaged or the end is missing. */
async function readSnapshot<R extends object>(
  folder: string,
  number: number,
  target: JournalTarget<R>,
): Promise<number | null> {
  let count = 0;
  let complete = false;
  const { goodBytes, damaged } = await readLines<R | SnapshotEnd>(snapshotPath(folder, number), (record) => {
    if ('end' in record) complete = record.end === count;
    else target.accept(record);
    count++;
  });
  return complete && !damaged ? goodBytes : null;
}

async function readLines<R>(
  path: string,
  accept: (record: R) => void,
): Promise<{ goodBytes: number; damaged: boolean }> {
  const file = await files.open(path, 'r');
  try {
    let rest: Buffer = Buffer.alloc(0);
    let goodBytes = 0;
    for (;;) {
      const chunk = Buffer.allocUnsafe(READ_BYTES);
      const { bytesRead } = await file.read(chunk, 0, READ_BYTES, goodBytes + rest.length);
      if (bytesRead === 0) return { goodBytes, damaged: rest.length > 0 };
      const data =
        rest.length === 0 ? chunk.subarray(0, bytesRead) : Buffer.concat([rest, chunk.subarray(0, bytesRead)]);
      let from = 0;
      for (let to = data.indexOf(NEW_LINE, rest.length); to >= 0; to = data.indexOf(NEW_LINE, from)) {
        const record = decodeLine<R>(data.subarray(from, to));
        if (record === null) return { goodBytes, damaged: true };
        accept(record);
        goodBytes += to + 1 - from;
        from = to + 1;
      }
      rest = data.subarray(from);
    }
  } finally {
    await file.close();
  }
}

/** Throws, and leaves no file, if that fails. */
function startJournal(path: string, follows: number): { readonly fd: number; readonly size: number } {
  const fd = fs.openSync(path, 'ax', 0o600);
  const start: JournalStart = { follows };
  const line = encodeLine(start);
  try {
    let written = 0;
    while (written < line.length) written += fs.writeSync(fd, line, written);
  } catch (error) {
    fs.closeSync(fd);
    fs.rmSync(path, { force: true });
    throw error;
  }
  return { fd, size: line.length };
}

function encodeLine(record: object): Buffer {
  const json = JSON.stringify(record);
  const length = Buffer.byteLength(json);
  const line = Buffer.allocUnsafe(LINE_HEAD + length + 1);
  line.write(json, LINE_HEAD);
  const sum = crc32(line.subarray(LINE_HEAD, LINE_HEAD + length));
  line.write(`${sum.toString(16).padStart(8, '0')} `, 0, 'latin1');
  line[LINE_HEAD + length] = NEW_LINE;
  return line;
}

function decodeLine<R>(line: Buffer): R | null {
  if (line.length <= LINE_HEAD) return null;
  const body = line.subarray(LINE_HEAD);
  if (Number.parseInt(line.toString('latin1', 0, LINE_HEAD - 1), 16) !== crc32(body)) return null;
  return JSON.parse(body.toString()) as R;
}

function journalPath(folder: string, number: number): string {
  return join(folder, `journal-${number}`);
}

function snapshotPath(folder: string, number: number): string {
  return join(folder, `snapshot-${number}`);
}

function numbersOf(names: readonly string[], kind: 'snapshot' | 'journal'): number[] {
  const pattern = new RegExp(`^${kind}-(\\d+)$`);
  return names.map((name) => Number(pattern.exec(name)?.[1] ?? 0)).filter((number) => number > 0);
}

/** Removes journals and snapshots with numbers in [from, to). */
async function removeOlder(folder: string, from: number, to: number): Promise<void> {
  const names = await files.readdir(folder);
  for (const number of numbersOf(names, 'journal'))
    if (number >= from && number < to) await files.rm(journalPath(folder, number), { force: true });
  for (const number of numbersOf(names, 'snapshot'))
    if (number >= from && number < to) await files.rm(snapshotPath(folder, number), { force: true });
}

async function syncFolder(folder: string): Promise<void> {
  // Not every system allows opening a folder; the rename is then as safe as that system makes it.
  const handle = await files.open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}
