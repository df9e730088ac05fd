/**
 * The newest record of every user of `interactions.v<n>`, as pairs in typed arrays. Ids are interned in order of first
 * sight; the results must not depend on that order. An invalid record removes the user's pairs and is remembered until
 * a valid one of the same user arrives.
 */
import type { RecordColumns } from '../../runtime/log/log.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { Interner } from '../../runtime/tasks/state/interner.js';
import { SavedColumns } from '../../runtime/tasks/state/saved-columns.js';
import { AvroCursor } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Capture } from '../snapshotter.js';
import { packColumns, unpackColumns } from './packed-columns.js';
import { COUNT_MAX, PairStore, pairList, USER_PAIRS_MAX } from './pair-store.js';

/** Far more than any user's events of 90 days weigh; float32 has room for its products with alpha. */
const WEIGHT_MAX = 1e9;

/** For this many users the problem is kept as text; for the others, only that there is one. */
const REFUSALS_TOLD = 100;

interface CaptureBounds {
  /** Most bytes it may use. */
  readonly bytes: number;
}

export class InteractionsCapture implements Capture {
  readonly users = new Interner();
  readonly products = new Interner();
  readonly pairs = new PairStore();
  readonly #codec: Codec;
  readonly #bounds: CaptureBounds;
  readonly #cursor = new AvroCursor();
  /** By user; '' if the problem itself is not kept. */
  readonly #refused = new Map<number, string>();
  readonly #startedMs = performance.now();
  /** The pairs of the record being read, in its order, with their last times, and sorted by these. */
  readonly #read = pairList();
  readonly #sorted = pairList();
  readonly #lastTs = new Float64Array(USER_PAIRS_MAX);
  /** Per product, the record in which it was last seen. */
  #seenIn = new Uint32Array(1024);
  #records = 0;

  constructor(codec: Codec, bounds: CaptureBounds) {
    this.#codec = codec;
    this.#bounds = bounds;
  }

  /** Users whose newest record is invalid, and what is wrong with one of them. */
  get refused(): { readonly count: number; readonly first: string | null } {
    let first: string | null = null;
    for (const text of this.#refused.values()) if (text !== '' && (first === null || text < first)) first = text;
    return { count: this.#refused.size, first };
  }

  get bytesHeld(): number {
    return this.users.bytesHeld + this.products.bytesHeld + this.pairs.bytesHeld + this.#seenIn.byteLength;
  }

  /** Time since the capture began in this process. */
  get seconds(): number {
    return (performance.now() - this.#startedMs) / 1000;
  }

  add(batch: RecordColumns, row: number): void {
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = batch;
    // Without a key there is no user; compacted topics contain no such record.
    if (keyStart[row]! < 0) return;
    const user = this.users.intern(bytes, keyStart[row]!, keyEnd[row]!);
    this.#refused.delete(user);
    this.#read.length = 0;
    if (valueStart[row]! >= 0) {
      const problem = this.#parse(bytes, valueStart[row]!, valueEnd[row]!, user);
      if (problem !== null) {
        const where = `${batch.topic}[${batch.partition}] at offset ${batch.offsets[row]}`;
        const text = `user ${JSON.stringify(this.users.stringOf(user))} (${where}): ${problem}`;
        this.#refused.set(user, this.#refused.size < REFUSALS_TOLD ? text : '');
        this.#read.length = 0;
      }
    }
    this.#sort();
    this.pairs.write(user, this.#sorted);
    if ((++this.#records & 0xff) === 0) this.#checkBytes();
  }

  /** Frees everything but the ids. */
  releasePairs(): void {
    this.pairs.clear();
    this.#seenIn = new Uint32Array(0);
  }

  save(): Buffer {
    const columns = new SavedColumns();
    this.users.save(columns.within('users'));
    this.products.save(columns.within('products'));
    const lengths = new Uint32Array(this.users.count);
    const products = new Uint32Array(this.pairs.pairs);
    const weights = new Float32Array(this.pairs.pairs);
    const counts = new Uint8Array(this.pairs.pairs);
    const list = this.#sorted;
    for (let user = 0, at = 0; user < lengths.length; at += lengths[user++]!) {
      this.pairs.read(user, list);
      lengths[user] = list.length;
      products.set(list.products.subarray(0, list.length), at);
      weights.set(list.weights.subarray(0, list.length), at);
      counts.set(list.counts.subarray(0, list.length), at);
    }
    columns.share('lengths', lengths);
    columns.share('pairs/products', products);
    columns.share('pairs/weights', new Uint8Array(weights.buffer));
    columns.share('pairs/counts', counts);
    columns.share('refused', new Uint8Array(Buffer.from(JSON.stringify([...this.#refused]))));
    return packColumns(columns);
  }

  /** Errors: FreshetError 'invalid_data' if the bytes do not come from `save`. */
  restore(bytes: Buffer): void {
    const columns = unpackColumns(bytes);
    this.users.load(columns.within('users'));
    this.products.load(columns.within('products'));
    const lengths = columns.take('lengths', Uint32Array);
    const products = columns.take('pairs/products', Uint32Array);
    const weights = new Float32Array(columns.take('pairs/weights', Uint8Array).buffer as ArrayBuffer);
    const counts = columns.take('pairs/counts', Uint8Array);
    const list = this.#sorted;
    let at = 0;
    for (let user = 0; user < lengths.length; at += lengths[user++]!) {
      const end = at + lengths[user]!;
      if (end > products.length) break;
      list.length = end - at;
      list.products.set(products.subarray(at, end));
      list.weights.set(weights.subarray(at, end));
      list.counts.set(counts.subarray(at, end));
      this.pairs.write(user, list);
    }
    if (at !== products.length || weights.length !== at || counts.length !== at)
      throw new FreshetError('invalid_data', 'its pairs do not match its users');
    const refused = JSON.parse(Buffer.from(columns.take('refused', Uint8Array)).toString('utf8')) as [number, string][];
    for (const [user, text] of refused) this.#refused.set(user, text);
  }

  #parse(bytes: Buffer, start: number, end: number, user: number): string | null {
    let body = this.#codec.bodyStart('Interactions', bytes, start, end);
    let source = bytes;
    let bodyEnd = end;
    try {
      if (body < 0) {
        source = this.#codec.rewrite('Interactions', bytes, start, end);
        body = 0;
        bodyEnd = source.length;
      }
      return this.#parseBody(this.#cursor.reset(source, body, bodyEnd), user);
    } catch (error) {
      if (error instanceof SchemaError) return error.message;
      if (error instanceof RangeError) return `not Interactions: ${error.message}`;
      throw error;
    }
  }

  #parseBody(cursor: AvroCursor, user: number): string | null {
    const { bytes } = cursor;
    const idStart = cursor.bytesStart();
    if (!this.users.bytesOf(user).equals(bytes.subarray(idStart, cursor.at))) return 'the key is not the user_id';
    cursor.long();
    const list = this.#read;
    const record = this.#records + 1;
    for (let left = blockOf(cursor); left > 0; left = blockOf(cursor)) {
      for (; left > 0; left--) {
        if (list.length === USER_PAIRS_MAX) return `it has more than ${USER_PAIRS_MAX} products`;
        const productStart = cursor.bytesStart();
        const product = this.products.intern(bytes, productStart, cursor.at);
        const weight = cursor.double();
        const count = cursor.long();
        this.#lastTs[list.length] = cursor.long();
        // The number of purchases adds nothing: the weight includes it.
        cursor.long();
        const name = () => `product ${JSON.stringify(this.products.stringOf(product))}`;
        if (!(weight >= 0 && weight <= WEIGHT_MAX))
          return `${name()} has the weight ${weight}: it must be 0 to ${WEIGHT_MAX}`;
        if (!(count >= 1)) return `${name()} has the count ${count}: it must be 1 or more`;
        if (this.#seen(product, record)) return `${name()} appears twice`;
        list.products[list.length] = product;
        list.weights[list.length] = weight;
        list.counts[list.length] = Math.min(count, COUNT_MAX);
        list.length++;
      }
    }
    return null;
  }

  /** Whether the product was already in this record; marks it as seen. */
  #seen(product: number, record: number): boolean {
    if (product >= this.#seenIn.length) {
      const grown = new Uint32Array(Math.max(product + 1, this.#seenIn.length * 2));
      grown.set(this.#seenIn);
      this.#seenIn = grown;
    }
    const before = this.#seenIn[product]!;
    this.#seenIn[product] = record;
    return before === record;
  }

  /** By last interaction; ties by the bytes of the product's id. */
  #sort(): void {
    const from = this.#read;
    const to = this.#sorted;
    to.length = from.length;
    const order = Array.from({ length: from.length }, (_, i) => i);
    order.sort(
      (a, b) =>
        this.#lastTs[a]! - this.#lastTs[b]! ||
        Buffer.compare(this.products.bytesOf(from.products[a]!), this.products.bytesOf(from.products[b]!)),
    );
    for (const [i, at] of order.entries()) {
      to.products[i] = from.products[at]!;
      to.weights[i] = from.weights[at]!;
      to.counts[i] = from.counts[at]!;
    }
  }

  #checkBytes(): void {
    if (this.bytesHeld <= this.#bounds.bytes) return;
    const mib = (bytes: number) => Math.ceil(bytes / 2 ** 20);
    throw new FreshetError(
      'settings',
      `the interactions captured so far (${this.pairs.pairs} pairs of ${this.users.count} users) take ` +
        `${mib(this.bytesHeld)} MiB; SNAPSHOT_MEMORY_MB leaves ${mib(this.#bounds.bytes)} MiB for them: raise it.`,
    );
  }
}

/** Number of items in the next block of an Avro array; 0: the array has ended. */
function blockOf(cursor: AvroCursor): number {
  const count = cursor.long();
  if (count >= 0) return count;
  cursor.long();
  return -count;
}
