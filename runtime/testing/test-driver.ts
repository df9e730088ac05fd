/**
 * Runs custom features without a broker and without waiting: pipe in records, move the clock by hand, read the output
 * and the state. The log is an embedded one in its own folder, so transactions, offsets and log time are real; a crash
 * drops the tasks as they are and restores new ones from the log.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Codec } from '../../schemas/codec.js';
import { declaredState } from '../../topics/apply.js';
import type { TypedTopic } from '../../topics/typed.js';
import { openEmbeddedLog } from '../log/embedded/log.js';
import type { Log } from '../log/log.js';
import { silentLogger } from '../process/logger.js';
import { createMetrics } from '../process/metrics.js';
import { Checkpoints } from '../tasks/checkpoints.js';
import { type FeatureDefinition, ValueCodecs } from '../tasks/feature.js';
import type { KeyedFold } from '../tasks/keyed-fold.js';
import { Task } from '../tasks/task.js';
import { ManualClock } from './manual-clock.js';

const APPLICATION = 'test';

export interface TestDriverOptions {
  readonly features: readonly FeatureDefinition[];
  /** Start of the clock, ms since 1970 UTC (default 2026-01-01). */
  readonly now?: number;
  /** Of every topic (default 2). */
  readonly partitions?: number;
  /** Additional topics that the test writes or reads. */
  readonly topics?: readonly TypedTopic<unknown>[];
  /** Time between two commits of a task, ms on the driver's clock (default 100). */
  readonly commitIntervalMs?: number;
  /** Time between two flushes of the changelog, ms on the driver's clock (default 30 s). */
  readonly changelogIntervalMs?: number;
  /** Time between two checkpoints of a task, ms on the driver's clock (default 0: no checkpoints). */
  readonly checkpointIntervalMs?: number;
  /** Wraps the log that the tasks use, to inject faults. */
  readonly between?: (log: Log) => Log;
}

/** A record as stored in the log. `value` null: the key was deleted. */
export interface WrittenRecord<T> {
  readonly partition: number;
  readonly offset: number;
  /** ms since 1970 UTC. */
  readonly timestamp: number;
  readonly key: string;
  readonly value: T | null;
}

export class TestDriver {
  readonly clock: ManualClock;
  readonly log: Log;
  readonly #o: Required<TestDriverOptions>;
  readonly #folder: string;
  readonly #codecs = new ValueCodecs();
  readonly #markers = new Codec();
  readonly #metrics = createMetrics();
  readonly #checkpoints: Checkpoints | null;
  #tasks: Task[] = [];

  private constructor(options: Required<TestDriverOptions>, clock: ManualClock, log: Log, folder: string) {
    this.#o = options;
    this.clock = clock;
    this.log = log;
    this.#folder = folder;
    const { checkpointIntervalMs: intervalMs } = options;
    const shared = { logger: silentLogger, metrics: this.#metrics, clock };
    this.#checkpoints =
      intervalMs === 0 ? null : new Checkpoints({ folder: this.#checkpointFolder, intervalMs, ...shared });
  }

  /** Creates the log, the topics and the tasks. Must be closed, or its folder remains. */
  static async open(options: TestDriverOptions): Promise<TestDriver> {
    const full: Required<TestDriverOptions> = {
      now: Date.UTC(2026, 0, 1),
      partitions: 2,
      topics: [],
      commitIntervalMs: 100,
      changelogIntervalMs: 30_000,
      checkpointIntervalMs: 0,
      between: (port) => port,
      ...options,
    };
    const clock = new ManualClock(full.now);
    const folder = await mkdtemp(join(tmpdir(), 'freshet-test-'));
    const log = await openEmbeddedLog(join(folder, 'log'), silentLogger, { clock });
    const driver = new TestDriver(full, clock, log, folder);
    try {
      await driver.#createTopics();
      await driver.#startTasks();
    } catch (error) {
      await driver.close();
      throw error;
    }
    return driver;
  }

  get #checkpointFolder(): string {
    return join(this.#folder, 'checkpoints');
  }

  /** The running tasks after their restore. */
  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  /**
   * Writes one record at the clock's time; null deletes the key, a Buffer is written unchanged. Without `partition` it
   * goes to the partition of its key. Throws SchemaError when the value does not fit.
   */
  async pipe<T>(
    topic: TypedTopic<T>,
    key: string | null,
    value: T | Buffer | null,
    options: { readonly partition?: number } = {},
  ): Promise<void> {
    const bytes = value === null ? null : isBytes(value) ? value : this.#codecs.of(topic).encode(value);
    const writer = await this.log.writer([topic.name]);
    try {
      writer.add(topic.name, key === null ? null : Buffer.from(key), bytes, options);
      await writer.flush();
    } finally {
      await writer.close();
    }
  }

  /** Folds and commits until no work is left at this time; the clock advances by the commit intervals. */
  async run(): Promise<void> {
    for (let quiet = false; !quiet; ) {
      quiet = true;
      for (const task of this.#tasks) {
        while (await this.#isBehind(task)) {
          await task.foldOnce();
          quiet = false;
        }
        this.clock.advance(this.#o.commitIntervalMs);
        while (await task.commitIfDue()) {
          this.clock.advance(this.#o.commitIntervalMs);
          quiet = false;
        }
      }
    }
  }

  /** Reads and folds without committing, so that a crash loses it. */
  async foldOnly(): Promise<void> {
    for (const task of this.#tasks) while (await this.#isBehind(task)) await task.foldOnce();
  }

  /** Stops every task abruptly, with uncommitted work, and restores new ones; of other features if given. */
  async crash(features: readonly FeatureDefinition[] = this.#o.features): Promise<void> {
    for (const task of this.#tasks) await task.close();
    await this.#startTasks(features);
  }

  /** Removes all checkpoints, as if the disk were lost. */
  async loseCheckpoints(): Promise<void> {
    await this.#checkpoints?.idle();
    await rm(this.#checkpointFolder, { recursive: true, force: true });
  }

  /** Starts a second owner of every task; returns the first ones, which still believe that they own them. */
  async takeOver(): Promise<readonly Task[]> {
    const former = this.#tasks;
    await this.#startTasks();
    return former;
  }

  /** One per task and partition: equal states have equal hashes. */
  stateHashes(): string[] {
    return this.#tasks.flatMap((task) => task.parts.map((part) => part.stateHash()));
  }

  /** The state of a keyed fold, by key. */
  states<State>(fold: KeyedFold<State>): Map<string, State> {
    return fold.states(this.#tasks.flatMap((task) => task.parts));
  }

  /** Every committed record of a topic, partition by partition, in order. */
  async records<T>(topic: TypedTopic<T>): Promise<WrittenRecord<T>[]> {
    const codec = this.#codecs.of(topic);
    const found: WrittenRecord<T>[] = [];
    const partitions = await this.log.partitionCount(topic.name);
    for (let partition = 0; partition < partitions; partition++) {
      const at = { topic: topic.name, partition };
      const { earliest, lastStable } = await this.log.offsets(at);
      if (earliest >= lastStable) continue;
      const reader = this.log.reader([{ ...at, offset: earliest }], { isolation: 'read_committed' });
      while (reader.position(at) < lastStable) {
        for (const { bytes, count, offsets, timestamps, keyStart, keyEnd, valueStart, valueEnd } of await reader.poll())
          for (let i = 0; i < count; i++)
            found.push({
              partition,
              offset: offsets[i]!,
              timestamp: timestamps[i]!,
              key: bytes.toString('utf8', keyStart[i]!, keyEnd[i]!),
              value: valueStart[i]! < 0 ? null : codec.decode(bytes, valueStart[i]!, valueEnd[i]!),
            });
      }
      await reader.close();
    }
    return found;
  }

  /** The newest value per key of a topic, without deleted keys. */
  async table<T>(topic: TypedTopic<T>): Promise<Map<string, T>> {
    const table = new Map<string, T>();
    for (const { key, value } of await this.records(topic)) {
      if (value === null) table.delete(key);
      else table.set(key, value);
    }
    return table;
  }

  /** Ends the tasks and removes the log. */
  async close(): Promise<void> {
    for (const task of this.#tasks) await task.close();
    await this.#checkpoints?.idle();
    await this.log.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #createTopics(): Promise<void> {
    const { features, partitions, topics } = this.#o;
    const wanted = [
      ...features.flatMap((feature) => [feature.input, ...feature.topics(APPLICATION, partitions)]),
      ...topics,
    ];
    const made = new Set<string>();
    for (const topic of wanted) {
      if (made.has(topic.name)) continue;
      made.add(topic.name);
      await this.log.admin.createTopic({ ...declaredState(topic, partitions), retentionMs: -1, settings: {} });
    }
  }

  async #startTasks(features: readonly FeatureDefinition[] = this.#o.features): Promise<void> {
    // A checkpoint in progress may or may not be written: waiting makes every run of a test the same.
    await this.#checkpoints?.idle();
    this.#tasks = features.flatMap((feature) => this.#tasksOf(feature));
    for (const task of this.#tasks) await task.restore();
  }

  #tasksOf(feature: FeatureDefinition): Task[] {
    const { commitIntervalMs, changelogIntervalMs, partitions, between } = this.#o;
    const declaration = feature.processor({ application: APPLICATION, codecs: this.#codecs });
    return Array.from(
      { length: partitions },
      (_, index) =>
        new Task({
          declaration,
          index,
          partitions,
          inputs: [{ topic: declaration.input, partition: index }],
          log: between(this.log),
          codec: this.#markers,
          logger: silentLogger,
          metrics: this.#metrics,
          clock: this.clock,
          commitIntervalMs,
          changelogIntervalMs,
          checkpoints: this.#checkpoints,
          isOurs: async () => true,
          onCommitted: () => undefined,
        }),
    );
  }

  async #isBehind(task: Task): Promise<boolean> {
    for (const { topic, partition, offset } of task.positions())
      if (offset < (await this.log.offsets({ topic, partition })).lastStable) return true;
    return false;
  }
}

function isBytes(value: unknown): value is Buffer {
  return Buffer.isBuffer(value);
}
