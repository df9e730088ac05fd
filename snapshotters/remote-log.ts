/**
 * A log across the pipe between two processes: the embedded log can be open in one process only, and a capture runs in
 * another. It offers only what a capture needs, for the topics it was given; one poll of a reader is in progress at a
 * time, so the reading side sets the pace.
 */
import type {
  LogReader,
  PartitionOffsets,
  ReaderOptions,
  ReaderStart,
  RecordColumns,
  TopicPartition,
} from '../runtime/log/log.js';
import { type ErrorCode, FreshetError, messageOf } from '../runtime/process/errors.js';
import type { CaptureLog } from './capture.js';

export type LogAsk =
  | { readonly op: 'partitionCount' | 'topicId'; readonly topic: string }
  | { readonly op: 'offsets'; readonly at: TopicPartition }
  | { readonly op: 'open'; readonly start: readonly ReaderStart[]; readonly options: ReaderOptions }
  | { readonly op: 'poll'; readonly reader: number; readonly paused: readonly TopicPartition[] }
  | { readonly op: 'close'; readonly reader: number };

/** The form in which an error crosses the pipe. */
export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

export function refusalOf(error: unknown): Refusal {
  return { code: error instanceof FreshetError ? error.code : 'internal', message: messageOf(error) };
}

/** The side that has the log open. */
export class LogHost {
  readonly #log: CaptureLog;
  readonly #topics: readonly string[];
  readonly #readers = new Map<number, { readonly reader: LogReader; readonly start: readonly ReaderStart[] }>();
  #opened = 0;

  constructor(log: CaptureLog, topics: readonly string[]) {
    this.#log = log;
    this.#topics = topics;
  }

  /** Errors: the log's own; 'access' for another topic, 'state' for a reader that is not open. */
  async answer(ask: LogAsk): Promise<unknown> {
    switch (ask.op) {
      case 'partitionCount':
        return this.#log.partitionCount(this.#mayRead(ask.topic));
      case 'topicId':
        return this.#log.admin.topicId(this.#mayRead(ask.topic));
      case 'offsets':
        this.#mayRead(ask.at.topic);
        return this.#log.offsets(ask.at);
      case 'open': {
        for (const { topic } of ask.start) this.#mayRead(topic);
        this.#readers.set(++this.#opened, { reader: this.#log.reader(ask.start, ask.options), start: ask.start });
        return this.#opened;
      }
      case 'poll':
        return this.#poll(ask.reader, ask.paused);
      case 'close': {
        const open = this.#readers.get(ask.reader);
        this.#readers.delete(ask.reader);
        return open?.reader.close();
      }
    }
  }

  /** Closes the readers that the other side left open. */
  async close(): Promise<void> {
    const open = [...this.#readers.values()];
    this.#readers.clear();
    for (const { reader } of open) await reader.close();
  }

  async #poll(number: number, paused: readonly TopicPartition[]): Promise<RecordColumns[]> {
    const open = this.#readers.get(number);
    if (open === undefined) throw new FreshetError('state', 'this reader of the log is closed');
    const { reader, start } = open;
    for (const at of start)
      if (paused.some((one) => isSame(one, at))) reader.pause(at);
      else reader.resume(at);
    return (await reader.poll()).map(trimmed);
  }

  #mayRead(topic: string): string {
    if (!this.#topics.includes(topic)) throw new FreshetError('access', `${topic} is no topic of this snapshotter`);
    return topic;
  }
}

/** The side that reads. `ask` sends a question and resolves with its answer, or throws the error. */
export class RemoteLog implements CaptureLog {
  readonly #ask: (ask: LogAsk) => Promise<unknown>;
  readonly admin: CaptureLog['admin'] = {
    topicId: async (topic) => (await this.#ask({ op: 'topicId', topic })) as string | null,
  };

  constructor(ask: (ask: LogAsk) => Promise<unknown>) {
    this.#ask = ask;
  }

  async partitionCount(topic: string): Promise<number> {
    return (await this.#ask({ op: 'partitionCount', topic })) as number;
  }

  async offsets(at: TopicPartition): Promise<PartitionOffsets> {
    return (await this.#ask({ op: 'offsets', at })) as PartitionOffsets;
  }

  reader(start: readonly ReaderStart[], options: ReaderOptions = {}): LogReader {
    return new RemoteReader(this.#ask, start, options);
  }
}

class RemoteReader implements LogReader {
  readonly #ask: (ask: LogAsk) => Promise<unknown>;
  readonly #places: (Omit<ReaderStart, 'offset'> & { offset: number; paused: boolean })[];
  readonly #options: ReaderOptions;
  #number: Promise<number> | null = null;

  constructor(ask: (ask: LogAsk) => Promise<unknown>, start: readonly ReaderStart[], options: ReaderOptions) {
    this.#ask = ask;
    this.#places = start.map((place) => ({ ...place, paused: false }));
    this.#options = options;
  }

  async poll(): Promise<RecordColumns[]> {
    const reader = await this.#open();
    const paused = this.#places.filter((place) => place.paused).map(({ topic, partition }) => ({ topic, partition }));
    const answer = (await this.#ask({ op: 'poll', reader, paused })) as RecordColumns[];
    for (const batch of answer) this.#place(batch).offset = batch.nextOffset;
    return answer;
  }

  position(at: TopicPartition): number {
    return this.#place(at).offset;
  }

  pause(at: TopicPartition): void {
    this.#place(at).paused = true;
  }

  resume(at: TopicPartition): void {
    this.#place(at).paused = false;
  }

  async close(): Promise<void> {
    if (this.#number === null) return;
    await this.#ask({ op: 'close', reader: await this.#number });
  }

  #open(): Promise<number> {
    const start = this.#places.map(({ topic, partition, offset, until }) => ({ topic, partition, offset, until }));
    this.#number ??= this.#ask({ op: 'open', start, options: this.#options }) as Promise<number>;
    return this.#number;
  }

  #place(at: TopicPartition) {
    const place = this.#places.find((one) => isSame(one, at));
    if (place === undefined) throw new FreshetError('state', `${at.topic}[${at.partition}] is not read here`);
    return place;
  }
}

function isSame(a: TopicPartition, b: TopicPartition): boolean {
  return a.topic === b.topic && a.partition === b.partition;
}

/** Without the unused capacity after the rows. */
function trimmed(columns: RecordColumns): RecordColumns {
  const { count } = columns;
  return {
    topic: columns.topic,
    partition: columns.partition,
    count,
    offsets: columns.offsets.subarray(0, count),
    timestamps: columns.timestamps.subarray(0, count),
    bytes: count === 0 ? Buffer.alloc(0) : columns.bytes,
    keyStart: columns.keyStart.subarray(0, count),
    keyEnd: columns.keyEnd.subarray(0, count),
    valueStart: columns.valueStart.subarray(0, count),
    valueEnd: columns.valueEnd.subarray(0, count),
    nextOffset: columns.nextOffset,
    ...(columns.unreadable === undefined ? {} : { unreadable: columns.unreadable }),
  };
}
