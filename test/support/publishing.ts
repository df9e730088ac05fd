/** What tests of sinks share: topics in memory, records in and out of them, stores that fail when told to. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openReporting } from '../../assembly/reporting.js';
import { DeadLetterWriter } from '../../publishing/live/dead-letters.js';
import { type GroupSink, Materialiser, type MaterialiserOptions } from '../../publishing/live/materialise.js';
import type { SinkPace } from '../../publishing/live/partition-sink.js';
import type { Change } from '../../publishing/sinks/keyed-topic.js';
import type { SinkStore } from '../../publishing/sinks/sink-store.js';
import type { Log } from '../../runtime/log/log.js';
import { type Clock, systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import { openLocalStore } from '../../runtime/stores/local/local-store.js';
import type { ApplyResult, FencedBatch, OnlineStore, SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import { Codec, type SchemaName } from '../../schemas/codec.js';
import type { Affinity, DeadLetter, Popularity } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { declaredState } from '../../topics/apply.js';
import { sinkNames } from '../../topics/feature-set.js';
import { MemoryLog } from './memory-log.js';

export const codec = new Codec();
export const HALF_LIFE_MS = 14 * 86_400_000;

/** A log with every topic of a deployment. */
export async function memoryLog(partitions: number): Promise<MemoryLog> {
  const log = new MemoryLog();
  for (const declaration of allTopics()) await log.admin.createTopic(declaredState(declaration, partitions));
  return log;
}

/** A local store in a folder that goes with the test. */
export async function localStore(t: TestContext): Promise<OnlineStore> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-sinks-'));
  const store = await openLocalStore(folder, silentLogger);
  t.after(async () => {
    await store.close();
    await rm(folder, { recursive: true, force: true });
  });
  return store;
}

export function popularity(product_id: string, over: Partial<Popularity> = {}): Popularity {
  const rest = { category: 'shoes', score: 2, as_of: Date.now(), views: 2, add_to_carts: 0, purchases: 0 };
  return { product_id, ...rest, ...over };
}

export function affinity(user_id: string, scores: Record<string, number>, as_of = Date.now()): Affinity {
  return { user_id, as_of, scores };
}

/** Writes values under keys, in order; a null value deletes. A Buffer is written as it is. */
export async function write(
  log: Log,
  topic: string,
  schema: SchemaName,
  records: readonly (readonly [key: string, value: object | Buffer | null])[],
): Promise<void> {
  const writer = await log.writer([topic]);
  for (const [key, value] of records) {
    const bytes = value === null || Buffer.isBuffer(value) ? value : codec.encode(schema, value);
    writer.add(topic, Buffer.from(key), bytes, { timestamp: Date.now() });
  }
  await writer.flush();
  await writer.close();
}

export async function endsOf(log: Log, topic: string): Promise<{ partition: number; offset: number }[]> {
  const ends: { partition: number; offset: number }[] = [];
  for (let partition = 0; partition < (await log.partitionCount(topic)); partition++)
    ends.push({ partition, offset: (await log.offsets({ topic, partition })).lastStable });
  return ends;
}

/** All dead letters in the log. */
export async function deadLettersIn(log: Log): Promise<DeadLetter[]> {
  const topic = 'dead-letters';
  const ends = await endsOf(log, topic);
  const start = ends.map(({ partition }) => ({ topic, partition, offset: 0 }));
  const reader = log.reader(start, { isolation: 'read_committed', maxWaitMs: 10 });
  const letters: DeadLetter[] = [];
  while (ends.some(({ partition, offset }) => reader.position({ topic, partition }) < offset)) {
    for (const { count, bytes, valueStart, valueEnd } of await reader.poll())
      for (let row = 0; row < count; row++)
        letters.push(codec.decode('DeadLetter', bytes, valueStart[row]!, valueEnd[row]!) as DeadLetter);
  }
  await reader.close();
  return letters;
}

export interface AppliedBatch extends FencedBatch {
  readonly changes: readonly Change[];
}

/** A sink's store that remembers what it applied and fails as told; the store behind it may be exchanged. */
export class TroubledStore implements SinkStore {
  inner: SinkStore;
  readonly applied: AppliedBatch[] = [];
  /** Calls of apply, applied or not. */
  tries = 0;
  /** Thrown by every call while set. */
  down: Error | null = null;
  /** Thrown by the next applies before anything happens. */
  readonly failBefore: Error[] = [];
  /** Thrown by the next applies although they were applied. */
  readonly failAfter: Error[] = [];
  /** Awaited before each apply. */
  beforeApply: (batch: FencedBatch) => Promise<void> = async () => {};

  constructor(inner: SinkStore) {
    this.inner = inner;
  }

  async open(id: SinkId): Promise<SinkPosition> {
    this.#check();
    return this.inner.open(id);
  }

  async position(id: SinkId): Promise<SinkPosition | null> {
    this.#check();
    return this.inner.position(id);
  }

  async rewind(id: SinkId, epoch: number): Promise<boolean> {
    this.#check();
    return this.inner.rewind(id, epoch);
  }

  async apply(batch: FencedBatch, changes: readonly Change[]): Promise<ApplyResult> {
    this.tries++;
    this.#check();
    await this.beforeApply(batch);
    throwNext(this.failBefore);
    const result = await this.inner.apply(batch, changes);
    if (result === 'applied') this.applied.push({ ...batch, changes });
    throwNext(this.failAfter);
    return result;
  }

  async keys(): Promise<Iterable<string>> {
    this.#check();
    return this.inner.keys();
  }

  #check(): void {
    if (this.down !== null) throw this.down;
  }
}

function throwNext(errors: Error[]): void {
  const error = errors.shift();
  if (error !== undefined) throw error;
}

/** Resolves when a condition holds, looking again at every event. */
export class Events {
  #waiting: (() => void)[] = [];

  readonly happened = (): void => {
    for (const look of this.#waiting.splice(0)) look();
  };

  /** Rejects with `what` when the condition does not come true in time; looks now and then without an event too. */
  async until(what: string, condition: () => boolean | Promise<boolean>, msMax = 20_000): Promise<void> {
    const deadline = Date.now() + msMax;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`not within ${msMax} ms: ${what}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 50);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }
}

export interface Rig {
  readonly materialiser: Materialiser;
  readonly events: Events;
  readonly metrics: Metrics;
  /** Resolves when all sinks of the rig stand at the log's ends. */
  caughtUp(): Promise<void>;
}

/** Small batches, short waits, and little that may wait. */
export const PACE: SinkPace = {
  rowsMax: 10,
  pressedRowsMax: 10,
  batchBytesMax: 4 * 1024 * 1024,
  waitingBytesMax: 8_000,
  lingerMs: 0,
  checkMs: 50,
  backoffMs: { first: 5, most: 40 },
};

/** A materialiser with short waits. It is stopped with the test. */
export function rig(
  t: TestContext,
  log: Log,
  sinks: readonly GroupSink[],
  over: Partial<MaterialiserOptions> & { clock?: Clock } = {},
): Rig {
  const events = new Events();
  const reporting = openReporting(silentLogger);
  const clock = over.clock ?? systemClock;
  const materialiser = new Materialiser({
    ...sinkNames('test'),
    sinks,
    log,
    codec,
    clock,
    ...reporting,
    letters: new DeadLetterWriter(log, codec, clock),
    incarnationOf: async () => '',
    pace: PACE,
    advanced: events.happened,
    ...over,
  });
  t.after(() => materialiser.stop());
  const caughtUp = () =>
    events.until('sinks at the ends of the log', async () => {
      for (const { topic } of sinks) {
        for (const { partition, offset } of await endsOf(log, topic.name)) {
          const at = materialiser.progressOf({ topic: topic.name, partition });
          if (typeof at !== 'number' || at < offset) return false;
        }
      }
      return true;
    });
  return { materialiser, events, metrics: reporting.metrics, caughtUp };
}
