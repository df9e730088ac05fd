/**
 * The log as the audit sees it: `events` read in order, judged by the slow reference, keeping the counted events of
 * sampled keys. It does not advance between calls, so a comparison knows exactly how far it has read.
 *
 * Duplicates are identified by (partition, user, event id). For sampled users every record is judged, so their counts
 * are exact. For sampled products, an event's id may have been used before, for another product, by a user outside the
 * sample: that record was skipped, and the event counts here although it should not. Detecting this would mean keeping
 * all ids of six hours, 2 GB at 5,000 events/s, only for producers that give one id to two events. So a product that
 * differs is counted again with all records that carry its ids (recount.ts) before it is reported.
 */
import type { Log, LogReader, RecordColumns, TopicPartition } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Codec } from '../../schemas/codec.js';
import { events } from '../../topics/events.js';
import { EVENT_AHEAD_MS_MAX, WINDOW_DAYS } from '../../topics/limits.js';
import { DAY_MS } from '../../topics/time.js';
import type { KeptEvents } from './kept-events.js';
import { rawRecord } from './raw-events.js';
import { Judge, type RawRecord, type ReferenceSettings, utcDay } from './reference.js';

const FETCH_BYTES = 128 * 1024;
const WAIT_MS = 100;

export interface FoldOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly settings: ReferenceSettings;
  readonly users: KeptEvents;
  readonly products: KeptEvents;
  /** UTC day (days since 1970): older events are skipped. */
  readonly firstDay: number;
  /** Which records are judged; default: those of sampled users and products, and erasures of sampled users. */
  readonly isRelevant?: (record: RawRecord) => boolean;
  /** Share of the time that folding may take, 0 to 1, so that other work in the process is not held up. */
  readonly busyShare?: number;
  /** Called with the number of records read. */
  readonly onRead?: (records: number) => void;
}

export class Fold {
  readonly #o: FoldOptions;
  readonly #judge: Judge;
  readonly #isRelevant: (record: RawRecord) => boolean;
  #reader: LogReader | null = null;
  #partitions: TopicPartition[] = [];
  /** Where to continue reading, per partition. */
  #positions: number[] = [];
  /** The offset after the last record seen, per partition. */
  #next: number[] = [];
  /** Partitions whose first records are gone, until their first remaining record has been seen. */
  readonly #cut = new Set<number>();
  #firstDay: number;

  constructor(options: FoldOptions) {
    this.#o = options;
    this.#firstDay = options.firstDay;
    this.#judge = new Judge(options.settings);
    const { users, products } = options;
    this.#isRelevant =
      options.isRelevant ??
      (({ key, value }) => (key !== null && users.holds(key)) || (value !== null && products.holds(value.product_id)));
  }

  get users(): KeptEvents {
    return this.#o.users;
  }

  get products(): KeptEvents {
    return this.#o.products;
  }

  /** Per partition of `events`, the offset after the last record read. */
  get next(): readonly number[] {
    return this.#next;
  }

  /** First UTC day (days since 1970) whose events are all known, as far as they belong to the sample. */
  get firstDay(): number {
    return this.#firstDay;
  }

  /** Reads up to the end of `events` at the time of the call. Errors: the log's own; call again to continue. */
  async catchUp(signal?: AbortSignal): Promise<void> {
    if (this.#partitions.length === 0) await this.#start();
    const { log } = this.#o;
    const ends = await Promise.all(this.#partitions.map(async (at) => (await log.offsets(at)).lastStable));
    const isBehind = () => ends.some((end, partition) => this.#positions[partition]! < end);
    try {
      while (isBehind()) {
        signal?.throwIfAborted();
        this.#reader ??= this.#open();
        const started = performance.now();
        for (const columns of await this.#reader.poll()) {
          await this.#foldColumns(columns);
          // Other work in this process gets a turn after every 128 KiB, a few milliseconds.
          await new Promise(setImmediate);
        }
        await this.#rest(performance.now() - started, signal);
      }
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Drops events before a UTC day, and keys that have had none for the length of a window. */
  forgetBefore(day: number): void {
    if (day <= this.#firstDay) return;
    this.#firstDay = day;
    for (const kept of [this.#o.users, this.#o.products]) kept.forget(day * DAY_MS, day + WINDOW_DAYS);
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    await reader?.close();
  }

  async #start(): Promise<void> {
    const { log } = this.#o;
    const count = await log.partitionCount(events.name);
    const partitions = Array.from({ length: count }, (_, partition) => ({ topic: events.name, partition }));
    const offsets = await Promise.all(partitions.map((at) => log.offsets(at)));
    this.#positions = offsets.map(({ earliest }) => earliest);
    this.#next = offsets.map(({ earliest }) => earliest);
    for (const [partition, { earliest }] of offsets.entries()) if (earliest > 0) this.#cut.add(partition);
    this.#partitions = partitions;
  }

  #open(): LogReader {
    return this.#o.log.reader(
      this.#partitions.map((at, i) => ({ ...at, offset: this.#positions[i]! })),
      { isolation: 'read_committed', maxWaitMs: WAIT_MS, maxBytesPerPartition: FETCH_BYTES },
    );
  }

  async #foldColumns(columns: RecordColumns): Promise<void> {
    const { codec, onRead } = this.#o;
    await codec.prepare(columns.bytes, columns.count, columns.valueStart, columns.valueEnd);
    const { partition, count, timestamps, offsets } = columns;
    for (let i = 0; i < count; i++) {
      const logTime = timestamps[i]!;
      if (this.#cut.delete(partition)) this.#beginsLate(logTime);
      this.#next[partition] = offsets[i]! + 1;
      const record = rawRecord(codec, columns, i);
      if (record === null || !this.#isRelevant(record)) this.#judge.passed(partition, logTime);
      else this.#foldRecord(record);
    }
    this.#positions[partition] = columns.nextOffset;
    onRead?.(count);
  }

  #foldRecord(record: RawRecord): void {
    const { users, products } = this.#o;
    const verdict = this.#judge.judge(record);
    if (verdict.kind === 'erasure' && users.holds(record.key!))
      users.erase(record.key!, utcDay(record.logTime), record.offset);
    if (verdict.kind !== 'counted') return;
    const { event } = verdict;
    const day = utcDay(event.ts);
    if (day < this.#firstDay) return;
    if (users.holds(event.user)) users.add(event.user, day, event);
    if (products.holds(event.product)) products.add(event.product, day, event);
  }

  /** Records before the log's first one are gone, and with them the events of its day and earlier. */
  #beginsLate(logTime: number): void {
    this.#firstDay = Math.max(this.#firstDay, utcDay(logTime + EVENT_AHEAD_MS_MAX) + 1);
  }

  async #rest(workedMs: number, signal: AbortSignal | undefined): Promise<void> {
    const { busyShare = 1, clock } = this.#o;
    if (busyShare < 1) await clock.sleep(workedMs * (1 / busyShare - 1), signal);
  }
}
