/** Rows stored contiguously in an index file, read some at a time; every number is checked. */
import { type FileHandle, open } from 'node:fs/promises';
import { FreshetError } from '../../process/errors.js';
import { FLAT_DATA_AT, FLOAT_BYTES } from './index-file.js';

export class RowReader {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #dimension: number;
  readonly #at: number;

  private constructor(file: FileHandle, path: string, dimension: number, at: number) {
    this.#file = file;
    this.#path = path;
    this.#dimension = dimension;
    this.#at = at;
  }

  /** `at`: where the first row starts; by default as in a flat index. */
  static async open(path: string, dimension: number, at = FLAT_DATA_AT): Promise<RowReader> {
    return new RowReader(await open(path, 'r'), path, dimension, at);
  }

  /** Rows from..to. Throws 'invalid_data' when the file ends before, or a number is not finite. */
  async rows(from: number, to: number): Promise<Float32Array> {
    const rows = new Float32Array((to - from) * this.#dimension);
    const bytes = new Uint8Array(rows.buffer);
    const at = this.#at + from * this.#dimension * FLOAT_BYTES;
    for (let done = 0; done < bytes.length; ) {
      const { bytesRead } = await this.#file.read(bytes, done, bytes.length - done, at + done);
      if (bytesRead === 0) throw new FreshetError('invalid_data', `${this.#path} ends before row ${to}.`);
      done += bytesRead;
    }
    const wrong = firstNotFinite(rows);
    if (wrong >= 0)
      throw new FreshetError(
        'invalid_data',
        `${this.#path}: row ${from + Math.floor(wrong / this.#dimension)} contains ${rows[wrong]}.`,
      );
    return rows;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** Index of the first number that is NaN or infinite; -1: all are finite. */
export function firstNotFinite(numbers: Float32Array): number {
  // A sum that includes one of them is not finite either; the second pass is for a sum that overflowed.
  let sum = 0;
  for (let i = 0; i < numbers.length; i++) sum += numbers[i]!;
  return Number.isFinite(sum) ? -1 : numbers.findIndex((value) => !Number.isFinite(value));
}
