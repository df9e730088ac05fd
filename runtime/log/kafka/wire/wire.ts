/** The primitive types of Kafka's protocol (versions before "flexible"), written and read in place. */
import { readInt64, writeInt64 } from '../../../process/int64.js';

/** One request and how to decode its answer. */
export interface Exchange<Answer> {
  readonly apiKey: number;
  readonly version: number;
  readonly name: string;
  /** Everything after the request header, in pieces that are written in sequence without a copy. */
  readonly body: readonly Buffer[];
  /** How long the answer may take, ms, if longer than usual. */
  readonly timeoutMs?: number;
  readonly decode: (reader: ResponseReader) => Answer;
}

export class RequestWriter {
  #bytes: Buffer;
  #end = 0;

  constructor(initialBytes = 256) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
  }

  int8(value: number): this {
    const at = this.#reserve(1);
    this.#bytes.writeInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    this.#bytes.writeInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    this.#bytes.writeInt32BE(value, at);
    return this;
  }

  /** Exact below 2^53. */
  int64(value: number): this {
    const at = this.#reserve(8);
    writeInt64(this.#bytes, value, at);
    return this;
  }

  bigint64(value: bigint): this {
    const at = this.#reserve(8);
    this.#bytes.writeBigInt64BE(value, at);
    return this;
  }

  string(value: string | null): this {
    if (value === null) return this.int16(-1);
    const length = Buffer.byteLength(value);
    this.int16(length);
    const at = this.#reserve(length);
    this.#bytes.write(value, at, 'utf8');
    return this;
  }

  bytes(value: Uint8Array | null): this {
    if (value === null) return this.int32(-1);
    this.int32(value.length);
    const at = this.#reserve(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  array<T>(items: readonly T[], each: (item: T) => void): this {
    this.int32(items.length);
    for (const item of items) each(item);
    return this;
  }

  /** The bytes written so far; the writer continues after them. */
  finish(): Buffer {
    const out = this.#bytes.subarray(0, this.#end);
    this.#bytes = this.#bytes.subarray(this.#end);
    this.#end = 0;
    return out;
  }

  #reserve(length: number): number {
    const at = this.#end;
    if (at + length > this.#bytes.length) {
      const bytes = Buffer.allocUnsafe(Math.max(256, this.#bytes.length * 2, at + length));
      this.#bytes.copy(bytes, 0, 0, at);
      this.#bytes = bytes;
    }
    this.#end = at + length;
    return at;
  }
}

export class ResponseReader {
  readonly source: Buffer;
  at = 0;
  /** How long the broker asks us to wait before the next request, ms; set by the decoder of the answer. */
  throttleMs = 0;

  constructor(source: Buffer) {
    this.source = source;
  }

  int8(): number {
    return this.source.readInt8(this.#skip(1));
  }

  int16(): number {
    return this.source.readInt16BE(this.#skip(2));
  }

  int32(): number {
    return this.source.readInt32BE(this.#skip(4));
  }

  int64(): number {
    return readInt64(this.source, this.#skip(8));
  }

  bigint64(): bigint {
    return this.source.readBigInt64BE(this.#skip(8));
  }

  boolean(): boolean {
    return this.int8() !== 0;
  }

  nullableString(): string | null {
    const length = this.int16();
    if (length < 0) return null;
    const at = this.#skip(length);
    return this.source.toString('utf8', at, at + length);
  }

  /** Null is read as ''. */
  string(): string {
    return this.nullableString() ?? '';
  }

  /** A view, not a copy; null is read as empty. */
  bytes(): Buffer {
    const length = Math.max(0, this.int32());
    const at = this.#skip(length);
    return this.source.subarray(at, at + length);
  }

  /** A null array is read as empty. */
  array<T>(each: () => T): T[] {
    const length = this.int32();
    const items: T[] = [];
    for (let i = 0; i < length; i++) items.push(each());
    return items;
  }

  throttle(): void {
    this.throttleMs = this.int32();
  }

  #skip(length: number): number {
    const at = this.at;
    this.at += length;
    return at;
  }
}

/** Items in the order of first appearance of their topics: requests name each topic once. */
export function byTopic<T extends { readonly topic: string }>(items: readonly T[]): [topic: string, items: T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(item.topic);
    if (group === undefined) groups.set(item.topic, [item]);
    else group.push(item);
  }
  return [...groups];
}
