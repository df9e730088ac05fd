/**
 * What a log knows about its own past: whether the process before closed it, on which boot of the machine that was, and
 * which incarnation of its records this is. A new incarnation begins when acknowledged records were lost, or may have
 * been: offsets are then given out a second time, so whatever was derived from the records before must be rebuilt.
 *
 * Anything in the page cache outlives the process, but not the machine. So a log that was not closed and is opened on
 * another boot may lack its last second, even where nothing on the disk says so.
 */
import { randomInt } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { type Disk, replaceFile } from './disk.js';
import { readSealed, seal } from './sealed-file.js';

export const LIFE_FILE = 'life.json';

interface Saved {
  /** 0 until acknowledged records are lost for the first time, then a random number. */
  readonly incarnation: number;
  /** Boot of the machine; null where the system does not say. */
  readonly boot: string | null;
  readonly closed: boolean;
}

export class Life {
  readonly #disk: Disk;
  readonly #path: string;
  readonly #boot: string | null;
  readonly #before: Saved | null;
  #incarnation: number;

  /** `boot`: an id of this boot of the machine; null if unknown. */
  static async read(disk: Disk, folder: string, boot: string | null): Promise<Life> {
    const path = `${folder}/${LIFE_FILE}`;
    return new Life(disk, path, boot, await readSealed<Saved>(disk, path));
  }

  private constructor(disk: Disk, path: string, boot: string | null, before: Saved | null) {
    this.#disk = disk;
    this.#path = path;
    this.#boot = boot;
    this.#before = before;
    this.#incarnation = before?.incarnation ?? 0;
  }

  get incarnation(): number {
    return this.#incarnation;
  }

  /** No life file was found: the log is new, of the former format, or has lost the file. */
  get isUnknown(): boolean {
    return this.#before === null;
  }

  /** The process before closed the log: everything was on disk. */
  get wasClosed(): boolean {
    return this.#before?.closed ?? false;
  }

  /** The machine stopped while the log was open. A log without a life file is from a version that did not keep one. */
  get powerFailed(): boolean {
    if (this.#before === null || this.#before.closed) return false;
    return this.#boot === null || this.#before.boot !== this.#boot;
  }

  /** Starts a new incarnation; takes effect with begin(). */
  renew(): void {
    this.#incarnation = randomInt(1, 2 ** 47);
  }

  /** Must be on disk before anything is cut or written. */
  begin(): Promise<void> {
    return this.#save(false);
  }

  /** Everything is on disk. */
  close(): Promise<void> {
    return this.#save(true);
  }

  #save(closed: boolean): Promise<void> {
    const saved: Saved = { incarnation: this.#incarnation, boot: this.#boot, closed };
    return replaceFile(this.#disk, this.#path, seal(saved), true);
  }
}

/** An id of this boot of the machine; null where there is none: then every log that was not closed counts as affected. */
export async function bootId(): Promise<string | null> {
  try {
    return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim() || null;
  } catch {
    return null;
  }
}
