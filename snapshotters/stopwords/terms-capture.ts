/**
 * The newest records of `terms`, reduced to what stopwords can be built from: per language and shard the most frequent
 * terms (see candidates.ts), as the bytes of a smaller record of the same schema. Memory has three limits: terms per
 * shard, languages, and total bytes. Past a limit, the language with the fewest documents seen so far is dropped; its
 * name and number of documents are remembered.
 */
import { SHARDS } from '../../processors/corpus/shards.js';
import type { RecordColumns } from '../../runtime/log/log.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { AvroCursor, AvroWriter } from '../../schemas/avro-writer.js';
import { avroType, type Codec, SchemaError } from '../../schemas/codec.js';
import type { Terms } from '../../schemas/records.js';
import type { Capture } from '../snapshotter.js';

/** Far more than the languages that people write documents in; two- and three-letter tags allow 18,252. */
export const LANGUAGES_MAX = 500;
const KEY = /^([a-z]{2,3})\/(0|[1-9]\d{0,2})$/;
const SAVED = Buffer.from('TERMSCP1', 'latin1');
const NOTHING = Buffer.alloc(0);

export interface CaptureBounds {
  readonly termsPerShard: number;
  readonly bytes: number;
  readonly languages: number;
}

interface Captured {
  readonly shards: Map<number, Buffer>;
  bytes: number;
  /** Documents as far as known: those of shard 0, or of the most frequent word so far. */
  documents: number;
}

/** A trimmed record, and what it says about its language. */
interface Trimmed {
  readonly body: Buffer;
  readonly language: string;
  readonly shard: number;
  readonly documents: number;
}

export class TermsCapture implements Capture {
  readonly #codec: Codec;
  readonly #bounds: CaptureBounds;
  readonly #languages = new Map<string, Captured>();
  readonly #dropped = new Map<string, number>();
  readonly #cursor = new AvroCursor();
  readonly #writer = new AvroWriter();
  readonly #startedMs = performance.now();
  #bytes = 0;
  #refused = 0;
  #firstRefusal: string | null = null;

  constructor(codec: Codec, bounds: CaptureBounds) {
    this.#codec = codec;
    this.#bounds = bounds;
  }

  /** The captured languages, in order. */
  get languages(): string[] {
    return [...this.#languages.keys()].sort();
  }

  /** Languages that did not fit, by name, and the number of documents seen from them. */
  get dropped(): ReadonlyMap<string, number> {
    return new Map([...this.#dropped].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** Number of unreadable records, and what was wrong with the first of them. */
  get refused(): { readonly count: number; readonly first: string | null } {
    return { count: this.#refused, first: this.#firstRefusal };
  }

  get records(): number {
    let records = 0;
    for (const { shards } of this.#languages.values()) records += shards.size;
    return records;
  }

  /** Time since the capture began in this process. */
  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  /** Bytes in use. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The trimmed records of a language by shard. */
  shards(language: string): Terms[] {
    const shards = [...(this.#languages.get(language)?.shards ?? [])].sort(([a], [b]) => a - b);
    return shards.map(([, body]) => avroType('Terms').fromBuffer(body) as Terms);
  }

  add(batch: RecordColumns, row: number): void {
    const key = batch.keyStart[row]! < 0 ? '' : batch.bytes.toString('utf8', batch.keyStart[row]!, batch.keyEnd[row]!);
    const problem = this.#take(key, batch.bytes, batch.valueStart[row]!, batch.valueEnd[row]!);
    if (problem === null) return;
    this.#refused++;
    this.#firstRefusal ??= `${JSON.stringify(key)}: ${problem}`;
  }

  save(): Buffer {
    const head = { refused: this.#refused, first_refusal: this.#firstRefusal, dropped: [...this.#dropped] };
    const pieces = [SAVED, ...withLength(Buffer.from(JSON.stringify(head)))];
    for (const { shards } of this.#languages.values())
      for (const body of shards.values()) pieces.push(...withLength(body));
    return Buffer.concat(pieces);
  }

  /** Errors: FreshetError 'invalid_data' if the bytes do not come from `save`. */
  restore(bytes: Buffer): void {
    if (!bytes.subarray(0, SAVED.length).equals(SAVED)) throw damaged('its header is wrong');
    let head: Buffer | null = null;
    for (let at = SAVED.length; at < bytes.length; ) {
      const start = at + 4;
      const end = start > bytes.length ? start : start + bytes.readUInt32LE(at);
      if (end > bytes.length) throw damaged('it is truncated');
      // A copy: a view would keep all of the saved bytes alive.
      if (head === null) head = bytes.subarray(start, end);
      else this.#put(this.#trim(Buffer.from(bytes.subarray(start, end)), 0, end - start));
      at = end;
    }
    if (head === null) throw damaged('it is truncated');
    const said = JSON.parse(head.toString()) as { refused: number; first_refusal: string; dropped: [string, number][] };
    this.#refused = said.refused;
    this.#firstRefusal = said.first_refusal;
    for (const [language, documents] of said.dropped) this.#dropped.set(language, documents);
  }

  /** What is wrong with the record; null: it was captured. A `start` below 0 is a null value. */
  #take(key: string, bytes: Buffer, start: number, end: number): string | null {
    const [, language, number] = KEY.exec(key) ?? [];
    const shard = Number(number);
    if (language === undefined || shard >= SHARDS) return 'its key is not language/shard';
    if (start < 0) {
      this.#remove(language, shard);
      return null;
    }
    try {
      const trimmed = this.#read(bytes, start, end);
      if (trimmed.language !== language || trimmed.shard !== shard)
        return `its value belongs to ${trimmed.language}/${trimmed.shard}`;
      this.#put(trimmed);
      return null;
    } catch (error) {
      if (!(error instanceof SchemaError || error instanceof RangeError)) throw error;
      return error.message;
    }
  }

  #read(bytes: Buffer, start: number, end: number): Trimmed {
    const body = this.#codec.bodyStart('Terms', bytes, start, end);
    if (body >= 0) return this.#trim(bytes, body, end);
    const rewritten = this.#codec.rewrite('Terms', bytes, start, end);
    return this.#trim(rewritten, 0, rewritten.length);
  }

  /** Reduces a record to its first terms without decoding the others. Errors: RangeError. */
  #trim(bytes: Buffer, start: number, end: number): Trimmed {
    const cursor = this.#cursor.reset(bytes, start, end);
    const language = cursor.string();
    const shard = cursor.long();
    cursor.long();
    for (let left = blockOf(cursor); left > 0; left = blockOf(cursor)) while (left-- > 0) cursor.bytesStart();
    const totals = sumOf(cursor);
    const headerEnd = cursor.at;

    let kept = 0;
    let documents = totals;
    let frequency = Number.POSITIVE_INFINITY;
    const ranges: [start: number, end: number][] = [];
    for (let left = blockOf(cursor); left > 0 && kept < this.#bounds.termsPerShard; left = blockOf(cursor)) {
      const from = cursor.at;
      for (; left > 0 && kept < this.#bounds.termsPerShard; left--, kept++) {
        cursor.bytesStart();
        const next = sumOf(cursor);
        if (next > frequency) throw new RangeError('its terms are not ordered by documents');
        frequency = next;
        documents = Math.max(documents, frequency);
      }
      ranges.push([from, cursor.at]);
      if (left > 0) break;
    }
    const writer = this.#writer.begin(NOTHING).raw(bytes, start, headerEnd);
    if (kept > 0) writer.long(kept);
    for (const [from, to] of ranges) writer.raw(bytes, from, to);
    writer.long(0).long(0).long(0);
    return { body: Buffer.from(writer.finish()), language, shard, documents };
  }

  #put({ body, language, shard, documents }: Trimmed): void {
    const dropped = this.#dropped.get(language);
    if (dropped !== undefined) {
      this.#dropped.set(language, Math.max(dropped, documents));
      return;
    }
    let captured = this.#languages.get(language);
    if (captured === undefined) {
      captured = { shards: new Map(), bytes: 0, documents: 0 };
      this.#languages.set(language, captured);
    }
    const more = body.length - (captured.shards.get(shard)?.length ?? 0);
    captured.shards.set(shard, body);
    captured.bytes += more;
    captured.documents = Math.max(captured.documents, documents);
    this.#bytes += more;
    while (
      this.#languages.size > 1 &&
      (this.#languages.size > this.#bounds.languages || this.#bytes > this.#bounds.bytes)
    )
      this.#dropSmallest();
  }

  #remove(language: string, shard: number): void {
    const captured = this.#languages.get(language);
    const body = captured?.shards.get(shard);
    if (captured === undefined || body === undefined) return;
    captured.shards.delete(shard);
    captured.bytes -= body.length;
    this.#bytes -= body.length;
    if (captured.shards.size === 0) this.#languages.delete(language);
  }

  #dropSmallest(): void {
    let smallest = '';
    let documents = Number.POSITIVE_INFINITY;
    for (const [language, captured] of this.#languages) {
      if (captured.documents > documents || (captured.documents === documents && language < smallest)) continue;
      smallest = language;
      documents = captured.documents;
    }
    this.#bytes -= this.#languages.get(smallest)!.bytes;
    this.#languages.delete(smallest);
    this.#dropped.set(smallest, documents);
  }
}

/** Number of items in the next block of an Avro array; 0: the array has ended. */
function blockOf(cursor: AvroCursor): number {
  const count = cursor.long();
  if (count >= 0) return count;
  cursor.long();
  return -count;
}

/** The sum of an array of longs. */
function sumOf(cursor: AvroCursor): number {
  let sum = 0;
  for (let left = blockOf(cursor); left > 0; left = blockOf(cursor)) while (left-- > 0) sum += cursor.long();
  return sum;
}

function withLength(bytes: Buffer): [Buffer, Buffer] {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(bytes.length);
  return [length, bytes];
}

function damaged(what: string): FreshetError {
  return new FreshetError('invalid_data', `These bytes are not a capture of terms: ${what}.`);
}
