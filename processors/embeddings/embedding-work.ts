/**
 * Embeds the products of a task's partitions. The state is the topic `embeddings` itself: at every start it is read to
 * find the existing vectors. What is pending after a first start, or for another model, is the backlog (catch-up.ts).
 *
 * The result for a product depends only on its newest record and the model: not on overwritten records, restarts, or
 * the order of live and pending work. A marker names its model only once nothing is pending.
 */
import type { RecordColumns } from '../../runtime/log/log.js';
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import type { AwaitedWork, AwaitedWorkOptions } from '../../runtime/tasks/awaited-work.js';
import { Changelog } from '../../runtime/tasks/changelog.js';
import type { OutputRecord } from '../../runtime/tasks/rejects.js';
import { readStretches, type Stretch } from '../../runtime/tasks/stretches.js';
import { embeddings } from '../../topics/embeddings.js';
import { partitionOf } from '../../topics/partition.js';
import { CatchUp } from './catch-up.js';
import { Chunk, type Outcome, type ToEmbed } from './chunk.js';
import { HeldVectors } from './held-vectors.js';
import { type ProductReading, readProduct } from './product-text.js';

/** Number of texts embedded at a time: several batches of the model; a live change waits for at most one such chunk. */
const CHUNK_TEXTS = 128;

interface EmbeddingWorkOptions extends AwaitedWorkOptions {
  readonly embedder: Embedder;
  readonly onOutcome: (outcome: Outcome) => void;
}

export class EmbeddingWork implements AwaitedWork {
  /** The model runs in one separate thread. */
  readonly concurrency = 1;
  readonly backlog: CatchUp;
  readonly #o: EmbeddingWorkOptions;
  /** What `embeddings` will contain once everything that was started is committed. */
  readonly #held = new HeldVectors();
  readonly #chunk: Chunk;

  constructor(options: EmbeddingWorkOptions) {
    const { task, log, logger, embedder, onOutcome } = options;
    const { model } = embedder;
    this.#o = options;
    this.#chunk = new Chunk(this.#held, model, onOutcome);
    this.backlog = new CatchUp({
      task,
      log,
      model,
      held: this.#held,
      chunkTexts: CHUNK_TEXTS,
      read: (batch, row) => this.#read(batch, row),
      prepare: (batch) => this.prepare(batch),
      onProblem: (batch, row, reading) => this.#judge(batch, row, reading),
      put: (product, text) => this.#chunk.put(product, text),
      onCompleted: () => logger.info({ event: 'embeddings_complete', task, model }),
    });
  }

  fingerprint(isComplete: boolean): string {
    const model = isComplete ? this.#o.embedder.model : null;
    return JSON.stringify({ processor: 'embeddings', version: 1, model });
  }

  /** Finds the vectors of this task's products: in the partition with the same number, unless the counts differ. */
  async restore(signal: AbortSignal | undefined): Promise<{ held: number }> {
    const { task, log, codec, clock, inputs, partitions } = this.#o;
    const count = await log.partitionCount(embeddings.name);
    const own = inputs.map(({ partition }) => partition);
    const places = count === partitions ? own : Array.from({ length: count }, (_, partition) => partition);
    const stretches: Stretch[] = [];
    for (const partition of places) {
      const place = { topic: embeddings.name, partition };
      const topic = new Changelog({ task, place, log, codec, clock });
      const end = await topic.stableEnd(signal);
      stretches.push({ ...place, start: (await topic.offsets()).earliest, end });
    }
    await readStretches(log, stretches, task, signal, (batch) => {
      for (let row = 0; row < batch.count; row++) {
        const home = partitionOf(partitions, batch.bytes, batch.keyStart[row]!, batch.keyEnd[row]!);
        if (own.includes(home)) this.#held.take(codec, batch, row);
      }
    });
    return { held: this.#held.size };
  }

  prepare({ bytes, count, valueStart, valueEnd }: RecordColumns): Promise<void> {
    return this.#o.codec.prepare(bytes, count, valueStart, valueEnd);
  }

  take(batch: RecordColumns, row: number): void {
    const reading = this.#read(batch, row);
    this.#judge(batch, row, reading);
    if (reading.key === null) return;
    this.backlog.overtake(reading.key);
    this.#chunk.put(reading.key, reading.text);
  }

  #read(batch: RecordColumns, row: number): ProductReading {
    return readProduct(this.#o.codec, this.#o.partitions, batch, row);
  }

  #judge(batch: RecordColumns, row: number, { problem }: ProductReading): void {
    if (problem === null) return;
    this.#o.reject(batch, row, problem);
    this.#o.onOutcome('rejected');
  }

  get isFull(): boolean {
    return this.#chunk.size >= CHUNK_TEXTS;
  }

  begin(signal: AbortSignal | undefined): Promise<readonly OutputRecord[]> | null {
    if (this.#chunk.size === 0) return null;
    const { texts, gone } = this.#chunk.take();
    for (const { product, hash } of texts) this.#held.set(product, hash);
    for (const product of gone) this.#held.delete(product);
    return this.#embed(texts, gone, signal);
  }

  async #embed(
    texts: readonly ToEmbed[],
    gone: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<OutputRecord[]> {
    const { embedder, onOutcome } = this.#o;
    const wanted = texts.map(({ text }) => text);
    const vectors = wanted.length === 0 ? new Float32Array(0) : await embedder.embed(wanted, signal);
    for (const _ of texts) onOutcome('embedded');
    for (const _ of gone) onOutcome('removed');
    return [
      ...texts.map((text, row) => this.#record(text, vectors, row)),
      ...gone.map((product) => ({ topic: embeddings.name, key: Buffer.from(product), value: null })),
    ];
  }

  /** Stamped with the time of writing, not of the product: compaction must not replace an old vector at once. */
  #record({ product, hash }: ToEmbed, vectors: Float32Array, row: number): OutputRecord {
    const { model, dimension } = this.#o.embedder;
    const numbers = vectors.subarray(row * dimension, (row + 1) * dimension);
    const vector = Buffer.alloc(4 * dimension);
    for (let i = 0; i < dimension; i++) vector.writeFloatLE(numbers[i]!, 4 * i);
    const value = this.#o.codec.encode('Embedding', { product_id: product, content_hash: hash, model, vector });
    return { topic: embeddings.name, key: Buffer.from(product), value };
  }

  close(): Promise<void> {
    return this.backlog.close();
  }
}
