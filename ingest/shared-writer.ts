/**
 * One log writer for all requests of a process. Requests that arrive during a flush are gathered for the next one:
 * under load a flush carries many requests, otherwise a request does not wait for others. One flush at a time also
 * keeps the order of writes to one key.
 */
import { type Log, type LogWriter, RECORD_BYTES_MAX } from '../runtime/log/log.js';
import { asError, FreshetError } from '../runtime/process/errors.js';

/** Two lengths and an empty header list in addition to key and value, with some margin. */
const RECORD_OVERHEAD_BYTES = 64;

export interface OutgoingRecord {
  readonly topic: string;
  readonly key: Buffer;
  readonly value: Buffer | null;
}

interface SharedWriterOptions {
  readonly topics: readonly string[];
  /** How long `write` waits for the acknowledgement, ms. */
  readonly waitMsMax: number;
  /** Most bytes that may wait for the log; more is refused at once. */
  readonly queuedBytesMax: number;
  /** A flush with more bytes accepts no further request (the next one does). */
  readonly flushBytesMax?: number;
}

interface Submission {
  readonly records: readonly OutgoingRecord[];
  readonly bytes: number;
  readonly settle: (error: Error | null) => void;
}

export class SharedWriter {
  readonly #log: Log;
  readonly #options: Required<SharedWriterOptions>;
  #queue: Submission[] = [];
  /** Bytes of all submissions that are neither acknowledged nor failed. */
  #bytes = 0;
  #writer: LogWriter | null = null;
  #pumping: Promise<void> | null = null;
  #closed = false;

  constructor(log: Log, options: SharedWriterOptions) {
    this.#log = log;
    this.#options = { flushBytesMax: 4 * 1024 * 1024, ...options };
  }

  /**
   * Resolves once the log has all records with acks=all. Throws FreshetError('record_too_large') before anything is
   * written; 'unavailable' when too much is waiting (nothing is written); 'timeout' and the log's own errors, after
   * which the records may still be written: callers retry with the same ids, which is harmless.
   */
  async write(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.#closed) throw new FreshetError('unavailable', 'the server is stopping');
    let bytes = 0;
    for (const { key, value } of records) {
      const size = key.length + (value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
      if (size > RECORD_BYTES_MAX) throw new FreshetError('record_too_large', `a record of ${size} bytes`);
      bytes += size;
    }
    if (this.#bytes + bytes > this.#options.queuedBytesMax)
      throw new FreshetError('unavailable', `${this.#bytes} bytes are waiting for the log`);
    await this.#submit(records, bytes);
  }

  /** Waits for flushes in progress, then closes the writer. Repeating is harmless. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pumping;
    await this.#drop();
  }

  #submit(records: readonly OutgoingRecord[], bytes: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const submission: Submission = {
        records,
        bytes,
        settle: (error) => {
          clearTimeout(timer);
          if (error === null) resolve();
          else reject(error);
        },
      };
      const timer = setTimeout(() => {
        // If still queued, it can be withdrawn. In a flush, its bytes stay counted until the log has answered.
        const at = this.#queue.indexOf(submission);
        if (at !== -1) {
          this.#queue.splice(at, 1);
          this.#bytes -= bytes;
        }
        reject(new FreshetError('timeout', `the log did not acknowledge within ${this.#options.waitMsMax} ms`));
      }, this.#options.waitMsMax);
      this.#queue.push(submission);
      this.#bytes += bytes;
      this.#pumping ??= this.#pump().finally(() => {
        this.#pumping = null;
      });
    });
  }

  async #pump(): Promise<void> {
    while (this.#queue.length > 0) {
      const batch = this.#take();
      let failure: Error | null = null;
      try {
        this.#writer ??= await this.#log.writer(this.#options.topics);
        for (const { records } of batch) {
          for (const { topic, key, value } of records) this.#writer.add(topic, key, value);
        }
        await this.#writer.flush();
      } catch (error) {
        failure = asError(error);
        // The outcome of a failed writer's records is unknown: the next flush starts with a new writer.
        await this.#drop();
      }
      for (const { bytes, settle } of batch) {
        this.#bytes -= bytes;
        settle(failure);
      }
    }
  }

  #take(): Submission[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && (count === 0 || bytes < this.#options.flushBytesMax))
      bytes += this.#queue[count++]!.bytes;
    return this.#queue.splice(0, count);
  }

  async #drop(): Promise<void> {
    const writer = this.#writer;
    this.#writer = null;
    try {
      await writer?.close();
    } catch {
      // It has failed already; the callers have got the failure that matters.
    }
  }
}
