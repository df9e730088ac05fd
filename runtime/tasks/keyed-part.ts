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
import type { KeyedFoldOptions, KeyedRecord } from './keyed-fold.js';
import type { FoldMode, Output, Part, PartOptions } from './processor.js';
import { Rejects } from './rejects.js';
import type { ColumnSink, ColumnSource } from './state/saved-columns.js';

/** A state that would not fit a record could never be restored. */
const STATE_BYTES_MAX = 500 * 1024;

/** A changelog row. Key `k/<key>`, so that no key can be the marker's. */
export interface KeyedRow {
  partition: number;
  covers: number;
  state: Buffer | null;
}

export const keyedRow = avroSchema<KeyedRow>({
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

const ROW_KEY_PREFIX = 'k/';

interface Entry {
  readonly key: string;
  /** Null: deleted, and kept until no record that it counts can be read again. */
  state: Buffer | null;
  /** Offset of the record that changed it last. */
  changedAt: number;
  /** While restoring: it counts every input record below. */
  covers: number;
}

export class KeyedPart<In, State, Out> implements Part {
  readonly input: TopicPartition;
  readonly #fold: KeyedFoldOptions<In, State, Out>;
  readonly #partitions: number;
  readonly #changelog: TopicPartition;
  readonly #in: ValueCodec<In>;
  readonly #out: ValueCodec<Out>;
  readonly #rejects: Rejects;
  readonly #rows = new ValueCodec(keyedRow);
  readonly #entries = new Map<string, Entry>();
  #clock = -1;
  /** Next input offset that was not folded. */
  #position = 0;
  readonly #due = new Set<Entry>();
  /** Log time of the oldest record since the last commit. */
  #since = Number.POSITIVE_INFINITY;
  readonly #dirty = new Set<Entry>();
  #flush: Entry[] = [];
  #flushAt = 0;
  #flushEnd = 0;
  #flushComplete = true;
  #flushStart = 0;
  /** A lower bound of the marker's: below it no record is folded again. */
  #restoreFrom = 0;
  /** Rows of the last flush() call that took a deleted key out of the changelog. */
  #dropped = new Set<Entry>();

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
    // Several folds may read one topic: each has letters of its own.
    this.#rejects = new Rejects({
      job: fold.name,
      encode: (letter) => letters.encode(letter),
      idPrefix: `${fold.name}/`,
    });
  }

  get clock(): number {
    return this.#clock;
  }

  /** Nothing here leaves with the day. */
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
      this.#position = offset + 1;
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
    if (restoring && entry !== undefined && offset < entry.covers) return;
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
    const changed = entry ?? { key, state: null, changedAt: offset, covers: 0 };
    if (entry === undefined) this.#entries.set(key, changed);
    changed.state = next;
    changed.changedAt = offset;
    this.#dirty.add(changed);
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
    for (; this.#flushAt < this.#flushEnd; this.#flushAt++) {
      const entry = this.#flush[this.#flushAt]!;
      if (entry.state !== null) continue;
      if (this.#dropped.has(entry)) this.#entries.delete(entry.key);
      else this.#dirty.add(entry);
    }
    this.#dropped.clear();
    if (this.#flushComplete || this.#flushAt < this.#flush.length) return;
    this.#flushComplete = true;
    this.#flush = [];
    this.#flushAt = 0;
    this.#flushEnd = 0;
    this.#restoreFrom = this.#flushStart;
  }

  oldestDue(position: number): number {
    return position;
  }

  get dirtyRows(): number {
    return this.#dirty.size;
  }

  beginFlush(): void {
    this.#flush = [...this.#dirty];
    this.#dirty.clear();
    this.#flushAt = 0;
    this.#flushEnd = 0;
    this.#flushStart = this.#position;
    this.#flushComplete = false;
  }

  /**
   * A deleted key first leaves a row that says so and what it counts: with nothing there, a restore would fold records
   * from before the deletion into a new state. Once none of them can be read again, the row goes too.
   */
  flush(max: number, covers: number, out: Output): void {
    this.#dropped.clear();
    this.#flushEnd = Math.min(this.#flushAt + max, this.#flush.length);
    for (let i = this.#flushAt; i < this.#flushEnd; i++) {
      const entry = this.#flush[i]!;
      const isOver = entry.state === null && entry.changedAt < this.#restoreFrom;
      if (isOver) this.#dropped.add(entry);
      const value = isOver ? null : this.#rows.encode({ partition: this.input.partition, covers, state: entry.state });
      out.add(this.#changelog.topic, Buffer.from(ROW_KEY_PREFIX + entry.key), value, {
        partition: this.#changelog.partition,
      });
    }
  }

  get flushComplete(): boolean {
    return this.#flushComplete;
  }

  beginRestore(): void {
    this.#entries.clear();
  }

  restoreRow(batch: RecordColumns, row: number): void {
    const keyStart = batch.keyStart[row]! + ROW_KEY_PREFIX.length;
    const key = batch.bytes.toString('utf8', keyStart, batch.keyEnd[row]!);
    const start = batch.valueStart[row]!;
    if (start < 0) {
      this.#forget(key);
      return;
    }
    const { partition, covers, state } = this.#rows.decode(batch.bytes, start, batch.valueEnd[row]!);
    if (partition !== this.input.partition) return;
    this.#forget(key);
    const entry = { key, state, changedAt: covers - 1, covers };
    this.#entries.set(key, entry);
    if (state === null) this.#dirty.add(entry);
    this.#position = Math.max(this.#position, covers);
  }

  #forget(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#dirty.delete(entry);
  }

  save(into: ColumnSink): void {
    const entries = [...this.#entries.values()];
    const unflushed = new Set([...this.#dirty, ...this.#flush.slice(this.#flushAt)]);
    const texts = entries.flatMap(({ key, state }) => [Buffer.from(key), ...(state === null ? [] : [state])]);
    into.share('texts', new Uint8Array(Buffer.concat(texts)));
    into.share(
      'key_bytes',
      Uint32Array.from(entries, ({ key }) => Buffer.byteLength(key)),
    );
    // One more than there are: 0 is no state.
    into.share(
      'state_bytes',
      Uint32Array.from(entries, ({ state }) => (state === null ? 0 : state.length + 1)),
    );
    into.share(
      'changed_at',
      Float64Array.from(entries, ({ changedAt }) => changedAt),
    );
    into.share(
      'dirty',
      Uint8Array.from(entries, (entry) => (unflushed.has(entry) ? 1 : 0)),
    );
  }

  load(from: ColumnSource): void {
    const texts = Buffer.from(from.take('texts', Uint8Array).buffer);
    const keyBytes = from.take('key_bytes', Uint32Array);
    const stateBytes = from.take('state_bytes', Uint32Array);
    const changedAts = from.take('changed_at', Float64Array);
    const dirty = from.take('dirty', Uint8Array);
    let at = 0;
    for (const [i, length] of keyBytes.entries()) {
      const keyEnd = at + length;
      const stateEnd = keyEnd + Math.max(0, stateBytes[i]! - 1);
      const state = stateBytes[i] === 0 ? null : Buffer.from(texts.subarray(keyEnd, stateEnd));
      const changedAt = changedAts[i]!;
      const entry = { key: texts.toString('utf8', at, keyEnd), state, changedAt, covers: 0 };
      this.#entries.set(entry.key, entry);
      if (dirty[i] === 1) this.#dirty.add(entry);
      this.#position = Math.max(this.#position, changedAt + 1);
      at = stateEnd;
    }
  }

  /** Whatever is not in the changelog is folded again from the input. */
  replayHorizon(): number | null {
    return null;
  }

  endRestore(clock: number): void {
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
