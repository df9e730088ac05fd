/**
 * One partition of the re-key hop, folded: how many documents of a language hold each term, by source. Shards that
 * changed are written to `terms` at their own pace.
 */
import { createHash } from 'node:crypto';
import type { RecordColumns, TopicPartition } from '../../runtime/log/log.js';
import type { MarkerPart } from '../../runtime/tasks/marker.js';
import type { FoldMode, Output, Part } from '../../runtime/tasks/processor.js';
import { IntList } from '../../runtime/tasks/state/columns.js';
import { FlushQueue } from '../../runtime/tasks/state/flush-queue.js';
import type { ColumnSink, ColumnSource } from '../../runtime/tasks/state/saved-columns.js';
import { AvroCursor, AvroWriter } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { CorpusTopics } from '../../topics/corpus.js';
import { ShardOutput } from './shard-output.js';
import { TermTable } from './term-table.js';
import { TermsRecord } from './terms-record.js';

const KEY_PREFIX = Buffer.from('t/');
const KEY_BYTES_MAX = 256;
/** What a record costs besides its value, for the bound on a commit. */
const RECORD_OVERHEAD_BYTES = 64;

interface TermsPartOptions {
  readonly input: TopicPartition;
  readonly changelogPartition: number;
  readonly topics: CorpusTopics;
  readonly codec: Codec;
  /** How long a shard that keeps changing may wait before it is written, ms. */
  readonly intervalMs: number;
}

export class TermsPart implements Part {
  readonly input: TopicPartition;
  readonly #o: TermsPartOptions;
  readonly #table = new TermTable();
  readonly #record = new TermsRecord(this.#table);
  readonly #output: ShardOutput;
  readonly #cursor = new AvroCursor();
  readonly #writer = new AvroWriter();
  readonly #key = Buffer.alloc(KEY_BYTES_MAX);
  readonly #columns = new IntList();
  readonly #unflushed = new FlushQueue();
  #clock = -1;
  #asOf = 0;

  constructor(options: TermsPartOptions) {
    this.#o = options;
    this.input = options.input;
    this.#output = new ShardOutput(options.intervalMs);
    KEY_PREFIX.copy(this.#key);
  }

  get clock(): number {
    return this.#clock;
  }

  /** Nothing here expires. */
  get sweptDay(): number {
    return 0;
  }

  async prepare(): Promise<void> {
    // Internal records carry our own schema.
  }

  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void {
    for (let i = from; i < to; i++) this.#foldRow(batch, i, mode);
  }

  #foldRow(batch: RecordColumns, i: number, mode: FoldMode): void {
    const { bytes } = batch;
    const end = batch.valueEnd[i]!;
    const offset = batch.offsets[i]!;
    const body = this.#o.codec.bodyStart('TermChanges', bytes, batch.valueStart[i]!, end);
    const at = `${batch.topic}[${batch.partition}]@${offset}`;
    if (body < 0) throw new SchemaError('unknown_schema', `${at} was not written by a corpus task of this version`);
    const cursor = this.#cursor.reset(bytes, body, end);
    // The hop has the log's own time; what a record says of its documents is their producers'.
    this.#clock = Math.max(this.#clock, batch.timestamps[i]!);
    const counts = !mode.restoring || offset >= mode.stateFrom;
    const isDue = !mode.restoring || offset >= mode.dueFrom;
    if (!counts && !isDue) return;
    const group = this.#table.obtainGroup(bytes, batch.keyStart[i]!, batch.keyEnd[i]!);
    if (isDue) this.#output.changed(group, offset);
    if (!counts) return;
    cursor.long();
    cursor.long();
    const columns = this.#columns;
    columns.clear();
    for (let block = cursor.long(); block !== 0; block = cursor.long())
      for (let k = 0; k < block; k++) {
        const start = cursor.bytesStart();
        columns.push(this.#table.sources.intern(bytes, start, cursor.at));
      }
    let column = 0;
    for (let block = cursor.long(); block !== 0; block = cursor.long()) {
      const totals = this.#table.obtain(group, bytes, 0, 0);
      for (let k = 0; k < block; k++) this.#add(totals, columns.at(column++), cursor.long(), offset);
    }
    for (let block = cursor.long(); block !== 0; block = cursor.long())
      for (let k = 0; k < block; k++) {
        const start = cursor.bytesStart();
        const term = this.#table.obtain(group, bytes, start, cursor.at);
        const source = columns.at(cursor.long());
        this.#add(term, source, cursor.long(), offset);
      }
  }

  #add(term: number, source: number, documents: number, offset: number): void {
    if (documents === 0) return;
    if (this.#unflushed.isCovered(term, offset)) return;
    const left = this.#table.add(term, source, documents, offset);
    if (left === 0 && this.#table.isEmpty(term)) this.#unflushed.markEmptied(term, offset);
    else this.#unflushed.markDirty(term);
  }

  isDue(now: number): boolean {
    return this.#output.isDue(now);
  }

  emit(asOf: number, out: Output): void {
    this.#asOf = asOf;
    const prefix = this.#o.codec.prefix('Terms');
    const topic = this.#o.topics.terms.name;
    this.#output.emit(asOf, (group) => {
      const value = this.#record.encode(prefix, group, asOf);
      out.add(topic, this.#table.groups.bytesOf(group), value, { timestamp: asOf });
      return (value?.length ?? 0) + RECORD_OVERHEAD_BYTES;
    });
  }

  committed(): void {
    this.#output.committed();
    this.#unflushed.committed();
  }

  oldestDue(position: number): number {
    return this.#output.oldestDue(position);
  }

  get dirtyRows(): number {
    return this.#unflushed.size;
  }

  beginFlush(restoreFrom: number): void {
    this.#unflushed.begin(restoreFrom);
  }

  get flushComplete(): boolean {
    return this.#unflushed.isComplete;
  }

  flush(max: number, covers: number, out: Output): void {
    const options = { partition: this.#o.changelogPartition, timestamp: this.#asOf };
    const { names } = this.#table;
    const topic = this.#o.topics.termsChangelog.name;
    this.#unflushed.visit(max, (term, isOver) => {
      const name = names.bytesOf(term);
      const keyEnd = KEY_PREFIX.length + name.copy(this.#key, KEY_PREFIX.length);
      out.add(topic, this.#key.subarray(0, keyEnd), isOver ? null : this.#row(term, covers), options);
    });
  }

  #row(term: number, covers: number): Buffer {
    const writer = this.#writer.begin(this.#o.codec.prefix('TermRow')).long(this.input.partition).long(covers);
    const { sources } = this.#table;
    // One block each: the number of blocks is known only at the end.
    this.#table.visit(term, (source, documents) => {
      writer.long(1).bytes(sources.arena, sources.startOf(source), sources.endOf(source)).long(documents);
    });
    return writer.long(0).finish();
  }

  beginRestore(): void {
    this.#unflushed.beginRestore();
  }

  restoreRow(batch: RecordColumns, i: number): void {
    const { bytes } = batch;
    const nameStart = batch.keyStart[i]! + KEY_PREFIX.length;
    const nameEnd = batch.keyEnd[i]!;
    const valueStart = batch.valueStart[i]!;
    if (valueStart < 0) {
      const known = this.#table.names.find(bytes, nameStart, nameEnd);
      if (known < 0) return;
      this.#table.clear(known);
      this.#unflushed.forget(known);
      return;
    }
    const body = this.#o.codec.bodyStart('TermRow', bytes, valueStart, batch.valueEnd[i]!);
    const cursor = this.#cursor.reset(bytes, body, batch.valueEnd[i]!);
    if (cursor.long() !== this.input.partition) return;
    const covers = cursor.long();
    const term = this.#table.obtainByName(bytes, nameStart, nameEnd);
    this.#table.clear(term);
    let isEmpty = true;
    for (let block = cursor.long(); block !== 0; block = cursor.long())
      for (let k = 0; k < block; k++) {
        const start = cursor.bytesStart();
        const source = this.#table.sources.intern(bytes, start, cursor.at);
        this.#table.add(term, source, cursor.long(), covers - 1);
        isEmpty = false;
      }
    this.#unflushed.restored(term, covers, isEmpty);
  }

  save(into: ColumnSink): void {
    this.#table.save(into.within('table'));
    this.#output.save(into.within('output'));
    this.#unflushed.save(into.within('unflushed'));
    into.share('clock', Float64Array.of(this.#clock));
  }

  load(from: ColumnSource, marker: MarkerPart): void {
    this.#table.load(from.within('table'));
    this.#output.load(from.within('output'), marker.oldest_due);
    this.#unflushed.load(from.within('unflushed'));
    this.#clock = from.take('clock', Float64Array)[0]!;
  }

  replayHorizon(): number | null {
    return null;
  }

  endRestore(clock: number): void {
    this.#unflushed.endRestore();
    this.#clock = Math.max(this.#clock, clock);
  }

  tableChanged(): void {
    // It reads no tables.
  }

  stateHash(): string {
    const { names, sources } = this.#table;
    const lines: string[] = [];
    for (let term = 0; term < names.count; term++)
      this.#table.visit(term, (source, documents) => {
        lines.push(JSON.stringify([names.stringOf(term), sources.stringOf(source), documents]));
      });
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}
