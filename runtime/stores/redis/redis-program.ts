/**
 * A plan as one MessagePack array, the input of the Lua script in redis-scripts.ts. One argument instead of one per value:
 * Redis then creates no object per value, and the limit of arguments per command (1,048,576) is out of reach. It is flat,
 * because the script passes slices of it to commands with unpack().
 *
 *   [sorted sets: n, key…] [hashes: n, key…] then per step: code, key, …
 */
import { FreshetError } from '../../process/errors.js';
import type { BatchPlan, PlanStep } from '../batch-plan.js';
import { ByteWriter } from '../byte-writer.js';

/** Codes of steps, as in redis-scripts.ts. */
const CODE = { zadd: 1, zrem: 2, hset: 3, hdel: 4, set: 5, del: 6, regroup: 7 } as const;

/** Values per command: Lua's stack has room for 8,000, and a larger step is not faster. */
const STEP_VALUES_MAX = 1000;
/** Redis accepts arguments up to 512 MiB; a batch near that size would block all other clients. */
const PROGRAM_BYTES_MAX = 256 * 1024 * 1024;
/** A text of at most this many bytes has a head of one byte. */
const SHORT_BYTES_MAX = 31;

/** Throws FreshetError('invalid_data') when the batch is larger than 256 MiB. */
export function encodeProgram(plan: BatchPlan): Buffer {
  const writer = new Writer();
  writer.strings(plan.sortedSets);
  writer.strings(plan.hashes);
  for (const step of plan.steps) writeStep(writer, step);
  return writer.finish();
}

function writeStep(writer: Writer, step: PlanStep): void {
  switch (step.op) {
    case 'zadd':
      inSlices(step.members.length, (from, to) => {
        writer.head(CODE.zadd, step.key, to - from);
        for (let i = from; i < to; i++) {
          writer.decimal(step.scores[i]!);
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
    case 'hnumbers':
      writer.integer(CODE.del);
      writer.text(step.key);
      inSlices(step.fields.length, (from, to) => {
        writer.head(CODE.hset, step.key, to - from);
        for (let i = from; i < to; i++) {
          writer.text(step.fields[i]!);
          writer.decimal(step.values[i]!);
        }
      });
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
        for (let i = from; i < to; i++) writer.decimal(step.scores[i]!);
      });
  }
}

function writeFields(writer: Writer, step: Extract<PlanStep, { op: 'hset' | 'hreplace' }>): void {
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

/** MessagePack of strings, small integers and false; the length of the array is filled in at the end. */
class Writer {
  readonly #out = new ByteWriter(
    PROGRAM_BYTES_MAX,
    () => new FreshetError('invalid_data', 'A batch for Redis is larger than 256 MiB.'),
  );
  #count = 0;

  constructor() {
    this.#out.at = 5;
  }

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
    this.#byte(value < 128 ? value : 0xce);
    if (value < 128) return;
    const out = this.#out;
    out.reserve(4);
    out.at = out.bytes.writeUInt32BE(value, out.at);
  }

  textOrFalse(value: string | null): void {
    if (value === null) this.#byte(0xc2);
    else this.text(value);
  }

  text(value: string): void {
    const out = this.#out;
    if (value.length > SHORT_BYTES_MAX) {
      this.#byte(0xdb);
      out.reserve(4);
      const length = out.at;
      out.at += 4;
      out.text(value);
      out.bytes.writeUInt32BE(out.at - length - 4, length);
      return;
    }
    this.#byte(0);
    const start = out.at;
    out.text(value);
    this.#closeShort(start);
  }

  /** As text: Lua would round it. */
  decimal(value: number): void {
    this.#byte(0);
    const start = this.#out.at;
    this.#out.decimal(value);
    this.#closeShort(start);
  }

  finish(): Buffer {
    const { bytes, at } = this.#out;
    bytes[0] = 0xdd;
    bytes.writeUInt32BE(this.#count, 1);
    return bytes.subarray(0, at);
  }

  #byte(value: number): void {
    this.#count++;
    this.#out.byte(value);
  }

  /** Writes the head of a text that starts at `start`; multi-byte letters may make it longer than expected. */
  #closeShort(start: number): void {
    const out = this.#out;
    const length = out.at - start;
    if (length <= SHORT_BYTES_MAX) {
      out.bytes[start - 1] = 0xa0 | length;
      return;
    }
    out.reserve(1);
    out.bytes.copyWithin(start + 1, start, out.at++);
    out.bytes[start - 1] = 0xd9;
    out.bytes[start] = length;
  }
}
