/**
 * Which users and products are eligible, that the same data gives the same bits, and that figures match their
 * definition.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { hasCode } from '../../../../runtime/process/errors.js';
import { openKernelHost } from '../../../../snapshotters/als/kernel-host.js';
import { type Model, makeModel } from '../../../../snapshotters/als/model.js';
import { select } from '../../../../snapshotters/als/selection.js';
import { train } from '../../../../snapshotters/als/train.js';
import { addRows, emptyCapture, factorsOf, MODEL, modelOf, type Row, tasteRows } from './scene.js';

describe('the selection', () => {
  const rows: Row[] = [
    [
      'many',
      [
        { product: 'a', weight: 1, count: 3 },
        { product: 'b', weight: 1, count: 2 },
      ],
    ],
    ['few', [{ product: 'a', weight: 9, count: 4 }]],
    ['enough', [{ product: 'a', weight: 1, count: 5 }]],
    [
      'only-rare',
      [
        { product: 'c', weight: 1, count: 4 },
        { product: 'd', weight: 1, count: 4 },
      ],
    ],
  ];

  test('users are selected by their raw counts first, then products by those of the remaining users, one pass each', () => {
    const capture = addRows(emptyCapture(), rows);
    const { users, products, pairs, pairsCaptured } = select(capture, 5);
    const names = (ids: Uint32Array, from: typeof capture.users) => [...ids].map((id) => from.stringOf(id));
    // b, c, d have fewer than 5; only-rare has 8 interactions, but no product left.
    assert.deepEqual(names(products.ids, capture.products), ['a']);
    assert.deepEqual(names(users.ids, capture.users), ['enough', 'many']);
    assert.deepEqual([users.leftOut, products.leftOut, pairs, pairsCaptured], [2, 3, 2, 6]);
  });

  test('rows are in the same order, whatever the order of the records', () => {
    const all = tasteRows(5, 60, 40, 8);
    const named = (some: readonly Row[]) => {
      const capture = addRows(emptyCapture(), some);
      const { users, products } = select(capture, 5);
      const text = (ids: Uint32Array, from: typeof capture.users) => [...ids].map((id) => from.stringOf(id));
      const byName = [...users.byName].map((row) => capture.users.stringOf(users.ids[row]!));
      return { users: text(users.ids, capture.users), products: text(products.ids, capture.products), byName };
    };
    const expected = named(all);
    assert.deepEqual(
      expected.byName,
      [...expected.byName].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: all.length }), (shuffled) => {
        assert.deepEqual(named(shuffled), expected);
      }),
      { numRuns: 20 },
    );
  });
});

describe('a model', () => {
  const rows = tasteRows(11, 700, 200, 12);
  const bits = (model: Model) => ({
    users: Buffer.from(factorsOf(model, model.places.users).buffer),
    products: Buffer.from(factorsOf(model, model.places.products).buffer),
  });

  test('I32: the same seed gives the same bits for any threads, run and order of the records; another seed gives others', async (t) => {
    const expected = bits(await modelOf(t, rows));
    for (const threads of [2, 3]) assert.deepEqual(bits(await modelOf(t, rows, { threads })), expected);
    assert.deepEqual(bits(await modelOf(t, [...rows].reverse())), expected);
    assert.notDeepEqual(bits(await modelOf(t, rows, { seed: 2 })), expected);
  });

  test('the plain kernel reaches the same quality and similar factors', async (t) => {
    const wasm = await modelOf(t, rows);
    const plain = await modelOf(t, rows, { kernel: 'plain' });
    assert.equal(wasm.host.kind, 'wasm');
    assert.equal(plain.host.kind, 'plain');
    assert.ok(Math.abs(wasm.evaluation.model.ndcg - plain.evaluation.model.ndcg) < 0.005);
    const own = factorsOf(wasm, wasm.places.users);
    const other = factorsOf(plain, plain.places.users);
    const size = own.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    const apart = own.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i]!)), 0);
    assert.ok(apart < 0.02 * size, `${apart} apart at a size of ${size}`);
  });

  test('a thread that dies makes its task and every later one fail', async (t) => {
    const host = openKernelHost({ bytes: 65_536, threads: 2, scratch: 64, width: 64 });
    t.after(() => host.close());
    const gram = { kind: 'gram', count: 4, width: 64, out: 4_096 } as const;
    await host.run({ ...gram, rows: 64 });
    await assert.rejects(host.run({ ...gram, rows: 2 ** 31 }), /out of bounds/);
    await assert.rejects(host.run({ ...gram, rows: 64 }), /out of bounds/);
  });

  test('without WASM the plain kernel is used', async () => {
    const script = fileURLToPath(new URL('./without-wasm.js', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['--jitless', script]);
    assert.deepEqual(JSON.parse(stdout), { kernel: 'plain', notFinite: 0 });
  });

  test('every half iteration reduces the objective of Hu, Koren and Volinsky', async (t) => {
    const model = await modelOf(t, tasteRows(3, 80, 40, 8), { iterations: 1 });
    const options = { factors: 16, regularization: 0.1, seed: 1, withoutHeld: false };
    const losses: number[] = [];
    for (const iterations of [1, 2, 3, 5, 8]) {
      await train(model.host, model.places, { ...options, iterations });
      losses.push(objective(model, 0.1));
    }
    for (let i = 1; i < losses.length; i++) assert.ok(losses[i]! <= losses[i - 1]! * (1 + 1e-5), losses.join(', '));
  });

  test('the figures match their definition, computed the slow way', async (t) => {
    const model = await modelOf(t, rows);
    // The evaluation used the model without the held-out pairs: train it again to inspect it.
    const { factors, iterations, regularization, seed } = MODEL;
    await train(model.host, model.places, { factors, iterations, regularization, seed, withoutHeld: true });
    const slow = slowEvaluation(model, rows);
    assert.equal(model.evaluation.asked, slow.asked);
    assert.ok(Math.abs(model.evaluation.model.ndcg - slow.model.ndcg) < 1e-3, 'NDCG of the model');
    assert.ok(Math.abs(model.evaluation.model.recall - slow.model.recall) < 5e-3, 'recall of the model');
    assert.ok(Math.abs(model.evaluation.popularity.ndcg - slow.popularity.ndcg) < 1e-9, 'NDCG of popularity');
    assert.ok(Math.abs(model.evaluation.popularity.recall - slow.popularity.recall) < 1e-9, 'recall of popularity');
    assert.ok(model.evaluation.model.ndcg > model.evaluation.popularity.ndcg, 'the model finds the tastes');
  });

  test('nothing is learnt from a held-out pair', async (t) => {
    // All users do the same, except for their last interaction: a product that no other user knows.
    const same = Array.from({ length: 6 }, (_, i) => ({ product: `p${i}`, weight: 1, lastTs: i }));
    const few: Row[] = Array.from({ length: 30 }, (_, u) => [
      `u${u}`,
      [...same, { product: `own${u}`, weight: 1, lastTs: 9 }],
    ]);
    const model = await modelOf(t, few);
    assert.equal(model.evaluation.asked, 30);
    assert.equal(model.evaluation.model.recall, 0);
  });
});

describe('unusual data', () => {
  test('one user with a million interactions does not harm the others', async (t) => {
    const rows = tasteRows(7, 400, 150, 10);
    const heavy: Row = [
      'robot',
      Array.from({ length: 150 }, (_, i) => ({ product: `product-${i}`, weight: 20_000, count: 7_000, lastTs: i })),
    ];
    const without = await modelOf(t, rows);
    const model = await modelOf(t, [...rows, heavy]);
    assertFinite(model);
    assert.ok(model.evaluation.model.ndcg > 0.7 * without.evaluation.model.ndcg);
    assert.ok(model.evaluation.model.ndcg > model.evaluation.popularity.ndcg);
  });

  test('fewer products than factors, weights from nothing to a billion, one pair each: the models are small and finite', async (t) => {
    assertFinite(await modelOf(t, tasteRows(1, 50, 10, 5), { factors: 64 }));
    const one: Row[] = [['u', [{ product: 'p', weight: 1, count: 5 }]]];
    const smallest = await modelOf(t, one);
    assertFinite(smallest);
    assert.equal(smallest.evaluation.asked, 0);
    for (const weight of [0, 1e-30, 1e9]) {
      const rows = Array.from({ length: 20 }, (_, u): Row => {
        return [`u${u}`, [0, 1, 2].map((i) => ({ product: `p${(u + i) % 9}`, weight: i === 1 ? weight : 1 }))];
      });
      assertFinite(await modelOf(t, rows, { regularization: 1e-6 }));
    }
  });

  test('no user left, nothing captured, no memory: each is explained', async () => {
    const fails = (
      rows: readonly Row[],
      over: Partial<typeof MODEL>,
      code: 'invalid_data' | 'settings',
      said: RegExp,
    ) =>
      assert.rejects(
        makeModel({ settings: { ...MODEL, ...over }, captured: addRows(emptyCapture(), rows) }),
        (error) => hasCode(error, code) && said.test(String(error)),
      );
    await fails([], {}, 'invalid_data', /contains no pair/);
    const few: Row[] = [['u', [{ product: 'p', weight: 1, count: 4 }]]];
    await fails(few, {}, 'invalid_data', /none of 1 users and 1 products has 5 interactions/);
    await fails(tasteRows(1, 50, 30, 8), { bytesMax: 10_000 }, 'settings', /SNAPSHOT_MEMORY_MB leaves/);
  });
});

function assertFinite({ users, products }: Model): void {
  assert.equal(users.notFinite + products.notFinite, 0);
  assert.ok(users.norm.max > 0 && products.norm.max > 0);
}

function dot(a: Float32Array, at: number, b: Float32Array, bt: number, n: number): number {
  let sum = 0;
  for (let f = 0; f < n; f++) sum += a[at + f]! * b[bt + f]!;
  return sum;
}

/** Σ c (p − x·y)² over all users and products + λ (Σ|x|² + Σ|y|²). */
function objective(model: Model, lambda: number): number {
  const { places, host } = model;
  const n = places.width / 4;
  const x = factorsOf(model, places.users);
  const y = factorsOf(model, places.products);
  const u32 = new Uint32Array(host.memory);
  const f32 = new Float32Array(host.memory);
  let sum = 0;
  for (let user = 0; user < places.users.count; user++) {
    const weights = new Map<number, number>();
    for (let at = u32[places.users.starts / 4 + user]!; at < u32[places.users.starts / 4 + user + 1]!; at++)
      weights.set(u32[places.users.pairs / 4 + at]!, f32[places.users.weights / 4 + at]!);
    for (let product = 0; product < places.products.count; product++) {
      const weight = weights.get(product);
      const score = dot(x, user * n, y, product * n, n);
      sum += weight === undefined ? score ** 2 : (1 + weight) * (1 - score) ** 2;
    }
  }
  for (const side of [x, y]) sum += lambda * side.reduce((total, value) => total + value * value, 0);
  return sum;
}

/** By name, from the rows themselves. */
function slowEvaluation(model: Model, rows: readonly Row[]) {
  const { places, selection } = model;
  const n = places.width / 4;
  const x = factorsOf(model, places.users);
  const y = factorsOf(model, places.products);
  const capture = addRows(emptyCapture(), rows);
  const rowOf = (product: string) => selection.products.rows[capture.products.find(Buffer.from(product))]!;
  const splits = rows.map(([user, items]) => {
    const row = selection.users.rows[capture.users.find(Buffer.from(user))]!;
    const kept = items!.filter(({ product }) => rowOf(product) >= 0);
    kept.sort((a, b) => a.lastTs! - b.lastTs! || (a.product < b.product ? -1 : 1));
    return { row, seen: kept.slice(0, -1), held: kept.at(-1) };
  });
  const popularity = new Float64Array(places.products.count);
  for (const { row, seen } of splits)
    if (row >= 0) for (const { product, weight } of seen) popularity[rowOf(product)]! += weight;
  let asked = 0;
  const total = { model: { ndcg: 0, recall: 0 }, popularity: { ndcg: 0, recall: 0 } };
  for (const { row, seen, held } of splits) {
    if (row < 0 || seen.length === 0) continue;
    asked++;
    const known = new Set(seen.map(({ product }) => rowOf(product)));
    const scores = (product: number) => ({
      model: dot(x, row * n, y, product * n, n),
      popularity: popularity[product]!,
    });
    const own = scores(rowOf(held!.product));
    for (const kind of ['model', 'popularity'] as const) {
      let rank = 0;
      for (let product = 0; product < places.products.count; product++)
        if (product !== rowOf(held!.product) && !known.has(product) && scores(product)[kind] >= own[kind]) rank++;
      if (rank < 10) total[kind].ndcg += 1 / Math.log2(rank + 2);
      if (rank < 20) total[kind].recall++;
    }
  }
  const mean = ({ ndcg, recall }: { ndcg: number; recall: number }) => ({ ndcg: ndcg / asked, recall: recall / asked });
  return { asked, model: mean(total.model), popularity: mean(total.popularity) };
}
