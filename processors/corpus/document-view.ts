/**
 * Reads one value of `documents` in place and reports what is wrong with it. Fields are ranges over the batch's buffer;
 * the raw bytes are checked, because a decoder would silently replace invalid UTF-8 with U+FFFD.
 */
import { isUtf8 } from 'node:buffer';
import type { RecordColumns } from '../../runtime/log/log.js';
import { type RecordProblem, wrongId, wrongKey } from '../../runtime/log/record-problem.js';
import { AvroCursor } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import { primaryLanguage } from './language.js';

const TAG_BYTES_MAX = 64;
const REPLACEMENT = Buffer.from('\ufffd');

export class DocumentView {
  readonly #codec: Codec;
  readonly #partitions: number;
  readonly #cursor = new AvroCursor();
  /** The few different tags seen, and their primary subtag; null: not a tag. */
  readonly #tags = new Map<string, string | null>();
  bytes: Buffer = Buffer.alloc(0);
  textStart = 0;
  textEnd = 0;
  /** Equal if the source is null or empty. */
  sourceStart = 0;
  sourceEnd = 0;
  /** Null: not given. */
  language: string | null = null;

  /** `partitions`: of the topic, to check that each key is where every reader expects it. */
  constructor(codec: Codec, partitions: number) {
    this.#codec = codec;
    this.#partitions = partitions;
  }

  /** Whether the key can be that of a document in this partition; null when it can. */
  checkKey(batch: RecordColumns, i: number): RecordProblem | null {
    return wrongKey('doc_id', batch, i, this.#partitions);
  }

  /** Whether any document of the batch may lack a language. Unreadable ones count, because it is unknown. */
  someLackLanguage(batch: RecordColumns): boolean {
    for (let i = 0; i < batch.count; i++) {
      const start = batch.valueStart[i]!;
      if (start < 0) continue;
      const end = batch.valueEnd[i]!;
      const body = this.#codec.bodyStart('Document', batch.bytes, start, end);
      if (body < 0) return true;
      try {
        const cursor = this.#cursor.reset(batch.bytes, body, end);
        cursor.bytesStart();
        if (cursor.long() === 0) return true;
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
    }
    return false;
  }

  /** Reads row i, whose value is not null and whose key is valid. Null if it is well-formed. */
  read(batch: RecordColumns, i: number): RecordProblem | null {
    const start = batch.valueStart[i]!;
    const end = batch.valueEnd[i]!;
    this.bytes = batch.bytes;
    let body = this.#codec.bodyStart('Document', batch.bytes, start, end);
    let bodyEnd = end;
    if (body < 0) {
      try {
        this.bytes = this.#codec.rewrite('Document', batch.bytes, start, end);
      } catch (error) {
        if (error instanceof SchemaError) return { code: error.problem, message: error.message };
        throw error;
      }
      if (replacements(this.bytes, 0, this.bytes.length) > replacements(batch.bytes, start, end))
        return { code: 'invalid_utf8', message: 'a string of the document is not UTF-8' };
      body = 0;
      bodyEnd = this.bytes.length;
    }
    try {
      return this.#readBody(batch, i, body, bodyEnd);
    } catch (error) {
      if (error instanceof RangeError) return undecodable(error.message);
      throw error;
    }
  }

  #readBody(batch: RecordColumns, i: number, start: number, end: number): RecordProblem | null {
    const { bytes } = this;
    const cursor = this.#cursor.reset(bytes, start, end);
    const idStart = cursor.bytesStart();
    const idEnd = cursor.at;
    const languageStart = this.#optional();
    const languageEnd = cursor.at;
    const sourceStart = this.#optional();
    this.sourceEnd = cursor.at;
    this.sourceStart = sourceStart < 0 ? this.sourceEnd : sourceStart;
    this.textStart = cursor.bytesStart();
    this.textEnd = cursor.at;
    cursor.long();
    if (cursor.at !== end) return undecodable(`${end - cursor.at} bytes are left over`);
    const keyStart = batch.keyStart[i]!;
    if (batch.bytes.compare(bytes, idStart, idEnd, keyStart, batch.keyEnd[i]!) !== 0)
      return { code: 'key_mismatch', message: 'the key is not the doc_id' };
    return (
      (this.sourceEnd === this.sourceStart ? null : wrongId('source', bytes, this.sourceStart, this.sourceEnd)) ??
      this.#readLanguage(languageStart, languageEnd) ??
      (isUtf8(bytes.subarray(this.textStart, this.textEnd))
        ? null
        : { code: 'invalid_utf8', message: 'text is not UTF-8' })
    );
  }

  /** Start of a string that may be null, or -1. */
  #optional(): number {
    const branch = this.#cursor.long();
    if (branch === 0) return -1;
    if (branch === 1) return this.#cursor.bytesStart();
    throw new RangeError(`there is no union branch ${branch}`);
  }

  #readLanguage(start: number, end: number): RecordProblem | null {
    this.language = null;
    if (start < 0) return null;
    const tag = this.bytes.toString('latin1', start, Math.min(end, start + TAG_BYTES_MAX + 1));
    let language = this.#tags.get(tag);
    if (language === undefined) {
      language = tag.length > TAG_BYTES_MAX ? null : primaryLanguage(tag);
      if (language !== null) this.#tags.set(tag, language);
    }
    this.language = language;
    if (language !== null) return null;
    return {
      code: 'invalid_language',
      message: `language ${JSON.stringify(tag)} is not a tag such as de or pt-BR; use null to have it detected`,
    };
  }
}

function undecodable(why: string): RecordProblem {
  return { code: 'undecodable', message: `not a Document: ${why}` };
}

/** Number of U+FFFD in bytes[start..end): a decoder inserts one for what it cannot read. */
function replacements(bytes: Buffer, start: number, end: number): number {
  const range = bytes.subarray(start, end);
  let count = 0;
  for (let at = range.indexOf(REPLACEMENT); at >= 0; at = range.indexOf(REPLACEMENT, at + REPLACEMENT.length)) count++;
  return count;
}
