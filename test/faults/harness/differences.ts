/** Rows of a feature, in any store, compared with a recount: each at its own as_of. */
import { relativeError } from '../../../publishing/audit/reference.js';
import type { Affinity, Interactions, Popularity } from '../../../schemas/records.js';
import type { Reference } from '../../support/reference.js';

const TOLERANCE = 1e-9;
const WORDS_MAX = 8;
const COUNTS = ['views', 'add_to_carts', 'purchases'] as const;

export interface Found {
  /** Counts that are too low, records that are missing. */
  readonly lost: number;
  /** Counts that are too high, records that occur more than once or should not exist. */
  readonly double: number;
  /** Values that differ from a recount by more than 1e-9. */
  readonly wrong: number;
  /** The first few differences. */
  readonly words: readonly string[];
}

/** Compares found with expected values, and keeps totals and the first few differences in words. */
export class Differences {
  #lost = 0;
  #double = 0;
  #wrong = 0;
  #worst = 0;
  readonly #words: string[] = [];

  get count(): number {
    return this.#lost + this.#double + this.#wrong;
  }

  /** Largest relative error of a value; Infinity if something is missing or superfluous. */
  get worst(): number {
    return this.#lost + this.#double > 0 ? Number.POSITIVE_INFINITY : this.#worst;
  }

  lost(count: number, words: string): void {
    this.#lost += count;
    this.#say(words);
  }

  double(count: number, words: string): void {
    this.#double += count;
    this.#say(words);
  }

  /** Compares a found count with the expected one. */
  counts(found: number, expected: number, words: string): void {
    if (found < expected) this.lost(expected - found, `${words}: ${found} of ${expected}`);
    if (found > expected) this.double(found - expected, `${words}: ${found} instead of ${expected}`);
  }

  value(found: number, expected: number, words: string): void {
    const error = relativeError(found, expected);
    this.#worst = Math.max(this.#worst, error);
    if (error <= TOLERANCE) return;
    this.#wrong++;
    this.#say(`${words}: ${found}, a recount gives ${expected}`);
  }

  wrong(words: string): void {
    this.#wrong++;
    this.#say(words);
  }

  result(): Found {
    return { lost: this.#lost, double: this.#double, wrong: this.#wrong, words: this.#words };
  }

  #say(words: string): void {
    if (this.#words.length < WORDS_MAX) this.#words.push(words);
  }
}

export function comparePopularity(
  differences: Differences,
  where: string,
  reference: Reference,
  rows: ReadonlyMap<string, Popularity>,
): void {
  const now = Date.now();
  for (const product of new Set([...reference.products, ...rows.keys()])) {
    const row = rows.get(product);
    const expected = reference.popularity(product, row?.as_of ?? now);
    for (const count of COUNTS)
      differences.counts(row?.[count] ?? 0, expected?.[count] ?? 0, `${where}: ${count} of ${product}`);
    if (row === undefined || expected === null) continue;
    differences.value(row.score, expected.score, `${where}: score of ${product}`);
    if (row.category !== expected.category) differences.wrong(`${where}: ${product} is in ${row.category}`);
  }
}

export function compareAffinity(
  differences: Differences,
  where: string,
  reference: Reference,
  rows: ReadonlyMap<string, Affinity>,
): void {
  const now = Date.now();
  for (const user of new Set([...reference.users, ...rows.keys()])) {
    const row = rows.get(user);
    const expected = reference.affinity(user, row?.as_of ?? now);
    if (row === undefined || expected === null) {
      if (row === undefined && expected !== null) differences.lost(1, `${where}: ${user} is missing`);
      if (row !== undefined && expected === null) differences.double(1, `${where}: ${user} should not be there`);
      continue;
    }
    for (const category of new Set([...expected.keys(), ...Object.keys(row.scores)]))
      differences.value(row.scores[category] ?? 0, expected.get(category) ?? 0, `${where}: ${user} in ${category}`);
  }
}

export function compareInteractions(
  differences: Differences,
  reference: Reference,
  rows: ReadonlyMap<string, Interactions>,
): void {
  for (const user of new Set([...reference.users, ...rows.keys()])) {
    const row = rows.get(user);
    const expected = reference.interactions(user, row?.as_of ?? Date.now());
    const found = new Map(row?.items.map((item) => [item.product_id, item]));
    const products = new Set([...found.keys(), ...(expected?.items ?? []).map(({ product_id }) => product_id)]);
    for (const product of products) {
      const words = `interactions.v1: ${user} with ${product}`;
      const item = found.get(product);
      const right = expected?.items.find(({ product_id }) => product_id === product);
      differences.counts(item?.count ?? 0, right?.count ?? 0, words);
      if (item !== undefined && right !== undefined) differences.value(item.weight, right.weight, words);
    }
  }
}
