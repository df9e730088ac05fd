/**
 * One partition of a feature topic on its way into one store: the loop that owns the fence.
 *
 *   without hold ──open──► reading ──batch──► reading        (applied: the offset moves on)
 *        ▲                   │ │
 *        │                   │ └─error, mismatch, once a second──► unsure ──store says the same──► reading
 *        └──fenced, emptied──┴───────────────────────────────────────┘
 *
 * `unsure` asks the store for its position before anything else is written: an error after sending does not say whether
 * the batch was applied. A rebuild reads everything from the log's start, remembers which of the store's keys it has
 * not yet seen again, and deletes those at the end. Until then its batches carry a separate incarnation, so that an
 * interrupted rebuild starts over.
 *
 * The age of a position counts from the time up to which the store has all of the log, not from its last batch: a sink
 * that works off a long outage writes all the time and may still be too late for a deletion.
 */
import type { Log, PartitionOffsets, RecordColumns, TopicPartition } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import { hasCode, messageOf } from '../../runtime/process/errors.js';
import type { EventBus } from '../../runtime/process/events.js';
import { type FaultHook, passFaultPoint } from '../../runtime/process/fault-points.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import type { Codec } from '../../schemas/codec.js';
import { partitionOf } from '../../topics/partition.js';
import type { Change, KeyedTopic } from '../sinks/keyed-topic.js';
import type { SinkStore } from '../sinks/sink-store.js';
import { Backlog, type Batch } from './backlog.js';
import type { DeadLetterWriter } from './dead-letters.js';
import { sinkFailed, sinkRecovered } from './events.js';
import { sinkMetrics } from './metrics.js';
import { isTooOld, rebuildingOf, rebuildReason } from './position-plan.js';

/** How a sink writes; the same for all partitions. */
export interface SinkPace {
  /** Most changes in a batch while no more than that are pending. */
  readonly rowsMax: number;
  /** Most changes in a batch however many are pending: newer values replace older ones. */
  readonly pressedRowsMax: number;
  /** Most bytes of records in a batch. */
  readonly batchBytesMax: number;
  /** Most bytes of pending records, over all partitions of a group in this process. */
  readonly waitingBytesMax: number;
  /** How long the first pending record waits for others of its key, ms. */
  readonly lingerMs: number;
  /** How often the store is asked for its position when nothing arrives, ms. */
  readonly checkMs: number;
  /** Wait after a failure, ms: `first`, doubled each time up to `most`. */
  readonly backoffMs: { readonly first: number; readonly most: number };
}

/** Where fault tests take hold, in the order in which a sink passes them. */
export type SinkPoint = 'sink.opened' | 'sink.batch_taken' | 'sink.batch_applied' | 'sink.batch_noted';
const faultPoint: FaultHook<SinkPoint> = passFaultPoint;

interface PartitionSinkOptions {
  readonly id: SinkId;
  /** Partition count of the topic. */
  readonly partitions: number;
  readonly topic: KeyedTopic<never>;
  /** Whether a rebuild deletes rows that it did not see. */
  readonly forgetsUnseen: boolean;
  readonly store: SinkStore;
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly letters: DeadLetterWriter;
  /** Which incarnation of the topic offsets belong to; null if the log does not know. */
  readonly incarnation: () => Promise<string | null>;
  readonly pace: SinkPace;
  /** Once this much is pending, no more of this partition is fetched; records already on their way still arrive. */
  readonly waitingBytesMax: number;
  /** Whether the group still assigns us this partition, by an answer given after the call. */
  readonly confirmed: () => Promise<boolean>;
  /** The reader must restart this partition at readFrom. */
  readonly moved: () => void;
  /** The store has advanced. */
  readonly advanced: () => void;
}

/** Without input, the store's position is rewritten this often, so that an idle sink does not age. */
const REFRESH_MS = 10 * 60_000;
/** A store too slow for a batch gets a quarter of it, then gradually more again. */
const SHRINK = 4;
const GROW = 1.25;
const ROWS_LIMIT_MIN = 10;
/** Failures in a row after which a sink counts as stuck, a few seconds. */
const STUCK_FAILURES = 5;
/** The lag is read once every this many checks. */
const LAG_CHECKS = 5;

interface Rebuild {
  /** Keys that the store held at the beginning and that the topic has not shown yet. */
  readonly unseen: Set<string>;
  /** The log's start and end at the beginning. */
  readonly start: number;
  readonly end: number;
}

/** A partition of a sink that fails again and again. */
export interface StuckSink {
  readonly name: string;
  readonly reason: string;
}

export class PartitionSink {
  readonly #o: PartitionSinkOptions;
  readonly #at: TopicPartition;
  readonly #backlog: Backlog;
  readonly #logger: Logger;
  readonly #where: string;
  /** Our epoch; null without hold. */
  #epoch: number | null = null;
  /** The incarnation of the topic being read. */
  #incarnation: string | null = null;
  #mustConfirm = false;
  #unsure = false;
  #mustStartOver = false;
  /** The store's next offset as far as we know. */
  #applied = 0;
  #rebuild: Rebuild | null = null;
  /** Taken from the backlog, not yet known to be applied. */
  #pending: Batch | null = null;
  /** The batch whose poison is already in the dead letters. */
  #setAside: Batch | null = null;
  #readFrom: number | null = null;
  /** Most changes allowed in the next batch. */
  #rowsLimit: number;
  /** The pending batch took the store too long: if it was not applied, it must be split. */
  #tookTooLong = false;
  #waitingSinceMs = 0;
  #sureAtMs = 0;
  /** When the position was last written. */
  #writtenAtMs = 0;
  /** The store has everything that the log held at this time. */
  #wholeAtMs = 0;
  /** The log's end when last read; null until it is read again. */
  #seenEnd: { readonly atMs: number; readonly offset: number } | null = null;
  #lagAtMs = 0;
  #failures = 0;
  #lastError = '';
  #nap = new AbortController();

  constructor(options: PartitionSinkOptions) {
    const { id, topic, codec, partitions, pace } = options;
    this.#o = options;
    this.#at = { topic: id.topic, partition: id.partition };
    this.#rowsLimit = pace.pressedRowsMax;
    this.#where = `${id.sink}:${id.topic}-${id.partition}`;
    this.#backlog = new Backlog({ topic, codec, partitions, ...pace });
    this.#logger = options.logger.child({ ...id });
  }

  get partition(): TopicPartition {
    return this.#at;
  }

  /** The incarnation of the topic it follows; null without hold, and if the log does not know it. */
  get incarnation(): string | null {
    return this.#epoch === null ? null : this.#incarnation;
  }

  /** Where to read the log next; null while nothing is to be read. */
  get readFrom(): number | null {
    return this.#readFrom;
  }

  /** The store holds everything below, and nothing it should not; null while it is not ours or being rebuilt. */
  get appliedTo(): number | null {
    return this.#epoch === null || this.#rebuild !== null ? null : this.#applied;
  }

  /** True when enough is pending: fetch no more of this partition until it is false again. */
  get isFull(): boolean {
    return this.#backlog.bytes >= this.#o.waitingBytesMax;
  }

  /** Name and reason when it has failed repeatedly and is still trying; null otherwise. */
  get stuck(): StuckSink | null {
    const { id } = this.#o;
    if (this.#failures < STUCK_FAILURES) return null;
    return { name: `${id.sink} of ${id.topic}[${id.partition}]`, reason: this.#lastError };
  }

  get failures(): number {
    return this.#failures;
  }

  /** Takes the columns the reader fetched; passing columns that do not continue readFrom is a caller's error. */
  offer(columns: RecordColumns): void {
    if (this.#backlog.isEmpty) this.#waitingSinceMs = this.#o.clock.elapsed();
    this.#backlog.offer(columns);
    this.#readFrom = columns.nextOffset;
    this.wake();
  }

  /** The log has nothing at readFrom, or another topic under the name: take over again, and let the log decide. */
  startOver(): void {
    this.#mustStartOver = true;
    this.#readFrom = null;
    this.wake();
  }

  wake(): void {
    this.#nap.abort();
  }

  /** Runs until the signal, or until the group assigns the partition to another member. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const wake = () => this.wake();
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted && (await this.#attempt(signal)));
    } finally {
      signal.removeEventListener('abort', wake);
      this.#epoch = null;
      this.#readFrom = null;
      this.#forgetRead();
      this.#recovered({ gone: true });
      this.#o.moved();
    }
  }

  async #attempt(signal: AbortSignal): Promise<boolean> {
    await this.#observeLag();
    try {
      return await this.#step(signal);
    } catch (error) {
      this.#unsure = true;
      this.#tookTooLong = hasCode(error, 'timeout');
      if (!signal.aborted) await this.#backOff(error, signal);
      return true;
    }
  }

  /** One step; false when the partition is no longer ours. */
  async #step(signal: AbortSignal): Promise<boolean> {
    if (this.#mustStartOver) this.#drop();
    if (this.#epoch === null) return this.#take(signal);
    const at = this.#o.clock.elapsed();
    if (this.#unsure || at - this.#sureAtMs >= this.#o.pace.checkMs) await this.#check();
    else if (this.#rebuild !== null && this.#reached(this.#rebuild)) await this.#finishRebuild(this.#rebuild);
    else if (this.#pending !== null || this.#isDue(at)) await this.#applyNext();
    else await this.#rest(at);
    return true;
  }

  async #take(signal: AbortSignal): Promise<boolean> {
    if (this.#mustConfirm && !(await orAborted(this.#o.confirmed(), signal))) return false;
    const held = await this.#o.store.open(this.#o.id);
    await faultPoint('sink.opened', this.#where);
    const now = this.#o.clock.now();
    this.#incarnation = await this.#o.incarnation();
    const offsets = await this.#o.log.offsets(this.#at);
    const reason = rebuildReason(held, offsets, this.#incarnation, now);
    if (reason !== null && !(await this.#beginRebuild(reason, held, offsets))) {
      this.#mustConfirm = true;
      return true;
    }
    if (reason === null) {
      this.#incarnation ??= held.incarnation;
      this.#continueAt(held.nextOffset);
    }
    this.#epoch = held.epoch;
    this.#mustConfirm = false;
    this.#sure();
    this.#writtenAtMs = this.#o.clock.elapsed() - Math.max(0, now - held.updatedAt);
    // A rebuild starts with nothing: everything it writes is current.
    this.#wholeAtMs = reason === null ? held.updatedAt : now;
    this.#seenEnd = { atMs: now, offset: offsets.lastStable };
    this.#noteWhole();
    this.#o.moved();
    this.#o.advanced();
    return true;
  }

  #continueAt(offset: number): void {
    this.#rebuild = null;
    this.#forgetRead();
    this.#applied = offset;
    this.#readFrom = offset;
  }

  /** False when fenced. Always under a new epoch: a batch still under way must not write into the rebuilt rows. */
  async #beginRebuild(reason: string, held: SinkPosition, offsets: PartitionOffsets): Promise<boolean> {
    const unseen = new Set<string>();
    if (this.#o.forgetsUnseen) {
      for (const key of await this.#o.store.keys())
        if (partitionOf(this.#o.partitions, Buffer.from(key)) === this.#at.partition) unseen.add(key);
    }
    if (held.nextOffset !== 0 && !(await this.#o.store.rewind(this.#o.id, held.epoch))) return false;
    const level = reason === 'never_applied' ? 'debug' : 'warn';
    this.#logger[level]({ event: 'sink_rebuild', reason, held_offset: held.nextOffset, ...offsets }, 'Rebuilding');
    this.#forgetRead();
    this.#applied = 0;
    this.#readFrom = offsets.earliest;
    this.#rebuild = { unseen, start: offsets.earliest, end: offsets.lastStable };
    return true;
  }

  #forgetRead(): void {
    this.#pending = null;
    this.#backlog.clear();
  }

  #drop(): void {
    this.#epoch = null;
    this.#mustStartOver = false;
    this.#readFrom = null;
    this.#rebuild = null;
    this.#forgetRead();
    this.#o.moved();
  }

  /** The same batch would take as long again. Its records are read again, because a coalesced batch cannot be split. */
  #splitPending(batch: Batch): void {
    this.#tookTooLong = false;
    this.#rowsLimit = Math.max(ROWS_LIMIT_MIN, batch.changes.length / SHRINK);
    this.#forgetRead();
    this.#readFrom = Math.max(this.#applied, this.#rebuild?.start ?? 0);
    this.#o.moved();
  }

  /** Asks the store for its position, after an error and once a second. */
  async #check(): Promise<void> {
    const now = this.#o.clock.now();
    const held = await this.#o.store.position(this.#o.id);
    if (held === null || held.epoch !== this.#epoch) {
      this.#logger.warn({ event: 'sink_fenced', epoch: this.#epoch, held }, 'The store is no longer ours');
      // Only a newer owner can be the rightful one; an emptied store, or an older copy of it, has none.
      this.#mustConfirm = held !== null && held.epoch > this.#epoch!;
      this.#drop();
    } else if (this.#rebuild === null && isTooOld(held, now)) {
      // The store, the log or this process was away for days: deletions may have expired in the meantime.
      this.#logger.warn({ event: 'sink_too_old', held }, 'The position is too old to continue from');
      this.#drop();
    } else if (held.nextOffset === this.#applied) {
      this.#sure();
      if (this.#tookTooLong && this.#pending !== null) this.#splitPending(this.#pending);
      await this.#stayFresh();
    } else if (this.#pending !== null && held.nextOffset === this.#pending.nextOffset) {
      this.#sure();
      this.#done(this.#pending);
    } else {
      await this.#goTo(held);
    }
  }

  /** The store was emptied or restored from an older copy. */
  async #goTo(held: SinkPosition): Promise<void> {
    const { log, clock } = this.#o;
    this.#logger.warn({ event: 'sink_moved', applied: this.#applied, held }, 'The store is at another offset');
    const offsets = await log.offsets(this.#at);
    if (this.#rebuild !== null || rebuildReason(held, offsets, this.#incarnation, clock.now()) !== null) {
      this.#drop();
      return;
    }
    this.#continueAt(held.nextOffset);
    this.#sure();
    this.#o.moved();
  }

  /** An idle sink rewrites its position from time to time. */
  async #stayFresh(): Promise<void> {
    if (this.#pending !== null) return;
    this.#recovered();
    if (this.#rebuild === null && this.#o.clock.elapsed() - this.#writtenAtMs >= REFRESH_MS)
      await this.#write(this.#applied, []);
  }

  /** Also while the store is down: that is when operators look at it. */
  async #observeLag(): Promise<void> {
    const at = this.#o.clock.elapsed();
    if (this.#epoch === null || at - this.#lagAtMs < LAG_CHECKS * this.#o.pace.checkMs) return;
    this.#lagAtMs = at;
    const { metrics, log, id, clock } = this.#o;
    try {
      const { lastStable } = await log.offsets(this.#at);
      this.#seenEnd ??= { atMs: clock.now(), offset: lastStable };
      this.#noteWhole();
      sinkMetrics(metrics).lag.set({ sink: id.sink, ...this.#at }, Math.max(0, lastStable - this.#applied));
    } catch (error) {
      this.#logger.debug({ event: 'sink_lag_unknown', error: messageOf(error) });
    }
  }

  /** The time up to which a store at this offset has all of the log: it has passed an end the log once had. */
  #wholeAt(nextOffset: number): number {
    return this.#seenEnd !== null && nextOffset >= this.#seenEnd.offset ? this.#seenEnd.atMs : this.#wholeAtMs;
  }

  #noteWhole(): void {
    this.#wholeAtMs = this.#wholeAt(this.#applied);
    if (this.#seenEnd !== null && this.#applied >= this.#seenEnd.offset) this.#seenEnd = null;
  }

  #isDue(at: number): boolean {
    if (this.#backlog.isEmpty) return false;
    const { rowsMax, lingerMs } = this.#o.pace;
    return this.#backlog.rows >= rowsMax || at - this.#waitingSinceMs >= lingerMs;
  }

  async #applyNext(): Promise<void> {
    if (this.#pending === null) {
      const wasFull = this.isFull;
      this.#pending = await this.#backlog.next(Math.floor(this.#rowsLimit));
      this.#waitingSinceMs = this.#o.clock.elapsed();
      if (wasFull && !this.isFull) this.#o.advanced();
      await faultPoint('sink.batch_taken', this.#where);
    }
    const batch = this.#pending;
    if (batch === null) return;
    if (batch.poison.length > 0 && this.#setAside !== batch) await this.#writeLetters(batch);
    if (!(await this.#write(batch.nextOffset, batch.changes))) return;
    await faultPoint('sink.batch_applied', this.#where);
    this.#done(batch);
    await faultPoint('sink.batch_noted', this.#where);
  }

  /** False when the store refused: its position is then read again. */
  async #write(nextOffset: number, changes: readonly Change[], finished = this.#rebuild === null): Promise<boolean> {
    const { id, store } = this.#o;
    const incarnation = this.#incarnation ?? '';
    const batch = {
      id,
      epoch: this.#epoch!,
      expectedOffset: this.#applied,
      nextOffset,
      incarnation: finished ? incarnation : rebuildingOf(incarnation),
      at: this.#wholeAt(nextOffset),
    };
    if ((await store.apply(batch, changes)) !== 'applied') {
      this.#unsure = true;
      return false;
    }
    this.#writtenAtMs = this.#o.clock.elapsed();
    this.#sure();
    return true;
  }

  async #writeLetters(batch: Batch): Promise<void> {
    await this.#o.letters.write(this.#o.id.sink, batch.poison);
    this.#setAside = batch;
    for (const { columns, row, poison } of batch.poison)
      this.#logger.error(
        { event: 'sink_dead_letter', offset: columns.offsets[row], reason: poison.reason, error: poison.error },
        'A record cannot be published and became a dead letter',
      );
  }

  #done(batch: Batch): void {
    const { metrics, id, clock } = this.#o;
    this.#pending = null;
    this.#recovered();
    this.#rowsLimit = Math.min(this.#o.pace.pressedRowsMax, this.#rowsLimit * GROW);
    this.#applied = batch.nextOffset;
    this.#noteWhole();
    sinkMetrics(metrics).applied.inc({ sink: id.sink, topic: id.topic }, batch.timestamps.length);
    if (this.#rebuild === null) {
      const delay = sinkMetrics(metrics).delay.labels(id.sink);
      const now = clock.now();
      for (const timestamp of batch.timestamps) delay.observe(Math.max(0, now - timestamp) / 1000);
    } else {
      for (const { key } of batch.changes) this.#rebuild.unseen.delete(key);
      // The meaning of an unreadable record is unknown: the store's value under its key stays.
      for (const { poison } of batch.poison) if (poison.key !== null) this.#rebuild.unseen.delete(poison.key);
    }
    this.#o.advanced();
  }

  #reached(rebuild: Rebuild): boolean {
    return this.#pending === null && Math.max(this.#applied, rebuild.start) >= rebuild.end;
  }

  /** Deletes what the topic does not have, some keys at a time, and finally marks the store as whole. */
  async #finishRebuild(rebuild: Rebuild): Promise<void> {
    const gone = [...rebuild.unseen].slice(0, this.#o.pace.rowsMax);
    const last = gone.length === rebuild.unseen.size;
    const changes = gone.map((key) => ({ key, value: null }));
    // An empty topic may begin at any offset: the store's position then becomes its start.
    const nextOffset = last ? Math.max(this.#applied, rebuild.start) : this.#applied;
    if (!(await this.#write(nextOffset, changes, last))) return;
    this.#applied = nextOffset;
    for (const key of gone) rebuild.unseen.delete(key);
    if (gone.length > 0) this.#logger.info({ event: 'sink_unseen_deleted', rows: gone.length }, 'Deleted old rows');
    if (!last) return;
    this.#rebuild = null;
    this.#recovered();
    this.#logger.debug({ event: 'sink_rebuilt', applied: this.#applied }, 'Rebuilt');
    this.#o.advanced();
  }

  #sure(): void {
    this.#unsure = false;
    this.#sureAtMs = this.#o.clock.elapsed();
  }

  async #rest(at: number): Promise<void> {
    const { checkMs, lingerMs } = this.#o.pace;
    const due = this.#backlog.isEmpty ? Number.POSITIVE_INFINITY : this.#waitingSinceMs + lingerMs;
    await this.#sleep(Math.min(this.#sureAtMs + checkMs, due) - at);
  }

  /** Ends early by wake(). */
  async #sleep(ms: number): Promise<void> {
    if (this.#nap.signal.aborted) this.#nap = new AbortController();
    await this.#o.clock.sleep(Math.max(ms, 0), this.#nap.signal);
  }

  #recovered({ gone } = { gone: false }): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#o.events.emit(sinkRecovered, { id: this.#o.id, gone });
  }

  async #backOff(error: unknown, signal: AbortSignal): Promise<void> {
    const { first, most } = this.#o.pace.backoffMs;
    const wait = Math.min(most, first * 2 ** Math.min(this.#failures, 20));
    this.#failures++;
    this.#lastError = messageOf(error);
    const { id, events } = this.#o;
    events.emit(sinkFailed, { id, error, failures: this.#failures, retryInMs: wait });
    this.#o.advanced();
    await this.#o.clock.sleep(wait, signal);
  }
}

/** The answer, or false as soon as the signal ends the wait. */
async function orAborted(answer: Promise<boolean>, signal: AbortSignal): Promise<boolean> {
  if (signal.aborted) return false;
  let end = () => {};
  const aborted = new Promise<boolean>((resolve) => {
    end = () => resolve(false);
    signal.addEventListener('abort', end, { once: true });
  });
  try {
    return await Promise.race([answer, aborted]);
  } finally {
    signal.removeEventListener('abort', end);
  }
}
