/**
 * Reads one value of `events` in place and reports what is wrong with it: shape, sizes, partition. Fields are ranges
 * over the batch's buffer, so a good event costs no allocation.
 */
import type { RecordColumns } from '../../runtime/log/log.js';
import { type RecordProblem, wrongId, wrongPartition } from '../../runtime/log/record-problem.js';
import { AvroCursor } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';

export const VIEW = 0;
export const ADD_TO_CART = 1;
export const PURCHASE = 2;
const TYPE_NAMES = ['view', 'add_to_cart', 'purchase'].map((name) => Buffer.from(name));

export class EventView {
  readonly #codec: Codec;
  readonly #partitions: number;
  readonly #cursor = new AvroCursor();
  bytes: Buffer = Buffer.alloc(0);
  /** [idStart, userEnd) holds event_id and user_id with their lengths: together the event's identity. */
  identityStart = 0;
  identityEnd = 0;
  userStart = 0;
  userEnd = 0;
  productStart = 0;
  productEnd = 0;
  /** -1: null. */
  categoryStart = -1;
  categoryEnd = -1;
  /** VIEW, ADD_TO_CART or PURCHASE. */
  type = VIEW;
  ts = 0;

  /** `partitions`: of the topic, to check that each key is where every reader expects it. */
  constructor(codec: Codec, partitions: number) {
    this.#codec = codec;
    this.#partitions = partitions;
  }

  /** Reads row i, whose value is not null. Null when it is well-formed. */
  read(batch: RecordColumns, i: number): RecordProblem | null {
    const start = batch.valueStart[i]!;
    const end = batch.valueEnd[i]!;
    let bytes = batch.bytes;
    let body = this.#codec.bodyStart('Event', bytes, start, end);
    let bodyEnd = end;
    if (body < 0) {
      try {
        bytes = this.#codec.rewrite('Event', bytes, start, end);
      } catch (error) {
        if (error instanceof SchemaError) return { code: error.problem, message: error.message };
        throw error;
      }
      body = 0;
      bodyEnd = bytes.length;
    }
    this.bytes = bytes;
    const cursor = this.#cursor.reset(bytes, body, bodyEnd);
    let idStart: number;
    let idEnd: number;
    let typeStart: number;
    let typeEnd: number;
    try {
      this.identityStart = body;
      idStart = cursor.bytesStart();
      idEnd = cursor.at;
      this.userStart = cursor.bytesStart();
      this.userEnd = cursor.at;
      this.identityEnd = cursor.at;
      this.productStart = cursor.bytesStart();
      this.productEnd = cursor.at;
      const branch = cursor.long();
      if (branch === 1) {
        this.categoryStart = cursor.bytesStart();
        this.categoryEnd = cursor.at;
      } else if (branch === 0) {
        this.categoryStart = -1;
        this.categoryEnd = -1;
      } else return { code: 'undecodable', message: `category: there is no union branch ${branch}` };
      typeStart = cursor.bytesStart();
      typeEnd = cursor.at;
      this.ts = cursor.long();
    } catch (error) {
      if (error instanceof RangeError) return { code: 'undecodable', message: `not an Event: ${error.message}` };
      throw error;
    }
    if (cursor.at !== bodyEnd)
      return { code: 'undecodable', message: `not an Event: ${bodyEnd - cursor.at} bytes are left over` };
    if (!Number.isSafeInteger(this.ts)) return { code: 'invalid_ts', message: `ts is out of range` };
    return (
      wrongId('event_id', bytes, idStart, idEnd) ??
      wrongId('user_id', bytes, this.userStart, this.userEnd) ??
      wrongId('product_id', bytes, this.productStart, this.productEnd) ??
      (this.categoryStart < 0 ? null : wrongId('category', bytes, this.categoryStart, this.categoryEnd)) ??
      this.#readType(bytes, typeStart, typeEnd) ??
      this.checkKey(batch, i, bytes, this.userStart, this.userEnd)
    );
  }

  /** The key must be the user_id, and must be in the partition that murmur2 assigns to it. */
  checkKey(batch: RecordColumns, i: number, bytes: Buffer, start: number, end: number): RecordProblem | null {
    const keyStart = batch.keyStart[i]!;
    const keyEnd = batch.keyEnd[i]!;
    if (keyStart < 0) return { code: 'missing_key', message: 'the record has no key; it must be the user_id' };
    let same = keyEnd - keyStart === end - start;
    for (let k = 0; same && k < end - start; k++) same = batch.bytes[keyStart + k] === bytes[start + k];
    if (!same) return { code: 'key_mismatch', message: 'the key is not the user_id' };
    return wrongPartition(batch, i, this.#partitions);
  }

  #readType(bytes: Buffer, start: number, end: number): RecordProblem | null {
    const length = end - start;
    const type = length === 4 ? VIEW : length === 11 ? ADD_TO_CART : length === 8 ? PURCHASE : -1;
    if (type >= 0) {
      const name = TYPE_NAMES[type]!;
      let i = 0;
      while (i < length && bytes[start + i] === name[i]) i++;
      if (i === length) {
        this.type = type;
        return null;
      }
    }
    const shown = JSON.stringify(bytes.toString('utf8', start, Math.min(end, start + 64)));
    return { code: 'unknown_event_type', message: `event_type ${shown} is not one of view, add_to_cart, purchase` };
  }
}
