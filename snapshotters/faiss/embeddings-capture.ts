/**
 * The newest vector of every product in `embeddings`. A few numbers per product stay in memory; its vector is in a
 * spool on disk. The capture only checks that records can be read: the model to index is chosen once all are there.
 */
import type { RecordColumns } from '../../runtime/log/log.js';
import { wrongId } from '../../runtime/log/record-problem.js';
import { FLOAT_BYTES } from '../../runtime/models/faiss/index-file.js';
import { DIMENSION_MAX } from '../../runtime/models/faiss/vector-index.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { Interner } from '../../runtime/tasks/state/interner.js';
import { SavedColumns } from '../../runtime/tasks/state/saved-columns.js';
import { AvroCursor } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Capture } from '../snapshotter.js';
import { columnsFrom, columnsToBytes } from './saved-bytes.js';
import { VectorSpool } from './vector-spool.js';

const NO_VECTOR = -1;
const NO_KEY = 'it has no key; it must be the product_id';
const MODELS_MAX = 1000;
const MODEL_BYTES_MAX = 1024;

interface CaptureOptions {
  /** Folder of the spool. */
  readonly folder: string;
  /** Memory for the per-product data. */
  readonly memoryBytes: number;
}

/** Products with vectors of one model and one dimension. */
export interface ModelGroup {
  readonly model: string;
  readonly dimension: number;
  readonly products: number;
  /** Log time of its newest vector, ms. */
  readonly newestMs: number;
}

export class EmbeddingsCapture implements Capture {
  readonly #codec: Codec;
  readonly #o: CaptureOptions;
  readonly #ids = new Interner();
  readonly #models: string[] = [];
  readonly #cursor = new AvroCursor();
  #places = new Float64Array(1024).fill(NO_VECTOR);
  #lengths = new Int32Array(1024);
  #modelOf = new Uint16Array(1024);
  #times = new Float64Array(1024);
  #spool: VectorSpool | null = null;
  #refused = 0;
  #firstRefusal: string | null = null;

  constructor(codec: Codec, options: CaptureOptions) {
    this.#codec = codec;
    this.#o = options;
  }

  /** Number of unreadable records, and what was wrong with the first of them. */
  get refused(): { readonly count: number; readonly first: string | null } {
    return { count: this.#refused, first: this.#firstRefusal };
  }

  /** Bytes on disk. */
  get spooledBytes(): number {
    return this.#spool?.end ?? 0;
  }

  /** The captured products, by model and dimension. */
  groups(): ModelGroup[] {
    const groups = new Map<string, { model: string; dimension: number; products: number; newestMs: number }>();
    for (let row = 0; row < this.#ids.count; row++) {
      if (this.#places[row] === NO_VECTOR) continue;
      const model = this.#models[this.#modelOf[row]!]!;
      const dimension = this.#lengths[row]! / FLOAT_BYTES;
      const key = `${dimension} ${model}`;
      let group = groups.get(key);
      if (group === undefined) {
        group = { model, dimension, products: 0, newestMs: 0 };
        groups.set(key, group);
      }
      group.products++;
      group.newestMs = Math.max(group.newestMs, this.#times[row]!);
    }
    return [...groups.values()];
  }

  /** Rows of a group, in byte order of their products. */
  rowsOf({ model, dimension }: Pick<ModelGroup, 'model' | 'dimension'>): Int32Array {
    const wanted = this.#models.indexOf(model);
    const rows = new Int32Array(this.#ids.count);
    let count = 0;
    for (let row = 0; row < this.#ids.count; row++) {
      if (this.#places[row] === NO_VECTOR || this.#modelOf[row] !== wanted) continue;
      if (this.#lengths[row] === dimension * FLOAT_BYTES) rows[count++] = row;
    }
    const { arena } = this.#ids;
    const start = (row: number) => this.#ids.startOf(row);
    const end = (row: number) => this.#ids.endOf(row);
    return rows.subarray(0, count).sort((a, b) => arena.compare(arena, start(b), end(b), start(a), end(a)));
  }

  idOf(row: number): string {
    return this.#ids.stringOf(row);
  }

  /** Reads the vector of a row into an array of matching length. */
  readVector(row: number, into: Float32Array): void {
    const bytes = new Uint8Array(into.buffer, into.byteOffset, into.byteLength);
    this.#spool!.read(this.#places[row]!, bytes);
  }

  /** Frees everything once the index is built. */
  discard(): void {
    this.#spool?.remove();
    this.#spool = null;
    this.#places.fill(NO_VECTOR);
  }

  add(batch: RecordColumns, row: number): void {
    const keyStart = batch.keyStart[row]!;
    const keyEnd = batch.keyEnd[row]!;
    const problem = keyStart < 0 ? NO_KEY : (wrongId('key', batch.bytes, keyStart, keyEnd)?.message ?? null);
    if (problem !== null) this.#refuse(batch.bytes, keyStart, keyEnd, problem);
    else if (batch.valueStart[row]! < 0) this.#remove(batch.bytes, keyStart, keyEnd);
    else this.#take(batch, row);
  }

  save(): Buffer {
    this.#spool?.sync();
    const columns = new SavedColumns();
    this.#ids.save(columns.within('ids'));
    const count = this.#ids.count;
    columns.share('places', this.#places.subarray(0, count));
    columns.share('lengths', this.#lengths.subarray(0, count));
    columns.share('models', this.#modelOf.subarray(0, count));
    columns.share('times', this.#times.subarray(0, count));
    const spool = this.#spool === null ? null : { name: this.#spool.name, end: this.#spool.end };
    const said = { models: this.#models, refused: this.#refused, first_refusal: this.#firstRefusal, spool };
    return columnsToBytes(said, columns.entries);
  }

  /** Errors: FreshetError 'invalid_data' if the bytes do not come from `save`, or the spool is gone. */
  restore(bytes: Buffer): void {
    const { said, columns } = columnsFrom<Said>(bytes);
    this.#ids.load(columns.within('ids'));
    this.#places = columns.take('places', Float64Array);
    this.#lengths = columns.take('lengths', Int32Array);
    this.#modelOf = columns.take('models', Uint16Array);
    this.#times = columns.take('times', Float64Array);
    if (this.#places.length !== this.#ids.count)
      throw new FreshetError('invalid_data', 'its columns do not match its ids');
    this.#models.push(...said.models);
    this.#refused = said.refused;
    this.#firstRefusal = said.first_refusal;
    if (said.spool !== null) this.#spool = VectorSpool.reopen(this.#o.folder, said.spool.name, said.spool.end);
  }

  #remove(bytes: Buffer, keyStart: number, keyEnd: number): void {
    const known = this.#ids.find(bytes, keyStart, keyEnd);
    if (known >= 0) this.#release(known);
  }

  #take({ bytes, keyStart, keyEnd, valueStart, valueEnd, timestamps }: RecordColumns, i: number): void {
    const from = keyStart[i]!;
    const to = keyEnd[i]!;
    let value: Vector;
    try {
      value = this.#read(bytes, valueStart[i]!, valueEnd[i]!);
      if (bytes.compare(value.bytes, value.idStart, value.idEnd, from, to) !== 0)
        throw new RangeError('its product_id differs from its key');
    } catch (error) {
      if (!(error instanceof SchemaError || error instanceof RangeError)) throw error;
      this.#refuse(bytes, from, to, error.message);
      return;
    }
    this.#put(this.#rowOf(bytes, from, to), value, timestamps[i]!);
  }

  #put(row: number, { bytes, model, vectorStart, vectorEnd }: Vector, timestamp: number): void {
    this.#spool ??= VectorSpool.create(this.#o.folder);
    const length = vectorEnd - vectorStart;
    if (this.#places[row] !== NO_VECTOR && this.#lengths[row] === length) {
      this.#spool.replace(this.#places[row]!, bytes, vectorStart, vectorEnd);
    } else {
      this.#release(row);
      this.#places[row] = this.#spool.put(bytes, vectorStart, vectorEnd);
      this.#lengths[row] = length;
    }
    this.#modelOf[row] = model;
    this.#times[row] = timestamp;
  }

  #release(row: number): void {
    if (this.#places[row] === NO_VECTOR) return;
    this.#spool!.giveBack(this.#places[row]!, this.#lengths[row]!);
    this.#places[row] = NO_VECTOR;
  }

  #rowOf(bytes: Buffer, start: number, end: number): number {
    const row = this.#ids.intern(bytes, start, end);
    if (row < this.#places.length) return row;
    // Columns restored from a savepoint are only as long as their content.
    const length = Math.max(1024, row * 2);
    this.#places = grown(this.#places, new Float64Array(length).fill(NO_VECTOR));
    this.#lengths = grown(this.#lengths, new Int32Array(length));
    this.#modelOf = grown(this.#modelOf, new Uint16Array(length));
    this.#times = grown(this.#times, new Float64Array(length));
    const held = this.#ids.bytesHeld + this.#places.byteLength * 2 + this.#lengths.byteLength * 1.5;
    if (held > this.#o.memoryBytes)
      throw new FreshetError(
        'settings',
        `${row} products need more memory than SNAPSHOT_MEMORY_MB leaves for their ids: raise it.`,
      );
    return row;
  }

  #read(bytes: Buffer, start: number, end: number): Vector {
    let from = this.#codec.bodyStart('Embedding', bytes, start, end);
    let source = bytes;
    let to = end;
    if (from < 0) {
      source = this.#codec.rewrite('Embedding', bytes, start, end);
      from = 0;
      to = source.length;
    }
    const cursor = this.#cursor.reset(source, from, to);
    const idStart = cursor.bytesStart();
    const idEnd = cursor.at;
    cursor.bytesStart();
    const modelStart = cursor.bytesStart();
    const model = this.#modelIndex(source, modelStart, cursor.at);
    const vectorStart = cursor.bytesStart();
    const vectorEnd = cursor.at;
    const length = vectorEnd - vectorStart;
    if (length === 0 || length % FLOAT_BYTES !== 0 || length > DIMENSION_MAX * FLOAT_BYTES)
      throw new RangeError(`its vector has ${length} bytes, which are not 1 to ${DIMENSION_MAX} floats`);
    return { bytes: source, idStart, idEnd, model, vectorStart, vectorEnd };
  }

  #modelIndex(bytes: Buffer, start: number, end: number): number {
    if (start === end || end - start > MODEL_BYTES_MAX) throw new RangeError('it does not name a model');
    const model = bytes.toString('utf8', start, end);
    // A handful of models: most often the same as the previous one.
    const known = this.#models.indexOf(model);
    if (known >= 0) return known;
    if (this.#models.length === MODELS_MAX)
      throw new RangeError(`it uses one more model than the ${MODELS_MAX} allowed`);
    return this.#models.push(model) - 1;
  }

  #refuse(bytes: Buffer, keyStart: number, keyEnd: number, why: string): void {
    this.#refused++;
    const key = keyStart < 0 ? '' : bytes.toString('utf8', keyStart, keyEnd);
    this.#firstRefusal ??= `${JSON.stringify(key)}: ${why}`;
  }
}

interface Said {
  readonly models: string[];
  readonly refused: number;
  readonly first_refusal: string | null;
  readonly spool: { readonly name: string; readonly end: number } | null;
}

/** A record as byte ranges. */
interface Vector {
  readonly bytes: Buffer;
  readonly idStart: number;
  readonly idEnd: number;
  readonly model: number;
  readonly vectorStart: number;
  readonly vectorEnd: number;
}

function grown<T extends Float64Array | Int32Array | Uint16Array>(from: T, into: T): T {
  into.set(from);
  return into;
}
