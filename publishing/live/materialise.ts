/**
 * Writes feature topics into one store: a member of a group that distributes partitions, one reader over the assigned
 * ones, and a PartitionSink for each, which owns the fence. Task t of the group is partition t of every topic, so one
 * membership and one reader serve all sinks of a store.
 */
import { setMaxListeners } from 'node:events';
import type { Assignment, Log, LogReader, Membership, TopicPartition } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import { hasCode, messageOf } from '../../runtime/process/errors.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import type { Service } from '../../runtime/process/service.js';
import type { Codec } from '../../schemas/codec.js';
import type { SinkNames } from '../../topics/feature-set.js';
import type { KeyedTopic } from '../sinks/keyed-topic.js';
import type { SinkStore } from '../sinks/sink-store.js';
import type { DeadLetterWriter } from './dead-letters.js';
import { PartitionSink, type SinkPace, type StuckSink } from './partition-sink.js';

/** One topic of a group and where its rows go. */
export interface GroupSink {
  readonly topic: KeyedTopic<never>;
  readonly store: SinkStore;
  /** Whether a rebuild deletes rows that it did not see. */
  readonly forgetsUnseen: boolean;
}

export interface MaterialiserOptions extends SinkNames {
  readonly sinks: readonly GroupSink[];
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly letters: DeadLetterWriter;
  /** The incarnation that a topic's offsets belong to; null if the log does not know. A new one rebuilds its sinks. */
  readonly incarnationOf: (topic: string) => Promise<string | null>;
  readonly pace: SinkPace;
  /** Called whenever a position may have changed. */
  readonly advanced: () => void;
}

/** The position of one partition of one sink. */
export interface SinkProgress extends TopicPartition {
  readonly sink: string;
  readonly nextOffset: number;
}

/** Without it, a broker would answer for every commit of every task. */
const FETCH_GAP_MS = 25;
const POLL_MS = 100;
const FETCH_BYTES_MAX = 256 * 1024;
const TAKE_MS_MAX = 500;
/** Offsets are committed for display once every this many checks of the store. */
const SHOW_CHECKS = 5;
const REJOIN_MS = 1_000;
const REVOKE_MS_MAX = 2_000;

export class Materialiser implements Service {
  readonly #o: MaterialiserOptions;
  readonly #partitions = new Map<string, number>();
  /** Set before the group can answer: an assignment may arrive before the call to join returns. */
  #membership: Promise<Membership> | null = null;
  #shift: Shift | null = null;
  #stopping = new AbortController();
  #rejoining: Promise<void> = Promise.resolve();

  constructor(options: MaterialiserOptions) {
    this.#o = options;
  }

  get name(): string {
    return `sink ${this.#o.sink}`;
  }

  get sinks(): readonly GroupSink[] {
    return this.#o.sinks;
  }

  get sink(): string {
    return this.#o.sink;
  }

  /** Joins the group. Throws when the log cannot be reached or a topic is missing. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    for (const { topic } of this.#o.sinks)
      this.#partitions.set(topic.name, await this.#o.log.partitionCount(topic.name));
    await this.#join();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#rejoining;
    await this.#endShift();
    const membership = this.#membership;
    this.#membership = null;
    await (await membership)?.leave();
  }

  /** The partitions that are owned here and make no progress. */
  stuck(): StuckSink[] {
    return (this.#shift?.parts ?? []).flatMap((part) => part.stuck ?? []);
  }

  /** Positions of the partitions that are owned here and whole. */
  positions(): SinkProgress[] {
    return (this.#shift?.parts ?? []).flatMap((part) =>
      part.appliedTo === null ? [] : [{ sink: this.#o.sink, ...part.partition, nextOffset: part.appliedTo }],
    );
  }

  /** The position of a partition; null while it is taken over or rebuilt; `elsewhere` if the store must be asked. */
  progressOf({ topic, partition }: TopicPartition): number | null | 'elsewhere' {
    const part = this.#shift?.parts.find(({ partition: own }) => own.topic === topic && own.partition === partition);
    return part === undefined ? 'elsewhere' : part.appliedTo;
  }

  async #join(): Promise<void> {
    const { log, group } = this.#o;
    this.#membership = log.join({
      group,
      tasks: Math.max(...this.#partitions.values()),
      partitionsOf: (task) => this.#partitionsOf(task),
      onAssigned: async (assignment) => this.#assigned(assignment),
      onRevoked: () => this.#endShift(),
      onFailed: (error) => {
        this.#rejoining = this.#rejoin(error);
      },
    });
    try {
      await this.#membership;
    } catch (error) {
      this.#membership = null;
      throw error;
    }
  }

  #partitionsOf(task: number): TopicPartition[] {
    return [...this.#partitions].filter(([, count]) => task < count).map(([topic]) => ({ topic, partition: task }));
  }

  async #assigned(assignment: Assignment): Promise<void> {
    await this.#endShift();
    if (this.#stopping.signal.aborted) return;
    const partitions = assignment.tasks.flatMap((task) => this.#partitionsOf(task));
    this.#shift = new Shift(this.#o, partitions, this.#partitions, () => this.#membership);
  }

  /**
   * A store that hangs must not hold up the whole group, so the wait is bounded. Work still under way then is fenced by
   * the next owner's epoch, like any other late write.
   */
  async #endShift(): Promise<void> {
    const shift = this.#shift;
    if (shift === null) return;
    this.#shift = null;
    const patience = new AbortController();
    await Promise.race([shift.end(), this.#o.clock.sleep(REVOKE_MS_MAX, patience.signal)]);
    patience.abort();
  }

  async #rejoin(error: Error): Promise<void> {
    const { logger, sink, clock } = this.#o;
    this.#membership = null;
    await this.#endShift();
    let why = error;
    while (!this.#stopping.signal.aborted) {
      logger.error({ event: 'sink_membership_lost', sink, error: why.message }, 'Rejoining the group');
      await clock.sleep(REJOIN_MS, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return;
      try {
        await this.#join();
        return;
      } catch (again) {
        why = again instanceof Error ? again : new Error(messageOf(again));
      }
    }
  }
}

/** The work from one assignment to the next. */
class Shift {
  readonly parts: readonly PartitionSink[];
  readonly #o: MaterialiserOptions;
  readonly #membership: () => Promise<Membership> | null;
  readonly #stop = new AbortController();
  readonly #done: Promise<unknown>;
  /** A partition was taken, lost or moved: the reader must be reopened. */
  #moved = false;
  #wake = new AbortController();
  #shownAtMs = 0;
  #shown = '';

  constructor(
    options: MaterialiserOptions,
    partitions: readonly TopicPartition[],
    counts: ReadonlyMap<string, number>,
    membership: () => Promise<Membership> | null,
  ) {
    this.#o = options;
    this.#membership = membership;
    // Every part listens, and there may be dozens.
    setMaxListeners(0, this.#stop.signal);
    const share = options.pace.waitingBytesMax / Math.max(1, partitions.length);
    this.parts = partitions.map(({ topic, partition }) => this.#part(topic, partition, counts.get(topic)!, share));
    this.#done = Promise.all([this.#read(), ...this.parts.map((part) => part.run(this.#stop.signal))]);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    this.#wake.abort();
    await this.#done;
  }

  #part(topic: string, partition: number, partitions: number, waitingBytesMax: number): PartitionSink {
    const { sink, sinks, advanced, incarnationOf, ...rest } = this.#o;
    return new PartitionSink({
      ...rest,
      ...sinks.find((declared) => declared.topic.name === topic)!,
      id: { sink, topic, partition },
      partitions,
      waitingBytesMax,
      incarnation: () => incarnationOf(topic),
      confirmed: async () => (await (await this.#membership())?.confirmed()) ?? false,
      moved: () => {
        this.#moved = true;
        this.#wake.abort();
      },
      advanced: () => {
        this.#wake.abort();
        advanced();
      },
    });
  }

  /** Feeds the parts until the end. Never rejects. */
  async #read(): Promise<void> {
    // Most parts are taken over at nearly the same time: open one reader for all instead of one after each.
    const isOpening = () => this.parts.some((part) => part.readFrom === null && part.failures === 0);
    const until = this.#o.clock.elapsed() + TAKE_MS_MAX;
    while (isOpening() && this.#o.clock.elapsed() < until && !this.#stop.signal.aborted)
      await this.#nap(until - this.#o.clock.elapsed());
    while (!this.#stop.signal.aborted) {
      const parts = this.parts.filter((part) => part.readFrom !== null && !part.isFull);
      if (parts.length === 0) {
        await this.#nap(POLL_MS * 10);
        continue;
      }
      this.#moved = false;
      await this.#readUntilMoved(this.parts.filter((part) => part.readFrom !== null));
    }
  }

  async #readUntilMoved(parts: readonly PartitionSink[]): Promise<void> {
    const { log, logger, clock, sink } = this.#o;
    let reader: LogReader | null = null;
    try {
      reader = log.reader(
        parts.map((part) => ({ ...part.partition, offset: part.readFrom! })),
        { isolation: 'read_committed', maxWaitMs: POLL_MS, maxBytesPerPartition: FETCH_BYTES_MAX, gapMs: FETCH_GAP_MS },
      );
      await this.#pump(reader, parts);
    } catch (error) {
      if (this.#stop.signal.aborted) return;
      logger.warn({ event: 'sink_read_failed', sink, error: messageOf(error) }, 'The log could not be read');
      if (hasCode(error, 'offset_out_of_range')) await this.#findOutOfRange(parts);
      await this.#findTopicsMadeAnew();
      await clock.sleep(REJOIN_MS / 10, this.#stop.signal);
    } finally {
      await reader?.close().catch(() => {});
    }
  }

  async #pump(reader: LogReader, parts: readonly PartitionSink[]): Promise<void> {
    const byName = new Map(parts.map((part) => [nameOf(part.partition), part]));
    const paused = new Set<PartitionSink>();
    while (!this.#moved && !this.#stop.signal.aborted) {
      for (const part of parts) {
        if (part.isFull === paused.has(part)) continue;
        if (part.isFull) {
          reader.pause(part.partition);
          paused.add(part);
        } else {
          reader.resume(part.partition);
          paused.delete(part);
        }
      }
      if (paused.size === parts.length) {
        // Every store is behind: hold no more in memory until one of them has progressed.
        await this.#nap(POLL_MS * 10);
        continue;
      }
      const answers = await reader.poll();
      // Records read before a move belong to the old positions.
      if (this.#moved || this.#stop.signal.aborted) return;
      for (const columns of answers) byName.get(nameOf(columns))?.offer(columns);
      await this.#showOffsets();
    }
  }

  async #findOutOfRange(parts: readonly PartitionSink[]): Promise<void> {
    for (const part of parts) {
      const at = part.readFrom;
      if (at === null) continue;
      try {
        const { earliest, highWatermark } = await this.#o.log.offsets(part.partition);
        if (at < earliest || at > highWatermark) part.startOver();
      } catch (error) {
        this.#o.logger.warn({ event: 'sink_read_failed', ...part.partition, error: messageOf(error) });
      }
    }
  }

  /** Offsets may not show it: a recreated topic can have grown past the offset the old one was read to. */
  async #findTopicsMadeAnew(): Promise<void> {
    for (const { topic } of this.#o.sinks) {
      const parts = this.parts.filter(({ partition, incarnation }) => partition.topic === topic.name && incarnation);
      if (parts.length === 0) continue;
      try {
        const life = await this.#o.incarnationOf(topic.name);
        for (const part of parts) if (life !== null && part.incarnation !== life) part.startOver();
      } catch (error) {
        this.#o.logger.debug({ event: 'sink_incarnation_unknown', topic: topic.name, error: messageOf(error) });
      }
    }
  }

  /** Offsets in the log are only for lag displays; the store's own offsets are authoritative. */
  async #showOffsets(): Promise<void> {
    const at = this.#o.clock.elapsed();
    if (at - this.#shownAtMs < SHOW_CHECKS * this.#o.pace.checkMs) return;
    this.#shownAtMs = at;
    await this.#findTopicsMadeAnew();
    const offsets = this.parts.flatMap((part) =>
      part.appliedTo === null ? [] : [{ ...part.partition, offset: part.appliedTo }],
    );
    const shown = JSON.stringify(offsets);
    if (shown === this.#shown) return;
    this.#shown = shown;
    await (await this.#membership())?.showOffsets(offsets);
  }

  /** Ends early when a part moves or has room again. */
  async #nap(ms: number): Promise<void> {
    if (this.#wake.signal.aborted) this.#wake = new AbortController();
    await this.#o.clock.sleep(ms, this.#wake.signal);
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
