/** One topic (its configuration and folder) and its partitions, which know each other. */
import { FreshetError } from '../../process/errors.js';
import type { TopicConfig } from '../log.js';
import { type Disk, replaceFile } from './disk.js';
import { SerialQueue } from './queue.js';
import { seal } from './sealed-file.js';
import { Segment } from './segment.js';
import { noFacts, SegmentIndex } from './segment-index.js';
import { type TopicLimits, topicLimits } from './topic-config.js';

export const TOPIC_FILE = 'topic.json';
export const START_FILE = 'start.json';

export class Topic {
  /** A random number that no other topic of this log has or ever had: a topic created again is a different topic. */
  readonly id: number;
  readonly config: TopicConfig;
  readonly limits: TopicLimits;
  readonly folder: string;
  partitions: readonly Partition[] = [];
  deleted = false;

  constructor(id: number, config: TopicConfig, folder: string, defaults: Readonly<Record<string, string>>) {
    this.id = id;
    this.config = config;
    this.folder = folder;
    this.limits = topicLimits(config, defaults);
  }

  get name(): string {
    return this.config.name;
  }

  partitionFolder(partition: number): string {
    return `${this.folder}/${partition}`;
  }

  encode(): Buffer {
    return seal({ id: this.id, config: this.config });
  }
}

/** Its segments in offset order, the last of them active, and the readers that wait for its end to move. */
export class Partition {
  readonly topic: Topic;
  readonly partition: number;
  readonly folder: string;
  readonly #disk: Disk;
  /** Never empty; all but the last are closed. */
  segments: Segment[];
  #start: number;
  /** The offset of the next record. Readers see everything below it. */
  nextOffset: number;
  /** Largest log time assigned so far, where the log assigns it. */
  appendTimeMs = 0;
  /** A compaction could not finish its swap, which must be done before the next one. */
  swapUnfinished = false;
  /** Readers that need the newest values below an offset; compaction takes nothing from there on while they read. */
  readonly holds = new Set<{ readonly until: number }>();
  /** Values that records below this offset have replaced may be gone; what earlier processes compacted is not counted. */
  compactedTo = 0;
  /** All commits up to this one are on disk, as far as its manifest knows. */
  listedCommit = 0;
  /** Writes of its manifest, one at a time. */
  readonly manifestWrites = new SerialQueue();
  readonly #waiting = new Set<() => void>();

  constructor(disk: Disk, topic: Topic, partition: number, segments: Segment[], start: number, nextOffset: number) {
    this.#disk = disk;
    this.topic = topic;
    this.partition = partition;
    this.folder = topic.partitionFolder(partition);
    this.segments = segments;
    this.#start = start;
    this.nextOffset = nextOffset;
    this.active.activate();
  }

  get name(): string {
    return `${this.topic.name}[${this.partition}]`;
  }

  get active(): Segment {
    return this.segments[this.segments.length - 1]!;
  }

  /** First offset that may still be read. */
  get start(): number {
    return Math.max(this.#start, this.segments[0]!.baseOffset);
  }

  /** Offset after the last record of one of its segments. */
  endOf(segment: Segment): number {
    return this.segments[this.segments.indexOf(segment) + 1]?.baseOffset ?? this.nextOffset;
  }

  /** Position in `segments` of the segment that contains `offset`. */
  segmentAt(offset: number): number {
    let low = 0;
    let high = this.segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.segments[middle]!.baseOffset <= offset) low = middle + 1;
      else high = middle;
    }
    return Math.max(0, low - 1);
  }

  /** Closes the active segment and starts the next one. Only between commits. */
  async roll(): Promise<void> {
    const old = this.active;
    if (old.size === 0) return;
    const next = new Segment(this.#disk, this.folder, this.nextOffset);
    const fd = await this.#disk.open(next.path, 'w+');
    await this.#disk.close(fd);
    next.adopt(new SegmentIndex(), noFacts());
    next.activate();
    this.segments.push(next);
    await old.deactivate();
  }

  /** Replaces a run of closed segments by `by`; null removes them. */
  replace(old: readonly Segment[], by: Segment | null): void {
    const at = this.segments.indexOf(old[0]!);
    this.segments.splice(at, old.length, ...(by === null ? [] : [by]));
  }

  /** Makes `offset` the first that can be read, permanently. */
  async raiseStart(offset: number): Promise<void> {
    if (offset <= this.start) return;
    await this.#writeStart(offset);
    this.#start = offset;
  }

  /** Writes the first offset again, in the present format. */
  async saveStart(): Promise<void> {
    if (this.#start > 0) await this.#writeStart(this.#start);
  }

  #writeStart(start: number): Promise<void> {
    return replaceFile(this.#disk, `${this.folder}/${START_FILE}`, seal({ start }), true);
  }

  /** Calls `wake` once, at the next publication; returns a function that cancels this. */
  onPublished(wake: () => void): () => void {
    this.#waiting.add(wake);
    return () => this.#waiting.delete(wake);
  }

  wakeReaders(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  checkAlive(): void {
    if (this.topic.deleted) throw new FreshetError('unknown_topic', `topic ${this.topic.name} was deleted`);
  }
}
