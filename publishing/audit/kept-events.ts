/**
 * Raw counted events of a hashed sample of users or of products: all that the audit keeps of the log. A key's hash
 * alone decides whether it belongs to the sample, so a key is in it from its first event on or not at all. Too many
 * keys or events shrink the sample: the keys with the highest hashes leave, and the rest is still complete.
 */
import { murmur2 } from '../../topics/partition.js';
import type { CountedEvent } from './reference.js';

export interface SampleOptions {
  /** Share of all keys, 0 to 1. */
  readonly share: number;
  /** Another salt is another sample. */
  readonly salt: string;
  readonly keysMax: number;
  readonly eventsMax: number;
}

const TYPES = ['view', 'add_to_cart', 'purchase'] as const;
const HASHES = 2 ** 32;
/** A sample over its bounds shrinks to this share of them, so that it does not shrink again with every event. */
const SHRINK_TO = 0.8;
const STRINGS_MAX = 20_000;

/** Events of one key in columns: an object per event would take five times as much memory. */
class KeyEvents {
  readonly hash: number;
  /** Offset of the newest erasure; -1 if none. */
  erased = -1;
  /** Largest day of an event or erasure. A key without events is kept a while, to check that its rows are gone. */
  touchedDay = -1;
  length = 0;
  /** ts · 4 + type. */
  #when = new Float64Array(4);
  #offsets = new Float64Array(4);
  #partitions = new Int32Array(4);
  /** For users only, like the next one. */
  readonly #products: string[] = [];
  /** Null: the category is to be looked up. */
  readonly #categories: (string | null)[] = [];

  constructor(hash: number) {
    this.hash = hash;
  }

  /** `names`: the product and category of a user's event. */
  add(
    { ts, type, offset, partition }: CountedEvent,
    names: { readonly product: string; readonly category: string | null } | null,
  ): void {
    if (this.length === this.#when.length) this.#grow();
    this.#when[this.length] = ts * 4 + TYPES.indexOf(type);
    this.#offsets[this.length] = offset;
    this.#partitions[this.length] = partition;
    if (names !== null) {
      this.#products[this.length] = names.product;
      this.#categories[this.length] = names.category;
    }
    this.length++;
  }

  list(): CountedEvent[] {
    const events: CountedEvent[] = [];
    for (let i = 0; i < this.length; i++) events.push(this.#at(i));
    return events;
  }

  get products(): readonly string[] {
    return this.#products;
  }

  /** Drops events before `ms`. Returns how many. */
  dropBefore(ms: number): number {
    let kept = 0;
    for (let i = 0; i < this.length; i++) {
      if (this.#when[i]! < ms * 4) continue;
      this.#when[kept] = this.#when[i]!;
      this.#offsets[kept] = this.#offsets[i]!;
      this.#partitions[kept] = this.#partitions[i]!;
      if (this.#products.length > 0) {
        this.#products[kept] = this.#products[i]!;
        this.#categories[kept] = this.#categories[i]!;
      }
      kept++;
    }
    const dropped = this.length - kept;
    this.length = kept;
    if (this.#products.length > kept) this.#products.length = this.#categories.length = kept;
    return dropped;
  }

  #at(i: number): CountedEvent {
    const when = this.#when[i]!;
    const type = when % 4;
    return {
      partition: this.#partitions[i]!,
      offset: this.#offsets[i]!,
      user: '',
      product: this.#products[i] ?? '',
      category: this.#categories[i] ?? null,
      type: TYPES[type as 0 | 1 | 2],
      ts: (when - type) / 4,
    };
  }

  #grow(): void {
    const capacity = Math.ceil(this.#when.length * 1.5);
    const [when, offsets, partitions] = [this.#when, this.#offsets, this.#partitions];
    this.#when = new Float64Array(capacity);
    this.#when.set(when);
    this.#offsets = new Float64Array(capacity);
    this.#offsets.set(offsets);
    this.#partitions = new Int32Array(capacity);
    this.#partitions.set(partitions);
  }
}

export class KeptEvents {
  readonly #o: SampleOptions;
  /** Null: chosen by hash. */
  readonly #only: ReadonlySet<string> | null;
  /** For users, an event's product and category matter; for products, only its weight. */
  readonly #kind: 'users' | 'products';
  readonly #keys = new Map<string, KeyEvents>();
  #threshold: number;
  #events = 0;
  readonly #scratch: Buffer;
  readonly #saltBytes: number;
  /** Products and categories repeat: one string instead of one per event. */
  #strings = new Map<string, string>();

  /** With `only`: exactly these keys, without bounds. */
  constructor(kind: 'users' | 'products', options: SampleOptions, only: ReadonlySet<string> | null = null) {
    this.#kind = kind;
    this.#o = options;
    this.#only = only;
    this.#threshold = options.share * HASHES;
    this.#scratch = Buffer.alloc(Buffer.byteLength(options.salt) + 4096);
    this.#saltBytes = this.#scratch.write(options.salt);
  }

  /** The share of all keys that the sample now represents. */
  get share(): number {
    return this.#threshold / HASHES;
  }

  get keys(): number {
    return this.#keys.size;
  }

  get events(): number {
    return this.#events;
  }

  /** Every key belongs to the sample. */
  get isAll(): boolean {
    return this.#only === null && this.#threshold >= HASHES;
  }

  holds(id: string): boolean {
    return this.#only === null ? this.#threshold >= HASHES || this.#hash(id) < this.#threshold : this.#only.has(id);
  }

  ids(): string[] {
    return [...this.#keys.keys()];
  }

  /** The counted events kept for a key, in log order per partition. */
  of(id: string): CountedEvent[] {
    return this.#keys.get(id)?.list() ?? [];
  }

  /** Offset of a user's newest erasure; -1 if none is remembered. */
  erasedAt(id: string): number {
    return this.#keys.get(id)?.erased ?? -1;
  }

  /** Products of users' events: their state in the catalogue decides what a user's rows show. */
  lookedUp(): Set<string> {
    const products = new Set<string>();
    for (const key of this.#keys.values()) for (const product of key.products) products.add(product);
    return products;
  }

  /** Adds an event of a key that the sample holds. */
  add(id: string, day: number, event: CountedEvent): void {
    const key = this.#obtain(id, day);
    key.add(event, this.#kind === 'users' ? this.#namesOf(event) : null);
    this.#events++;
    this.#shrink();
  }

  /** The user was erased: events before the offset no longer count. */
  erase(id: string, day: number, offset: number): void {
    const key = this.#obtain(id, day);
    key.erased = offset;
    this.#events -= key.dropBefore(Number.POSITIVE_INFINITY);
    this.#shrink();
  }

  /** Replaces what was kept for a key with a more exact list. */
  replace(id: string, events: readonly CountedEvent[]): void {
    const key = this.#keys.get(id);
    if (key === undefined) return;
    this.#events -= key.dropBefore(Number.POSITIVE_INFINITY);
    for (const event of events) this.add(id, key.touchedDay, event);
  }

  /** Drops events before `ms`, and keys that have none and were not touched since `day`. */
  forget(ms: number, day: number): void {
    for (const [id, key] of this.#keys) {
      this.#events -= key.dropBefore(ms);
      if (key.length === 0 && key.touchedDay < day) this.#keys.delete(id);
    }
  }

  #obtain(id: string, day: number): KeyEvents {
    let key = this.#keys.get(id);
    if (key === undefined) {
      key = new KeyEvents(this.#hash(id));
      this.#keys.set(id, key);
    }
    key.touchedDay = Math.max(key.touchedDay, day);
    return key;
  }

  #shrink(): void {
    const { keysMax, eventsMax } = this.#o;
    if (this.#only !== null || (this.#keys.size <= keysMax && this.#events <= eventsMax)) return;
    const highestFirst = [...this.#keys].sort(([, a], [, b]) => b.hash - a.hash);
    for (const [id, key] of highestFirst) {
      if (this.#keys.size <= SHRINK_TO * keysMax && this.#events <= SHRINK_TO * eventsMax) break;
      this.#threshold = key.hash;
      this.#events -= key.length;
      this.#keys.delete(id);
    }
  }

  #namesOf({ product, category }: CountedEvent): { product: string; category: string | null } {
    return { product: this.#shared(product), category: category === null ? null : this.#shared(category) };
  }

  #shared(text: string): string {
    const known = this.#strings.get(text);
    if (known !== undefined) return known;
    if (this.#strings.size >= STRINGS_MAX) this.#strings = new Map();
    this.#strings.set(text, text);
    return text;
  }

  /** Ids that count are at most 256 bytes; the hash of a longer one does not matter. */
  #hash(id: string): number {
    const end = this.#saltBytes + this.#scratch.write(id, this.#saltBytes);
    return murmur2(this.#scratch, 0, end) >>> 0;
  }
}
