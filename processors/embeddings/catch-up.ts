/**
 * Catching up: the first run, and a change of model. The catalogue is read once to find the newest record of every
 * product; products whose vector was not made from it are read a second time and embedded, chunk by chunk, while live
 * changes continue. Existing vectors stay until they are replaced.
 *
 *   live change of a pending product → no longer pending: the change is newer than the record that was found
 *   its record is compacted away in the meantime → a newer one is ahead of the live reader
 */
import type { Log, LogReader, RecordColumns } from '../../runtime/log/log.js';
import type { Backlog } from '../../runtime/tasks/awaited-work.js';
import { readStretches, type Stretch } from '../../runtime/tasks/stretches.js';
import type { HeldVectors } from './held-vectors.js';
import { contentHash, type ProductReading } from './product-text.js';

/** Vectors that are removed at a time. */
const GONE_MAX = 2_000;

interface CatchUpOptions {
  readonly task: string;
  readonly log: Log;
  readonly model: string;
  readonly held: HeldVectors;
  readonly chunkTexts: number;
  readonly read: (batch: RecordColumns, row: number) => ProductReading;
  readonly prepare: (batch: RecordColumns) => Promise<void>;
  /** Called in a first run for every record that cannot be used. */
  readonly onProblem: (batch: RecordColumns, row: number, reading: ProductReading) => void;
  /** Takes a product that is no longer pending. */
  readonly put: (product: string, text: string | null) => void;
  readonly onCompleted: () => void;
}

export class CatchUp implements Backlog {
  readonly #o: CatchUpOptions;
  /** All of the catalogue, up to its end at the start. */
  #stretches: readonly Stretch[] = [];
  /** Pending products, and the offset of their newest record. */
  readonly #waiting = new Map<string, number>();
  /** Products that have a vector and should have none. */
  #gone = new Set<string>();
  #reader: LogReader | null = null;
  readonly #batches: { readonly batch: RecordColumns; row: number }[] = [];

  constructor(options: CatchUpOptions) {
    this.#o = options;
  }

  async find(stretches: readonly Stretch[], isFirst: boolean, signal: AbortSignal | undefined): Promise<void> {
    const { log, task, held, read, prepare, onProblem } = this.#o;
    this.#stretches = stretches.filter(({ start, end }) => start < end);
    this.#gone = new Set(held.keys());
    await readStretches(log, stretches, task, signal, async (batch) => {
      await prepare(batch);
      for (let row = 0; row < batch.count; row++) {
        const reading = read(batch, row);
        // With a marker, later records are ahead of it and earlier ones were rejected before it.
        if (isFirst) onProblem(batch, row, reading);
        if (reading.key !== null) this.#note(reading.key, reading.text, batch.offsets[row]!);
      }
    });
  }

  get size(): number {
    return this.#waiting.size + this.#gone.size;
  }

  #note(product: string, text: string | null, offset: number): void {
    const { held, model } = this.#o;
    this.overtake(product);
    if (text === null) {
      if (held.has(product)) this.#gone.add(product);
    } else if (!held.isOf(product, contentHash(model, text))) this.#waiting.set(product, offset);
  }

  /** A newer record of the product was read. */
  overtake(product: string): void {
    this.#waiting.delete(product);
    this.#gone.delete(product);
  }

  async take(): Promise<void> {
    if (this.#gone.size > 0) this.#takeGone();
    else await this.#takeTexts();
  }

  #takeGone(): void {
    let taken = 0;
    for (const product of this.#gone) {
      if (taken++ === GONE_MAX) return;
      this.#gone.delete(product);
      this.#o.put(product, null);
    }
  }

  async #takeTexts(): Promise<void> {
    for (let taken = 0; taken < this.#o.chunkTexts && this.#waiting.size > 0; ) {
      const first = this.#batches[0];
      if (first === undefined) {
        // What is still missing at the end was compacted away.
        if (!(await this.#poll())) this.#waiting.clear();
      } else if (first.row === first.batch.count) this.#batches.shift();
      else if (this.#takeText(first.batch, first.row++)) taken++;
    }
  }

  #takeText(batch: RecordColumns, row: number): boolean {
    const { key, text } = this.#o.read(batch, row);
    if (key === null || this.#waiting.get(key) !== batch.offsets[row]!) return false;
    this.#waiting.delete(key);
    this.#o.put(key, text);
    return true;
  }

  /** False at the end. */
  async #poll(): Promise<boolean> {
    const { log, prepare } = this.#o;
    this.#reader ??= log.reader(
      this.#stretches.map(({ topic, partition, start }) => ({ topic, partition, offset: start })),
      { isolation: 'read_committed' },
    );
    const reader = this.#reader;
    const isLeft = (stretch: Stretch) => reader.position(stretch) < stretch.end;
    if (!this.#stretches.some(isLeft)) return false;
    for (const stretch of this.#stretches) if (!isLeft(stretch)) reader.pause(stretch);
    for (const batch of await reader.poll()) {
      await prepare(batch);
      this.#batches.push({ batch, row: 0 });
    }
    return true;
  }

  completed(): void {
    this.#o.onCompleted();
    this.close().catch(() => undefined);
  }

  async close(): Promise<void> {
    const reader = this.#reader;
    this.#reader = null;
    this.#batches.length = 0;
    await reader?.close();
  }
}
