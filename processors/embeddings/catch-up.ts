/**
 * Catching up: the first run, and another model. The catalogue is read once to find the newest record of every product;
 * those whose vector was not made of it are read a second time and embedded, a chunk at a time, while live changes go on.
 * Vectors stay until they are replaced.
 *
 *   live change of a waiting product → the product no longer waits: the change is newer than what was found
 *   its record is compacted away meanwhile → a newer one lies ahead of the live reader
 */
import type { Log, LogReader, RecordColumns, TopicPartition } from '../../runtime/log/log.js';
import { readStretches, type Stretch } from '../../runtime/tasks/stretches.js';
import type { HeldVectors } from './held-vectors.js';
import { contentHash, type ProductReading } from './product-text.js';

export interface CatchUpOptions {
  readonly log: Log;
  readonly task: string;
  readonly signal: AbortSignal | undefined;
  readonly model: string;
  readonly held: HeldVectors;
  /** All of the catalogue, up to its end now. */
  readonly stretches: readonly Stretch[];
  readonly read: (batch: RecordColumns, row: number) => ProductReading;
  readonly prepare: (batch: RecordColumns) => Promise<void>;
}

export class CatchUp {
  readonly #o: CatchUpOptions;
  /** Products that wait, and the offset of their newest record. */
  readonly #waiting = new Map<string, number>();
  /** Products that have a vector and should have none. */
  readonly #gone: Set<string>;
  #reader: LogReader | null = null;
  readonly #batches: { readonly batch: RecordColumns; row: number }[] = [];

  private constructor(options: CatchUpOptions) {
    this.#o = options;
    this.#gone = new Set(options.held.keys());
  }

  /** Finds what waits. `onProblem` is told of every record that cannot be used. */
  static async find(
    options: CatchUpOptions,
    onProblem: (batch: RecordColumns, row: number, reading: ProductReading) => void,
  ): Promise<CatchUp> {
    const found = new CatchUp(options);
    const { log, stretches, task, signal, prepare } = options;
    await readStretches(
      log,
      stretches,
      task,
      signal,
      (batch, row) => {
        const reading = options.read(batch, row);
        if (reading.problem !== null) onProblem(batch, row, reading);
        if (reading.key !== null) found.#note(reading.key, reading.text, batch.offsets[row]!);
      },
      prepare,
    );
    return found;
  }

  /** Products that still wait. */
  get size(): number {
    return this.#waiting.size + this.#gone.size;
  }

  #note(product: string, text: string | null, offset: number): void {
    const { held, model } = this.#o;
    this.#waiting.delete(product);
    this.#gone.delete(product);
    if (text === null) {
      if (held.has(product)) this.#gone.add(product);
    } else if (!held.isOf(product, contentHash(model, text))) this.#waiting.set(product, offset);
  }

  /** A live record of the product was read. */
  overtake(product: string): void {
    this.#waiting.delete(product);
    this.#gone.delete(product);
  }

  /** Up to `max` products that have a vector and should have none; they no longer wait. */
  takeGone(max: number): string[] {
    const taken: string[] = [];
    for (const product of this.#gone) {
      if (taken.length === max) break;
      taken.push(product);
      this.#gone.delete(product);
    }
    return taken;
  }

  /** Up to `max` products with their texts; they no longer wait. Empty when none is left. */
  async take(max: number): Promise<{ product: string; text: string | null }[]> {
    const taken: { product: string; text: string | null }[] = [];
    while (taken.length < max && this.#waiting.size > 0) {
      const first = this.#batches[0];
      if (first === undefined) {
        if (!(await this.#poll())) this.#waiting.clear();
        continue;
      }
      const { batch } = first;
      if (first.row === batch.count) {
        this.#batches.shift();
        continue;
      }
      const row = first.row++;
      const reading = this.#o.read(batch, row);
      if (reading.key === null || this.#waiting.get(reading.key) !== batch.offsets[row]!) continue;
      this.#waiting.delete(reading.key);
      taken.push({ product: reading.key, text: reading.text });
    }
    if (this.#waiting.size === 0) await this.close();
    return taken;
  }

  /** False at the end. */
  async #poll(): Promise<boolean> {
    const { log, stretches, prepare } = this.#o;
    const open = stretches.filter(({ start, end }) => start < end);
    this.#reader ??= log.reader(
      open.map(({ topic, partition, start }) => ({ topic, partition, offset: start })),
      { isolation: 'read_committed' },
    );
    const reader = this.#reader;
    const isLeft = ({ end, ...place }: Stretch) => reader.position(place satisfies TopicPartition) < end;
    if (!open.some(isLeft)) return false;
    for (const stretch of open) if (!isLeft(stretch)) reader.pause(stretch);
    for (const batch of await reader.poll()) {
      await prepare(batch);
      this.#batches.push({ batch, row: 0 });
    }
    return true;
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    this.#batches.length = 0;
    await reader?.close();
  }
}
