import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { type Fixture, NOW_MS, servingFixture, tokenEntry, withTokens } from '../../../support/serving.js';

const AT = new Date(NOW_MS).toISOString();

function stock({ readers }: Fixture): void {
  const counts = { views: 3, addToCarts: 2, purchases: 1 };
  for (const productId of ['p1', 'p2'])
    readers.products.set(productId, { productId, category: 'c', score: 5, asOf: NOW_MS, version: 1, ...counts });
  const lamp = { title: 'Lamp', description: '', category: 'c', price: null, updatedAt: NOW_MS };
  readers.listed.set('p1', { productId: 'p1', ...lamp });
  readers.users.set('u1', { userId: 'u1', asOf: NOW_MS, version: 1, scores: { c: 1 } });
  const items = [{ productId: 'p1', weight: 2.5, count: 2, purchases: 0 }];
  readers.done.set('u1', { userId: 'u1', version: 1, asOf: NOW_MS, items, truncated: 0 });
}

async function open(test: TestContext, options = {}) {
  const fixture = await servingFixture(test, options);
  stock(fixture);
  const post = async (payload: object, token?: string) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const answer = await fixture.app.inject({ method: 'POST', url: '/v1/features', payload, headers });
    return { status: answer.statusCode, body: answer.json() };
  };
  return { ...fixture, post };
}

describe('POST /v1/features', () => {
  it('answers one row per id, in their order, with null for what is not there', async (test) => {
    const { post } = await open(test);
    const { status, body } = await post({ users: ['u2', 'u1'], products: ['p2', 'p1', 'p3'] });
    assert.equal(status, 200);
    const popularity = { score: 5, as_of: AT, views: 3, add_to_carts: 2, purchases: 1 };
    assert.deepEqual(body, {
      versions: { affinity: 1, interactions: 1, popularity: 1 },
      users: [
        { user_id: 'u2', affinity: null, interactions: null },
        {
          user_id: 'u1',
          affinity: { as_of: AT, scores: { c: 1 } },
          interactions: {
            as_of: AT,
            items: [{ product_id: 'p1', weight: 2.5, count: 2, purchases: 0 }],
            truncated: 0,
          },
        },
      ],
      products: [
        { product_id: 'p2', popularity, product: null },
        { product_id: 'p1', popularity, product: { title: 'Lamp', category: 'c', price: null } },
        { product_id: 'p3', popularity: null, product: null },
      ],
    });
  });

  it('reads only what is asked for', async (test) => {
    const { post } = await open(test);
    const { body } = await post({ products: ['p1'], users: ['u1'], features: ['popularity'] });
    assert.deepEqual(Object.keys(body.versions), ['popularity']);
    assert.deepEqual(Object.keys(body.products[0]), ['product_id', 'popularity']);
    assert.deepEqual(body.users, [{ user_id: 'u1' }]);
  });

  it('does not reveal users of another tenant', async (test) => {
    const { post, users } = await open(test, withTokens([tokenEntry('t', 'reader', 'mine')]));
    users.tenants.set('u1', 'theirs');
    const { body } = await post({ users: ['u1'], features: ['affinity', 'interactions'] }, 't');
    assert.deepEqual(body.users, [{ user_id: 'u1', affinity: null, interactions: null }]);
  });

  it('refuses with a sentence', async (test) => {
    const { post } = await open(test);
    const many = Array.from({ length: 1_001 }, (_, i) => `p${i}`);
    for (const [payload, sentence] of [
      [{}, /Give ids in "users", in "products", or in both/],
      [{ products: many }, /1001 ids are too many: a request may have 1000/],
      [{ products: ['p1', ''] }, /"products\[1\]" must not be empty/],
      [{ products: 'p1' }, /"products" must be a list/],
      [{ products: ['p1'], features: ['score'] }, /"features" may contain affinity, .*, not "score"/],
      [{ products: ['p1'], limit: 3 }, /"limit" is not a field/],
    ] as const) {
      const { status, body } = await post(payload);
      assert.equal(status, 400);
      assert.match(body.detail, sentence);
    }
  });
});

describe('titles in lists', () => {
  it('are there if they are asked for', async (test) => {
    const { app } = await open(test);
    const { items } = (await app.inject('/v1/popular?include=product')).json();
    assert.deepEqual(
      items.map(({ product_id, product }: { product_id: string; product: object | null }) => [product_id, product]),
      [
        ['p1', { title: 'Lamp', category: 'c', price: null }],
        ['p2', null],
      ],
    );
    assert.ok(!('product' in (await app.inject('/v1/popular')).json().items[0]));
    const found = (await app.inject('/v1/search?q=lamp&include=product')).json();
    assert.deepEqual(found.items[0].product, { title: 'Lamp', category: 'c', price: null });
  });
});

describe('GET /v1/products/{id}', () => {
  it('shows what the catalogue has', async (test) => {
    const { app } = await open(test);
    assert.deepEqual((await app.inject('/v1/products/p1')).json(), {
      ...{ product_id: 'p1', title: 'Lamp', description: '', category: 'c', price: null },
      updated_at: AT,
    });
    const none = await app.inject('/v1/products/p2');
    assert.equal(none.statusCode, 404);
    assert.match(none.json().detail, /The catalogue has no product "p2"/);
  });
});
