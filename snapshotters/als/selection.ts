/**
 * Selects the eligible users and products: users with at least `minimum` interactions (raw counts over all their
 * products), then products with at least `minimum` over the remaining users; one pass each, so a user may end up with
 * fewer. A user or product without pairs is left out too. Rows are in descending order of their pairs (long rows start
 * first, and frequently used rows are close together), ties by the bytes of their ids: the order in which they were
 * captured makes no difference.
 */
import type { Interner } from '../../runtime/tasks/state/interner.js';
import { COUNT_MAX, type PairStore, pairList } from './pair-store.js';

export interface Side {
  /** Id in the capture, per row. */
  readonly ids: Uint32Array;
  /** Row, per id in the capture; -1: left out. */
  readonly rows: Int32Array;
  /** Rows in byte order of their ids. */
  readonly byName: Uint32Array;
  readonly count: number;
  /** Only those with pairs in the capture are counted. */
  readonly leftOut: number;
}

export interface Selection {
  readonly users: Side;
  readonly products: Side;
  readonly pairs: number;
  /** All captured pairs, before anything was left out. */
  readonly pairsCaptured: number;
}

export interface Captured {
  readonly users: Interner;
  readonly products: Interner;
  readonly pairs: PairStore;
}

/** `minimum`: 1 to COUNT_MAX. */
export function select({ users, products, pairs }: Captured, minimum: number): Selection {
  const list = pairList();
  const enough = Math.min(minimum, COUNT_MAX);
  const userKept = new Uint8Array(users.count);
  const productSeen = new Uint8Array(products.count);
  const productSums = new Float64Array(products.count);
  const productUsers = new Uint32Array(products.count);
  let usersSeen = 0;
  for (let user = 0; user < users.count; user++) {
    pairs.read(user, list);
    if (list.length === 0) continue;
    usersSeen++;
    let sum = 0;
    for (let i = 0; i < list.length; i++) sum += list.counts[i]!;
    userKept[user] = sum >= enough ? 1 : 0;
    for (let i = 0; i < list.length; i++) {
      const product = list.products[i]!;
      productSeen[product] = 1;
      if (userKept[user] === 0) continue;
      productSums[product]! += list.counts[i]!;
      productUsers[product]!++;
    }
  }
  const userPairs = new Uint32Array(users.count);
  let total = 0;
  for (let user = 0; user < users.count; user++) {
    if (userKept[user] === 0) continue;
    pairs.read(user, list);
    for (let i = 0; i < list.length; i++) if (productSums[list.products[i]!]! >= enough) userPairs[user]!++;
    total += userPairs[user]!;
  }
  for (let product = 0; product < products.count; product++)
    if (productSums[product]! < enough) productUsers[product] = 0;
  return {
    users: sideOf(users, userPairs, usersSeen),
    products: sideOf(
      products,
      productUsers,
      productSeen.reduce((sum, seen) => sum + seen, 0),
    ),
    pairs: total,
    pairsCaptured: pairs.pairs,
  };
}

function sideOf(names: Interner, pairCounts: Uint32Array, seen: number): Side {
  const kept = new Uint32Array(pairCounts.length);
  let count = 0;
  for (let id = 0; id < pairCounts.length; id++) if (pairCounts[id]! > 0) kept[count++] = id;
  const named = kept.slice(0, count);
  sortByName(names, named);
  const place = new Uint32Array(pairCounts.length);
  for (let i = 0; i < count; i++) place[named[i]!] = i;
  const ids = named.slice();
  ids.sort((a, b) => pairCounts[b]! - pairCounts[a]! || place[a]! - place[b]!);
  const rows = new Int32Array(pairCounts.length).fill(-1);
  for (let row = 0; row < count; row++) rows[ids[row]!] = row;
  const byName = named.map((id) => rows[id]!);
  return { ids, rows, byName, count, leftOut: seen - count };
}

/** By bytes; the first six are also kept as a number, which nearly always decides. */
function sortByName(names: Interner, ids: Uint32Array): void {
  const heads = new Float64Array(names.count);
  const { arena } = names;
  for (const id of ids) {
    let head = 0;
    const start = names.startOf(id);
    const end = names.endOf(id);
    for (let i = start; i < start + 6; i++) head = head * 256 + (i < end ? arena[i]! : 0);
    heads[id] = head;
  }
  ids.sort(
    (a, b) =>
      heads[a]! - heads[b]! || arena.compare(arena, names.startOf(b), names.endOf(b), names.startOf(a), names.endOf(a)),
  );
}
