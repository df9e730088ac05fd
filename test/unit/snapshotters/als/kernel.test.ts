/** The WASM kernel compared with the plain one, and both with the solution of the equations in float64. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { projectRoot } from '../../../../schemas/project-root.js';
import { cholesky, inverseOfLower } from '../../../../snapshotters/als/cholesky.js';
import { type Kernel, SCRATCH_ROWS } from '../../../../snapshotters/als/kernel.js';
import { PlainKernel } from '../../../../snapshotters/als/plain-kernel.js';
import { compileKernel, sharedMemory, wasmKernel } from '../../../../snapshotters/als/wasm-kernel.js';
import { Random } from '../../../support/random.js';
import { compiledKernel } from './compiled-kernel.js';

const module = compileKernel()!;

/** A separate memory for each kernel, with the same contents. */
function pair(bytes: number): { memory: ArrayBufferLike; kernel: Kernel }[] {
  const memory = sharedMemory(bytes);
  const plain = new ArrayBuffer(memory.buffer.byteLength);
  return [
    { memory: memory.buffer, kernel: wasmKernel(module, memory) },
    { memory: plain, kernel: new PlainKernel(plain) },
  ];
}

function randomRows(seed: number, rows: number, n: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: rows * n }, () => random.unit() * 2 - 1);
}

function assertClose(actual: Float32Array, expected: ArrayLike<number>, tolerance: number, what: string): void {
  assert.equal(actual.length, expected.length);
  const size = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 1e-6);
  for (const [i, value] of actual.entries())
    assert.ok(Math.abs(value - expected[i]!) <= tolerance * size, `${what}[${i}]: ${value} instead of ${expected[i]}`);
}

const shape = fc.record({
  n: fc.constantFrom(16, 32, 48, 64, 128),
  rows: fc.integer({ min: 1, max: 150 }),
  seed: fc.integer({ min: 0, max: 1e9 }),
});

describe('the kernel', () => {
  test('the kernel in the package is what its source compiles to', async () => {
    const carried = await readFile(join(projectRoot, 'snapshotters/als/kernel-bytes.ts'), 'utf8');
    assert.ok(
      carried === (await compiledKernel()),
      'kernel-bytes.ts is out of date: npm run build && node dist/test/unit/snapshotters/als/compiled-kernel.js',
    );
  });

  test('gram: products of all columns over any range of rows', () => {
    fc.assert(
      fc.property(shape, fc.nat(), ({ n, rows, seed }, cut) => {
        const from = cut % rows;
        const values = randomRows(seed, rows, n);
        const out = Math.ceil((rows * n * 4) / 64) * 64;
        const [wasm, plain] = pair(out + n * n * 4).map(({ memory, kernel }) => {
          new Float32Array(memory).set(values);
          kernel.gram(0, from, rows, n * 4, out);
          const gram = new Float32Array(memory, out, n * n);
          return Float32Array.from({ length: n * n }, (_, i) => (i % n >= Math.floor(i / n) ? gram[i]! : 0));
        });
        assertClose(wasm!, plain!, 1e-5, 'gram');
      }),
      { numRuns: 40 },
    );
  });

  test('whiten: rows times an upper triangle', () => {
    fc.assert(
      fc.property(shape, ({ n, rows, seed }) => {
        const padded = Math.ceil(rows / 4) * 4;
        const values = randomRows(seed, rows, n);
        const matrix = randomRows(seed + 1, n, n).map((value, i) => (i % n >= Math.floor(i / n) ? value : 0));
        const at = padded * n * 4;
        const [wasm, plain] = pair(2 * at + n * n * 4).map(({ memory, kernel }) => {
          new Float32Array(memory).set(values);
          new Float32Array(memory, 2 * at).set(matrix);
          kernel.whiten(0, 0, rows, n * 4, 2 * at, at);
          return new Float32Array(memory, at, rows * n).slice();
        });
        assertClose(wasm!, plain!, 1e-5, 'whitened');
      }),
      { numRuns: 40 },
    );
  });

  test('solve: both do the same steps; with many of them both reach the exact solution', () => {
    const weights = fc.array(fc.double({ min: 0, max: 50, noNaN: true }), { minLength: 0, maxLength: 40 });
    const rowsOf = fc.array(weights, { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(rowsOf, fc.constantFrom(16, 48, 64), fc.integer({ min: 0, max: 1e9 }), (rows, n, seed) => {
        const scene = new Equations(rows, n, seed);
        const [wasm, plain] = scene.solve(3);
        assertClose(wasm!, plain!, 2e-3, 'three steps');
        const exact = scene.exact();
        for (const [i, solved] of scene.solve(60).entries())
          assertClose(solved, exact, 5e-3, i === 0 ? 'WASM to the end' : 'plain to the end');
      }),
      { numRuns: 40 },
    );
  });

  test('ahead: counts the products at or above a threshold, ties included, and never the padding', () => {
    fc.assert(
      fc.property(shape, ({ n, rows, seed }) => {
        const values = randomRows(seed, rows + 1, n);
        // Two equal rows: a tie.
        if (rows > 1) values.copyWithin(n, 2 * n, 3 * n);
        const padded = Math.ceil(rows / 4) * 4 + 1;
        for (const { memory, kernel } of pair(padded * n * 4 + 64)) {
          new Float32Array(memory).set(values);
          const own = kernel.score(0, n * 4, n * 4);
          let expected = 0;
          for (let i = 0; i < rows; i++) if (kernel.score(0, (i + 1) * n * 4, n * 4) >= own) expected++;
          assert.equal(kernel.ahead(0, n * 4, rows, n * 4, own), expected);
          assert.equal(kernel.ahead(0, n * 4, rows, n * 4, Number.NEGATIVE_INFINITY), rows);
        }
      }),
      { numRuns: 40 },
    );
  });
});

const LAMBDA = 0.1;
const OTHER_ROWS = 64;

/** Rows with weights for random rows of the other side; the equations that ALS solves for them. */
class Equations {
  readonly #weights: readonly (readonly number[])[];
  readonly #n: number;
  readonly #y: Float32Array;
  readonly #pairs: readonly (readonly number[])[];
  readonly #starts: Float32Array;

  constructor(weights: readonly (readonly number[])[], n: number, seed: number) {
    this.#weights = weights;
    this.#n = n;
    this.#y = randomRows(seed, OTHER_ROWS, n);
    this.#starts = randomRows(seed + 1, weights.length, n);
    const random = new Random(seed + 2);
    this.#pairs = weights.map((row) => row.map(() => random.below(OTHER_ROWS)));
  }

  /** YᵀY + λI. */
  #shared(): Float64Array {
    const n = this.#n;
    const a = new Float64Array(n * n);
    for (let row = 0; row < OTHER_ROWS; row++)
      for (let g = 0; g < n; g++)
        for (let f = 0; f < n; f++) a[g * n + f]! += this.#y[row * n + g]! * this.#y[row * n + f]!;
    for (let f = 0; f < n; f++) a[f * n + f]! += LAMBDA;
    return a;
  }

  exact(): Float64Array {
    const n = this.#n;
    const solutions = new Float64Array(this.#weights.length * n);
    for (const [row, weights] of this.#weights.entries()) {
      if (weights.length === 0) continue;
      const a = this.#shared();
      const b = new Float64Array(n);
      for (const [i, exactWeight] of weights.entries()) {
        const w = Math.fround(exactWeight);
        const at = this.#pairs[row]![i]! * n;
        for (let g = 0; g < n; g++) {
          b[g]! += (1 + w) * this.#y[at + g]!;
          for (let f = 0; f < n; f++) a[g * n + f]! += w * this.#y[at + g]! * this.#y[at + f]!;
        }
      }
      const inverse = inverseOfLower(cholesky(a, n)!, n);
      // (L Lᵀ)⁻¹ b = L⁻ᵀ (L⁻¹ b)
      const half = new Float64Array(n);
      for (let i = 0; i < n; i++) for (let k = 0; k <= i; k++) half[i]! += inverse[i * n + k]! * b[k]!;
      for (let i = 0; i < n; i++) for (let k = i; k < n; k++) solutions[row * n + i]! += inverse[k * n + i]! * half[k]!;
    }
    return solutions;
  }

  /** With WASM and with the plain kernel. */
  solve(steps: number): Float32Array[] {
    const n = this.#n;
    const width = n * 4;
    const count = this.#weights.length;
    const total = this.#weights.reduce((sum, row) => sum + row.length, 0);
    let bytes = 0;
    const place = (size: number) => {
      const at = bytes;
      bytes += Math.ceil(size / 64) * 64;
      return at;
    };
    const at = {
      x: place(Math.ceil(count / 4) * 4 * width),
      y: place(OTHER_ROWS * width),
      z: place(OTHER_ROWS * width),
      starts: place((count + 1) * 4),
      pairs: place(total * 4 + 16),
      weights: place(total * 4 + 16),
      enter: place(n * width),
      leave: place(n * width),
      whiten: place(n * width),
      scratch: place(SCRATCH_ROWS * width),
    };
    const l = cholesky(this.#shared(), n)!;
    const inverse = inverseOfLower(l, n);
    return pair(bytes).map(({ memory, kernel }) => {
      const f32 = new Float32Array(memory);
      const u32 = new Uint32Array(memory);
      f32.set(this.#starts, at.x / 4);
      f32.set(this.#y, at.y / 4);
      f32.set(l, at.enter / 4);
      f32.set(inverse, at.leave / 4);
      for (let g = 0; g < n; g++) for (let f = 0; f < n; f++) f32[at.whiten / 4 + g * n + f] = inverse[f * n + g]!;
      let next = 0;
      for (const [row, weights] of this.#weights.entries()) {
        u32[at.starts / 4 + row] = next;
        for (const [i, weight] of weights.entries()) {
          u32[at.pairs / 4 + next] = this.#pairs[row]![i]!;
          f32[at.weights / 4 + next++] = weight;
        }
      }
      u32[at.starts / 4 + count] = next;
      kernel.whiten(at.y, 0, OTHER_ROWS, width, at.whiten, at.z);
      kernel.solve(
        at.x,
        at.starts,
        at.starts + 4,
        at.pairs,
        at.weights,
        at.z,
        0,
        count,
        width,
        steps,
        at.enter,
        at.leave,
        at.scratch,
      );
      return new Float32Array(memory, at.x, count * n).slice();
    });
  }
}
