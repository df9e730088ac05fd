/**
 * Runs processors without a broker and without waiting: pipe records in, move the clock by hand, read what was written.
 * The log is the embedded one in a temporary folder, so transactions, offsets and log time are real; a crash drops the
 * tasks without stopping them and restores new ones from the log.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { activityProcessor } from '../../processors/features/activity/processor.js';
import { Catalogue } from '../../processors/features/catalogue/catalogue.js';
import { featureMetrics } from '../../processors/features/metrics.js';
import { popularityProcessor } from '../../processors/features/popularity/processor.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import { type Logger, silentLogger } from '../../runtime/process/logger.js';
import { createMetrics, type Metrics } from '../../runtime/process/metrics.js';
import { Changelog } from '../../runtime/tasks/changelog.js';
import { Checkpoints } from '../../runtime/tasks/checkpoints.js';
import type { Marker } from '../../runtime/tasks/marker.js';
import type { ProcessorDeclaration } from '../../runtime/tasks/processor.js';
import type { Task } from '../../runtime/tasks/task.js';
import { Codec, type SchemaName } from '../../schemas/codec.js';
import { allTopics } from '../../topics/all.js';
import { featureSet } from '../../topics/feature-set.js';
import { ManualClock } from './manual-clock.js';
import { isBehind, tasksOf } from './tasks.js';

const HOUR_MS = 3_600_000;

export interface DriverOptions {
  /** Start time of the clock, ms. */
  readonly now: number;
  /** Number of partitions of every topic. */
  readonly partitions?: number;
  readonly popularityHalfLifeMs?: number;
  readonly affinityHalfLifeMs?: number;
  readonly duplicateHorizonMs?: number;
  readonly interactionsIntervalMs?: number;
  readonly commitIntervalMs?: number;
  readonly changelogIntervalMs?: number;
  /** 0, the default: no checkpoints. Staggered: a task's first one comes after half the interval at the earliest. */
  readonly checkpointIntervalMs?: number;
  /** Receives the tasks' log lines. */
  readonly logger?: Logger;
  /** The tasks' clock, if it differs from the log's. */
  readonly emitter?: (clock: Clock) => Clock;
  /** A wrapper between the tasks and the log, to inject faults. */
  readonly between?: (log: Log) => Log;
}

export class Driver {
  readonly clock: ManualClock;
  readonly log: Log;
  readonly codec = new Codec();
  readonly metrics: Metrics = createMetrics();
  readonly topics = featureSet(1).topics;
  #o: Required<DriverOptions>;
  readonly #folder: string;
  readonly #emitter: Clock;
  #catalogue: Catalogue | null = null;
  #tasks: Task[] = [];
  #checkpoints: Checkpoints | null = null;

  private constructor(options: Required<DriverOptions>, clock: ManualClock, log: Log, folder: string) {
    this.#o = options;
    this.clock = clock;
    this.log = log;
    this.#folder = folder;
    this.#emitter = options.emitter(clock);
  }

  static async open(options: DriverOptions): Promise<Driver> {
    const clock = new ManualClock(options.now);
    const folder = await mkdtemp(join(tmpdir(), 'freshet-driver-'));
    const log = await openEmbeddedLog(join(folder, 'log'), silentLogger, { clock });
    const full: Required<DriverOptions> = {
      partitions: 2,
      popularityHalfLifeMs: 14 * 24 * HOUR_MS,
      affinityHalfLifeMs: 30 * 24 * HOUR_MS,
      duplicateHorizonMs: 6 * HOUR_MS,
      interactionsIntervalMs: 600_000,
      commitIntervalMs: 100,
      changelogIntervalMs: 30_000,
      checkpointIntervalMs: 0,
      logger: silentLogger,
      emitter: (clock) => clock,
      between: (port) => port,
      ...options,
    };
    for (const declaration of allTopics()) {
      await log.admin.createTopic({
        name: declaration.name,
        partitions: full.partitions,
        cleanup: declaration.cleanup,
        retentionMs: -1,
        logAppendTime: declaration.logAppendTime,
        settings: {},
      });
    }
    const driver = new Driver(full, clock, log, folder);
    await driver.#startTasks();
    return driver;
  }

  get tasks(): readonly Task[] {
    return this.#tasks;
  }

  /** Writes one record at the clock's time. `value` is encoded by the topic's schema; a Buffer is written unchanged. */
  async pipe(topic: string, key: string | null, value: unknown, options: { partition?: number } = {}): Promise<void> {
    const writer = await this.log.writer([topic]);
    const bytes = value === null || Buffer.isBuffer(value) ? value : this.codec.encode(schemaOf(topic), value);
    writer.add(topic, key === null ? null : Buffer.from(key), bytes, options);
    await writer.flush();
    await writer.close();
  }

  /** Folds and commits until nothing is left to do at this time. */
  async run(): Promise<void> {
    for (let quiet = false; !quiet; ) {
      quiet = true;
      for (const task of this.#tasks) {
        while (await isBehind(task, this.log)) {
          await task.foldOnce();
          quiet = false;
        }
        this.clock.advance(this.#o.commitIntervalMs);
        while (await task.commitIfDue()) {
          await this.checkpointsWritten();
          this.clock.advance(this.#o.commitIntervalMs);
          quiet = false;
        }
      }
    }
  }

  /** Reads and folds without committing, so that a crash loses it. */
  async foldOnly(): Promise<void> {
    for (const task of this.#tasks) while (await isBehind(task, this.log)) await task.foldOnce();
  }

  /** Folder of the tasks' checkpoints. */
  get checkpointFolder(): string {
    return join(this.#folder, 'checkpoints');
  }

  /** Resolves when no checkpoint is being written. */
  async checkpointsWritten(): Promise<void> {
    await this.#checkpoints?.idle();
  }

  /** Drops every task without stopping it and restores new ones, optionally with changed settings. */
  async crash(changed: Partial<DriverOptions> = {}): Promise<void> {
    this.#o = { ...this.#o, ...changed };
    for (const task of this.#tasks) await task.close();
    await this.checkpointsWritten();
    await this.#catalogue!.stop();
    await this.#startTasks();
  }

  /** Another owner of every task, not restored yet; the caller must close it. */
  again(): readonly Task[] {
    return this.#declarations().flatMap((declaration) => this.#tasksOf(declaration));
  }

  stateHashes(): string[] {
    return this.#tasks.flatMap((task) => task.parts.map((part) => part.stateHash()));
  }

  /** Every record of a topic, decoded; partition by partition, in order. */
  async records<T>(topic: string): Promise<{ partition: number; offset: number; key: string; value: T | null }[]> {
    const out: { partition: number; offset: number; key: string; value: T | null }[] = [];
    const partitions = await this.log.partitionCount(topic);
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, lastStable } = await this.log.offsets({ topic, partition });
      if (earliest >= lastStable) continue;
      const reader = this.log.reader([{ topic, partition, offset: earliest }]);
      while (reader.position({ topic, partition }) < lastStable) {
        for (const batch of await reader.poll()) {
          for (let i = 0; i < batch.count; i++) {
            const start = batch.valueStart[i]!;
            const value = start < 0 ? null : this.codec.decode(schemaOf(topic), batch.bytes, start, batch.valueEnd[i]!);
            const key = batch.bytes.toString('utf8', batch.keyStart[i]!, batch.keyEnd[i]!);
            out.push({ partition, offset: batch.offsets[i]!, key, value: value as T | null });
          }
        }
      }
      await reader.close();
    }
    return out;
  }

  /** The newest marker in each partition of a changelog; null if there is none. */
  async markers(topic: string): Promise<(Marker | null)[]> {
    const partitions = Array.from({ length: await this.log.partitionCount(topic) }, (_, partition) => partition);
    return Promise.all(
      partitions.map(async (partition) => {
        const changelog = new Changelog({ ...this, place: { topic, partition }, task: 'a look' });
        const newest = await changelog.newestMarker(0, (await changelog.offsets()).lastStable);
        return newest?.marker ?? null;
      }),
    );
  }

  /** The newest value per key of a compacted topic, without deleted keys. */
  async table<T>(topic: string): Promise<Map<string, T>> {
    const table = new Map<string, T>();
    for (const { key, value } of await this.records<T>(topic)) {
      if (value === null) table.delete(key);
      else table.set(key, value);
    }
    return table;
  }

  async close(): Promise<void> {
    for (const task of this.#tasks) await task.close();
    await this.checkpointsWritten();
    await this.#catalogue?.stop();
    await this.log.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #startTasks(): Promise<void> {
    const { log, codec, metrics, clock } = this;
    const { logger, checkpointIntervalMs: intervalMs } = this.#o;
    const folder = this.checkpointFolder;
    this.#checkpoints =
      intervalMs > 0 ? new Checkpoints({ folder, intervalMs, logger, metrics, clock: this.clock }) : null;
    this.#catalogue = new Catalogue({ log, codec, logger, clock });
    await this.#catalogue.start();
    this.#tasks = [...this.again()];
    for (const task of this.#tasks) await task.restore();
  }

  #declarations(): ProcessorDeclaration[] {
    const { codec, metrics, topics } = this;
    const shared = { application: 'features.v1', topics, codec, catalogue: this.#catalogue! };
    return [
      activityProcessor({
        ...shared,
        settings: this.#o,
        onIntake: (outcome, records) => featureMetrics(metrics).intake.inc({ outcome }, records),
      }),
      popularityProcessor({ ...shared, halfLifeMs: this.#o.popularityHalfLifeMs }),
    ];
  }

  /** A second owner of every task, restored while the first ones still believe they own them. */
  async takeOver(): Promise<readonly Task[]> {
    const former = this.#tasks;
    await this.#startTasks();
    return former;
  }

  #tasksOf(declaration: ProcessorDeclaration): Task[] {
    const { commitIntervalMs, changelogIntervalMs, partitions, between, logger } = this.#o;
    return tasksOf(declaration, {
      partitions,
      log: between(this.log),
      codec: this.codec,
      logger,
      metrics: this.metrics,
      clock: this.#emitter,
      commitIntervalMs,
      changelogIntervalMs,
      checkpoints: this.#checkpoints,
    });
  }
}

function schemaOf(topic: string): SchemaName {
  const declaration = allTopics().find(({ name }) => name === topic);
  if (declaration === undefined) throw new Error(`no topic ${topic}`);
  return declaration.schema;
}
