/** Holds the feature topics of a driver against the slow reference: every key at its own as_of, and no key too many. */
import assert from 'node:assert/strict';
import { relativeError } from '../../publishing/audit/reference.js';
import type { Affinity, Interactions, Popularity } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { rawEvents } from '../bench/feed.js';
import type { Driver } from './driver.js';
import { EMPTY_CATALOGUE, Reference } from './reference.js';

const ERROR_MAX = 1e-9;

export interface Agreement {
  /** Oldest and newest time that a row of popularity or affinity was computed for. */
  readonly oldestAsOf: number;
  readonly newestAsOf: number;
}

export type Feature = 'popularity' | 'affinity' | 'interactions';

/** Products are unknown to the catalogue, and every event of the topic decodes. Throws at the first difference. */
export async function agrees(
  driver: Driver,
  features: readonly Feature[] = ['popularity', 'affinity', 'interactions'],
): Promise<Agreement> {
  const reference = new Reference(await rawEvents(driver.log, events.name), EMPTY_CATALOGUE);
  const now = driver.clock.now();
  const newest = <T>(feature: Feature) =>
    features.includes(feature) ? driver.table<T>(driver.topics[feature].name) : null;
  const popularity = await newest<Popularity>('popularity');
  const affinity = await newest<Affinity>('affinity');
  const interactions = await newest<Interactions>('interactions');
  if (popularity !== null) popularityAgrees(popularity, reference, now);
  if (affinity !== null) affinityAgrees(affinity, reference, now);
  if (interactions !== null) interactionsAgree(interactions, reference, now);
  const times = [...(popularity?.values() ?? []), ...(affinity?.values() ?? [])].map(({ as_of }) => as_of);
  const least = (a: number, b: number) => Math.min(a, b);
  const most = (a: number, b: number) => Math.max(a, b);
  return { oldestAsOf: times.reduce(least, Infinity), newestAsOf: times.reduce(most, -Infinity) };
}

function popularityAgrees(rows: ReadonlyMap<string, Popularity>, reference: Reference, now: number): void {
  sameKeys(rows, reference.products, (product) => reference.popularity(product, now) !== null, 'popularity');
  for (const [product, row] of rows) {
    const expected = reference.popularity(product, row.as_of);
    assert.ok(expected, `popularity of ${product} at ${row.as_of}`);
    near(row.score, expected.score, `popularity of ${product}`);
    const { views, add_to_carts, purchases } = expected;
    const counts = { views: row.views, add_to_carts: row.add_to_carts, purchases: row.purchases };
    assert.deepEqual(counts, { views, add_to_carts, purchases }, `popularity of ${product}`);
  }
}

function affinityAgrees(rows: ReadonlyMap<string, Affinity>, reference: Reference, now: number): void {
  sameKeys(rows, reference.users, (user) => reference.affinity(user, now) !== null, 'affinity');
  for (const [user, row] of rows) {
    const expected = reference.affinity(user, row.as_of);
    assert.ok(expected, `affinity of ${user} at ${row.as_of}`);
    assert.deepEqual(Object.keys(row.scores).sort(), [...expected.keys()].sort(), `categories of ${user}`);
    for (const [category, share] of expected) near(row.scores[category]!, share, `affinity of ${user} for ${category}`);
  }
}

function interactionsAgree(rows: ReadonlyMap<string, Interactions>, reference: Reference, now: number): void {
  sameKeys(rows, reference.users, (user) => reference.interactions(user, now) !== null, 'interactions');
  for (const [user, row] of rows) {
    const expected = reference.interactions(user, row.as_of);
    assert.ok(expected, `interactions of ${user} at ${row.as_of}`);
    assert.equal(row.truncated, expected.truncated, `interactions of ${user}`);
    const byId = new Map(row.items.map((item) => [item.product_id, item]));
    assert.equal(byId.size, expected.items.length, `interactions of ${user}`);
    for (const { weight, ...exact } of expected.items) {
      const { weight: held, ...found } = byId.get(exact.product_id) ?? { weight: Number.NaN };
      assert.deepEqual(found, exact, `interactions of ${user}`);
      near(held, weight, `interaction of ${user} with ${exact.product_id}`);
    }
  }
}

function sameKeys(found: ReadonlyMap<string, unknown>, known: string[], isAlive: (key: string) => boolean, of: string) {
  const alive = known.filter(isAlive).sort();
  assert.deepEqual([...found.keys()].sort(), alive, `keys of ${of}`);
}

function near(actual: number, expected: number, what: string): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= ERROR_MAX, `${what}: ${actual}, expected ${expected}, relative error ${error}`);
}
