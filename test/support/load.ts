/**
 * The load of the benches: a shop's 90 days of events in the order in which they happened, written directly as Avro
 * bytes (about 80 per event) in columns, with no object per event, so that the generator does not affect the result.
 */
import { Codec } from '../../schemas/codec.js';
import { Random, Zipf } from './random.js';

const DAY_MS = 86_400_000;
const WINDOW_DAYS = 90;
const ROWS_PER_CHUNK = 10_000;
const USER_ZIPF = 0.8;
const PRODUCT_ZIPF = 1.05;
const EVENT_ID_BYTES = 28;
const ROW_BYTES_MAX = 160;
const LETTERS = Buffer.from('0123456789abcdefghjkmnpqrstvwxyz');

export interface LoadOptions {
  readonly seed: number;
  readonly events: number;
  readonly users: number;
  readonly products: number;
  readonly categories: number;
  /** Oldest event, ms; default: the start of the window's first day, relative to endMs. */
  readonly startMs: number;
  /** Newest event, ms. */
  readonly endMs: number;
  /** Share of events that repeat an earlier one byte for byte. */
  readonly duplicates: number;
  /** Share of events that happened up to a day before their place in the stream. */
  readonly disorder: number;
  /** The first events cover all users and products once, so that none is without an event. */
  readonly everyId: boolean;
  /** Frames the values; default single-object encoding. */
  readonly codec: Codec;
}

export const LOAD_DEFAULTS: Omit<LoadOptions, 'startMs' | 'endMs' | 'codec'> = {
  seed: 1,
  events: 2_000_000,
  users: 200_000,
  products: 100_000,
  categories: 50,
  duplicates: 0.005,
  disorder: 0.01,
  everyId: false,
};

/** Rows over one buffer. A key is the user id inside its own value. */
export interface LoadChunk {
  readonly bytes: Buffer;
  readonly count: number;
  readonly keyStart: Int32Array;
  readonly keyEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
}

export function userId(user: number): string {
  return `u${String(user).padStart(7, '0')}`;
}

export function productId(product: number): string {
  return `p${String(product).padStart(6, '0')}`;
}

export function categoryId(category: number): string {
  return `aisle-${String(category).padStart(3, '0')}`;
}

/** The stream, chunk by chunk; a chunk may be kept, because its memory is not reused. */
export function* load(options: Partial<LoadOptions> & Pick<LoadOptions, 'endMs'>): Generator<LoadChunk> {
  const windowStart = (Math.floor(options.endMs / DAY_MS) - (WINDOW_DAYS - 1)) * DAY_MS;
  const full: LoadOptions = { ...LOAD_DEFAULTS, startMs: windowStart, codec: new Codec(), ...options };
  const { seed, events, startMs, endMs, duplicates, disorder } = full;
  const random = new Random(seed);
  const users = new Zipf(full.users, USER_ZIPF);
  const products = new Zipf(full.products, PRODUCT_ZIPF);
  const write = new EventWriter(full);
  const walkEnd = full.everyId ? Math.max(full.users, full.products) : 0;
  for (let done = 0; done < events; ) {
    const count = Math.min(ROWS_PER_CHUNK, events - done);
    const chunk = newChunk(count);
    let at = 0;
    for (let row = 0; row < count; row++) {
      if (row > 0 && random.unit() < duplicates && done + row >= walkEnd) {
        const copy = random.below(row);
        const from = chunk.valueStart[copy]!;
        chunk.bytes.copyWithin(at, from, chunk.valueEnd[copy]!);
        chunk.keyStart[row] = chunk.keyStart[copy]! - from + at;
        chunk.keyEnd[row] = chunk.keyEnd[copy]! - from + at;
        chunk.valueStart[row] = at;
        at += chunk.valueEnd[copy]! - from;
      } else {
        let ts = startMs + Math.floor(((done + row + 1) / events) * (endMs - startMs));
        if (random.unit() < disorder) ts = Math.max(startMs, ts - random.below(DAY_MS));
        chunk.valueStart[row] = at;
        const walking = done + row < walkEnd;
        const user = walking ? (done + row) % full.users : users.draw(random);
        const product = walking ? (done + row) % full.products : products.draw(random);
        at = write.event(chunk, row, at, user, product, ts, random);
      }
      chunk.valueEnd[row] = at;
    }
    yield chunk;
    done += count;
  }
}

function newChunk(count: number): LoadChunk {
  return {
    bytes: Buffer.allocUnsafe(count * ROW_BYTES_MAX),
    count,
    keyStart: new Int32Array(count),
    keyEnd: new Int32Array(count),
    valueStart: new Int32Array(count),
    valueEnd: new Int32Array(count),
  };
}

/** Writes the Avro body of schema Event, field by field as in its file. */
class EventWriter {
  readonly #prefix: Buffer;
  readonly #users: Buffer[];
  readonly #products: Buffer[];
  readonly #types: Buffer[];

  constructor({ codec, users, products, categories }: LoadOptions) {
    this.#prefix = codec.prefix('Event');
    this.#users = Array.from({ length: users }, (_, i) => avroString(userId(i)));
    // The category follows the product in the record, so both are one byte string; 02 chooses the string of the union.
    this.#products = Array.from({ length: products }, (_, i) =>
      Buffer.concat([avroString(productId(i)), Buffer.of(2), avroString(categoryId(i % categories))]),
    );
    const [view, cart, purchase] = ['view', 'add_to_cart', 'purchase'].map(avroString) as [Buffer, Buffer, Buffer];
    this.#types = [
      ...new Array<Buffer>(40).fill(view),
      ...new Array<Buffer>(7).fill(cart),
      purchase,
      purchase,
      purchase,
    ];
  }

  /** Returns the end of the value. */
  event(
    chunk: LoadChunk,
    row: number,
    start: number,
    user: number,
    product: number,
    ts: number,
    random: Random,
  ): number {
    const { bytes } = chunk;
    let at = put(bytes, start, this.#prefix);
    bytes[at++] = 2 * EVENT_ID_BYTES;
    for (let end = at + EVENT_ID_BYTES; at < end; ) {
      let bits = random.uint32();
      for (let i = 0; i < 4; i++, bits >>>= 5) bytes[at++] = LETTERS[bits & 31]!;
    }
    const userBytes = this.#users[user]!;
    chunk.keyStart[row] = at + 1;
    at = put(bytes, at, userBytes);
    chunk.keyEnd[row] = at;
    at = put(bytes, at, this.#products[product]!);
    at = put(bytes, at, this.#types[random.below(this.#types.length)]!);
    return putLong(bytes, at, ts);
  }
}

/** Bytes of an Avro string shorter than 64 bytes, so that its length fits in one byte. */
function avroString(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length >= 64) throw new RangeError(`"${text}" is longer than the load writer's strings`);
  return Buffer.concat([Buffer.of(2 * bytes.length), bytes]);
}

function put(into: Buffer, at: number, bytes: Buffer): number {
  into.set(bytes, at);
  return at + bytes.length;
}

/** Zigzag varint of a non-negative number below 2^52. */
function putLong(into: Buffer, at: number, value: number): number {
  let rest = 2 * value;
  let place = at;
  while (rest >= 128) {
    into[place++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  into[place++] = rest;
  return place;
}
