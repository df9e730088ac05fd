/**
 * Reads model.safetensors: eight bytes with the length of a JSON header, the header (name → dtype, shape, position),
 * then the numbers. Half and bfloat16 become float32, which loses nothing.
 */
import { open } from 'node:fs/promises';
import { FreshetError } from '../../../process/errors.js';

const HEADER_BYTES_MAX = 100_000_000;

export interface Tensor {
  readonly shape: readonly number[];
  readonly values: Float32Array;
}

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

const BYTES: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2 };

export class Safetensors {
  readonly #file: string;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #data: Buffer;

  private constructor(file: string, entries: ReadonlyMap<string, Entry>, data: Buffer) {
    this.#file = file;
    this.#entries = entries;
    this.#data = data;
  }

  /** Reads the whole file. Throws FreshetError('invalid_data') if it is damaged, truncated or of another kind. */
  static async read(file: string): Promise<Safetensors> {
    const handle = await open(file, 'r');
    let bytes: Buffer;
    try {
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
    const length = bytes.length < 8 ? 0 : Number(bytes.readBigUInt64LE(0));
    if (length < 2 || length > HEADER_BYTES_MAX || 8 + length > bytes.length)
      throw damaged(file, 'its header is truncated');
    let header: unknown;
    try {
      header = JSON.parse(bytes.toString('utf8', 8, 8 + length));
    } catch {
      throw damaged(file, 'its header is not JSON');
    }
    const data = bytes.subarray(8 + length);
    const entries = new Map<string, Entry>();
    for (const [name, entry] of Object.entries(header as Record<string, unknown>)) {
      if (name === '__metadata__') continue;
      if (!isEntry(entry)) throw damaged(file, `its entry for ${name} is invalid`);
      if (entry.data_offsets[1] > data.length) throw damaged(file, `it ends before ${name} does`);
      entries.set(name, entry);
    }
    return new Safetensors(file, entries, data);
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()];
  }

  has(name: string): boolean {
    return this.#entries.has(name);
  }

  /** Throws FreshetError('invalid_data') if it is missing, has another shape, or contains non-finite values. */
  tensor(name: string, shape: readonly number[]): Tensor {
    const entry = this.#entries.get(name);
    if (entry === undefined) throw damaged(this.#file, `it has no ${name}`);
    if (entry.shape.join() !== shape.join())
      throw damaged(this.#file, `${name} is [${entry.shape}], but config.json makes it [${shape}]`);
    const size = BYTES[entry.dtype];
    if (size === undefined) throw damaged(this.#file, `${name} is ${entry.dtype}; only F32, F16 and BF16 can be read`);
    const [start, end] = entry.data_offsets;
    const count = shape.reduce((product, length) => product * length, 1);
    if (end - start !== count * size)
      throw damaged(this.#file, `${name} has ${end - start} bytes, not ${count * size}`);
    const values = floats(this.#data.subarray(start, end), entry.dtype);
    if (!values.every(Number.isFinite)) throw damaged(this.#file, `${name} contains values that are not finite`);
    return { shape, values };
  }
}

function damaged(file: string, why: string): FreshetError {
  return new FreshetError('invalid_data', `${file} is damaged or not a safetensors file: ${why}.`);
}

function isEntry(entry: unknown): entry is Entry {
  if (typeof entry !== 'object' || entry === null) return false;
  const { dtype, shape, data_offsets: place } = entry as Partial<Entry>;
  const isCount = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
  return (
    typeof dtype === 'string' &&
    Array.isArray(shape) &&
    shape.every(isCount) &&
    Array.isArray(place) &&
    place.length === 2 &&
    place.every(isCount) &&
    place[0]! <= place[1]!
  );
}

function floats(bytes: Buffer, dtype: string): Float32Array {
  // Copied, because a Float32Array must be aligned.
  if (dtype === 'F32') return new Float32Array(new Uint8Array(bytes).buffer);
  const out = new Float32Array(bytes.length / 2);
  if (dtype === 'F16') for (let i = 0; i < out.length; i++) out[i] = half(bytes.readUInt16LE(2 * i));
  else {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < bits.length; i++) bits[i] = bytes.readUInt16LE(2 * i) << 16;
  }
  return out;
}

/** IEEE 754 binary16. */
function half(bits: number): number {
  const sign = bits >> 15 === 0 ? 1 : -1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
