/** Documents as rows of the changelog: key `d/<doc_id>`, with language, source and terms as counted. */
import type { RecordColumns } from '../../runtime/log/log.js';
import type { Output } from '../../runtime/tasks/processor.js';
import { AvroCursor, AvroWriter } from '../../schemas/avro-writer.js';
import type { Codec } from '../../schemas/codec.js';
import { ID_BYTES_MAX } from '../../topics/ids.js';
import type { DocumentStates } from './document-states.js';
import type { Kinds } from './kinds.js';
import { fnv1a } from './shards.js';
import type { Vocabulary } from './vocabulary.js';

const KEY_PREFIX = Buffer.from('d/');
/** Longer than `<language>/<source>` and than any key. */
const NAME_BYTES_MAX = 2 * ID_BYTES_MAX;

interface DocumentRowsOptions {
  readonly topic: string;
  /** Partition of the changelog that only this task writes. */
  readonly partition: number;
  /** The input partition that feeds the rows. */
  readonly inputPartition: number;
  readonly codec: Codec;
  readonly vocabulary: Vocabulary;
  readonly kinds: Kinds;
  readonly documents: DocumentStates;
}

export class DocumentRows {
  readonly #o: DocumentRowsOptions;
  readonly #writer = new AvroWriter();
  readonly #cursor = new AvroCursor();
  readonly #key = Buffer.alloc(NAME_BYTES_MAX);
  readonly #name = Buffer.alloc(NAME_BYTES_MAX);
  #terms = new Int32Array(256);

  constructor(options: DocumentRowsOptions) {
    this.#o = options;
    KEY_PREFIX.copy(this.#key);
  }

  /** Writes the document's current state, null if it is deleted; the row includes every input record below `covers`. */
  write(document: number, covers: number, timestamp: number, out: Output): void {
    const { topic, partition, inputPartition, codec, vocabulary, kinds, documents } = this.#o;
    const id = documents.ids.bytesOf(document);
    const keyEnd = KEY_PREFIX.length + id.copy(this.#key, KEY_PREFIX.length);
    const key = this.#key.subarray(0, keyEnd);
    const kind = documents.kindOf(document);
    if (kind < 0) {
      out.add(topic, key, null, { partition, timestamp });
      return;
    }
    const terms = documents.termsOf(document);
    const writer = this.#writer.begin(codec.prefix('DocumentTerms')).long(inputPartition).long(covers);
    writer.string(kinds.languageName(kinds.languageOf(kind))).string(kinds.sourceOf(kind));
    if (terms.length > 0) writer.long(terms.length);
    const { arena } = vocabulary;
    for (let i = 0; i < terms.length; i++) {
      const term = terms[i]!;
      writer.bytes(arena, vocabulary.startOf(term), vocabulary.endOf(term));
    }
    out.add(topic, key, writer.long(0).finish(), { partition, timestamp });
  }

  /** Applies a row; those of other input partitions are ignored. Returns the offset it covers, 0 if none. */
  restore(batch: RecordColumns, i: number): number {
    const { codec, inputPartition, vocabulary, documents } = this.#o;
    const idStart = batch.keyStart[i]! + KEY_PREFIX.length;
    const idEnd = batch.keyEnd[i]!;
    const valueStart = batch.valueStart[i]!;
    const valueEnd = batch.valueEnd[i]!;
    if (valueStart < 0) {
      const known = documents.ids.find(batch.bytes, idStart, idEnd);
      if (known >= 0 && documents.kindOf(known) >= 0) {
        documents.forget(known);
        documents.size--;
      }
      return 0;
    }
    const body = codec.bodyStart('DocumentTerms', batch.bytes, valueStart, valueEnd);
    const cursor = this.#cursor.reset(batch.bytes, body, valueEnd);
    if (cursor.long() !== inputPartition) return 0;
    const covers = cursor.long();
    const kind = this.#readKind(batch.bytes);
    let count = 0;
    for (let block = cursor.long(); block !== 0; block = cursor.long()) {
      if (count + block > this.#terms.length) {
        const terms = new Int32Array(2 * (count + block));
        terms.set(this.#terms);
        this.#terms = terms;
      }
      for (let k = 0; k < block; k++) {
        const start = cursor.bytesStart();
        const hash = fnv1a(batch.bytes, start, cursor.at);
        this.#terms[count++] = vocabulary.intern(batch.bytes, start, cursor.at - start, hash);
      }
    }
    this.#terms.subarray(0, count).sort();
    const document = documents.obtain(batch.bytes, idStart, idEnd);
    if (documents.kindOf(document) < 0) documents.size++;
    documents.restore(document, kind, this.#terms, count);
    return covers;
  }

  #readKind(bytes: Buffer): number {
    const cursor = this.#cursor;
    const name = this.#name;
    const languageStart = cursor.bytesStart();
    let length = bytes.copy(name, 0, languageStart, cursor.at);
    name[length++] = 0x2f;
    const sourceStart = cursor.bytesStart();
    length += bytes.copy(name, length, sourceStart, cursor.at);
    return this.#o.kinds.intern(name, length);
  }
}
