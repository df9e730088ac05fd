/**
 * Which product is at which position. Positions are in byte order of the ids, so the table is its own directory: a
 * product is found by binary search, and a million of them take their bytes plus four each.
 */
import { type FileHandle, open, readFile } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { FreshetError } from '../../runtime/process/errors.js';

/** Less than a millisecond of work. */
const IDS_AT_ONCE = 1_000;
const FLUSH_CHARACTERS = 1 << 18;

export class IdTable {
  readonly #bytes: Buffer;
  readonly #ends: Uint32Array;

  private constructor(bytes: Buffer, ends: Uint32Array) {
    this.#bytes = bytes;
    this.#ends = ends;
  }

  /**
   * Takes over the UTF-8 of the ids, end to end, and where each ends. Errors: 'invalid_data', naming `path`, if an end
   * is before its beginning or past the bytes, or ids are not in order.
   */
  static async of(bytes: Buffer, ends: Uint32Array, path: string): Promise<IdTable> {
    for (let position = 0, before = 0, start = 0; position < ends.length; position++) {
      // Lets requests be served in between.
      if (position % IDS_AT_ONCE === IDS_AT_ONCE - 1) await setImmediate();
      const end = ends[position]!;
      const isWhole = end >= start && end <= bytes.length;
      if (!isWhole || (position > 0 && bytes.compare(bytes, before, start, start, end) <= 0))
        throw damaged(path, `line ${position} is not in order`);
      before = start;
      start = end;
    }
    return new IdTable(bytes, ends);
  }

  /** Errors: 'invalid_data' if it is damaged, not in order, or does not have `count` lines. */
  static async read(path: string, count: number): Promise<IdTable> {
    const text = await readFile(path);
    const bytes = Buffer.allocUnsafe(text.length);
    const ends = new Uint32Array(count);
    let end = 0;
    let position = 0;
    for (let at = 0; at < text.length; position++) {
      if (position % IDS_AT_ONCE === IDS_AT_ONCE - 1) await setImmediate();
      const lineEnd = text.indexOf(10, at);
      if (lineEnd < 0) throw damaged(path, 'its last line does not end');
      if (position === count) throw damaged(path, `it has more than ${count} lines`);
      end += idOfLine(text, at, lineEnd, bytes, end, path);
      ends[position] = end;
      at = lineEnd + 1;
    }
    if (position !== count) throw damaged(path, `it has ${position} lines, not ${count}`);
    return IdTable.of(Buffer.from(bytes.subarray(0, end)), ends, path);
  }

  get count(): number {
    return this.#ends.length;
  }

  idAt(position: number): string {
    return this.#bytes.toString('utf8', this.#start(position), this.#ends[position]!);
  }

  /** -1: no such product. */
  positionOf(id: string): number {
    const wanted = Buffer.from(id);
    let low = 0;
    let high = this.#ends.length - 1;
    while (low <= high) {
      const middle = (low + high) >>> 1;
      const order = this.#bytes.compare(wanted, 0, wanted.length, this.#start(middle), this.#ends[middle]!);
      if (order === 0) return middle;
      if (order < 0) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  #start(position: number): number {
    return position === 0 ? 0 : this.#ends[position - 1]!;
  }
}

/** Decodes the id of a line into `into` and returns its length. */
function idOfLine(text: Buffer, start: number, end: number, into: Buffer, at: number, path: string): number {
  if (end - start < 2 || text[start] !== 0x22 || text[end - 1] !== 0x22)
    throw damaged(path, 'a line is not a JSON string');
  if (!text.subarray(start, end).includes(0x5c)) return text.copy(into, at, start + 1, end - 1);
  try {
    return into.write(JSON.parse(text.toString('utf8', start, end)) as string, at);
  } catch {
    throw damaged(path, 'a line is not a JSON string');
  }
}

function damaged(path: string, what: string): FreshetError {
  return new FreshetError('invalid_data', `${path} is damaged: ${what}.`);
}

/** Writes a table; ids must arrive in byte order. */
export class IdTableWriter {
  readonly #file: FileHandle;
  #text = '';

  private constructor(file: FileHandle) {
    this.#file = file;
  }

  static async create(path: string): Promise<IdTableWriter> {
    return new IdTableWriter(await open(path, 'wx'));
  }

  async add(id: string): Promise<void> {
    this.#text += `${JSON.stringify(id)}\n`;
    if (this.#text.length >= FLUSH_CHARACTERS) await this.#flush();
  }

  async close(): Promise<void> {
    try {
      await this.#flush();
    } finally {
      await this.#file.close();
    }
  }

  async #flush(): Promise<void> {
    await this.#file.writeFile(this.#text);
    this.#text = '';
  }
}
