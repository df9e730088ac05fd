/**
 * A log whose readers pass over ranges of offsets that an operator has given up. Every reader of a process skips the
 * same ranges, so what is folded again after a failure is what was folded before. A reader that is open when a range is
 * given up goes on as it is: only one that stands still has to read differently, and it is opened again.
 */
import { FreshetError } from '../process/errors.js';
import type { Logger } from '../process/logger.js';
import type { Log, LogReader, ReaderOptions, ReaderStart, RecordColumns, TopicPartition } from './log.js';
import { noRows } from './record-batch.js';

/** Offsets from `from` up to, but without, `to`. */
export interface SkippedRange {
  readonly from: number;
  readonly to: number;
  /** Id of the topic that was meant (LogAdmin.topicId). */
  readonly topicId: string | null;
}

/** The ranges given up so far. */
export interface SkippedRanges {
  of(partition: TopicPartition): readonly SkippedRange[];
}

/** `log`, whose readers pass over the given ranges. Everything else is that of `log`; closing it closes `log`. */
export function skippingLog(log: Log, ranges: SkippedRanges, logger: Logger): Log {
  const reader = (start: readonly ReaderStart[], options?: ReaderOptions): LogReader => {
    const isTouched = start.some((at) => ranges.of(at).some(({ to }) => to > at.offset));
    return isTouched ? new SkippingReader(log, start, options, ranges, logger) : log.reader(start, options);
  };
  return {
    kind: log.kind,
    admin: log.admin,
    partitionCount: (topic) => log.partitionCount(topic),
    offsets: (partition) => log.offsets(partition),
    offsetForTime: (partition, ms) => log.offsetForTime(partition, ms),
    reader,
    writer: (topics) => log.writer(topics),
    transactionalWriter: (id, topics) => log.transactionalWriter(id, topics),
    join: (options) => log.join(options),
    shownOffsets: (group, partitions) => log.shownOffsets(group, partitions),
    close: () => log.close(),
  };
}

interface Stream extends ReaderStart {
  /** Next offset that poll() returns. */
  position: number;
  paused: boolean;
  ranges: readonly SkippedRange[];
}

class SkippingReader implements LogReader {
  readonly #log: Log;
  readonly #options: ReaderOptions | undefined;
  readonly #logger: Logger;
  readonly #streams: Stream[];
  #inner: LogReader;
  #hasBegun = false;
  #closed = false;

  constructor(
    log: Log,
    start: readonly ReaderStart[],
    options: ReaderOptions | undefined,
    ranges: SkippedRanges,
    logger: Logger,
  ) {
    this.#log = log;
    this.#options = options;
    this.#logger = logger;
    this.#streams = start.map((at) => ({ ...at, position: at.offset, paused: false, ranges: ranges.of(at) }));
    this.#inner = log.reader(start, options);
  }

  async poll(): Promise<RecordColumns[]> {
    const jumped = this.#hasBegun ? [] : await this.#begin();
    if (jumped.length > 0) return jumped;
    const answers = (await this.#inner.poll()).map((columns) => this.#receive(columns));
    if (!this.#closed && this.#streams.some((stream) => this.#inner.position(stream) !== stream.position))
      await this.#reopen();
    return answers;
  }

  position(partition: TopicPartition): number {
    return this.#stream(partition).position;
  }

  pause(partition: TopicPartition): void {
    this.#stream(partition).paused = true;
    this.#inner.pause(partition);
  }

  resume(partition: TopicPartition): void {
    this.#stream(partition).paused = false;
    this.#inner.resume(partition);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#inner.close();
  }

  /** Leaves ranges of earlier topics of the same names; returns the positions that begin within a range. */
  async #begin(): Promise<RecordColumns[]> {
    for (const topic of new Set(this.#streams.filter(({ ranges }) => ranges.length > 0).map((at) => at.topic))) {
      const id = await this.#log.admin.topicId(topic);
      for (const stream of this.#streams)
        if (stream.topic === topic) stream.ranges = stream.ranges.filter(({ topicId }) => topicId === id);
    }
    this.#hasBegun = true;
    const within = this.#streams.filter((stream) => this.#moveTo(stream, stream.position));
    if (within.length > 0) await this.#reopen();
    return within.map((stream) => noRows(stream, stream.position));
  }

  /** Moves the position to the first offset at or after `offset` that is in no range; whether that is another one. */
  #moveTo(stream: Stream, offset: number): boolean {
    const { ranges, topic, partition, position } = stream;
    let next = offset;
    for (let found: SkippedRange | undefined; ; next = found.to) {
      found = ranges.find(({ from, to }) => from <= next && next < to);
      if (found === undefined) break;
    }
    for (const { from, to } of ranges)
      if (from < next && to > position)
        this.#logger.warn({
          event: 'records_skipped',
          topic,
          partition,
          from: Math.max(from, position),
          to: Math.min(to, next),
        });
    stream.position = next;
    return next !== offset;
  }

  /** The columns without rows of the ranges; moves the position. */
  #receive(columns: RecordColumns): RecordColumns {
    const stream = this.#stream(columns);
    const { ranges } = stream;
    const kept: number[] = [];
    for (let row = 0; row < columns.count; row++) {
      const offset = columns.offsets[row]!;
      if (!ranges.some(({ from, to }) => from <= offset && offset < to)) kept.push(row);
    }
    this.#moveTo(stream, Math.max(columns.nextOffset, stream.position));
    const nextOffset = stream.position;
    return kept.length === columns.count ? { ...columns, nextOffset } : { ...rowsOf(columns, kept), nextOffset };
  }

  /** Opened before the old one is closed: what the old one holds against compaction stays held. */
  async #reopen(): Promise<void> {
    const old = this.#inner;
    this.#inner = this.#log.reader(
      this.#streams.map(({ topic, partition, position, until }) => ({ topic, partition, offset: position, until })),
      this.#options,
    );
    for (const stream of this.#streams) if (stream.paused) this.#inner.pause(stream);
    await old.close();
  }

  #stream({ topic, partition }: TopicPartition): Stream {
    const found = this.#streams.find((stream) => stream.partition === partition && stream.topic === topic);
    if (found === undefined) throw new FreshetError('internal', `this reader does not read ${topic}[${partition}]`);
    return found;
  }
}

/** Chosen rows, in their order. */
function rowsOf(columns: RecordColumns, rows: readonly number[]): RecordColumns {
  const { offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd, unreadable } = columns;
  const int32 = (column: Int32Array) => Int32Array.from(rows, (row) => column[row]!);
  const float64 = (column: Float64Array) => Float64Array.from(rows, (row) => column[row]!);
  const reasons = rows.flatMap((row, i): [number, string][] => {
    const reason = unreadable?.get(row);
    return reason === undefined ? [] : [[i, reason]];
  });
  const { unreadable: _, ...rest } = columns;
  return {
    ...rest,
    count: rows.length,
    offsets: float64(offsets),
    timestamps: float64(timestamps),
    keyStart: int32(keyStart),
    keyEnd: int32(keyEnd),
    valueStart: int32(valueStart),
    valueEnd: int32(valueEnd),
    ...(reasons.length === 0 ? {} : { unreadable: new Map(reasons) }),
  };
}
