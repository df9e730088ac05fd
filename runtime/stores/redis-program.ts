/**
 * A plan as one MessagePack array, the form in which the Lua script of redis-scripts.ts takes it. One argument instead
 * of one per value: Redis then makes no object per value, and the limit of arguments per command (1,048,576) is out of
 * reach. Flat, because the script hands slices of it to commands with unpack().
 *
 *   [sorted sets: n, key…] [hashes: n, key…] then per step: code, key, …
 */
import { FreshetError } from '../errors.js';
import type { BatchPlan, Step } from './batch-plan.js';

/** Codes of steps, as redis-scripts.ts knows them. */
const CODE = { zadd: 1, zrem: 2, hset: 3, hdel: 4, set: 5, del: 6, regroup: 7 } as const;

/** Values per command: Lua's stack holds 8,000, and a step of this size is already as fast as a larger one. */
const STEP_VALUES_MAX = 1000;
/** Redis takes arguments up to 512 MiB; a batch anywhere near it would stand in everyone's way. */
const PROGRAM_BYTES_MAX = 256 * 1024 * 1024;

/** Throws FreshetError('invalid_data') when the batch is larger than 256 MiB. */
export function encodeProgram(plan: BatchPlan): Buffer {
  const writer = new Writer();
  writer.strings(plan.sortedSets);
  writer.strings(plan.hashes);
  for (const step of plan.steps) writeStep(writer, step);
  return writer.finish();
}

function writeStep(writer: Writer, step: Step): void {
  switch (step.op) {
    case 'zadd':
      inSlices(step.members.length, (from, to) => {
        writer.head(CODE.zadd, step.key, to - from);
        for (let i = from; i < to; i++) {
          writer.text(String(step.scores[i]));
          writer.text(step.members[i]!);
        }
      });
      return;
    case 'zrem':
      inSlices(step.members.length, (from, to) => {
        writer.head(CODE.zrem, step.key, to - from);
        for (let i = from; i < to; i++) writer.text(step.members[i]!);
      });
      return;
    case 'hreplace':
      writer.integer(CODE.del);
      writer.text(step.key);
      writeFields(writer, step);
      return;
    case 'hset':
      writeFields(writer, step);
      return;
    case 'hdel':
      inSlices(step.fields.length, (from, to) => {
        writer.head(CODE.hdel, step.key, to - from);
        for (let i = from; i < to; i++) writer.text(step.fields[i]!);
      });
      return;
    case 'set':
      writer.integer(CODE.set);
      writer.text(step.key);
      writer.text(step.value);
      return;
    case 'del':
      writer.integer(CODE.del);
      writer.text(step.key);
      return;
    case 'regroup':
      inSlices(step.members.length, (from, to) => {
        writer.head(CODE.regroup, step.key, to - from);
        writer.text(step.prefix);
        for (let i = from; i < to; i++) writer.text(step.members[i]!);
        for (let i = from; i < to; i++) writer.textOrFalse(step.groups[i] ?? null);
        for (let i = from; i < to; i++) writer.text(String(step.scores[i]));
      });
  }
}

function writeFields(writer: Writer, step: Extract<Step, { op: 'hset' | 'hreplace' }>): void {
  inSlices(step.fields.length, (from, to) => {
    writer.head(CODE.hset, step.key, to - from);
    for (let i = from; i < to; i++) {
      writer.text(step.fields[i]!);
      writer.text(step.values[i]!);
    }
  });
}

function inSlices(length: number, write: (from: number, to: number) => void): void {
  for (let from = 0; from < length; from += STEP_VALUES_MAX) write(from, Math.min(length, from + STEP_VALUES_MAX));
}

/** MessagePack of strings, small integers and false; the array's length is filled in at the end. */
class Writer {
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #at = 5;
  #count = 0;

  head(code: number, key: string, count: number): void {
    this.integer(code);
    this.text(key);
    this.integer(count);
  }

  strings(values: readonly string[]): void {
    this.integer(values.length);
    for (const value of values) this.text(value);
  }

  integer(value: number): void {
    this.#reserve(5);
    this.#count++;
    if (value < 128) {
      this.#buffer[this.#at++] = value;
      return;
    }
    this.#buffer[this.#at++] = 0xce;
    this.#at = this.#buffer.writeUInt32BE(value, this.#at);
  }

  textOrFalse(value: string | null): void {
    if (value !== null) {
      this.text(value);
      return;
    }
    this.#reserve(1);
    this.#count++;
    this.#buffer[this.#at++] = 0xc2;
  }

  text(value: string): void {
    this.#reserve(5 + 3 * value.length);
    this.#count++;
    if (value.length < 32 && this.#shortAscii(value)) return;
    const length = this.#buffer.write(value, this.#at + 5);
    this.#buffer[this.#at] = 0xdb;
    this.#buffer.writeUInt32BE(length, this.#at + 1);
    this.#at += 5 + length;
  }

  /** Ids and numbers are short and plain: writing them here is several times faster than Buffer.write. */
  #shortAscii(value: string): boolean {
    const buffer = this.#buffer;
    let at = this.#at;
    buffer[at++] = 0xa0 | value.length;
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      if (unit > 127) return false;
      buffer[at++] = unit;
    }
    this.#at = at;
    return true;
  }

  #reserve(bytes: number): void {
    const needed = this.#at + bytes;
    if (needed <= this.#buffer.length) return;
    if (needed > PROGRAM_BYTES_MAX) throw new FreshetError('invalid_data', 'A batch for Redis is larger than 256 MiB.');
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#buffer.length));
    this.#buffer.copy(larger, 0, 0, this.#at);
    this.#buffer = larger;
  }

  finish(): Buffer {
    this.#buffer[0] = 0xdd;
    this.#buffer.writeUInt32BE(this.#count, 1);
    return this.#buffer.subarray(0, this.#at);
  }
}
