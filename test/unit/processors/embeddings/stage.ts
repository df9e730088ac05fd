/** Embedding tasks over an in-memory log, with a model that counts its calls. */
import { createHash } from 'node:crypto';
import { embeddingsProcessor } from '../../../../processors/embeddings/main.js';
import { embeddingMetrics } from '../../../../processors/embeddings/metrics.js';
import type { Embedder } from '../../../../runtime/models/embedder/embedder.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { createMetrics } from '../../../../runtime/process/metrics.js';
import type { AwaitedWork } from '../../../../runtime/tasks/awaited-work.js';
import { Task } from '../../../../runtime/tasks/task.js';
import { Codec } from '../../../../schemas/codec.js';
import type { DeadLetter, Embedding, Product } from '../../../../schemas/records.js';
import { embeddings, embeddingsSet } from '../../../../topics/embeddings.js';
import { deadLetters, products } from '../../../../topics/events.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { append, ScriptedLog, written } from '../../../support/scripted-log.js';

const { embeddingsChangelog } = embeddingsSet(1).topics;

export const NOW = Date.UTC(2026, 10, 3, 12);
export const DIMENSION = 4;

export class CountingEmbedder implements Embedder {
  readonly kind = 'hashed';
  readonly dimension = DIMENSION;
  /** Every text, in the order in which it was embedded. */
  readonly texts: string[] = [];
  /** Called before each answer. */
  before: (texts: readonly string[]) => Promise<void> = async () => undefined;

  constructor(readonly model: string) {}

  async embed(texts: readonly string[]): Promise<Float32Array> {
    await this.before(texts);
    this.texts.push(...texts);
    return Float32Array.from(texts.flatMap((text) => vectorOf(this.model, text)));
  }

  async close(): Promise<void> {
    // Nothing to release.
  }
}

/** The counting model's vectors: exact in float32, and different for every model and text. */
export function vectorOf(model: string, text: string): number[] {
  const hash = createHash('sha256').update(`${model}/${text}`).digest();
  return Array.from({ length: DIMENSION }, (_, i) => hash[i]! / 256);
}

export interface StageOptions {
  readonly productPartitions?: number;
  readonly embeddingPartitions?: number;
  readonly commitIntervalMs?: number;
}

export class Stage {
  readonly codec = new Codec();
  readonly clock = new ManualClock(NOW);
  readonly metrics = createMetrics();
  tasks: Task[] = [];
  /** Of the newest tasks. */
  #works: AwaitedWork[] = [];
  #runs: { readonly stop: AbortController; readonly done: Promise<void> }[] = [];

  private constructor(
    readonly log: ScriptedLog,
    readonly partitions: number,
    readonly commitIntervalMs: number,
  ) {}

  static async of({
    productPartitions = 2,
    embeddingPartitions = 2,
    commitIntervalMs = 1,
  }: StageOptions = {}): Promise<Stage> {
    const log = new ScriptedLog();
    log.now = () => NOW;
    const config = { cleanup: 'compact', retentionMs: -1, logAppendTime: true, settings: {} } as const;
    const counts = new Map([
      [products.name, productPartitions],
      [embeddings.name, embeddingPartitions],
      [embeddingsChangelog.name, productPartitions],
      [deadLetters.name, 1],
    ]);
    for (const [name, partitions] of counts) await log.admin.createTopic({ name, partitions, ...config });
    return new Stage(log, productPartitions, commitIntervalMs);
  }

  /** Writes a product; null deletes it, a Buffer is written unchanged. */
  async put(id: string, product: Partial<Product> | Buffer | null, partition?: number): Promise<void> {
    const full = { product_id: id, title: '', description: '', category: 'c', price: null, updated_at: NOW };
    const value =
      product === null || Buffer.isBuffer(product) ? product : this.codec.encode('Product', { ...full, ...product });
    await append(this.log, products.name, Buffer.from(id), value, partition);
  }

  /** Restores all tasks under new owners; the previous ones are dropped without stopping. */
  async restore(embedder: Embedder): Promise<void> {
    this.tasks = this.newTasks(embedder);
    for (const task of this.tasks) await task.restore();
  }

  newTasks(embedder: Embedder): Task[] {
    this.#works = [];
    const processor = embeddingsProcessor(embeddingsSet(1), embedder, this.metrics);
    return Array.from(
      { length: this.partitions },
      (_, index) =>
        new Task({
          declaration: {
            ...processor,
            createWork: (options) => {
              const work = processor.createWork(options);
              this.#works.push(work);
              return work;
            },
          },
          index,
          inputs: [{ topic: products.name, partition: index }],
          partitions: this.partitions,
          log: this.log,
          codec: this.codec,
          logger: silentLogger,
          metrics: this.metrics,
          clock: this.clock,
          commitIntervalMs: this.commitIntervalMs,
          changelogIntervalMs: 1_000,
          onCommitted: () => undefined,
        }),
    );
  }

  /** Products of the newest tasks that wait since the start or a change of the model. */
  get waiting(): number {
    return this.#works.reduce((sum, { backlog }) => sum + backlog!.size, 0);
  }

  run(): void {
    this.#runs = this.tasks.map((task) => {
      const stop = new AbortController();
      return { stop, done: task.run(stop.signal) };
    });
    for (const { done } of this.#runs) done.catch(() => undefined);
  }

  /** Stops the tasks; throws what ended one of them. */
  async stop(): Promise<void> {
    for (const { stop } of this.#runs) stop.abort();
    try {
      await Promise.all(this.#runs.map(({ done }) => done));
    } finally {
      for (const task of this.tasks) await task.close();
    }
  }

  /** Lets time pass until the condition holds, or a task has ended with an error, which is thrown. */
  async until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    let ended: unknown;
    for (const { done } of this.#runs)
      done.catch((error: unknown) => {
        ended = error;
      });
    for (let i = 0; !(await condition()); i++) {
      if (ended !== undefined) throw ended;
      if (i > 5_000) throw new Error(`never: ${what}`);
      this.clock.advance(5);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Runs until every product record is processed and committed, then stops. */
  async settle(): Promise<void> {
    this.run();
    await this.until('all is embedded', () => this.isSettled());
    await this.stop();
  }

  /** Whether the newest marker of every task is at the end and names its model. */
  async isSettled(): Promise<boolean> {
    if (this.waiting > 0) return false;
    const markers = new Map<number, { fingerprint: string; parts: { offset: number }[] }>();
    for (const { partition, value } of await written(this.log, embeddingsChangelog.name))
      markers.set(partition, this.codec.decode('Marker', value!) as never);
    for (let partition = 0; partition < this.partitions; partition++) {
      const marker = markers.get(partition);
      const { lastStable } = await this.log.offsets({ topic: products.name, partition });
      if (marker === undefined || marker.fingerprint.includes('null') || marker.parts[0]!.offset < lastStable)
        return false;
    }
    return true;
  }

  /** restore, settle. */
  async pass(embedder: Embedder): Promise<void> {
    await this.restore(embedder);
    await this.settle();
  }

  /** The topic `embeddings` as a table. */
  async table(): Promise<Map<string, Embedding>> {
    const table = new Map<string, Embedding>();
    for (const { key, value } of await written(this.log, embeddings.name)) {
      if (value === null) table.delete(key!);
      else table.set(key!, this.codec.decode('Embedding', value) as Embedding);
    }
    return table;
  }

  async deadLetters(): Promise<DeadLetter[]> {
    const found = await written(this.log, deadLetters.name);
    return found.map(({ value }) => this.codec.decode('DeadLetter', value!) as DeadLetter);
  }

  /** freshet_embeddings_total of an outcome. */
  async counted(outcome: string): Promise<number> {
    const { values } = await embeddingMetrics(this.metrics).products.get();
    return values.find(({ labels }) => labels.outcome === outcome)?.value ?? 0;
  }
}

/** The numbers of a stored vector. */
export function numbersOf({ vector }: Embedding): number[] {
  return Array.from({ length: vector.length / 4 }, (_, i) => vector.readFloatLE(4 * i));
}
