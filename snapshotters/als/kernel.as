/**
 * The ALS kernel in AssemblyScript: float32, four lanes at a time. kernel.ts says what each function does; plain-kernel.ts
 * does the same slowly. Addresses are bytes into the one shared memory; `width` is the length of a row in bytes, a
 * multiple of 64 (16 factors), so that loops need no tails.
 *
 * Speed: what bounds the inner loops is loads (two a cycle), so each value loaded is used for several rows at once, and
 * addresses are advanced once per 16 factors.
 */

/** The four sums of four vectors, one in each lane. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

// @ts-ignore: decorator
@inline
function total(a: v128): f32 {
  return (
    f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3))
  );
}

// @ts-ignore: decorator
@inline
function madd(sum: v128, a: v128, b: v128): v128 {
  return f32x4.add(sum, f32x4.mul(a, b));
}

function dot(a: usize, b: usize, width: usize): f32 {
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  for (const end = a + width; a < end; a += 32, b += 32) {
    s0 = madd(s0, v128.load(a), v128.load(b));
    s1 = madd(s1, v128.load(a, 16), v128.load(b, 16));
  }
  return total(f32x4.add(s0, s1));
}

/** target += factor · source */
function addScaled(target: usize, source: usize, factor: f32, width: usize): void {
  const f = f32x4.splat(factor);
  for (const end = target + width; target < end; target += 32, source += 32) {
    v128.store(target, madd(v128.load(target), f, v128.load(source)));
    v128.store(target, madd(v128.load(target, 16), f, v128.load(source, 16)), 16);
  }
}

/** Rows that are worked on together, so that their sums stay near while columns change. */
const GRAM_ROWS: usize = 64;

export function gram(rows: usize, from: usize, to: usize, width: usize, out: usize): void {
  const count = width >> 2;
  memory.fill(out, 0, count * width);
  for (let first = from; first < to; first += GRAM_ROWS) {
    const start = rows + first * width;
    const end = rows + min(first + GRAM_ROWS, to) * width;
    for (let g: usize = 0; g < width; g += 16) {
      for (let f = g & ~31; f < width; f += 32) {
        const at = out + (g >> 2) * width + f;
        const at1 = at + width;
        const at2 = at1 + width;
        const at3 = at2 + width;
        let a0 = v128.load(at);
        let a1 = v128.load(at, 16);
        let b0 = v128.load(at1);
        let b1 = v128.load(at1, 16);
        let c0 = v128.load(at2);
        let c1 = v128.load(at2, 16);
        let d0 = v128.load(at3);
        let d1 = v128.load(at3, 16);
        let right = start + f;
        for (let left = start + g; left < end; left += width, right += width) {
          const r0 = v128.load(right);
          const r1 = v128.load(right, 16);
          const a = v128.load_splat<f32>(left);
          a0 = madd(a0, a, r0);
          a1 = madd(a1, a, r1);
          const b = v128.load_splat<f32>(left, 4);
          b0 = madd(b0, b, r0);
          b1 = madd(b1, b, r1);
          const c = v128.load_splat<f32>(left, 8);
          c0 = madd(c0, c, r0);
          c1 = madd(c1, c, r1);
          const d = v128.load_splat<f32>(left, 12);
          d0 = madd(d0, d, r0);
          d1 = madd(d1, d, r1);
        }
        v128.store(at, a0);
        v128.store(at, a1, 16);
        v128.store(at1, b0);
        v128.store(at1, b1, 16);
        v128.store(at2, c0);
        v128.store(at2, c1, 16);
        v128.store(at3, d0);
        v128.store(at3, d1, 16);
      }
    }
  }
}

/** Four rows times a triangular matrix; lower: m[g][f] = 0 for g < f, else m[g][f] = 0 for g > f. */
function timesTriangle(source: usize, target: usize, m: usize, lower: bool, width: usize): void {
  for (let f: usize = 0; f < width; f += 32) {
    const begin: usize = lower ? f : 0;
    const end: usize = lower ? width : f + 32;
    let a0 = f32x4.splat(0);
    let a1 = a0;
    let b0 = a0;
    let b1 = a0;
    let c0 = a0;
    let c1 = a0;
    let d0 = a0;
    let d1 = a0;
    let a = source + begin;
    let b = a + width;
    let c = b + width;
    let d = c + width;
    let row = m + (begin >> 2) * width + f;
    for (const last = source + end; a < last; a += 4, b += 4, c += 4, d += 4, row += width) {
      const m0 = v128.load(row);
      const m1 = v128.load(row, 16);
      const x = v128.load_splat<f32>(a);
      a0 = madd(a0, x, m0);
      a1 = madd(a1, x, m1);
      const y = v128.load_splat<f32>(b);
      b0 = madd(b0, y, m0);
      b1 = madd(b1, y, m1);
      const z = v128.load_splat<f32>(c);
      c0 = madd(c0, z, m0);
      c1 = madd(c1, z, m1);
      const w = v128.load_splat<f32>(d);
      d0 = madd(d0, w, m0);
      d1 = madd(d1, w, m1);
    }
    let at = target + f;
    v128.store(at, a0);
    v128.store(at, a1, 16);
    at += width;
    v128.store(at, b0);
    v128.store(at, b1, 16);
    at += width;
    v128.store(at, c0);
    v128.store(at, c1, 16);
    at += width;
    v128.store(at, d0);
    v128.store(at, d1, 16);
  }
}

export function whiten(rows: usize, from: usize, to: usize, width: usize, m: usize, out: usize): void {
  for (let row = from; row < to; row += 4)
    timesTriangle(rows + row * width, out + row * width, m, false, width);
}

/** What a sweep over a row's pairs adds: for the residual, for a direction, or only the sum. */
const RESIDUAL = 0;
const DIRECTION = 1;
const SUM = 2;

/**
 * For every pair of the row, with z its other side's row, w its weight and d = z·p:
 * RESIDUAL: target += (1 + w − w·d)·z; DIRECTION: target += w·d·z, returns Σ w·d²; SUM: returns Σ w·d².
 */
function sweep(
  p: usize,
  target: usize,
  pair: usize,
  pairs: usize,
  weights: usize,
  z: usize,
  zeros: usize,
  width: usize,
  kind: i32,
): f32 {
  const one = f32x4.splat(1);
  const stop = p + width;
  let sum = f32x4.splat(0);
  for (; pair < pairs; pair += 16, weights += 16) {
    const left = pairs - pair;
    const r0 = z + load<u32>(pair) * width;
    const r1 = left > 4 ? z + load<u32>(pair, 4) * width : zeros;
    const r2 = left > 8 ? z + load<u32>(pair, 8) * width : zeros;
    const r3 = left > 12 ? z + load<u32>(pair, 12) * width : zeros;
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    let q0 = r0;
    let q1 = r1;
    let q2 = r2;
    let q3 = r3;
    for (let q = p; q < stop; q += 64, q0 += 64, q1 += 64, q2 += 64, q3 += 64) {
      const p0 = v128.load(q);
      a = madd(a, p0, v128.load(q0));
      b = madd(b, p0, v128.load(q1));
      c = madd(c, p0, v128.load(q2));
      d = madd(d, p0, v128.load(q3));
      const p1 = v128.load(q, 16);
      a = madd(a, p1, v128.load(q0, 16));
      b = madd(b, p1, v128.load(q1, 16));
      c = madd(c, p1, v128.load(q2, 16));
      d = madd(d, p1, v128.load(q3, 16));
      const p2 = v128.load(q, 32);
      a = madd(a, p2, v128.load(q0, 32));
      b = madd(b, p2, v128.load(q1, 32));
      c = madd(c, p2, v128.load(q2, 32));
      d = madd(d, p2, v128.load(q3, 32));
      const p3 = v128.load(q, 48);
      a = madd(a, p3, v128.load(q0, 48));
      b = madd(b, p3, v128.load(q1, 48));
      c = madd(c, p3, v128.load(q2, 48));
      d = madd(d, p3, v128.load(q3, 48));
    }
    const dots = sums(a, b, c, d);
    const w = v128.load(weights);
    const wd = f32x4.mul(w, dots);
    sum = madd(sum, wd, dots);
    if (kind == SUM) continue;
    const k = kind == RESIDUAL ? f32x4.add(one, f32x4.sub(w, wd)) : wd;
    a = v128.shuffle<f32>(k, k, 0, 0, 0, 0);
    b = v128.shuffle<f32>(k, k, 1, 1, 1, 1);
    c = v128.shuffle<f32>(k, k, 2, 2, 2, 2);
    d = v128.shuffle<f32>(k, k, 3, 3, 3, 3);
    q0 = r0;
    q1 = r1;
    q2 = r2;
    q3 = r3;
    for (let t = target, end = target + width; t < end; t += 64, q0 += 64, q1 += 64, q2 += 64, q3 += 64) {
      v128.store(
        t,
        f32x4.add(
          v128.load(t),
          f32x4.add(
            madd(f32x4.mul(a, v128.load(q0)), b, v128.load(q1)),
            madd(f32x4.mul(c, v128.load(q2)), d, v128.load(q3)),
          ),
        ),
      );
      v128.store(
        t,
        f32x4.add(
          v128.load(t, 16),
          f32x4.add(
            madd(f32x4.mul(a, v128.load(q0, 16)), b, v128.load(q1, 16)),
            madd(f32x4.mul(c, v128.load(q2, 16)), d, v128.load(q3, 16)),
          ),
        ),
        16,
      );
      v128.store(
        t,
        f32x4.add(
          v128.load(t, 32),
          f32x4.add(
            madd(f32x4.mul(a, v128.load(q0, 32)), b, v128.load(q1, 32)),
            madd(f32x4.mul(c, v128.load(q2, 32)), d, v128.load(q3, 32)),
          ),
        ),
        32,
      );
      v128.store(
        t,
        f32x4.add(
          v128.load(t, 48),
          f32x4.add(
            madd(f32x4.mul(a, v128.load(q0, 48)), b, v128.load(q1, 48)),
            madd(f32x4.mul(c, v128.load(q2, 48)), d, v128.load(q3, 48)),
          ),
        ),
        48,
      );
    }
  }
  return total(sum);
}

const TINY: f32 = 1e-20;

/** Conjugate gradient for one row, x in and out, in whitened coordinates: (I + Zᵀ W Z) x = Zᵀ (1 + w). */
function improve(
  x: usize,
  r: usize,
  pair: usize,
  pairs: usize,
  weights: usize,
  z: usize,
  zeros: usize,
  width: usize,
  steps: i32,
): void {
  const p = r + width;
  const ap = p + width;
  for (let f: usize = 0; f < width; f += 16) v128.store(r + f, f32x4.neg(v128.load(x + f)));
  sweep(x, r, pair, pairs, weights, z, zeros, width, RESIDUAL);
  memory.copy(p, r, width);
  let rr = dot(r, r, width);
  for (let step = 1; rr > TINY; step++) {
    const isLast = step == steps;
    if (!isLast) memory.copy(ap, p, width);
    const pap = dot(p, p, width) + sweep(p, ap, pair, pairs, weights, z, zeros, width, isLast ? SUM : DIRECTION);
    const alpha = rr / pap;
    addScaled(x, p, alpha, width);
    if (isLast) break;
    addScaled(r, ap, -alpha, width);
    const next = dot(r, r, width);
    const beta = f32x4.splat(next / rr);
    for (let f: usize = 0; f < width; f += 16) v128.store(p + f, madd(v128.load(r + f), beta, v128.load(p + f)));
    rr = next;
  }
}

export function solve(
  x: usize,
  starts: usize,
  ends: usize,
  pairs: usize,
  weights: usize,
  z: usize,
  from: usize,
  to: usize,
  width: usize,
  steps: i32,
  enter: usize,
  leave: usize,
  scratch: usize,
): void {
  const zeros = scratch;
  const r = zeros + width;
  const inside = r + 3 * width;
  memory.fill(zeros, 0, width);
  for (let first = from; first < to; first += 4) {
    const four = x + first * width;
    timesTriangle(four, inside, enter, true, width);
    for (let row = first, at = inside; row < min(first + 4, to); row++, at += width) {
      const start: usize = load<u32>(starts + (row << 2));
      const end: usize = load<u32>(ends + (row << 2));
      if (start == end) memory.fill(at, 0, width);
      else improve(at, r, pairs + (start << 2), pairs + (end << 2), weights + (start << 2), z, zeros, width, steps);
    }
    timesTriangle(inside, four, leave, true, width);
  }
}

/** x·item, summed in the order in which `ahead` sums. */
export function score(x: usize, item: usize, width: usize): f32 {
  let a = f32x4.splat(0);
  for (const end = x + width; x < end; x += 16, item += 16) a = madd(a, v128.load(x), v128.load(item));
  return f32x4.extract_lane(sums(a, a, a, a), 0);
}

export function ahead(x: usize, items: usize, count: usize, width: usize, threshold: f32): i32 {
  const limit = f32x4.splat(threshold);
  let n = 0;
  let at = items;
  for (let i: usize = 0; i < count; i += 4, at += width << 2) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    let q0 = at;
    let q1 = q0 + width;
    let q2 = q1 + width;
    let q3 = q2 + width;
    for (let q = x, end = x + width; q < end; q += 16, q0 += 16, q1 += 16, q2 += 16, q3 += 16) {
      const p = v128.load(q);
      a = madd(a, p, v128.load(q0));
      b = madd(b, p, v128.load(q1));
      c = madd(c, p, v128.load(q2));
      d = madd(d, p, v128.load(q3));
    }
    let mask = i32x4.bitmask(f32x4.ge(sums(a, b, c, d), limit));
    if (count - i < 4) mask &= (1 << <i32>(count - i)) - 1;
    n += popcnt(mask);
  }
  return n;
}
