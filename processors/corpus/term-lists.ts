/**
 * The term list of every document: sorted numbers as differences in varints, about two bytes a term, end to end in
 * chunks. A list that is replaced or removed leaves a hole; when more than half of a chunk is holes, its remaining
 * lists move to the newest chunk, so at most half of the memory is wasted, and no pause is longer than one chunk takes.
 *
 * A list in its chunk: document, number of terms, then the differences, all varints.
 */
import { capacityFor, enlarged } from '../../runtime/tasks/state/columns.js';

const CHUNK_BYTES = 1024 * 1024;
const VARINT_BYTES_MAX = 5;
const NONE = -1;

interface Chunk {
  readonly bytes: Uint8Array;
  used: number;
  /** Bytes of lists still in use. */
  live: number;
}

export class TermLists {
  /** Null: released. */
  readonly #chunks: (Chunk | null)[] = [];
  readonly #freed: number[] = [];
  #current = NONE;
  /** Per document. */
  #chunkOf = new Int32Array(1024).fill(NONE);
  #startOf = new Int32Array(1024);
  #lengthOf = new Int32Array(1024);
  /** The end of the last varint read. */
  #at = 0;

  get bytesHeld(): number {
    const chunks = this.#chunks.reduce((sum, chunk) => sum + (chunk?.bytes.length ?? 0), 0);
    return chunks + 3 * this.#chunkOf.byteLength;
  }

  /** Bytes of lists, excluding holes. */
  get bytesLive(): number {
    return this.#chunks.reduce((sum, chunk) => sum + (chunk?.live ?? 0), 0);
  }

  /** Stores terms[0..count), which ascend, as the document's list, replacing any previous one. */
  put(document: number, terms: Int32Array, count: number): void {
    this.drop(document);
    this.#reserve(document);
    const chunk = this.#room((count + 2) * VARINT_BYTES_MAX);
    const { bytes, used } = chunk;
    let at = putVarint(bytes, used, document);
    at = putVarint(bytes, at, count);
    let last = 0;
    for (let i = 0; i < count; i++) {
      const term = terms[i]!;
      const step = term - last;
      last = term;
      if (step < 0x80) bytes[at++] = step;
      else at = putVarint(bytes, at, step);
    }
    chunk.used = at;
    chunk.live += at - used;
    this.#chunkOf[document] = this.#current;
    this.#startOf[document] = used;
    this.#lengthOf[document] = at - used;
  }

  /** Number of terms of the document. */
  countOf(document: number): number {
    const { bytes } = this.#chunks[this.#chunkOf[document]!]!;
    this.#varint(bytes, this.#startOf[document]!);
    return this.#varint(bytes, this.#at);
  }

  /** Writes the document's terms, ascending, to the start of `into`, which has room for them; returns their number. */
  read(document: number, into: Int32Array): number {
    const { bytes } = this.#chunks[this.#chunkOf[document]!]!;
    this.#varint(bytes, this.#startOf[document]!);
    const count = this.#varint(bytes, this.#at);
    let at = this.#at;
    let term = 0;
    for (let i = 0; i < count; i++) {
      const byte = bytes[at]!;
      if (byte < 0x80) {
        term += byte;
        at++;
      } else {
        term += this.#varint(bytes, at);
        at = this.#at;
      }
      into[i] = term;
    }
    return count;
  }

  /** Removes the document's list, if it has one. */
  drop(document: number): void {
    const number = document < this.#chunkOf.length ? this.#chunkOf[document]! : NONE;
    if (number === NONE) return;
    this.#chunkOf[document] = NONE;
    const chunk = this.#chunks[number]!;
    chunk.live -= this.#lengthOf[document]!;
    if (number !== this.#current && chunk.live * 2 < chunk.used) this.#compact(number, chunk);
  }

  #compact(number: number, chunk: Chunk): void {
    const { bytes, used } = chunk;
    for (let at = 0; at < used; ) {
      const start = at;
      const document = this.#varint(bytes, at);
      let left = this.#varint(bytes, this.#at);
      for (at = this.#at; left > 0; at++) if (bytes[at]! < 0x80) left--;
      if (this.#chunkOf[document] !== number || this.#startOf[document] !== start) continue;
      const target = this.#room(at - start);
      target.bytes.set(bytes.subarray(start, at), target.used);
      this.#chunkOf[document] = this.#current;
      this.#startOf[document] = target.used;
      target.used += at - start;
      target.live += at - start;
    }
    this.#chunks[number] = null;
    this.#freed.push(number);
  }

  /** The newest chunk, with room for this many bytes. */
  #room(bytes: number): Chunk {
    const current = this.#current === NONE ? null : this.#chunks[this.#current]!;
    if (current !== null && current.used + bytes <= current.bytes.length) return current;
    const chunk: Chunk = { bytes: new Uint8Array(Math.max(CHUNK_BYTES, bytes)), used: 0, live: 0 };
    this.#current = this.#freed.pop() ?? this.#chunks.length;
    this.#chunks[this.#current] = chunk;
    return chunk;
  }

  #reserve(document: number): void {
    const before = this.#chunkOf.length;
    if (document < before) return;
    const capacity = capacityFor(document + 1, before);
    this.#chunkOf = enlarged(this.#chunkOf, capacity).fill(NONE, before);
    this.#startOf = enlarged(this.#startOf, capacity);
    this.#lengthOf = enlarged(this.#lengthOf, capacity);
  }

  #varint(bytes: Uint8Array, from: number): number {
    let at = from;
    let value = 0;
    let shift = 0;
    for (;;) {
      const byte = bytes[at++]!;
      value |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
      shift += 7;
    }
    this.#at = at;
    return value;
  }
}

function putVarint(bytes: Uint8Array, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest >= 0x80) {
    bytes[at++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  bytes[at++] = rest;
  return at;
}
