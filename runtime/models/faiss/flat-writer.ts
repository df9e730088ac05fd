/** Writes a flat index file row by row, without FAISS. */
import { type FileHandle, open } from 'node:fs/promises';
import { FreshetError } from '../../process/errors.js';
import { FLOAT_BYTES, flatHeader } from './index-file.js';
import { firstNotFinite } from './row-reader.js';
import type { Metric } from './vector-index.js';
import { COUNT_MAX, DIMENSION_MAX } from './vector-index.js';

const BUFFER_BYTES = 1 << 20;

export class FlatWriter {
  readonly #file: FileHandle;
  readonly #metric: Metric;
  readonly #dimension: number;
  readonly #buffer: Buffer;
  #used: number;
  #rows = 0;

  private constructor(file: FileHandle, metric: Metric, dimension: number) {
    this.#file = file;
    this.#metric = metric;
    this.#dimension = dimension;
    const header = flatHeader(metric, dimension, 0);
    this.#buffer = Buffer.alloc(BUFFER_BYTES + header.length);
    this.#used = header.copy(this.#buffer);
  }

  /** The file must not exist yet. Throws 'invalid_data' for an invalid dimension. */
  static async create(path: string, metric: Metric, dimension: number): Promise<FlatWriter> {
    if (!Number.isInteger(dimension) || dimension < 1 || dimension > DIMENSION_MAX)
      throw new FreshetError(
        'invalid_data',
        `Vectors of ${dimension} numbers cannot be indexed (1 to ${DIMENSION_MAX}).`,
      );
    return new FlatWriter(await open(path, 'wx+'), metric, dimension);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Throws 'invalid_data' when the row has another dimension, or a number that is not finite. */
  async add(row: Float32Array): Promise<void> {
    if (row.length !== this.#dimension || firstNotFinite(row) >= 0 || this.#rows >= COUNT_MAX)
      throw new FreshetError('invalid_data', `Row ${this.#rows} cannot be indexed: ${row.length} numbers, or NaN.`);
    const bytes = row.length * FLOAT_BYTES;
    if (this.#used + bytes > this.#buffer.length) await this.#flush();
    for (let i = 0; i < row.length; i++) this.#buffer.writeFloatLE(row[i]!, this.#used + i * FLOAT_BYTES);
    this.#used += bytes;
    this.#rows++;
  }

  /** Writes the number of rows into the header and closes. */
  async finish(): Promise<void> {
    try {
      await this.#flush();
      const header = flatHeader(this.#metric, this.#dimension, this.#rows);
      await this.#file.write(header, 0, header.length, 0);
    } finally {
      await this.#file.close();
    }
  }

  /** Closes a file that will not be used. */
  abandon(): Promise<void> {
    return this.#file.close();
  }

  async #flush(): Promise<void> {
    await this.#file.writeFile(this.#buffer.subarray(0, this.#used));
    this.#used = 0;
  }
}
