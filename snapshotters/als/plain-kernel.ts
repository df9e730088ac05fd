/**
 * The kernel without WASM: the same steps in plain loops, 8 to 10 times slower. Oracle for the other one, and fallback.
 */
import { type Kernel, SCRATCH_ROWS } from './kernel.js';

const TINY = 1e-20;

export class PlainKernel implements Kernel {
  readonly #f32: Float32Array;
  readonly #u32: Uint32Array;

  constructor(memory: ArrayBufferLike) {
    this.#f32 = new Float32Array(memory);
    this.#u32 = new Uint32Array(memory);
  }

  gram(rows: number, from: number, to: number, width: number, out: number): void {
    const n = width >> 2;
    const at = out / 4;
    this.#f32.fill(0, at, at + n * n);
    for (let row = from; row < to; row++) {
      const start = rows / 4 + row * n;
      for (let g = 0; g < n; g++) {
        const left = this.#f32[start + g]!;
        if (left === 0) continue;
        for (let f = g; f < n; f++) this.#f32[at + g * n + f]! += left * this.#f32[start + f]!;
      }
    }
  }

  whiten(rows: number, from: number, to: number, width: number, matrix: number, out: number): void {
    const n = width >> 2;
    for (let row = from; row < to; row++) {
      const source = rows / 4 + row * n;
      const target = out / 4 + row * n;
      for (let f = 0; f < n; f++) {
        let sum = 0;
        for (let g = 0; g <= f; g++) sum += this.#f32[source + g]! * this.#f32[matrix / 4 + g * n + f]!;
        this.#f32[target + f] = sum;
      }
    }
  }

  solve(
    x: number,
    starts: number,
    ends: number,
    pairs: number,
    weights: number,
    z: number,
    from: number,
    to: number,
    width: number,
    steps: number,
    enter: number,
    leave: number,
    scratch: number,
  ): void {
    const n = width >> 2;
    const row = { n, z: z / 4, pairs: pairs / 4, weights: weights / 4, start: 0, end: 0 };
    const inside = scratch / 4 + (SCRATCH_ROWS - 1) * n;
    for (let i = from; i < to; i++) {
      const own = x / 4 + i * n;
      row.start = this.#u32[starts / 4 + i]!;
      row.end = this.#u32[ends / 4 + i]!;
      if (row.start === row.end) {
        this.#f32.fill(0, own, own + n);
        continue;
      }
      this.#timesLower(own, inside, enter / 4, n);
      this.#improve(inside, row, steps, scratch / 4);
      this.#timesLower(inside, own, leave / 4, n);
    }
  }

  score(x: number, item: number, width: number): number {
    return this.#dot(x / 4, item / 4, width >> 2);
  }

  ahead(x: number, items: number, count: number, width: number, threshold: number): number {
    const n = width >> 2;
    let ahead = 0;
    for (let i = 0; i < count; i++) if (this.#dot(x / 4, items / 4 + i * n, n) >= threshold) ahead++;
    return ahead;
  }

  #improve(x: number, row: Row, steps: number, r: number): void {
    const { n } = row;
    const p = r + n;
    const ap = p + n;
    const f32 = this.#f32;
    for (let f = 0; f < n; f++) f32[r + f] = -f32[x + f]!;
    for (let i = row.start; i < row.end; i++) {
      const w = f32[row.weights + i]!;
      const at = row.z + this.#u32[row.pairs + i]! * n;
      this.#addScaled(r, at, 1 + w - w * this.#dot(x, at, n), n);
    }
    f32.copyWithin(p, r, r + n);
    let rr = this.#dot(r, r, n);
    for (let step = 1; rr > TINY; step++) {
      f32.copyWithin(ap, p, p + n);
      let pap = this.#dot(p, p, n);
      for (let i = row.start; i < row.end; i++) {
        const at = row.z + this.#u32[row.pairs + i]! * n;
        const d = this.#dot(p, at, n);
        const wd = f32[row.weights + i]! * d;
        pap += wd * d;
        if (step < steps) this.#addScaled(ap, at, wd, n);
      }
      const alpha = rr / pap;
      this.#addScaled(x, p, alpha, n);
      if (step >= steps) return;
      this.#addScaled(r, ap, -alpha, n);
      const next = this.#dot(r, r, n);
      for (let f = 0; f < n; f++) f32[p + f] = f32[r + f]! + (next / rr) * f32[p + f]!;
      rr = next;
    }
  }

  #timesLower(source: number, target: number, matrix: number, n: number): void {
    for (let f = 0; f < n; f++) {
      let sum = 0;
      for (let g = f; g < n; g++) sum += this.#f32[source + g]! * this.#f32[matrix + g * n + f]!;
      this.#f32[target + f] = sum;
    }
  }

  #dot(a: number, b: number, n: number): number {
    let sum = 0;
    for (let f = 0; f < n; f++) sum += this.#f32[a + f]! * this.#f32[b + f]!;
    return sum;
  }

  #addScaled(target: number, source: number, factor: number, n: number): void {
    for (let f = 0; f < n; f++) this.#f32[target + f]! += factor * this.#f32[source + f]!;
  }
}

/** Indices into the memory as float32 or u32. */
interface Row {
  readonly n: number;
  readonly z: number;
  readonly pairs: number;
  readonly weights: number;
  start: number;
  end: number;
}
