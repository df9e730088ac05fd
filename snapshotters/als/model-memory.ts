/**
 * The single memory of a model: factors of both sides, the whitened copy of the fixed side, and the pairs twice, by
 * user and by product. In both, a user's held-out pair is last in its row, so that "all but the held-out pairs" is the
 * same columns with earlier ends.
 *
 *   bytes ≈ 4·width·(users + products + max(users, products)) + 16·pairs + 12·(users + products)      width: factors,
 * padded
 */
import { FreshetError } from '../../runtime/process/errors.js';
import { FACTORS_STEP, SCRATCH_ROWS } from './kernel.js';
import { GRAM_PARTS } from './kernel-calls.js';
import { MEMORY_BYTES_MAX, RESERVED_BYTES } from './kernel-host.js';
import { pairList } from './pair-store.js';
import type { Captured, Selection, Side } from './selection.js';

/** Addresses of one side. */
export interface SidePlace {
  readonly count: number;
  readonly factors: number;
  /** u32, count + 1: where a row's pairs begin, and so where the previous row's end. */
  readonly starts: number;
  /** u32, count: where a row's pairs end without the held-out ones. */
  readonly trainEnds: number;
  /** u32: rows of the other side. */
  readonly pairs: number;
  /** f32: alpha · weight. */
  readonly weights: number;
}

export interface Places {
  /** Bytes of a row. */
  readonly width: number;
  readonly users: SidePlace;
  readonly products: SidePlace;
  readonly whitened: number;
  readonly gramParts: number;
  readonly enter: number;
  readonly leave: number;
  readonly whiten: number;
  /** u32 each, room for `asked` users of the evaluation. */
  readonly asked: number;
  readonly held: number;
  readonly ranks: number;
  readonly scratch: number;
  readonly bytes: number;
}

interface Sizes {
  readonly users: number;
  readonly products: number;
  readonly pairs: number;
  readonly factors: number;
  readonly threads: number;
  /** Most users that the evaluation covers. */
  readonly asked: number;
}

const LINE = 64;
/** The kernel reads pairs four at a time. */
const BEHIND_PAIRS = 16;

/** `factors` rounded up to what the kernel works with, in bytes. */
function widthOf(factors: number): number {
  return Math.ceil(factors / FACTORS_STEP) * FACTORS_STEP * 4;
}

/** Errors: FreshetError 'settings' if it would exceed what the kernel can address. */
export function placesFor(sizes: Sizes): Places {
  const width = widthOf(sizes.factors);
  const square = (width * width) / 4;
  let bytes = RESERVED_BYTES;
  const place = (size: number): number => {
    const at = bytes;
    bytes += Math.ceil(size / LINE) * LINE;
    return at;
  };
  const rows = (count: number) => Math.ceil(count / 4) * 4 * width;
  const side = (count: number): SidePlace => ({
    count,
    factors: place(rows(count)),
    starts: place((count + 1) * 4),
    trainEnds: place(count * 4),
    pairs: place(sizes.pairs * 4 + BEHIND_PAIRS),
    weights: place(sizes.pairs * 4 + BEHIND_PAIRS),
  });
  const places = {
    width,
    users: side(sizes.users),
    products: side(sizes.products),
    whitened: place(rows(Math.max(sizes.users, sizes.products))),
    gramParts: place(GRAM_PARTS * square),
    enter: place(square),
    leave: place(square),
    whiten: place(square),
    asked: place(sizes.asked * 4),
    held: place(sizes.asked * 4),
    ranks: place(sizes.asked * 4),
    scratch: place(sizes.threads * SCRATCH_ROWS * width),
    bytes,
  };
  if (bytes > MEMORY_BYTES_MAX) {
    const gib = (bytes / 2 ** 30).toFixed(1);
    throw new FreshetError(
      'settings',
      `a model of ${sizes.users} users, ${sizes.products} products and ${sizes.pairs} pairs with ${sizes.factors} ` +
        `factors takes ${gib} GiB; the kernel is limited to 4 GiB. Lower ALS_FACTORS or raise ALS_INTERACTIONS_MIN.`,
    );
  }
  return { ...places, bytes };
}

/**
 * Writes the pairs of a selection into their places; the memory must be zero there. Weights are multiplied by `alpha`.
 */
export function fillPairs(
  memory: ArrayBufferLike,
  { users, products }: Places,
  { pairs }: Captured,
  selection: Selection,
  alpha: number,
): void {
  const u32 = new Uint32Array(memory);
  const f32 = new Float32Array(memory);
  fillUsers(u32, f32, users, pairs, selection, alpha);
  turn(u32, f32, users, products);
}

function fillUsers(
  u32: Uint32Array,
  f32: Float32Array,
  users: SidePlace,
  pairs: Captured['pairs'],
  { users: { ids, count }, products }: Selection,
  alpha: number,
): void {
  const list = pairList();
  let at = 0;
  for (let row = 0; row < count; row++) {
    pairs.read(ids[row]!, list);
    const kept = keptOf(list.products, list.length, products);
    // The last interaction is held out, unless no other would remain.
    const trained = kept.length > 1 ? kept.length - 1 : kept.length;
    const byProduct = kept.subarray(0, trained).sort((a, b) => rowOf(a) - rowOf(b));
    u32[users.starts / 4 + row] = at;
    for (const i of byProduct) put(i);
    u32[users.trainEnds / 4 + row] = at;
    if (trained < kept.length) put(kept[trained]!);
  }
  u32[users.starts / 4 + count] = at;

  function rowOf(i: number): number {
    return products.rows[list.products[i]!]!;
  }
  function put(i: number): void {
    u32[users.pairs / 4 + at] = rowOf(i);
    f32[users.weights / 4 + at] = alpha * list.weights[i]!;
    at++;
  }
}

/** Positions in a user's list whose products are eligible, in the list's order. */
function keptOf(ids: Uint32Array, length: number, { rows }: Side): Uint32Array {
  const kept = new Uint32Array(length);
  let count = 0;
  for (let i = 0; i < length; i++) if (rows[ids[i]!]! >= 0) kept[count++] = i;
  return kept.subarray(0, count);
}

/** The users' pairs again, by product: in each row first the training pairs by user, then the held-out ones by user. */
function turn(u32: Uint32Array, f32: Float32Array, users: SidePlace, products: SidePlace): void {
  const trained = new Uint32Array(products.count);
  const held = new Uint32Array(products.count);
  eachPair(u32, users, (_, at, isHeld) => {
    const product = u32[users.pairs / 4 + at]!;
    (isHeld ? held : trained)[product]!++;
  });
  let next = 0;
  for (let row = 0; row < products.count; row++) {
    const start = next;
    const end = start + trained[row]!;
    next = end + held[row]!;
    u32[products.starts / 4 + row] = start;
    u32[products.trainEnds / 4 + row] = end;
    trained[row] = start;
    held[row] = end;
  }
  u32[products.starts / 4 + products.count] = next;
  eachPair(u32, users, (user, at, isHeld) => {
    const to = (isHeld ? held : trained)[u32[users.pairs / 4 + at]!]!++;
    u32[products.pairs / 4 + to] = user;
    f32[products.weights / 4 + to] = f32[users.weights / 4 + at]!;
  });
}

function eachPair(
  u32: Uint32Array,
  { count, starts, trainEnds }: SidePlace,
  take: (row: number, at: number, isHeld: boolean) => void,
): void {
  for (let row = 0; row < count; row++) {
    const trainEnd = u32[trainEnds / 4 + row]!;
    const end = u32[starts / 4 + row + 1]!;
    for (let at = u32[starts / 4 + row]!; at < end; at++) take(row, at, at >= trainEnd);
  }
}
