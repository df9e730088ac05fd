/**
 * A task that embeds the products of its partitions. Embedding is awaited, so this is no fold: the state is the topic
 * `embeddings` itself, and one transaction holds vectors, dead letters and the marker with the offsets they reach.
 *
 *   restore  fence the old owner → read own `embeddings` (which vectors are there) → read the marker
 *            → no marker, or one of another model: find what waits (catch-up.ts)
 *   run      live records first; then a chunk of what waits; commit; again
 *
 * What a product ends with depends on its newest record and the model alone: not on what was overwritten before, on
 * restarts, or on the order of live and waiting work. A marker speaks of its model only once nothing waits.
 */

import { randomUUID } from 'node:crypto';
import type { LogReader, RecordColumns, TopicPartition, TransactionalWriter } from '../../runtime/log/log.js';
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { RunningTask } from '../../runtime/tasks/application.js';
import { Changelog } from '../../runtime/tasks/changelog.js';
import { faultPoint } from '../../runtime/tasks/fault-points.js';
import { encodeMarker, MARKER_KEY, type Marker, markerPartOf } from '../../runtime/tasks/marker.js';
import { taskMetrics } from '../../runtime/tasks/metrics.js';
import { Rejects } from '../../runtime/tasks/rejects.js';
import { readStretches, type Stretch } from '../../runtime/tasks/stretches.js';
import type { TaskOptions } from '../../runtime/tasks/task.js';
import { embeddings } from '../../topics/embeddings.js';
import { partitionOf } from '../../topics/partition.js';
import { CatchUp } from './catch-up.js';
import { Chunk, type Outcome, type ToEmbed } from './chunk.js';
import { HeldVectors } from './held-vectors.js';
import { embeddingMetrics } from './metrics.js';
import { readProduct } from './product-text.js';

/** Texts embedded at a time: some batches of the model, and what a live change waits for. */
const CHUNK_TEXTS = 128;
const COMMIT_RECORDS_MAX = 2_000;
const READER_WAIT_MS = 250;
/** Live changes arrive in company: they wait for the next commit anyway. */
const READER_GAP_MS = 25;

interface Position extends TopicPartition {
  offset: number;
  clock: number;
}

export class EmbeddingTask implements RunningTask {
  readonly name: string;
  /** None: they are for folds. */
  readonly parts = [];
  readonly #o: TaskOptions;
  readonly #embedder: Embedder;
  readonly #changelog: Changelog;
  readonly #rejects: Rejects;
  #held = new HeldVectors();
  #chunk: Chunk;
  /** Null: nothing waits. */
  #catchUp: CatchUp | null = null;
  #writer: TransactionalWriter | null = null;
  #reader: LogReader | null = null;
  #incarnation = '';
  #sequence = 0;
  /** Up to where records were looked at, and up to where all that came of them is with the writer. */
  #read: Position[] = [];
  #done: Position[] = [];
  #marked = '';
  #committedAt = 0;
  #isClosed = false;

  constructor(options: TaskOptions, embedder: Embedder) {
    const { declaration, index, log, codec, clock } = options;
    this.#o = options;
    this.#embedder = embedder;
    this.name = `${declaration.application}.${declaration.name}-${index}`;
    const place = { topic: declaration.changelog, partition: index };
    this.#changelog = new Changelog({ task: this.name, place, log, codec, clock });
    this.#rejects = new Rejects({ job: declaration.name, encode: (letter) => codec.encode('DeadLetter', letter) });
    this.#chunk = this.#newChunk();
  }

  positions(): (TopicPartition & { offset: number })[] {
    return this.#done.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** Products that wait for their vectors since the start or a change of the model. */
  get waiting(): number {
    return this.#catchUp?.size ?? 0;
  }

  async restore(signal?: AbortSignal): Promise<void> {
    const started = performance.now();
    const { log, inputs, logger, metrics, declaration } = this.#o;
    await faultPoint('restore.begin', this.name);
    this.#writer = await log.transactionalWriter(this.name, declaration.writes);
    await this.#writer.init();
    await faultPoint('restore.fenced', this.name);
    const end = await this.#changelog.stableEnd(signal);
    const { earliest } = await this.#changelog.offsets();
    const marker = (await this.#changelog.newestMarker(earliest, end, signal))?.marker ?? null;
    await this.#readHeld(signal);
    await faultPoint('restore.changelog_read', this.name);
    this.#incarnation = marker?.incarnation ?? randomUUID();
    this.#sequence = marker?.sequence ?? 0;
    const ends = await Promise.all(inputs.map((input) => log.offsets(input)));
    const starts = inputs.map((input, i) => this.#startOf(input, marker, ends[i]!));
    const isFinished = marker?.fingerprint === this.#fingerprint(true);
    if (!isFinished) {
      const stretches = inputs.map((input, i) => ({ ...input, start: ends[i]!.earliest, end: ends[i]!.lastStable }));
      await this.#findWaiting(stretches, marker === null, signal);
    }
    this.#read = starts;
    this.#done = starts.map((position) => ({ ...position }));
    this.#marked = marker === null ? '' : this.#state();
    this.#committedAt = this.#o.clock.elapsed();
    this.#reader = log.reader(this.positions(), {
      isolation: 'read_committed',
      maxWaitMs: READER_WAIT_MS,
      gapMs: READER_GAP_MS,
    });
    await faultPoint('restore.replayed', this.name);
    const seconds = (performance.now() - started) / 1000;
    taskMetrics(metrics).restoreSeconds.observe({ processor: declaration.name }, seconds);
    const [held, waiting] = [this.#held.size, this.waiting];
    logger.info({ event: 'task_restored', task: this.name, held, waiting, duration_seconds: seconds });
    this.#report();
  }

  /** Embeds and commits until the signal aborts (then commits what is whole) or an error ends the task. */
  async run(signal: AbortSignal): Promise<void> {
    let polling: Promise<RecordColumns[]> | null = null;
    try {
      // Dead letters of the restore: there may be nothing else to write.
      await this.#embed(signal);
      while (!signal.aborted) {
        polling ??= this.#reader!.poll();
        const batches = await this.#pollFor(polling, signal);
        if (batches !== null) {
          polling = null;
          await this.#live(batches, signal);
        }
        await this.#someWaiting(signal);
        await this.#commitIfDue();
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    polling?.catch(() => undefined);
    if (this.#hasNews()) await this.#commit();
  }

  async checkpointAtStop(): Promise<void> {
    // It keeps none.
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const [reader, writer, catchUp] = [this.#reader, this.#writer, this.#catchUp];
    this.#reader = null;
    this.#writer = null;
    await catchUp?.close();
    await reader?.close();
    await writer?.close();
  }

  /** The vectors of this task's products: those of the partition with the same number, unless the counts differ. */
  async #readHeld(signal: AbortSignal | undefined): Promise<void> {
    const { log, codec, clock, inputs, partitions } = this.#o;
    const count = await log.partitionCount(embeddings.name);
    const own = inputs.map(({ partition }) => partition);
    const places = count === partitions ? own : Array.from({ length: count }, (_, partition) => partition);
    const stretches: Stretch[] = [];
    for (const partition of places) {
      const place = { topic: embeddings.name, partition };
      const topic = new Changelog({ task: this.name, place, log, codec, clock });
      const end = await topic.stableEnd(signal);
      stretches.push({ ...place, start: (await topic.offsets()).earliest, end });
    }
    this.#held = new HeldVectors();
    this.#chunk = this.#newChunk();
    await readStretches(log, stretches, this.name, signal, (batch, row) => {
      const home = partitionOf(partitions, batch.bytes, batch.keyStart[row]!, batch.keyEnd[row]!);
      if (own.includes(home)) this.#held.take(codec, batch, row);
    });
  }

  /** Without a marker, live begins at the end: all that is there waits. Errors: 'offset_out_of_range', 'state'. */
  #startOf(
    input: TopicPartition,
    marker: Marker | null,
    { earliest, lastStable, highWatermark }: { earliest: number; lastStable: number; highWatermark: number },
  ): Position {
    if (marker === null) return { ...input, offset: lastStable, clock: -1 };
    const at = markerPartOf(marker, input);
    const name = `${input.topic}[${input.partition}]`;
    if (at === undefined) throw new FreshetError('state', `${this.name}: its marker knows nothing of ${name}`);
    if (at.offset > highWatermark || at.offset < earliest)
      throw new FreshetError(
        'offset_out_of_range',
        `${this.name} has read ${name} to ${at.offset}, but it holds ${earliest} to ${highWatermark}: the topic was ` +
          'truncated or made anew. Offsets are never reset.',
      );
    return { ...input, offset: at.offset, clock: at.clock };
  }

  async #findWaiting(stretches: Stretch[], isFirst: boolean, signal: AbortSignal | undefined): Promise<void> {
    const { log } = this.#o;
    const found = await CatchUp.find(
      {
        log,
        task: this.name,
        signal,
        model: this.#embedder.model,
        held: this.#held,
        stretches,
        read: (batch, row) => this.#product(batch, row),
        prepare: (batch) => this.#prepare(batch),
      },
      // Later ones lie ahead of a marker, or were told of before it.
      (batch, row, { problem }) => {
        if (isFirst && problem !== null) this.#reject(batch, row, problem);
      },
    );
    this.#catchUp = found.size > 0 ? found : null;
  }

  #product(batch: RecordColumns, row: number) {
    return readProduct(this.#o.codec, this.#o.partitions, batch, row);
  }

  #prepare({ bytes, count, valueStart, valueEnd }: RecordColumns): Promise<void> {
    return this.#o.codec.prepare(bytes, count, valueStart, valueEnd);
  }

  #reject(batch: RecordColumns, row: number, problem: { readonly code: string; readonly message: string }): void {
    this.#rejects.deadLetter(batch, row, problem);
    this.#count('rejected');
  }

  /** Null when nothing came within the time until the next commit, or at once while something waits. */
  async #pollFor(polling: Promise<RecordColumns[]>, signal: AbortSignal): Promise<RecordColumns[] | null> {
    const { clock, commitIntervalMs } = this.#o;
    const untilCommit = Math.max(0, commitIntervalMs - this.#sinceCommit());
    const waitMs = this.#catchUp !== null ? 0 : this.#hasNews() ? untilCommit : READER_WAIT_MS;
    const stop = new AbortController();
    const abort = () => stop.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      return await Promise.race([polling, clock.sleep(waitMs, stop.signal).then(() => null)]);
    } finally {
      stop.abort();
      signal.removeEventListener('abort', abort);
    }
  }

  async #live(batches: readonly RecordColumns[], signal: AbortSignal): Promise<void> {
    for (const batch of batches) {
      await this.#prepare(batch);
      const position = this.#read.find(
        ({ topic, partition }) => topic === batch.topic && partition === batch.partition,
      )!;
      for (let row = 0; row < batch.count; row++) {
        const reading = this.#product(batch, row);
        if (reading.problem !== null) this.#reject(batch, row, reading.problem);
        if (reading.key !== null) {
          this.#catchUp?.overtake(reading.key);
          this.#chunk.put(reading.key, reading.text);
        }
        position.offset = batch.offsets[row]! + 1;
        position.clock = Math.max(position.clock, batch.timestamps[row]!);
        if (this.#chunk.size >= CHUNK_TEXTS) {
          await this.#embed(signal);
          await this.#commitIfDue();
        }
      }
      position.offset = Math.max(position.offset, batch.nextOffset);
    }
    await this.#embed(signal);
  }

  /** One chunk of what waits, so that live changes come in between. */
  async #someWaiting(signal: AbortSignal): Promise<void> {
    const waiting = this.#catchUp;
    if (waiting === null) return;
    for (const product of waiting.takeGone(COMMIT_RECORDS_MAX)) this.#chunk.put(product, null);
    if (this.#chunk.size === 0)
      for (const { product, text } of await waiting.take(CHUNK_TEXTS)) this.#chunk.put(product, text);
    await this.#embed(signal);
    if (waiting.size > 0) return;
    this.#catchUp = null;
    await waiting.close();
    this.#o.logger.info({ event: 'embeddings_complete', task: this.name, model: this.#embedder.model });
  }

  /** Gives the writer what the chunk holds; afterwards all that was read is done. */
  async #embed(signal: AbortSignal): Promise<void> {
    const { texts, gone } = this.#chunk.take();
    const writer = this.#writer!;
    const wanted = texts.map(({ text }) => text);
    const vectors = wanted.length === 0 ? new Float32Array(0) : await this.#embedder.embed(wanted, signal);
    for (const [row, work] of texts.entries()) this.#write(work, vectors, row, writer);
    for (const product of gone) {
      writer.add(embeddings.name, Buffer.from(product), null);
      this.#held.delete(product);
      this.#count('removed');
    }
    this.#rejects.emit(writer);
    this.#rejects.committed();
    this.#done = this.#read.map((position) => ({ ...position }));
  }

  /** Stamped with the time of writing, not of the product: compaction must not take an old vector's place at once. */
  #write({ product, hash }: ToEmbed, vectors: Float32Array, row: number, writer: TransactionalWriter): void {
    const { model, dimension } = this.#embedder;
    const numbers = vectors.subarray(row * dimension, (row + 1) * dimension);
    const vector = Buffer.alloc(4 * dimension);
    for (let i = 0; i < dimension; i++) vector.writeFloatLE(numbers[i]!, 4 * i);
    const value = this.#o.codec.encode('Embedding', { product_id: product, content_hash: hash, model, vector });
    writer.add(embeddings.name, Buffer.from(product), value);
    this.#held.set(product, hash);
    this.#count('embedded');
  }

  #newChunk(): Chunk {
    return new Chunk(this.#held, this.#embedder.model, (outcome) => this.#count(outcome));
  }

  #count(outcome: Outcome): void {
    embeddingMetrics(this.#o.metrics).products.inc({ outcome });
  }

  #sinceCommit(): number {
    return this.#o.clock.elapsed() - this.#committedAt;
  }

  #hasNews(): boolean {
    return (this.#writer?.bufferedRecords ?? 0) > 0 || this.#state() !== this.#marked;
  }

  async #commitIfDue(): Promise<void> {
    if (!this.#hasNews()) return;
    const isFull = this.#writer!.bufferedRecords >= COMMIT_RECORDS_MAX;
    if (isFull || this.#sinceCommit() >= this.#o.commitIntervalMs) await this.#commit();
  }

  /**
   * An unknown outcome ends the task: the next restore reads what is in the log. What a chunk cost is lost at most.
   */
  async #commit(): Promise<void> {
    await faultPoint('commit.begin', this.name);
    const { clock, codec, metrics, declaration } = this.#o;
    if (this.#isClosed) throw new FreshetError('state', `${this.name}: it was closed`);
    const started = performance.now();
    const begunAt = clock.elapsed();
    const { topic, partition } = this.#changelog.place;
    const marker = encodeMarker(this.#marker(), codec);
    this.#writer!.add(topic, MARKER_KEY, marker, { partition, timestamp: clock.now() });
    await faultPoint('commit.written', this.name);
    const state = this.#state();
    await this.#writer!.commit();
    await faultPoint('commit.acknowledged', this.name);
    this.#sequence++;
    this.#marked = state;
    this.#committedAt = begunAt;
    taskMetrics(metrics).commits.inc({ processor: declaration.name });
    taskMetrics(metrics).commitSeconds.observe({ processor: declaration.name }, (performance.now() - started) / 1000);
    this.#report();
  }

  /** What the next marker would say. */
  #state(): string {
    return JSON.stringify([this.#fingerprint(this.#catchUp === null), this.#done]);
  }

  /** Whose vectors are all there. A marker without a model says: some still wait. */
  #fingerprint(isFinished: boolean): string {
    return JSON.stringify({ processor: 'embeddings', version: 1, model: isFinished ? this.#embedder.model : null });
  }

  #marker(): Marker {
    return {
      application: this.#o.declaration.application,
      task: this.#o.index,
      incarnation: this.#incarnation,
      fingerprint: this.#fingerprint(this.#catchUp === null),
      sequence: this.#sequence + 1,
      parts: this.#done.map(({ topic, partition, offset, clock }) => ({
        topic,
        partition,
        offset,
        clock,
        restore_from: offset,
        restore_clock: clock,
        oldest_due: offset,
        swept_day: -1,
      })),
      tables: [],
    };
  }

  #report(): void {
    const { metrics, declaration, onCommitted } = this.#o;
    for (const { partition, offset } of this.#done)
      taskMetrics(metrics).position.set({ processor: declaration.name, partition: String(partition) }, offset);
    onCommitted(this.positions());
  }
}
