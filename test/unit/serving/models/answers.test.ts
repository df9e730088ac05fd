import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NEIGHBOURS_MAX } from '../../../../runtime/models/faiss/vector-index.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { createAnswers } from '../../../../serving/models/answers.js';
import type { Scored } from '../../../../serving/models/blend.js';
import type { FactorVersion } from '../../../../serving/models/factor-version.js';
import { Slot } from '../../../../serving/models/slot.js';
import { Problem } from '../../../../serving/problem.js';
import type { FaissVersion, FoundWords } from '../../../../snapshotters/faiss/faiss-version.js';
import { FakeReaders, NOW_MS } from '../../../support/serving.js';

type Index = Pick<FaissVersion, 'model' | 'search' | 'find' | 'similar' | 'close'>;

const gone = new FreshetError('unavailable', 'the process ended');
const item = (product_id: string, score: number): Scored => ({ product_id, score });

/** A model whose answers the test chooses. */
class FakeFactors implements FactorVersion {
  readonly count = 3;
  readonly indexes = [];
  readonly asked: { readonly factors: number[]; readonly limit: number; readonly leftOut: string[] }[] = [];
  recommended: (limit: number) => Promise<Scored[]> = async () => [item('p3', 2), item('p1', 1)];
  alike: (limit: number) => Promise<Scored[] | null> = async () => [item('p3', 0.6)];
  closed = false;

  recommend(factors: Float32Array, limit: number, leftOut: ReadonlySet<string>) {
    this.asked.push({ factors: [...factors], limit, leftOut: [...leftOut] });
    return this.recommended(limit);
  }

  similar(_productId: string, limit: number) {
    return this.alike(limit);
  }

  async close() {
    this.closed = true;
  }
}

class FakeIndex implements Index {
  model = 'm1';
  readonly searched: { readonly vector: number[]; readonly limit: number }[] = [];
  alike: (limit: number) => Promise<Scored[] | null> = async () => [item('p2', 0.8), item('p3', 0.4)];
  found: (limit: number) => Promise<Scored[]> = async () => [item('p1', 0.5), item('p2', 0.49)];

  search(vector: Float32Array, limit: number) {
    this.searched.push({ vector: [...vector], limit });
    return this.found(limit);
  }

  /** Null: a version without words. */
  words: ((query: string, limit: number, asked?: string) => FoundWords) | null = null;

  find(query: string, limit: number, asked?: string): FoundWords | null {
    return this.words?.(query, limit, asked) ?? null;
  }

  similar(_productId: string, limit: number) {
    return this.alike(limit);
  }

  async close() {}
}

function scene(given: { als?: boolean; faiss?: boolean } = {}) {
  const fail = (error: unknown) => assert.fail(String(error));
  const als = new Slot<FactorVersion>(fail);
  const faiss = new Slot<Index>(fail);
  const factors = new FakeFactors();
  const index = new FakeIndex();
  if (given.als ?? true) als.put(4, factors);
  if (given.faiss ?? true) faiss.put(9, index);
  const readers = new FakeReaders();
  for (const [i, productId] of ['p1', 'p2', 'p3', 'p4'].entries())
    readers.products.set(productId, {
      ...{ productId, category: 'c', score: 10 - 3 * i, asOf: NOW_MS, version: 1 },
      ...{ views: 1, addToCarts: 0, purchases: 0 },
    });
  const users = new Map([['u1', Float32Array.of(1, 2)]]);
  const purchased = new Map<string, Set<string>>();
  const deleted = new Set<string>();
  const state = { embedder: 'm1', texts: [] as string[], versions: [] as (number | undefined)[], storeDown: false };
  const answers = createAnswers({
    als,
    faiss,
    readers,
    reader: {
      userFactors: async (userId, version) => {
        state.versions.push(version);
        return { version: version!, factors: users.get(userId) ?? null };
      },
      purchasedOf: async (userId) => purchased.get(userId) ?? new Set(),
      deletedOf: async (ids) => {
        if (state.storeDown) throw new FreshetError('connection', 'down');
        return new Set(ids.filter((id) => deleted.has(id)));
      },
    },
    embedder: async () => ({
      model: state.embedder,
      embed: async (texts) => {
        state.texts.push(...texts);
        return Float32Array.of(0.6, 0.8);
      },
    }),
    clock: { elapsed: () => 0 },
  });
  return { answers, als, faiss, factors, index, readers, purchased, deleted, state };
}

const isProblem = (status: number, says: RegExp, retryAfterS: number) => (error: unknown) => {
  assert.ok(error instanceof Problem, String(error));
  assert.deepEqual([error.status, error.retryAfterS], [status, retryAfterS]);
  assert.match(error.message, says);
  return true;
};

describe('recommendations', () => {
  it('I34: are the products of the user’s factors, without those bought', async () => {
    const { answers, factors, purchased, state } = scene();
    purchased.set('u1', new Set(['p9']));
    assert.deepEqual(await answers.recommendations('u1', 5, false), {
      version: 4,
      items: [item('p3', 2), item('p1', 1)],
      reads: { als: 4 },
    });
    assert.deepEqual(factors.asked, [{ factors: [1, 2], limit: 5, leftOut: ['p9'] }]);
    assert.deepEqual(state.versions, [4], 'factors are of the version whose index is searched');
    await answers.recommendations('u1', 5, true);
    assert.deepEqual(factors.asked[1]!.leftOut, []);
  });

  it('I34: are popular products for an unknown user, also without those bought', async () => {
    const { answers, purchased } = scene();
    purchased.set('u2', new Set(['p1']));
    const popular = await answers.recommendations('u2', 2, false);
    assert.deepEqual(popular, {
      version: 1,
      items: [item('p2', 7), item('p3', 4)],
      fallback: 'popularity',
      reads: { popularity: 1 },
    });
    const seen = await answers.recommendations('u2', 2, true);
    assert.deepEqual(seen.items, [item('p1', 10), item('p2', 7)]);
  });

  it('I34: are popular products before the first model, and while its index is unavailable', async () => {
    const { answers, factors } = scene();
    factors.recommended = () => Promise.reject(gone);
    assert.equal((await answers.recommendations('u1', 2, false)).fallback, 'popularity');
    const without = scene({ als: false });
    assert.equal((await without.answers.recommendations('u1', 2, false)).fallback, 'popularity');
  });

  it('do not hide permanent errors', async () => {
    const { answers, factors } = scene();
    factors.recommended = () => Promise.reject(new FreshetError('invalid_data', 'wrong'));
    await assert.rejects(answers.recommendations('u1', 2, false), /wrong/);
  });

  it('I33: release their version in every case, so that the next one can replace it', async () => {
    const { answers, als, factors } = scene();
    await answers.recommendations('u1', 1, false);
    factors.recommended = () => Promise.reject(gone);
    await answers.recommendations('u1', 1, false);
    factors.recommended = () => Promise.reject(new Error('x'));
    await assert.rejects(answers.recommendations('u1', 1, false));
    als.put(5, new FakeFactors());
    assert.equal(factors.closed, true);
  });

  it('I33: use one version to their end, even if another becomes current meanwhile', async () => {
    const { answers, als, factors } = scene();
    const next = new FakeFactors();
    factors.recommended = async () => {
      als.put(5, next);
      assert.equal(factors.closed, false, 'in use');
      return [item('p1', 1)];
    };
    assert.equal((await answers.recommendations('u1', 1, false)).version, 4);
    assert.equal(factors.closed, true);
    assert.equal((await answers.recommendations('u1', 1, false)).version, 5);
  });
});

describe('similar products', () => {
  it('come from both models', async () => {
    const { answers } = scene();
    assert.deepEqual(await answers.similar('p1', 5), {
      version: 9,
      items: [item('p3', 0.5), item('p2', 0.4)],
      reads: { faiss: 9, als: 4 },
    });
  });

  it('come from the model that knows the product, or the only one', async () => {
    const { answers, index } = scene();
    index.alike = async () => null;
    assert.deepEqual(await answers.similar('p1', 5), { version: 4, items: [item('p3', 0.6)], reads: { als: 4 } });
    const alone = scene({ als: false });
    assert.deepEqual((await alone.answers.similar('p1', 5))!.reads, { faiss: 9 });
    const other = scene({ faiss: false });
    assert.deepEqual((await other.answers.similar('p1', 5))!.version, 4);
  });

  it('come from the other model while one index is unavailable; with neither, a 503 says to retry', async () => {
    const { answers, index, factors } = scene();
    index.alike = () => Promise.reject(gone);
    assert.deepEqual((await answers.similar('p1', 5))!.reads, { als: 4 });
    factors.alike = async () => null;
    await assert.rejects(answers.similar('p1', 5), isProblem(503, /Try again in a second/, 1));
  });

  it('are null for a product that no model knows, and a 503 before the first version', async () => {
    const { answers, index, factors } = scene();
    index.alike = async () => null;
    factors.alike = async () => null;
    assert.equal(await answers.similar('p1', 5), null);
    const none = scene({ als: false, faiss: false });
    await assert.rejects(none.answers.similar('p1', 5), isProblem(503, /"freshet snapshot faiss" makes the first/, 5));
  });
});

describe('search in a version with words', () => {
  const hit = (product_id: string, score: number, isTitle = false) => ({ ...item(product_id, score), isTitle });
  const of = (items: readonly ReturnType<typeof hit>[], unknown: string[] = []) => ({ items, unknown });

  it('an exact title is first; words count more than nearness and popularity', async () => {
    const { answers, index } = scene();
    index.found = async () => [item('p1', 0.3), item('p4', 0.2)];
    index.words = () => of([hit('p4', 0.5), hit('p3', 0.4, true)]);
    const { items } = await answers.search('lamp', 5);
    assert.deepEqual(
      items.map(({ product_id }) => product_id),
      ['p3', 'p4'],
      'p1 has none of the words, and is not near enough',
    );
    assert.equal(items[0]!.score, 1);
    const popularity = Math.log1p(1) / Math.log1p(10);
    assert.ok(Math.abs(items[1]!.score - (0.7 * 0.5 + 0.2 * 0.2 + 0.1 * popularity)) < 1e-9, String(items[1]!.score));
  });

  it('what is near enough is found without any of the words, if the model knows meanings', async () => {
    const { answers, index, state } = scene();
    index.found = async () => [item('p1', 0.7), item('p2', 0.39)];
    index.words = () => of([], ['duvet']);
    const found = await answers.search('duvet', 5);
    assert.deepEqual(
      found.items.map(({ product_id }) => product_id),
      ['p1'],
    );
    assert.deepEqual(found.unknownWords, ['duvet']);
    state.embedder = 'hashed-1';
    index.model = 'hashed-1';
    assert.deepEqual((await answers.search('duvet', 5)).items, [], 'letters are no meaning');
  });

  it('looks for words without stopwords, and for titles with them', async () => {
    const { answers, index, readers } = scene();
    readers.words.set('en', { the: 1 });
    const asked: unknown[] = [];
    index.words = (query, limit, whole) => {
      asked.push([query, limit, whole]);
      return of([]);
    };
    await answers.search('The Lamp', 5);
    assert.deepEqual(asked, [['Lamp', 60, 'The Lamp']]);
  });

  it('asks once if more vectors could not be shown: of letters, or no longer near enough', async () => {
    const { answers, index, state } = scene();
    const many = (from: number) => async (limit: number) =>
      Array.from({ length: Math.min(limit, NEIGHBOURS_MAX) }, (_, i) => item(`q${i}`, from - i / 10_000));
    index.words = () => of([hit('p4', 0.5)], ['duvet']);
    index.found = many(0.39);
    await answers.search('lamp duvet', 5);
    assert.equal(index.searched.length, 1, 'all are too far');
    index.found = many(0.7);
    assert.equal((await answers.search('lamp duvet', 300)).items.length, 300);
    assert.equal(index.searched.length, 2, 'all are near enough');
    state.embedder = 'hashed-1';
    index.model = 'hashed-1';
    await answers.search('lamp duvet', 5);
    assert.equal(index.searched.length, 3, 'of letters');
  });

  it('I35: skips what was deleted, and asks for more', async () => {
    const { answers, index, deleted } = scene();
    const all = Array.from({ length: 100 }, (_, i) => hit(`w${i}`, 1 - i / 200));
    index.words = (_query, limit) => of(all.slice(0, limit));
    index.found = async () => [];
    for (let i = 0; i < 99; i++) deleted.add(`w${i}`);
    assert.deepEqual(
      (await answers.search('lamp', 1)).items.map(({ product_id }) => product_id),
      ['w99'],
    );
  });
});

describe('search', () => {
  it('embeds the query without stopwords and mixes in popularity', async () => {
    const { answers, readers, state, index } = scene();
    readers.words.set('en', { the: 1 });
    const { items, version, reads } = await answers.search('the lamp', 5);
    assert.deepEqual(state.texts, ['lamp']);
    assert.deepEqual(
      index.searched[0]!.vector.map((value) => Number(value.toFixed(3))),
      [0.6, 0.8],
    );
    assert.deepEqual([version, reads], [9, { faiss: 9 }]);
    assert.deepEqual(
      items.map(({ product_id, score }) => [product_id, Number(score.toFixed(4))]),
      [
        ['p1', 0.55],
        ['p2', Number((0.9 * 0.49 + (0.1 * Math.log1p(7)) / Math.log1p(10)).toFixed(4))],
      ],
    );
  });

  it('works without popularity', async () => {
    const { answers, readers } = scene();
    readers.failure = new FreshetError('connection', 'down');
    assert.deepEqual((await answers.search('lamp', 1)).items, [item('p1', 0.45)]);
  });

  it('refuses to compare vectors of two models', async () => {
    const { answers, state } = scene();
    state.embedder = 'm2';
    await assert.rejects(answers.search('lamp', 5), isProblem(503, /model m1, but this process has m2/, 60));
  });

  it('is a 503 before the first version, and while the index is unavailable', async () => {
    await assert.rejects(scene({ faiss: false }).answers.search('x', 1), isProblem(503, /no index for search yet/, 5));
    const { answers, index } = scene();
    index.found = () => Promise.reject(gone);
    await assert.rejects(answers.search('x', 1), isProblem(503, /Try again in a second/, 1));
  });
});

describe('I35: products that were deleted after the version was made', () => {
  /** Best first; the first `gone` of `all` of them are deleted. */
  function shop(all: number, gone: number) {
    const made = scene();
    const list = Array.from({ length: all }, (_, i) => item(`q${String(i).padStart(4, '0')}`, 1 - i / all));
    for (const { product_id } of list.slice(0, gone)) made.deleted.add(product_id);
    const first = async (limit: number) => list.slice(0, Math.min(limit, NEIGHBOURS_MAX));
    made.factors.recommended = first;
    made.factors.alike = first;
    made.index.alike = first;
    made.index.found = first;
    const ask = async (limit: number) => [
      (await made.answers.recommendations('u1', limit, true)).items,
      (await made.answers.similar('p1', limit))!.items,
      (await made.answers.search('lamp', limit)).items,
    ];
    return { ...made, list, ask };
  }

  it('are in no answer, and the lists are still full', async () => {
    for (const { all, gone, limit } of [
      { all: 20, gone: 1, limit: 5 },
      { all: 1_000, gone: 990, limit: 10 },
      { all: 2_500, gone: 1_048, limit: 1_000 },
    ]) {
      const { ask, list } = shop(all, gone);
      const wanted = list.slice(gone, gone + limit).map(({ product_id }) => product_id);
      for (const items of await ask(limit))
        assert.deepEqual(
          items.map(({ product_id }) => product_id),
          wanted,
        );
    }
  });

  it('leave a shorter list if there are no others', async () => {
    for (const items of await shop(20, 18).ask(5)) assert.equal(items.length, 2);
    for (const items of await shop(60, 60).ask(5)) assert.deepEqual(items, []);
  });

  it('cost no second search if there are none', async () => {
    const { ask, factors, index } = shop(1_000, 0);
    await ask(5);
    assert.equal(factors.asked.length, 1);
    assert.equal(index.searched.length, 1);
  });

  it('have no similar products, like those that no model knows', async () => {
    const { answers, deleted } = scene();
    deleted.add('p1');
    assert.equal(await answers.similar('p1', 5), null);
    deleted.delete('p1');
    assert.equal((await answers.similar('p1', 5))!.items.length, 2, 'put again');
  });

  it('are still returned while the store cannot report deletions', async () => {
    const { ask, state, list } = shop(20, 1);
    state.storeDown = true;
    for (const items of await ask(1)) assert.equal(items[0]!.product_id, list[0]!.product_id);
  });
});
