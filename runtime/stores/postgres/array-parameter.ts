/**
 * An array as one statement parameter, in Postgres's binary format (src/backend/utils/adt/arrayfuncs.c, array_recv): as
 * text, every element would be quoted, joined into one long string and parsed again. Name the type in the statement as
 * well (`$1::float8[]`), so that the server knows what the bytes are.
 */
import { FreshetError } from '../../process/errors.js';
import { writeInt64 } from '../../process/int64.js';
import { ByteWriter } from '../byte-writer.js';

/** Element types and their ids in Postgres (src/include/catalog/pg_type.dat). */
const TYPE_IDS = { bool: 16, int8: 20, int4: 23, text: 25, float4: 700, float8: 701, jsonb: 3802 } as const;

export type ElementType = keyof typeof TYPE_IDS;

/** A JSON object of numbers; names and values have the same length. */
interface JsonNumbers {
  readonly names: readonly string[];
  readonly values: readonly number[];
}

/** Numbers must be whole for int4 and int8; jsonb is given as its text or as an object of numbers. */
export type ElementValue = string | number | boolean | null | JsonNumbers;

/** All parameters of a statement must stay below Postgres's limit of 1 GiB. */
const BYTES_MAX = 512 * 1024 * 1024;
const BRACE = 0x7b;
const END_BRACE = 0x7d;
const COMMA = 0x2c;
const COLON = 0x3a;
const HEAD_BYTES = 20;
const EMPTY_HEAD_BYTES = 12;
const NULL_LENGTH = -1;
/** The only version of jsonb's binary format; the text follows. */
const JSONB_VERSION = 1;

/** `bytes`: initial size. */
export function arrayParameter<Value>(
  type: ElementType,
  values: ArrayLike<Value> & Iterable<Value>,
  elementOf: (value: Value) => ElementValue,
  bytes?: number,
): Buffer {
  const out = new ArrayWriter(bytes);
  let holdsNull = false;
  out.at = HEAD_BYTES;
  for (const value of values) {
    const element = elementOf(value);
    const length = out.at;
    out.int32(NULL_LENGTH);
    if (element === null) {
      holdsNull = true;
      continue;
    }
    out.element(type, element);
    out.bytes.writeInt32BE(out.at - length - 4, length);
  }
  // An empty array has no dimensions.
  out.bytes.writeInt32BE(values.length === 0 ? 0 : 1, 0);
  out.bytes.writeInt32BE(holdsNull ? 1 : 0, 4);
  out.bytes.writeUInt32BE(TYPE_IDS[type], 8);
  out.bytes.writeInt32BE(values.length, 12);
  out.bytes.writeInt32BE(1, 16);
  return out.bytes.subarray(0, values.length === 0 ? EMPTY_HEAD_BYTES : out.at);
}

class ArrayWriter extends ByteWriter {
  constructor(bytes?: number) {
    super(BYTES_MAX, () => new FreshetError('invalid_data', 'An array for Postgres is larger than 512 MiB.'), bytes);
  }

  element(type: ElementType, value: Exclude<ElementValue, null>): void {
    switch (type) {
      case 'text':
        this.text(value as string);
        return;
      case 'jsonb':
        this.byte(JSONB_VERSION);
        if (typeof value === 'object') this.#numbers(value);
        else this.text(value as string);
        return;
      case 'bool':
        this.byte(value === true ? 1 : 0);
        return;
      case 'float8':
        this.reserve(8);
        this.at = this.bytes.writeDoubleBE(value as number, this.at);
        return;
      case 'float4':
        this.reserve(4);
        this.at = this.bytes.writeFloatBE(value as number, this.at);
        return;
      case 'int4':
        this.int32(value as number);
        return;
      case 'int8':
        this.reserve(8);
        writeInt64(this.bytes, value as number, this.at);
        this.at += 8;
    }
  }

  int32(value: number): void {
    this.reserve(4);
    this.at = this.bytes.writeInt32BE(value, this.at);
  }

  #numbers({ names, values }: JsonNumbers): void {
    this.byte(BRACE);
    for (let i = 0; i < names.length; i++) {
      if (i > 0) this.byte(COMMA);
      this.jsonText(names[i]!);
      this.byte(COLON);
      this.decimal(values[i]!);
    }
    this.byte(END_BRACE);
  }
}
