/**
 * Works independently of the sinks: compares the contents of a store with the feature topics, value by value, and
 * reports everything that is missing, old, or duplicated.
 */
import assert from 'node:assert/strict';
import { encodeId, type Layout, rankScore } from '../../../publishing/layout.js';
import type { Database } from '../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import { featureSet } from '../../../topics/feature-set.js';
import { HALF_LIFE_MS } from '../publishing.js';
import type { NewestRows } from './feature-rows.js';

const DAY_MS = 86_400_000;
const ALL = 1_000_000;

/** The differences found, in sentences. */
export interface Findings {
  readonly lost: readonly string[];
  /** Exists although it should not, or in two places. */
  readonly double: readonly string[];
  readonly stale: readonly string[];
}

export async function checkOnline(store: OnlineStore, layout: Layout, rows: NewestRows): Promise<Findings> {
  const keys = layout.features(featureSet(1));
  const ranks = new Map((await store.ztop(keys.popularityAll, ALL)).map(({ member, score }) => [member, score]));
  const groups = await store.hgetall(keys.popularityGroups);
  const days = await store.hgetall(keys.popularityDay);
  const shownIn = new Map<string, string[]>();
  const prefix = keys.popularityCategoryPrefix;
  for (const key of await store.keys(prefix))
    for (const { member, score } of await store.ztop(key, ALL))
      shownIn.set(member, [...(shownIn.get(member) ?? []), `${key.slice(prefix.length)} at ${score}`]);
  const products = new Map<string, unknown>();
  for (const id of new Set([...ranks.keys(), ...groups.keys(), ...days.keys(), ...shownIn.keys()]))
    products.set(id, [ranks.get(id), groups.get(id), days.get(id), shownIn.get(id)]);
  const wantedProducts = new Map<string, unknown>();
  for (const [id, { score, as_of, category }] of rows.popularity) {
    const [rank, group] = [rankScore(score, as_of, HALF_LIFE_MS), encodeId(category)];
    wantedProducts.set(id, [rank, group, String(Math.floor(as_of / DAY_MS)), [`${group} at ${rank}`]]);
  }
  const users = new Map<string, unknown>();
  const times = await store.hgetall(keys.affinityAsOf);
  const userPrefix = keys.affinityUserPrefix;
  const shown = (await store.keys(userPrefix)).map((key) => decodeURIComponent(key.slice(userPrefix.length)));
  for (const id of new Set([...times.keys(), ...shown]))
    users.set(id, [times.get(id), sorted(await store.hgetall(keys.affinityUser(id)))]);
  const wantedUsers = new Map<string, unknown>();
  for (const [id, { as_of, scores }] of rows.affinity)
    wantedUsers.set(id, [String(as_of), sorted(Object.entries(scores))]);
  return merged(compared('product', products, wantedProducts), compared('user', users, wantedUsers));
}

export async function checkTables(database: Database, rows: NewestRows): Promise<Findings> {
  const products = await database.query<{ product_id: string; as_of: Date }>('SELECT * FROM product_popularity_v1');
  const users = await database.query<{ user_id: string; as_of: Date; scores: Record<string, number> }>(
    'SELECT * FROM user_affinity_v1',
  );
  return merged(
    compared(
      'product',
      new Map(products.map((row) => [row.product_id, { ...row, as_of: row.as_of.getTime() }])),
      new Map([...rows.popularity].map(([id, row]) => [id, { ...row }])),
    ),
    compared(
      'user',
      new Map(users.map(({ user_id, as_of, scores }) => [user_id, [as_of.getTime(), sorted(Object.entries(scores))]])),
      new Map([...rows.affinity].map(([id, { as_of, scores }]) => [id, [as_of, sorted(Object.entries(scores))]])),
    ),
  );
}

/** Throws with all findings. */
export function assertNothing(what: string, { lost, double, stale }: Findings): void {
  assert.deepEqual({ lost, double, stale }, { lost: [], double: [], stale: [] }, what);
}

function compared(kind: string, found: ReadonlyMap<string, unknown>, wanted: ReadonlyMap<string, unknown>): Findings {
  const findings = { lost: [] as string[], double: [] as string[], stale: [] as string[] };
  for (const [id, value] of wanted) {
    if (!found.has(id)) findings.lost.push(`${kind} ${id}`);
    else if (!isEqual(found.get(id), value))
      findings.stale.push(`${kind} ${id}: ${JSON.stringify(found.get(id))}, not ${JSON.stringify(value)}`);
  }
  for (const id of found.keys()) if (!wanted.has(id)) findings.double.push(`${kind} ${id}`);
  return findings;
}

function isEqual(a: unknown, b: unknown): boolean {
  try {
    assert.deepEqual(a, b);
    return true;
  } catch {
    return false;
  }
}

/** Scores as numbers: each must be exactly the double in the topic. */
function sorted(scores: Iterable<readonly [string, string | number]>): [string, number][] {
  return [...scores]
    .map(([category, score]): [string, number] => [category, Number(score)])
    .sort(([a], [b]) => (a < b ? -1 : 1));
}

function merged(a: Findings, b: Findings): Findings {
  return { lost: [...a.lost, ...b.lost], double: [...a.double, ...b.double], stale: [...a.stale, ...b.stale] };
}
