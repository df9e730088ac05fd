/** Requests and results as the log has them. Whoever follows them keeps no offsets: what has ended is known by its row. */

import type { Log, LogReader, LogWriter, RecordColumns } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { hasCode, messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Codec, SchemaName } from '../schemas/codec.js';
import type { RunRequest, RunResult } from '../schemas/records.js';
import { runRequests, runResults } from '../topics/jobs.js';

export interface RunTopicsOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly logger: Logger;
}

const RETRY_MS = 1_000;

/** Writes records of one topic, each acknowledged before the call resolves. */
export class RunWriter<T extends RunRequest | RunResult> {
  readonly #o: Pick<RunTopicsOptions, 'log' | 'codec' | 'clock'>;
  readonly #topic: string;
  readonly #schema: SchemaName;
  #writer: LogWriter | null = null;
  #last: Promise<void> = Promise.resolve();

  private constructor(options: Pick<RunTopicsOptions, 'log' | 'codec' | 'clock'>, topic: string, schema: SchemaName) {
    this.#o = options;
    this.#topic = topic;
    this.#schema = schema;
  }

  static requests(options: Pick<RunTopicsOptions, 'log' | 'codec' | 'clock'>): RunWriter<RunRequest> {
    return new RunWriter(options, runRequests.name, runRequests.schema);
  }

  static results(options: Pick<RunTopicsOptions, 'log' | 'codec' | 'clock'>): RunWriter<RunResult> {
    return new RunWriter(options, runResults.name, runResults.schema);
  }

  /** Resolves when the log has it. Errors: the log's own; whether it was written is unknown then. */
  async write(record: T): Promise<void> {
    // One after the other: an error must reach the one whose record it was.
    const turn = this.#last.then(() => this.#write(record));
    this.#last = turn.catch(() => undefined);
    await turn;
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#writer?.close();
    this.#writer = null;
  }

  async #write(record: T): Promise<void> {
    const { log, codec, clock } = this.#o;
    this.#writer ??= await log.writer([this.#topic]);
    const value = codec.encode(this.#schema, record);
    this.#writer.add(this.#topic, Buffer.from(record.job_name), value, { timestamp: clock.now() });
    await this.#writer.flush();
  }
}

/** Every result that the topic holds now, in order. Errors: the log's own. */
export async function readResults(options: RunTopicsOptions, visit: (result: RunResult) => void): Promise<void> {
  const follower = new Follower<RunResult>(options, runResults.name, 'RunResult', visit);
  await follower.catchUp();
  await follower.close();
}

/** Follows run-requests from its first record; `visit` gets each in order and may take its time. */
export class RequestFollower {
  readonly #o: RunTopicsOptions;
  readonly #follower: Follower<RunRequest>;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #trouble: string | null = null;

  constructor(options: RunTopicsOptions, visit: (request: RunRequest) => void) {
    this.#o = options;
    this.#follower = new Follower(options, runRequests.name, 'RunRequest', visit);
  }

  /** Why requests are not read just now; null: they are. */
  get trouble(): string | null {
    return this.#trouble;
  }

  /** Resolves when everything that was there has been visited; then it goes on by itself. Errors: the log's own. */
  async start(): Promise<void> {
    await this.#follower.catchUp();
    this.#running = this.#follow();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#follower.close();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#follower.step();
        this.#trouble = null;
      } catch (error) {
        if (signal.aborted) return;
        if (this.#trouble === null) this.#o.logger.error({ event: 'run_requests_unread', error: messageOf(error) });
        this.#trouble = `requests for runs cannot be read: ${messageOf(error)}`;
        await this.#o.clock.sleep(RETRY_MS, signal);
        await this.#follower.reopen(error);
      }
    }
  }
}

/** A topic of one partition. What cannot be decoded is told and passed over: nobody can run it. */
class Follower<T> {
  readonly #o: RunTopicsOptions;
  readonly #at: { readonly topic: string; readonly partition: number };
  readonly #schema: SchemaName;
  readonly #visit: (record: T) => void;
  #reader: LogReader | null = null;
  #position: number | null = null;

  constructor(options: RunTopicsOptions, topic: string, schema: SchemaName, visit: (record: T) => void) {
    this.#o = options;
    this.#at = { topic, partition: 0 };
    this.#schema = schema;
    this.#visit = visit;
  }

  async catchUp(): Promise<void> {
    const { earliest, lastStable } = await this.#o.log.offsets(this.#at);
    this.#position = earliest;
    while (this.#position < lastStable) await this.step();
  }

  async step(): Promise<void> {
    this.#position ??= (await this.#o.log.offsets(this.#at)).earliest;
    this.#reader ??= this.#o.log.reader([{ ...this.#at, offset: this.#position }], { isolation: 'read_committed' });
    for (const batch of await this.#reader.poll()) {
      await this.#o.codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
      for (let row = 0; row < batch.count; row++) this.#take(batch, row);
      this.#position = batch.nextOffset;
    }
  }

  /** After an error. Requests that retention has taken away have their rows, or nobody waits for them any more. */
  async reopen(after: unknown): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    if (hasCode(after, 'offset_out_of_range')) this.#position = null;
    await reader?.close();
  }

  async close(): Promise<void> {
    await this.#reader?.close();
  }

  #take(batch: RecordColumns, row: number): void {
    const start = batch.valueStart[row]!;
    if (start < 0) return;
    let record: T;
    try {
      record = this.#o.codec.decode(this.#schema, batch.bytes, start, batch.valueEnd[row]!) as T;
    } catch (error) {
      const at = `${batch.topic}[${batch.partition}]@${batch.offsets[row]}`;
      this.#o.logger.error({ event: 'run_record_unreadable', at, error: messageOf(error) });
      return;
    }
    this.#visit(record);
  }
}
