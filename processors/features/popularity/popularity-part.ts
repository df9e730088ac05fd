/**
 * One partition of the re-key hop, folded: decayed popularity per product from sums per (product, day).
 * Formula: days.ts; S = Σ over the window of sum(day) · 2^((start of day − as_of)/H).
 */
import { createHash } from 'node:crypto';
import type { RecordColumns, TopicPartition } from '../../../runtime/log/log.js';
import type { MarkerPart } from '../../../runtime/tasks/marker.js';
import type { FoldMode, Output, Part } from '../../../runtime/tasks/processor.js';
import { enlarged } from '../../../runtime/tasks/state/columns.js';
import { Interner } from '../../../runtime/tasks/state/interner.js';
import type { ColumnSink, ColumnSource } from '../../../runtime/tasks/state/saved-columns.js';
import { AvroCursor, AvroWriter } from '../../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../../schemas/codec.js';
import type { FeatureTopics } from '../../../topics/features.js';
import type { Catalogue } from '../catalogue/catalogue.js';
import { carry, lagFactors, windowStart } from '../days.js';
import { WindowedState } from '../windowed-state.js';

interface PopularityPartOptions {
  readonly input: TopicPartition;
  readonly changelogPartition: number;
  readonly topics: FeatureTopics;
  readonly halfLifeMs: number;
  readonly codec: Codec;
  readonly catalogue: Catalogue;
}

export class PopularityPart implements Part {
  readonly input: TopicPartition;
  readonly #o: PopularityPartOptions;
  readonly #products = new Interner();
  #sum = new Float64Array(0);
  /** Three per row: views, add_to_carts, purchases. */
  #counts = new Uint32Array(0);
  readonly #state = new WindowedState((capacity) => {
    this.#sum = enlarged(this.#sum, capacity);
    this.#counts = enlarged(this.#counts, capacity * 3);
  });
  readonly #lag: Float64Array;
  readonly #cursor = new AvroCursor();
  readonly #writer = new AvroWriter();
  #asOf = 0;
  /** Log time of the oldest event since the last commit. */
  #since = Number.POSITIVE_INFINITY;

  constructor(options: PopularityPartOptions) {
    this.#o = options;
    this.input = options.input;
    this.#lag = lagFactors(options.halfLifeMs);
  }

  get clock(): number {
    return this.#state.clock;
  }

  get sweptDay(): number {
    return this.#state.sweptDay;
  }

  async prepare(): Promise<void> {
    // Internal records have our own schema.
  }

  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void {
    for (let i = from; i < to; i++) this.#foldRow(batch, i, mode);
  }

  #foldRow(batch: RecordColumns, i: number, mode: FoldMode): void {
    const end = batch.valueEnd[i]!;
    const body = this.#o.codec.bodyStart('ProductActivity', batch.bytes, batch.valueStart[i]!, end);
    const at = `${batch.topic}[${batch.partition}]@${batch.offsets[i]}`;
    if (body < 0) throw new SchemaError('unknown_schema', `${at} was not written by an activity task of this version`);
    const cursor = this.#cursor.reset(batch.bytes, body, end);
    this.#state.advance(cursor.long());
    const since = cursor.long();
    const offset = batch.offsets[i]!;
    if (mode.restoring && offset < mode.stateFrom) return;
    const product = this.#products.intern(batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!);
    const { rows, unflushed } = this.#state;
    for (let block = cursor.long(); block !== 0; block = cursor.long()) {
      for (let k = 0; k < block; k++) {
        const day = cursor.long();
        const sum = cursor.double();
        const views = cursor.long();
        const carts = cursor.long();
        const purchases = cursor.long();
        const row = rows.obtain(product, day);
        if (rows.created) this.#setRow(row, 0, 0, 0, 0);
        if (mode.restoring && unflushed.isCovered(row, offset)) continue;
        const count = row * 3;
        this.#sum[row] = this.#sum[row]! + sum;
        this.#counts[count] = this.#counts[count]! + views;
        this.#counts[count + 1] = this.#counts[count + 1]! + carts;
        this.#counts[count + 2] = this.#counts[count + 2]! + purchases;
        unflushed.markDirty(row);
      }
    }
    if (mode.restoring) return;
    this.#state.due.add(product);
    if (since < this.#since) this.#since = since;
  }

  #setRow(row: number, sum: number, views: number, carts: number, purchases: number): void {
    this.#sum[row] = sum;
    this.#counts[row * 3] = views;
    this.#counts[row * 3 + 1] = carts;
    this.#counts[row * 3 + 2] = purchases;
  }

  isDue(now: number): boolean {
    return this.#state.isDue(now);
  }

  emit(asOf: number, out: Output): void {
    this.#asOf = asOf;
    const topic = this.#o.topics.popularity.name;
    const prefix = this.#o.codec.prefix('Popularity');
    const timestamp = Math.min(this.#since, asOf);
    const first = windowStart(asOf);
    const { rows } = this.#state;
    this.#state.visitDue(asOf, (product) => {
      let newest = -1;
      let sum = 0;
      let views = 0;
      let carts = 0;
      let purchases = 0;
      for (let row = rows.first(product); row >= 0; row = rows.next(row)) {
        const day = rows.day[row]!;
        if (day < first) break;
        if (newest < 0) newest = day;
        sum += this.#sum[row]! * this.#lag[newest - day]!;
        views += this.#counts[row * 3]!;
        carts += this.#counts[row * 3 + 1]!;
        purchases += this.#counts[row * 3 + 2]!;
      }
      const key = this.#products.bytesOf(product);
      const category = this.#o.catalogue.categoryOf(this.#products.stringOf(product));
      if (category === null || views + carts + purchases === 0) {
        out.add(topic, key, null, { timestamp });
        return;
      }
      const score = sum * carry(newest, asOf, this.#o.halfLifeMs);
      const writer = this.#writer.begin(prefix).bytes(key).string(category).double(score).long(asOf);
      out.add(topic, key, writer.long(views).long(carts).long(purchases).finish(), { timestamp });
    });
  }

  committed(): void {
    this.#state.committed();
    this.#since = Number.POSITIVE_INFINITY;
  }

  oldestDue(position: number): number {
    return position;
  }

  get dirtyRows(): number {
    return this.#state.unflushed.size;
  }

  beginFlush(restoreFrom: number): void {
    this.#state.unflushed.begin(restoreFrom);
  }

  get flushComplete(): boolean {
    return this.#state.unflushed.isComplete;
  }

  flush(max: number, covers: number, out: Output): void {
    const { rows, unflushed } = this.#state;
    const topic = this.#o.topics.popularityChangelog.name;
    const prefix = this.#o.codec.prefix('PopularityRow');
    unflushed.visit(max, (row) => {
      const key = Buffer.from(`${rows.day[row]}/${this.#products.stringOf(rows.entity[row]!)}`);
      const writer = this.#writer.begin(prefix).long(this.input.partition).long(covers).double(this.#sum[row]!);
      for (let k = 0; k < 3; k++) writer.long(this.#counts[row * 3 + k]!);
      out.add(topic, key, writer.finish(), { partition: this.#o.changelogPartition, timestamp: this.#asOf });
    });
  }

  beginRestore(): void {
    this.#state.unflushed.beginRestore();
  }

  restoreRow(batch: RecordColumns, i: number): void {
    const valueStart = batch.valueStart[i]!;
    if (valueStart < 0) return;
    const body = this.#o.codec.bodyStart('PopularityRow', batch.bytes, valueStart, batch.valueEnd[i]!);
    const cursor = this.#cursor.reset(batch.bytes, body, batch.valueEnd[i]!);
    if (cursor.long() !== this.input.partition) return;
    let at = batch.keyStart[i]!;
    let day = 0;
    for (; batch.bytes[at]! >= 0x30 && batch.bytes[at]! <= 0x39; at++) day = day * 10 + batch.bytes[at]! - 0x30;
    const { rows, unflushed } = this.#state;
    const row = rows.obtain(this.#products.intern(batch.bytes, at + 1, batch.keyEnd[i]!), day);
    unflushed.restored(row, cursor.long());
    const sum = cursor.double();
    this.#setRow(row, sum, cursor.long(), cursor.long(), cursor.long());
  }

  save(into: ColumnSink): void {
    this.#products.save(into.within('products'));
    this.#state.save(into.within('state'));
    const { used } = this.#state.rows;
    into.copy('sum', this.#sum, used);
    into.copy('counts', this.#counts, used * 3);
  }

  load(from: ColumnSource, marker: MarkerPart): void {
    this.#products.load(from.within('products'));
    this.#state.load(from.within('state'), marker.swept_day);
    this.#sum = from.take('sum', Float64Array);
    this.#counts = from.take('counts', Uint32Array);
  }

  replayHorizon(): number | null {
    return null;
  }

  endRestore(clock: number, sweptDay: number, now: number): void {
    this.#state.unflushed.endRestore();
    this.#state.start(clock, sweptDay, now);
  }

  /** A changed or deleted product is shown at once. */
  tableChanged(_topic: string, key: string): void {
    const product = this.#products.find(Buffer.from(key));
    if (product >= 0) this.#state.tableChanged(product);
  }

  stateHash(): string {
    const { rows } = this.#state;
    const first = this.clock < 0 ? 0 : windowStart(this.clock);
    const lines: string[] = [];
    for (const day of rows.days()) {
      if (day < first) continue;
      for (let row = rows.firstOfDay(day); row >= 0; row = rows.nextOfDay(row)) {
        const counts = [0, 1, 2].map((k) => this.#counts[row * 3 + k]).join('/');
        lines.push(`${this.#products.stringOf(rows.entity[row]!)}\t${day}\t${this.#sum[row]}\t${counts}`);
      }
    }
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}
