/**
 * The reader: one fetch at a time per leader, for all of its partitions, and one answer ahead of the caller. The next
 * fetch is sent when poll() returns the result of the last one, so that broker and caller work at the same time. Moving
 * leaders and broken connections are waited out; poll() throws only permanent errors.
 */
import { systemClock } from '../../../process/clock.js';
import { asError, FreshetError, hasCode } from '../../../process/errors.js';
import type {
  Isolation,
  LogReader,
  PartitionOffsets,
  ReaderOptions,
  RecordColumns,
  TopicPartition,
} from '../../log.js';
import { noRows, walkBatches } from '../../record-batch.js';
import { CodecLoading, decompress } from '../wire/compression.js';
import { KafkaError, OFFSET_NOT_AVAILABLE, OFFSET_OUT_OF_RANGE, passes } from '../wire/errors.js';
import { type FetchAnswer, type FetchedPartition, fetch } from '../wire/fetch.js';
import type { Cluster } from './cluster.js';
import { lifetimeWithin } from './lifetime.js';
import type { Links } from './link.js';
import { availableOffsets } from './offsets.js';
import { closedError, pauseMs } from './retry.js';

const MAX_WAIT_MS = 250;
const PARTITION_BYTES_MAX = 1024 * 1024;
/** Of one answer, however many partitions it contains. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;
/** A smaller answer means that the reader has caught up. */
const LITTLE_BYTES = 32 * 1024;
/** A partition may be missing for this many tries, about 10 s, before we believe that it does not exist. */
const MISSING_TRIES_MAX = 15;

interface Stream extends TopicPartition {
  /** Offset of the next record that poll() returns. */
  position: number;
  /** Fetched but not yet returned: at most one answer. */
  ready: RecordColumns[];
  /** Where the next fetch starts. */
  fetchOffset: number;
  paused: boolean;
  fetching: boolean;
  /** The last fetch brought nothing although the log has more: the next one requests this partition alone. */
  starved: boolean;
}

export class KafkaReader implements LogReader {
  readonly #cluster: Cluster;
  readonly #closing: AbortController;
  readonly #links: Links;
  readonly #isolation: Isolation;
  readonly #maxWaitMs: number;
  readonly #partitionBytesMax: number;
  readonly #gapMs: number;
  readonly #streams = new Map<string, Map<number, Stream>>();
  readonly #order: Stream[] = [];
  readonly #busyLeaders = new Set<number>();
  /** Leaders whose last answer was small: not asked again before the gap is over. */
  readonly #calmLeaders = new Set<number>();
  /** Leaders not asked until the current refresh of metadata is over. */
  readonly #restingLeaders = new Set<number>();
  /** Leaders whose last fetch failed. */
  readonly #troubledLeaders = new Set<number>();
  /** Number of metadata refreshes since the last success. */
  #troubles = 0;
  /** Number of times in a row that the cluster did not have something that we read. */
  #missing = 0;
  #mending = false;
  /** Some partition has no known leader. */
  #leaderless = false;
  #failure: Error | null = null;
  #polling = false;
  #wake: () => void = () => undefined;

  constructor(cluster: Cluster, start: readonly (TopicPartition & { offset: number })[], options: ReaderOptions) {
    this.#cluster = cluster;
    this.#closing = lifetimeWithin(cluster.signal);
    this.#closing.signal.addEventListener('abort', () => this.#wake(), { once: true });
    this.#links = cluster.links(this.#closing.signal);
    this.#isolation = options.isolation ?? 'read_committed';
    this.#maxWaitMs = options.maxWaitMs ?? MAX_WAIT_MS;
    this.#partitionBytesMax = options.maxBytesPerPartition ?? PARTITION_BYTES_MAX;
    this.#gapMs = options.gapMs ?? 0;
    for (const { topic, partition, offset } of start) {
      const stream: Stream = {
        topic,
        partition,
        position: offset,
        ready: [],
        fetchOffset: offset,
        paused: false,
        fetching: false,
        starved: false,
      };
      const streams = this.#streams.get(topic) ?? new Map<number, Stream>();
      this.#streams.set(topic, streams.set(partition, stream));
      this.#order.push(stream);
    }
  }

  /** One call at a time. Throws as the port says, and 'unknown_topic', 'access', 'invalid_data', on later calls too. */
  async poll(): Promise<RecordColumns[]> {
    if (this.#polling) throw new FreshetError('internal', 'poll() was called while another poll() waits');
    if (this.#closing.signal.aborted) throw closedError('the reader');
    this.#polling = true;
    try {
      if (!this.#hasNews()) {
        this.#fetchAll();
        await this.#news();
      }
      if (this.#failure !== null) throw this.#failure;
      const taken = this.#take();
      this.#fetchAll();
      return taken;
    } finally {
      this.#polling = false;
    }
  }

  position(partition: TopicPartition): number {
    return this.#stream(partition).position;
  }

  pause(partition: TopicPartition): void {
    this.#stream(partition).paused = true;
  }

  resume(partition: TopicPartition): void {
    this.#stream(partition).paused = false;
    if (this.#hasNews()) this.#wake();
    else this.#fetchAll();
  }

  /** Ends the connections at once; a waiting poll() returns nothing. */
  async close(): Promise<void> {
    this.#closing.abort();
  }

  #stream({ topic, partition }: TopicPartition): Stream {
    const stream = this.#streams.get(topic)?.get(partition);
    if (stream === undefined) throw new FreshetError('internal', `this reader does not read ${topic}[${partition}]`);
    return stream;
  }

  #hasNews(): boolean {
    return this.#failure !== null || this.#order.some(({ paused, ready }) => !paused && ready.length > 0);
  }

  /** Resolves when there is something to return or to throw, after maxWaitMs at the latest, or at close. */
  #news(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#maxWaitMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #take(): RecordColumns[] {
    const taken: RecordColumns[] = [];
    for (const stream of this.#order) {
      if (stream.paused || stream.ready.length === 0) continue;
      taken.push(...stream.ready);
      stream.position = stream.ready.at(-1)!.nextOffset;
      stream.ready = [];
    }
    return taken;
  }

  /** Starts a fetch at every leader that has none pending and whose last answer was returned. */
  #fetchAll(): void {
    if (this.#closing.signal.aborted || this.#failure !== null) return;
    const byLeader = new Map<number, Stream[]>();
    const holding = new Set<number>();
    this.#leaderless = false;
    for (const stream of this.#order) {
      if (stream.paused || stream.fetching) continue;
      const leader = this.#cluster.leaderOf(stream.topic, stream.partition);
      if (leader === null) this.#leaderless = true;
      else if (stream.ready.length > 0) holding.add(leader);
      else if (byLeader.has(leader)) byLeader.get(leader)!.push(stream);
      else byLeader.set(leader, [stream]);
    }
    if (this.#leaderless) this.#mend();
    for (const [leader, streams] of byLeader) {
      if (holding.has(leader) || this.#busyLeaders.has(leader)) continue;
      if (this.#restingLeaders.has(leader) || this.#calmLeaders.has(leader)) continue;
      const alone = streams.find(({ starved }) => starved);
      void this.#fetch(leader, alone === undefined ? streams : [alone]);
      // Brokers fill an answer from the front: the first partition moves to the back.
      this.#order.splice(this.#order.indexOf(streams[0]!), 1);
      this.#order.push(streams[0]!);
    }
  }

  async #fetch(leader: number, streams: readonly Stream[]): Promise<void> {
    this.#busyLeaders.add(leader);
    for (const stream of streams) stream.fetching = true;
    let trouble: unknown = null;
    const sentAt = performance.now();
    try {
      const link = await this.#links.to(leader);
      const answer = await link.send(this.#request(streams));
      if (sizeOf(answer) < LITTLE_BYTES) this.#calm(leader, sentAt + this.#gapMs - performance.now());
      trouble = await this.#accept(answer, streams.length === 1);
    } catch (error) {
      trouble = error;
    }
    this.#busyLeaders.delete(leader);
    for (const stream of streams) stream.fetching = false;
    if (this.#closing.signal.aborted) return;
    if (trouble !== null && !passes(trouble)) return this.#fail(asError(trouble));
    if (trouble === null) this.#troubledLeaders.delete(leader);
    else {
      this.#troubledLeaders.add(leader);
      this.#restingLeaders.add(leader);
      this.#mend();
    }
    if (this.#troubledLeaders.size === 0 && !this.#leaderless) this.#troubles = 0;
    if (this.#hasNews()) this.#wake();
    this.#fetchAll();
  }

  #calm(leader: number, ms: number): void {
    if (ms <= 0) return;
    this.#calmLeaders.add(leader);
    void systemClock.sleep(ms, this.#closing.signal).then(() => {
      this.#calmLeaders.delete(leader);
      this.#fetchAll();
    });
  }

  #request(streams: readonly Stream[]) {
    const places = streams.map(({ topic, partition, fetchOffset }) => ({ topic, partition, offset: fetchOffset }));
    return fetch(places, {
      isolation: this.#isolation,
      maxWaitMs: this.#maxWaitMs,
      partitionBytesMax: this.#partitionBytesMax,
      answerBytesMax: Math.min(ANSWER_BYTES_MAX, streams.length * this.#partitionBytesMax),
    });
  }

  /** Returns the first retriable error, or null; throws any other error. */
  async #accept(answer: FetchAnswer, alone: boolean): Promise<unknown> {
    if (answer.error !== 0) throw new KafkaError(answer.error, 'reading');
    let trouble: unknown = null;
    for (const fetched of answer.partitions) {
      const stream = this.#stream(fetched);
      if (fetched.error === 0) await this.#receive(stream, fetched, alone && !answer.throttled);
      else if (fetched.error === OFFSET_OUT_OF_RANGE) trouble ??= await this.#outOfRange(stream);
      else {
        const error = new KafkaError(fetched.error, `reading ${stream.topic}[${stream.partition}]`);
        if (!passes(error)) throw error;
        trouble ??= error;
      }
    }
    return trouble;
  }

  async #receive(stream: Stream, fetched: FetchedPartition, alone: boolean): Promise<void> {
    const until = this.#isolation === 'read_committed' ? fetched.lastStable : fetched.highWatermark;
    const columns = fetched.start === fetched.end ? [] : await this.#walk(stream, fetched, until);
    const moved = columns.length > 0 && columns.at(-1)!.nextOffset > stream.fetchOffset;
    if (moved) stream.ready = columns;
    // An answer filled by other partitions has nothing for this one, or part of a batch. Requested alone, it gets at
    // least one whole batch; if not, compaction has left nothing between here and the end.
    else if (alone && fetched.start === fetched.end && stream.fetchOffset < until)
      stream.ready = [noRows(stream, until)];
    stream.starved = stream.ready.length === 0 && stream.fetchOffset < until;
    if (stream.ready.length > 0) stream.fetchOffset = stream.ready.at(-1)!.nextOffset;
  }

  async #walk(
    { topic, partition, fetchOffset }: Stream,
    fetched: FetchedPartition,
    until: number,
  ): Promise<RecordColumns[]> {
    const options = {
      topic,
      partition,
      fromOffset: fetchOffset,
      aborted: this.#isolation === 'read_committed' ? fetched.aborted : null,
      untilOffset: until,
      decompress,
      checkCrc: true,
      stopAtDamage: () => undefined,
    };
    try {
      return walkBatches(fetched.bytes, fetched.start, fetched.end, options);
    } catch (error) {
      if (!(error instanceof CodecLoading)) throw error;
      await error.ready;
      return walkBatches(fetched.bytes, fetched.start, fetched.end, options);
    }
  }

  /** A new leader may be behind the old one: only an offset outside of the whole log is an error. */
  async #outOfRange({ topic, partition, fetchOffset }: Stream): Promise<unknown> {
    const notYet = new KafkaError(OFFSET_NOT_AVAILABLE, `reading ${topic}[${partition}]`);
    let available: PartitionOffsets;
    try {
      available = await availableOffsets(this.#cluster, { topic, partition }, this.#closing.signal);
    } catch (error) {
      if (hasCode(error, 'timeout')) return notYet;
      throw error;
    }
    if (fetchOffset >= available.earliest && fetchOffset <= available.highWatermark) return notYet;
    throw new FreshetError(
      'offset_out_of_range',
      `${topic}[${partition}] should be read from offset ${fetchOffset}, but it holds ${available.earliest} to ` +
        `${available.highWatermark}. The records were deleted, or the topic was truncated or recreated.`,
    );
  }

  /** Refreshes the leaders, at once the first time, then at growing intervals until it helps; reading continues. */
  #mend(): void {
    if (this.#mending) return;
    this.#mending = true;
    void (async () => {
      const { signal } = this.#closing;
      if (this.#troubles++ > 0) await systemClock.sleep(pauseMs(this.#troubles), signal);
      try {
        if (!signal.aborted) await this.#cluster.refresh(this.#streams.keys());
        this.#checkStreams();
      } catch (error) {
        if (!passes(error) && !signal.aborted) this.#fail(asError(error));
      }
      this.#mending = false;
      this.#restingLeaders.clear();
      this.#fetchAll();
    })();
  }

  /** Drops leaders that lead none of our partitions now; throws when the cluster keeps missing a partition. */
  #checkStreams(): void {
    const leaders = new Set(this.#order.map(({ topic, partition }) => this.#cluster.leaderOf(topic, partition)));
    for (const leader of this.#troubledLeaders) if (!leaders.has(leader)) this.#troubledLeaders.delete(leader);
    try {
      for (const { topic, partition } of this.#order) this.#cluster.checkPartition(topic, partition);
      this.#missing = 0;
    } catch (error) {
      if (++this.#missing > MISSING_TRIES_MAX) throw error;
    }
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#wake();
  }
}

function sizeOf({ partitions }: FetchAnswer): number {
  return partitions.reduce((bytes, { start, end }) => bytes + end - start, 0);
}
