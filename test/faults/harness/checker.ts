/**
 * The outside checker: it reads the raw topics read_committed, recounts everything with the slow reference, and
 * compares the result with the feature topics, Redis and Postgres, every row at its own as_of. It shares only the
 * drivers with the engine: names of keys, tables and topics are written here as the contract defines them.
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { RawRecord } from '../../../publishing/audit/reference.js';
import type { Log } from '../../../runtime/log/log.js';
import { Codec, type SchemaName } from '../../../schemas/codec.js';
import type { Affinity, DeadLetter, Event, Interactions, Popularity, Product } from '../../../schemas/records.js';
import { DEFAULT_SETTINGS, Reference } from '../../support/reference.js';
import { compareAffinity, compareInteractions, comparePopularity, Differences, type Found } from './differences.js';
import { Follower, type LogRecord } from './follower.js';
import { type CheckedStores, compareStores } from './published.js';

const SETTLE_MS_MAX = 60_000;
const LOOK_MS = 150;

export interface Verdict extends Found {
  /** Records of topic events. */
  readonly events: number;
  /** Counted by the reference: accepted, in time, not duplicates. */
  readonly counted: number;
}

export interface CheckerOptions {
  readonly log: Log;
  /** Partitions of topic events. */
  readonly partitions: number;
  /** Null: nothing is published in this test. */
  readonly stores: CheckedStores | null;
  /** Also compares interactions, which are delayed by their interval, with a recount. */
  readonly interactions?: boolean;
  /** How long the engine may take to reach the end, ms. Default a minute. */
  readonly settleMsMax?: number;
}

type LateEvent = { topic: string; partition: number; offset: number };

export class Checker {
  readonly #o: CheckerOptions;
  readonly #codec = new Codec();
  readonly #raw: RawRecord[] = [];
  readonly #categories = new Map<string, string>();
  readonly #deleted = new Set<string>();
  readonly #ids = new Set<string>();
  readonly #late = new Map<string, number>();
  readonly #dead = new Map<string, number>();
  readonly #popularity = new Map<string, Popularity>();
  readonly #affinity = new Map<string, Affinity>();
  readonly #interactions = new Map<string, Interactions>();
  readonly #followers: Follower[];
  #reference: { readonly of: number; readonly reference: Reference } | null = null;

  constructor(options: CheckerOptions) {
    this.#o = options;
    const follow = (topic: string, visit: (record: LogRecord) => void) => new Follower(options.log, topic, visit);
    const newest = <T>(topic: string, schema: SchemaName, rows: Map<string, T>) =>
      follow(topic, ({ key, value }) => {
        if (value === null) rows.delete(key!);
        else rows.set(key!, this.#codec.decode(schema, value) as T);
      });
    // Inputs first: outputs read afterwards can only be ahead, never behind.
    this.#followers = [
      follow('events', (record) => this.#takeRaw(record)),
      follow('products', ({ key, value }) => {
        if (value === null) this.#deleted.add(key!);
        else this.#deleted.delete(key!);
        if (value !== null) this.#categories.set(key!, (this.#codec.decode('Product', value) as Product).category);
      }),
      follow('late-events', ({ value }) => {
        const { topic, partition, offset } = this.#codec.decode('LateEvent', value!) as LateEvent;
        addOne(this.#late, `${topic}/${partition}/${offset}`);
      }),
      follow('dead-letters', ({ value }) => {
        const { source } = this.#codec.decode('DeadLetter', value!) as DeadLetter;
        addOne(this.#dead, `${source!.topic}/${source!.partition}/${source!.offset}`);
      }),
      newest('popularity.v1', 'Popularity', this.#popularity),
      newest('affinity.v1', 'Affinity', this.#affinity),
      ...(options.interactions ? [newest('interactions.v1', 'Interactions', this.#interactions)] : []),
    ];
  }

  /**
   * Checks until nothing differs, and after settleMsMax reports what still does. No events may be written meanwhile.
   * `acknowledged`: ids that the log has promised to hold.
   */
  async settle(acknowledged: ReadonlySet<string> = new Set()): Promise<Verdict> {
    const deadline = performance.now() + (this.#o.settleMsMax ?? SETTLE_MS_MAX);
    for (;;) {
      for (const follower of this.#followers) await follower.advance();
      const isLate = performance.now() > deadline;
      const verdict = await this.#look(acknowledged, isLate);
      if (verdict !== null && (isLate || isClean(verdict))) return verdict;
      await pause(LOOK_MS);
    }
  }

  async close(): Promise<void> {
    for (const follower of this.#followers) await follower.close();
  }

  #takeRaw({ partition, offset, timestamp, key, value }: LogRecord): void {
    let event: Event | null = null;
    if (value !== null) {
      try {
        event = this.#codec.decode('Event', value) as Event;
      } catch {
        // The reference has no notion of bytes: an event without an id is just as malformed.
        event = { event_id: '', user_id: key ?? '', product_id: '', category: null, event_type: 'view', ts: timestamp };
        this.#ids.add(value.toString());
      }
      this.#ids.add(event.event_id);
    }
    this.#raw.push({ partition, offset, logTime: timestamp, key, value: event });
  }

  /** Recount of everything read so far; repeated only when there is more. */
  #recount(): Reference {
    const { partitions } = this.#o;
    const catalogue = { categories: this.#categories, deleted: this.#deleted };
    if (this.#reference?.of !== this.#raw.length) {
      const reference = new Reference(this.#raw, catalogue, { ...DEFAULT_SETTINGS, partitions });
      this.#reference = { of: this.#raw.length, reference };
    }
    return this.#reference.reference;
  }

  /** Null if the totals already show that the engine is not done yet. */
  async #look(acknowledged: ReadonlySet<string>, isLate: boolean): Promise<Verdict | null> {
    const reference = this.#recount();
    const { counted, late, dead } = reference.intake;
    let found = 0;
    for (const row of this.#popularity.values()) found += countOf(row);
    const isThere = found >= counted.length && this.#late.size >= late.length && this.#dead.size >= dead.length;
    if (!isThere && !isLate) return null;
    const differences = new Differences();
    for (const id of acknowledged) if (!this.#ids.has(id)) differences.lost(1, `acknowledged ${id} is not in the log`);
    once(differences, 'late event', late, this.#late);
    once(
      differences,
      'dead letter',
      dead.map(({ record }) => record),
      this.#dead,
    );
    comparePopularity(differences, 'popularity.v1', reference, this.#popularity);
    compareAffinity(differences, 'affinity.v1', reference, this.#affinity);
    if (this.#o.interactions) compareInteractions(differences, reference, this.#interactions);
    if (this.#o.stores !== null && (isLate || differences.count === 0))
      await compareStores(differences, this.#o.stores, reference);
    return { events: this.#raw.length, counted: counted.length, ...differences.result() };
  }
}

export function isClean({ lost, double, wrong }: Verdict): boolean {
  return lost + double + wrong === 0;
}

/** Every record set aside is in its topic exactly once, and no other is. */
function once(
  differences: Differences,
  what: string,
  expected: readonly RawRecord[],
  found: ReadonlyMap<string, number>,
): void {
  const sources = new Set(expected.map(({ partition, offset }) => `events/${partition}/${offset}`));
  for (const source of sources) differences.counts(found.get(source) ?? 0, 1, `${what} of ${source}`);
  for (const [source, times] of found) if (!sources.has(source)) differences.double(times, `${what} of ${source}`);
}

function countOf(row: Popularity): number {
  return row.views + row.add_to_carts + row.purchases;
}

function addOne(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
