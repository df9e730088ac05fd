/** A part of a keyed fold: a state per key of one input partition, as the bytes of its own Avro schema. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { SchemaError } from '../../schemas/codec.js';
import { avroSchema, ValueCodec } from '../../schemas/value-codec.js';
import { deadLetterTopic } from '../../topics/typed.js';
import type { RecordColumns, TopicPartition } from '../log/log.js';
import { type RecordProblem, wrongPartition } from '../log/record-problem.js';
import { FreshetError, messageOf } from '../process/errors.js';
import type { FeatureContext } from './feature.js';
import type { KeyedFoldOptions, KeyedRecord } from './keyed-fold-options.js';
import type { FoldMode, Output, Part, PartOptions } from './processor.js';
import { Rejects } from './rejects.js';
import { FlushQueue } from './state/flush-queue.js';
import type { ColumnSink, ColumnSource } from './state/saved-columns.js';

/** A state that does not fit into a record could never be restored. */
const STATE_BYTES_MAX = 500 * 1024;

/** A changelog row. Key `k/<key>`, so that no key can be the marker's. */
export interface KeyedRow {
  partition: number;
  covers: number;
  state: Buffer | null;
}

const keyedRow = avroSchema<KeyedRow>({
  type: 'record',
  name: 'KeyedRow',
  namespace: 'freshet',
  doc: 'Changelog row of a keyed fold.',
  fields: [
    { name: 'partition', type: 'int', doc: 'Input partition that feeds the row.' },
    { name: 'covers', type: 'long', doc: 'The row counts every input record below this offset.' },
    { name: 'state', type: ['null', 'bytes'], doc: "Avro body in the state's schema; null: deleted." },
  ],
});

/** Only this task reads its rows: they have no registry ids. */
export const keyedRows = new ValueCodec(keyedRow);

const ROW_KEY_PREFIX = 'k/';

interface Entry {
  readonly key: string;
  /** Its number in the flush queue. */
  readonly row: number;
  /** Null: deleted, but kept until the changelog has nothing of it. */
  state: Buffer | null;
}

export class KeyedPart<In, State, Out> implements Part {
  readonly input: TopicPartition;
  readonly #fold: KeyedFoldOptions<In, State, Out>;
  readonly #partitions: number;
  readonly #changelog: TopicPartition;
  readonly #in: ValueCodec<In>;
  readonly #out: ValueCodec<Out>;
  readonly #rejects: Rejects;
  readonly #entries = new Map<string, Entry>();
  /** Entries by number; a free number keeps the entry that last had it. */
  readonly #byRow: Entry[] = [];
  readonly #freeRows: number[] = [];
  #clock = -1;
  readonly #due = new Set<Entry>();
  /** Log time of the oldest record since the last commit. */
  #since = Number.POSITIVE_INFINITY;
  readonly #unflushed = new FlushQueue((row) => this.#forget(this.#byRow[row]!));

  constructor(
    fold: KeyedFoldOptions<In, State, Out>,
    { codecs }: FeatureContext,
    changelog: string,
    { input, partitions, changelogPartition }: PartOptions,
  ) {
    this.#fold = fold;
    this.input = input;
    this.#partitions = partitions;
    this.#changelog = { topic: changelog, partition: changelogPartition };
    this.#in = codecs.of(fold.input);
    this.#out = codecs.of(fold.output);
    const letters = codecs.of(deadLetterTopic);
    // Several folds may read one topic: each has dead letters with its own ids.
    this.#rejects = new Rejects({
      job: fold.name,
      encode: (letter) => letters.encode(letter),
      idPrefix: `${fold.name}/`,
    });
  }

  get clock(): number {
    return this.#clock;
  }

  /** Nothing in this state expires at midnight. */
  get sweptDay(): number {
    return -1;
  }

  folds(options: unknown): boolean {
    return this.#fold === options;
  }

  *bodies(): Iterable<[string, Buffer]> {
    for (const { key, state } of this.#entries.values()) if (state !== null) yield [key, state];
  }

  prepare({ bytes, count, valueStart, valueEnd }: RecordColumns): Promise<void> {
    return this.#in.prepare(bytes, count, valueStart, valueEnd);
  }

  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void {
    for (let row = from; row < to; row++) {
      const timestamp = batch.timestamps[row]!;
      const offset = batch.offsets[row]!;
      if (timestamp > this.#clock) this.#clock = timestamp;
      if (mode.restoring && offset < mode.stateFrom) continue;
      this.#foldRow(batch, row, mode.restoring);
    }
  }

  #foldRow(batch: RecordColumns, row: number, restoring: boolean): void {
    const offset = batch.offsets[row]!;
    const timestamp = batch.timestamps[row]!;
    const problem = this.#keyProblem(batch, row);
    if (problem !== null) {
      if (!restoring) this.#rejects.deadLetter(batch, row, problem);
      return;
    }
    const key = batch.bytes.toString('utf8', batch.keyStart[row]!, batch.keyEnd[row]!);
    const entry = this.#entries.get(key);
    if (restoring && entry !== undefined && this.#unflushed.isCovered(entry.row, offset)) return;
    const former = entry?.state ?? null;
    const start = batch.valueStart[row]!;
    let next: Buffer | null = null;
    if (start >= 0) {
      let value: In;
      try {
        value = this.#in.decode(batch.bytes, start, batch.valueEnd[row]!);
      } catch (error) {
        if (!(error instanceof SchemaError)) throw error;
        if (!restoring) this.#rejects.deadLetter(batch, row, { code: error.problem, message: error.message });
        return;
      }
      next = this.#next(former, { key, value, timestamp, partition: batch.partition, offset });
    }
    if (former === null ? next === null : next?.equals(former)) return;
    const changed = entry ?? this.#enter(key);
    changed.state = next;
    if (next === null) this.#unflushed.markEmptied(changed.row, offset);
    else this.#unflushed.markDirty(changed.row);
    if (restoring) return;
    this.#due.add(changed);
    if (timestamp < this.#since) this.#since = timestamp;
  }

  #next(former: Buffer | null, record: KeyedRecord<In>): Buffer | null {
    const { name, state, init, fold } = this.#fold;
    try {
      const next = fold(former === null ? init(record.key) : state.fromBody(former), record);
      const body = next === null ? null : state.toBody(next);
      if (body !== null && body.length > STATE_BYTES_MAX)
        throw new FreshetError('record_too_large', `the state has ${body.length} bytes, at most 500 KiB are possible`);
      return body;
    } catch (error) {
      const at = `${this.input.topic}[${record.partition}]@${record.offset}`;
      throw new FreshetError('internal', `${name} cannot fold ${at} (key ${record.key}): ${messageOf(error)}`, {
        cause: error,
      });
    }
  }

  #keyProblem(batch: RecordColumns, row: number): RecordProblem | null {
    const start = batch.keyStart[row]!;
    const end = batch.keyEnd[row]!;
    if (start < 0) return { code: 'no_key', message: 'the record has no key' };
    if (!isUtf8(batch.bytes.subarray(start, end))) return { code: 'invalid_key', message: 'the key is not UTF-8' };
    return wrongPartition(batch, row, this.#partitions);
  }

  isDue(): boolean {
    return this.#due.size > 0 || this.#rejects.size > 0;
  }

  emit(asOf: number, out: Output): void {
    const timestamp = Math.min(this.#since, asOf);
    for (const { key, state } of this.#due)
      out.add(this.#fold.output.name, Buffer.from(key), state === null ? null : this.#emitted(key, state, asOf), {
        timestamp,
      });
    this.#rejects.emit(out);
  }

  #emitted(key: string, body: Buffer, asOf: number): Buffer | null {
    const { name, state, emit } = this.#fold;
    try {
      const value = emit(key, state.fromBody(body), asOf);
      return value === null ? null : this.#out.encode(value);
    } catch (error) {
      throw new FreshetError('internal', `${name} cannot emit key ${key}: ${messageOf(error)}`, { cause: error });
    }
  }

  committed(): void {
    this.#due.clear();
    this.#rejects.committed();
    this.#since = Number.POSITIVE_INFINITY;
    this.#unflushed.committed();
  }

  oldestDue(position: number): number {
    return position;
  }

  get dirtyRows(): number {
    return this.#unflushed.size;
  }

  beginFlush(restoreFrom: number): void {
    this.#unflushed.begin(restoreFrom);
  }

  flush(max: number, covers: number, out: Output): void {
    const { topic, partition } = this.#changelog;
    this.#unflushed.visit(max, (row, isOver) => {
      const { key, state } = this.#byRow[row]!;
      const value = isOver ? null : keyedRows.encode({ partition: this.input.partition, covers, state });
      out.add(topic, Buffer.from(ROW_KEY_PREFIX + key), value, { partition });
    });
  }

  get flushComplete(): boolean {
    return this.#unflushed.isComplete;
  }

  beginRestore(): void {
    this.#unflushed.beginRestore();
  }

  restoreRow(batch: RecordColumns, row: number): void {
    const keyStart = batch.keyStart[row]! + ROW_KEY_PREFIX.length;
    const key = batch.bytes.toString('utf8', keyStart, batch.keyEnd[row]!);
    const known = this.#entries.get(key);
    const start = batch.valueStart[row]!;
    if (start < 0) {
      if (known !== undefined) this.#forget(known);
      return;
    }
    const { partition, covers, state } = keyedRows.decode(batch.bytes, start, batch.valueEnd[row]!);
    if (partition !== this.input.partition) return;
    const entry = known ?? this.#enter(key);
    entry.state = state;
    this.#unflushed.restored(entry.row, covers, state === null);
  }

  #enter(key: string): Entry {
    const entry = { key, row: this.#freeRows.pop() ?? this.#byRow.length, state: null };
    this.#entries.set(key, entry);
    this.#byRow[entry.row] = entry;
    return entry;
  }

  #forget({ key, row }: Entry): void {
    this.#entries.delete(key);
    this.#unflushed.forget(row);
    this.#freeRows.push(row);
  }

  save(into: ColumnSink): void {
    const entries = [...this.#entries.values()];
    const texts = entries.flatMap(({ key, state }) => [Buffer.from(key), ...(state === null ? [] : [state])]);
    into.share('texts', new Uint8Array(Buffer.concat(texts)));
    into.share(
      'key_bytes',
      Uint32Array.from(entries, ({ key }) => Buffer.byteLength(key)),
    );
    // One more than the number of states, because 0 means none.
    into.share(
      'state_bytes',
      Uint32Array.from(entries, ({ state }) => (state === null ? 0 : state.length + 1)),
    );
    into.share(
      'rows',
      Int32Array.from(entries, ({ row }) => row),
    );
    into.share('free_rows', Int32Array.from(this.#freeRows));
    this.#unflushed.save(into.within('unflushed'));
  }

  load(from: ColumnSource): void {
    const texts = Buffer.from(from.take('texts', Uint8Array).buffer);
    const keyBytes = from.take('key_bytes', Uint32Array);
    const stateBytes = from.take('state_bytes', Uint32Array);
    for (const row of from.take('free_rows', Int32Array)) this.#freeRows.push(row);
    let at = 0;
    for (const [i, row] of from.take('rows', Int32Array).entries()) {
      const keyEnd = at + keyBytes[i]!;
      const stateEnd = keyEnd + Math.max(0, stateBytes[i]! - 1);
      const state = stateBytes[i] === 0 ? null : Buffer.from(texts.subarray(keyEnd, stateEnd));
      const entry = { key: texts.toString('utf8', at, keyEnd), row, state };
      this.#entries.set(entry.key, entry);
      this.#byRow[row] = entry;
      at = stateEnd;
    }
    this.#unflushed.load(from.within('unflushed'));
  }

  /** Everything that is not in the changelog is folded again from the input. */
  replayHorizon(): number | null {
    return null;
  }

  endRestore(clock: number): void {
    this.#unflushed.endRestore();
    this.#clock = Math.max(this.#clock, clock);
  }

  tableChanged(): void {
    // Folds of this kind read no tables.
  }

  stateHash(): string {
    const lines = [...this.bodies()].map(([key, body]) => `${key}\t${body.toString('base64')}`);
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}
