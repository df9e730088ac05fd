/**
 * Vectors on disk while a topic is read: each has a place for as long as its product has a vector, and a freed place
 * goes to the next vector of its size. So memory does not grow with the vectors, and the file only with the number
 * alive at once.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fdatasyncSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { FreshetError } from '../../runtime/process/errors.js';
import { DAY_MS } from '../../topics/time.js';

const BUFFER_BYTES = 1 << 20;
const SUFFIX = '.vectors';
/** A spool not written to for this long belongs to a run that will not resume. */
const STALE_MS = DAY_MS;

export class VectorSpool {
  readonly name: string;
  readonly #path: string;
  readonly #fd: number;
  readonly #free = new Map<number, number[]>();
  /** The end of the file and beyond: not written yet. */
  readonly #buffer = Buffer.alloc(BUFFER_BYTES);
  #buffered = 0;
  #written: number;

  private constructor(folder: string, name: string, fd: number, written: number) {
    this.name = name;
    this.#path = join(folder, name);
    this.#fd = fd;
    this.#written = written;
  }

  /** Creates a spool; removes abandoned ones. */
  static create(folder: string): VectorSpool {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    removeStale(folder);
    const name = `${randomBytes(8).toString('hex')}${SUFFIX}`;
    return new VectorSpool(folder, name, openSync(join(folder, name), 'wx+', 0o600), 0);
  }

  /** Reopens a spool that was synced at `end` bytes. Errors: 'invalid_data' if it is gone, or shorter. */
  static reopen(folder: string, name: string, end: number): VectorSpool {
    const path = join(folder, name);
    try {
      if (!/^[0-9a-f]{16}\.vectors$/.test(name) || statSync(path).size < end)
        throw new Error('it is shorter than it was');
      const fd = openSync(path, 'r+');
      ftruncateSync(fd, end);
      return new VectorSpool(folder, name, fd, end);
    } catch (error) {
      throw new FreshetError('invalid_data', `The vectors that were captured so far are gone (${name}).`, {
        cause: error,
      });
    }
  }

  /** Bytes it takes on disk once written. */
  get end(): number {
    return this.#written + this.#buffered;
  }

  /** Writes bytes[start..end) into a place of their size; returns the place. */
  put(bytes: Buffer, start: number, end: number): number {
    const length = end - start;
    const place = this.#free.get(length)?.pop() ?? this.#extend(length);
    this.replace(place, bytes, start, end);
    return place;
  }

  /** Overwrites a place with bytes of the same size. */
  replace(place: number, bytes: Buffer, start: number, end: number): void {
    if (place >= this.#written) bytes.copy(this.#buffer, place - this.#written, start, end);
    else writeWhole(this.#fd, bytes.subarray(start, end), place);
  }

  giveBack(place: number, length: number): void {
    const free = this.#free.get(length);
    if (free === undefined) this.#free.set(length, [place]);
    else free.push(place);
  }

  /** Errors: 'internal' if the file has become shorter. */
  read(place: number, into: Uint8Array): void {
    if (place >= this.#written) {
      this.#buffer.copy(into, 0, place - this.#written, place - this.#written + into.length);
      return;
    }
    for (let done = 0; done < into.length; ) {
      const bytes = readSync(this.#fd, into, done, into.length - done, place + done);
      if (bytes === 0) throw new FreshetError('internal', `${this.#path} ends at ${place + done}.`);
      done += bytes;
    }
  }

  /** Everything is on disk when it returns. After a reopen, freed places are no longer known: they stay empty. */
  sync(): void {
    this.#flush();
    fdatasyncSync(this.#fd);
  }

  close(): void {
    closeSync(this.#fd);
  }

  remove(): void {
    this.close();
    rmSync(this.#path, { force: true });
  }

  #extend(length: number): number {
    if (this.#buffered + length > this.#buffer.length) this.#flush();
    const place = this.end;
    this.#buffered += length;
    return place;
  }

  #flush(): void {
    writeWhole(this.#fd, this.#buffer.subarray(0, this.#buffered), this.#written);
    this.#written += this.#buffered;
    this.#buffered = 0;
  }
}

function writeWhole(fd: number, bytes: Buffer, at: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, at + done);
}

function removeStale(folder: string): void {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    // Another process may have removed it first.
    const touchedMs = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (name.endsWith(SUFFIX) && Date.now() - touchedMs > STALE_MS) rmSync(path, { force: true });
  }
}
