/**
 * The work of a model in pieces that any thread may take. The result of a piece depends only on its number, so the
 * outcome is bit for bit the same for any number of threads. Plain objects: they are sent as messages.
 */
import type { Kernel } from './kernel.js';

export type KernelCall =
  | {
      readonly kind: 'gram';
      readonly rows: number;
      readonly count: number;
      readonly width: number;
      readonly out: number;
    }
  | {
      readonly kind: 'whiten';
      readonly rows: number;
      readonly count: number;
      readonly width: number;
      readonly matrix: number;
      readonly out: number;
    }
  | {
      readonly kind: 'solve';
      readonly rows: number;
      readonly count: number;
      readonly width: number;
      readonly starts: number;
      readonly ends: number;
      readonly pairs: number;
      readonly weights: number;
      readonly fixed: number;
      readonly steps: number;
      readonly enter: number;
      readonly leave: number;
    }
  | {
      readonly kind: 'rank';
      /** u32: the evaluated users, and for each the product that was held out. */
      readonly asked: number;
      readonly held: number;
      readonly count: number;
      /** u32 per evaluated user: products ranked ahead of the held-out one. */
      readonly out: number;
      readonly width: number;
      readonly users: number;
      readonly items: number;
      readonly itemCount: number;
      readonly starts: number;
      readonly ends: number;
      readonly pairs: number;
    };

/** The Gram matrix is always summed in this many parts. */
export const GRAM_PARTS = 32;
/** Rows per piece; a multiple of four. Small, because the first rows have the most pairs. */
const ROWS = 32;
/** Products ranked for all users of a piece before the next block, to stay in cache. A multiple of four. */
const RANK_BLOCK = 256;

/** How many pieces a call has. */
export function piecesOf(call: KernelCall): number {
  return call.kind === 'gram' ? GRAM_PARTS : Math.ceil(call.count / ROWS);
}

/** `words`: the memory as u32; `scratch`: SCRATCH_ROWS rows that no other thread uses. */
export function runPiece(kernel: Kernel, words: Uint32Array, scratch: number, call: KernelCall, piece: number): void {
  if (call.kind === 'gram') {
    const { rows, count, width, out } = call;
    const first = Math.floor((count * piece) / GRAM_PARTS);
    const last = Math.floor((count * (piece + 1)) / GRAM_PARTS);
    kernel.gram(rows, first, last, width, out + (piece * width * width) / 4);
    return;
  }
  const from = piece * ROWS;
  const to = Math.min(from + ROWS, call.count);
  if (call.kind === 'whiten') {
    kernel.whiten(call.rows, from, to, call.width, call.matrix, call.out);
  } else if (call.kind === 'solve') {
    const { rows, starts, ends, pairs, weights, fixed, width, steps, enter, leave } = call;
    kernel.solve(rows, starts, ends, pairs, weights, fixed, from, to, width, steps, enter, leave, scratch);
  } else {
    rank(kernel, words, call, from, to);
  }
}

/** Products that a user has no pair with and that score as high as the held-out one, or higher. */
function rank(kernel: Kernel, words: Uint32Array, call: KernelCall & { kind: 'rank' }, from: number, to: number): void {
  const { users, items, itemCount, width, starts, ends, pairs, asked, held, out } = call;
  const row = (i: number) => users + words[asked / 4 + i]! * width;
  const threshold = (i: number) => kernel.score(row(i), items + words[held / 4 + i]! * width, width);
  for (let i = from; i < to; i++) {
    // The held-out product counts as ahead of itself; products of the other pairs are not candidates.
    let ownAhead = 1;
    const user = words[asked / 4 + i]!;
    const limit = threshold(i);
    for (let at = words[starts / 4 + user]!; at < words[ends / 4 + user]!; at++)
      if (kernel.score(row(i), items + words[pairs / 4 + at]! * width, width) >= limit) ownAhead++;
    // Negative until the products are counted: u32 wraps around and back.
    words[out / 4 + i] = -ownAhead;
  }
  for (let first = 0; first < itemCount; first += RANK_BLOCK) {
    const count = Math.min(RANK_BLOCK, itemCount - first);
    for (let i = from; i < to; i++)
      words[out / 4 + i]! += kernel.ahead(row(i), items + first * width, count, width, threshold(i));
  }
}
