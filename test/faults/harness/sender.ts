/**
 * The load of a fault test: a steady stream of events with known ids. A send without an answer is repeated with the
 * same ids, as producers do, so the log may hold an event twice. Some records are late, invalid or duplicate on
 * purpose.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../../../runtime/log/log.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import { Codec } from '../../../schemas/codec.js';
import type { Event, EventType } from '../../../schemas/records.js';
import { events, products } from '../../../topics/events.js';
import { Random, Zipf } from '../../support/random.js';

const DAY_MS = 86_400_000;
const TICK_MS = 20;
const TYPES: readonly EventType[] = ['view', 'view', 'view', 'add_to_cart', 'purchase'];
const REMEMBERED = 500;
const USER_ZIPF = 0.6;
const PRODUCT_ZIPF = 0.6;

export interface SenderOptions {
  readonly log: Log;
  readonly seed: number;
  readonly eventsPerSecond: number;
  readonly users: number;
  readonly products: number;
}

interface Sent {
  readonly id: string;
  readonly key: Buffer;
  readonly value: Buffer;
}

export class Sender {
  /** Ids of records that the log has acknowledged. */
  readonly acknowledged = new Set<string>();
  /** Records whose first send got no answer. */
  unanswered = 0;
  readonly #o: SenderOptions;
  readonly #random: Random;
  readonly #user: Zipf;
  readonly #product: Zipf;
  readonly #codec = new Codec();
  readonly #recent: Sent[] = [];
  #made = 0;
  #running: { readonly stop: AbortController; readonly done: Promise<void> } | null = null;

  constructor(options: SenderOptions) {
    this.#o = options;
    this.#random = new Random(options.seed);
    this.#user = new Zipf(options.users, USER_ZIPF);
    this.#product = new Zipf(options.products, PRODUCT_ZIPF);
  }

  /** Writes the catalogue, which includes two products of three; call it before anything is folded. */
  async catalogue(): Promise<void> {
    const writer = await this.#o.log.writer([products.name]);
    for (let n = 0; n < this.#o.products; n++) {
      if (n % 3 === 0) continue;
      const product_id = `p${n}`;
      const product = { product_id, title: '', description: '', category: `k${n % 5}`, price: null, updated_at: 0 };
      writer.add(products.name, Buffer.from(product_id), this.#codec.encode('Product', product));
    }
    await writer.flush();
    await writer.close();
  }

  /** Sends at its rate until stopped. */
  start(): void {
    if (this.#running !== null) return;
    const stop = new AbortController();
    const done = this.#run(stop.signal);
    // stop() receives the error; until then no one handles it.
    done.catch(() => undefined);
    this.#running = { stop, done };
  }

  /** Resolves once everything sent is acknowledged. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = null;
    running?.stop.abort();
    await running?.done;
  }

  /** Sends this many at once; all are acknowledged when it resolves. */
  async send(count: number): Promise<void> {
    await this.#deliver(Array.from({ length: count }, () => this.#next()));
  }

  async #run(signal: AbortSignal): Promise<void> {
    const started = performance.now();
    for (let sent = 0; !signal.aborted; ) {
      const due = Math.floor(((performance.now() - started) / 1000) * this.#o.eventsPerSecond) - sent;
      await this.#deliver(Array.from({ length: due }, () => this.#next()));
      sent += due;
      await pause(TICK_MS);
    }
  }

  async #deliver(records: readonly Sent[]): Promise<void> {
    if (records.length === 0) return;
    for (;;) {
      const writer = await this.#o.log.writer([events.name]);
      try {
        for (const { key, value } of records) writer.add(events.name, key, value);
        await writer.flush();
        for (const { id } of records) this.acknowledged.add(id);
        return;
      } catch (error) {
        if (!(error instanceof FreshetError)) throw error;
        this.unanswered += records.length;
        await pause(TICK_MS);
      } finally {
        await writer.close();
      }
    }
  }

  #next(): Sent {
    const random = this.#random;
    const kind = random.below(1000);
    if (kind < 30 && this.#recent.length > 0) return this.#recent[random.below(this.#recent.length)]!;
    const id = `e${this.#o.seed}-${++this.#made}`;
    const event = this.#event(id);
    if (kind < 35) event.ts = DAY_MS;
    if (kind >= 35 && kind < 38) event.event_type = 'gaze' as EventType;
    if (kind >= 38 && kind < 40) event.ts = Date.now() + DAY_MS;
    const key = Buffer.from(event.user_id);
    const value = kind >= 40 && kind < 42 ? Buffer.from(id) : this.#codec.encode('Event', event);
    const sent = { id, key, value };
    if (this.#recent.length < REMEMBERED) this.#recent.push(sent);
    else this.#recent[random.below(REMEMBERED)] = sent;
    return sent;
  }

  #event(event_id: string): Event {
    const random = this.#random;
    const product = this.#product.draw(random);
    return {
      event_id,
      user_id: `u${this.#user.draw(random)}`,
      product_id: `p${product}`,
      category: random.below(10) === 0 ? null : `c${product % 7}`,
      event_type: TYPES[random.below(TYPES.length)]!,
      // Half of them now, the others anywhere in the window.
      ts: Date.now() - (random.below(2) === 0 ? 0 : random.below(88) * DAY_MS + random.below(DAY_MS)),
    };
  }
}
