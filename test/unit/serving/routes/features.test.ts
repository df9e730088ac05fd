import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { FakeReaders, type Fixture, NOW_MS, servingFixture, tokenEntry, withTokens } from '../../../support/serving.js';

const AS_OF = '2025-06-01T12:00:00.000Z';

function fill({ readers }: Fixture): void {
  for (let n = 1; n <= 30; n++) {
    const productId = `p${n}`;
    const category = n % 2 === 0 ? 'shoes' : 'bags & co';
    const counts = { views: n, addToCarts: 1, purchases: 0 };
    readers.products.set(productId, { productId, category, score: n / 2, asOf: NOW_MS, version: 1, ...counts });
  }
  readers.users.set('u/1', { userId: 'u/1', asOf: NOW_MS, version: 2, scores: { shoes: 0.75, bags: 0.25 } });
}

describe('GET /v1/popular', () => {
  it('returns the best, twenty by default', async (test) => {
    const fixture = await servingFixture(test);
    fill(fixture);
    const answer = await fixture.app.inject('/v1/popular');
    assert.equal(answer.statusCode, 200);
    const body = answer.json();
    assert.deepEqual({ ...body, items: body.items.length }, { as_of: AS_OF, version: 1, items: 20 });
    assert.deepEqual(body.items[0], { product_id: 'p30', score: 15, category: 'shoes' });
    assert.equal((await fixture.app.inject('/v1/popular?limit=1000')).json().items.length, 30);
    assert.equal((await fixture.app.inject('/v1/popular?limit=1')).json().items.length, 1);
  });

  it('returns one category, and an empty list for an unknown one', async (test) => {
    const fixture = await servingFixture(test);
    fill(fixture);
    const { items } = (await fixture.app.inject('/v1/popular?category=bags%20%26%20co')).json();
    assert.ok(items.length === 15 && items.every(({ category }: { category: string }) => category === 'bags & co'));
    const unknown = await fixture.app.inject('/v1/popular?category=hats');
    assert.equal(unknown.statusCode, 200);
    assert.deepEqual(unknown.json().items, []);
  });

  for (const query of [
    'limit=0',
    'limit=1001',
    'limit=-1',
    'limit=1.5',
    'limit=many',
    'limit=',
    'limit=1&limit=2',
    'category=',
    `category=${'x'.repeat(257)}`,
    `category=${encodeURIComponent('€'.repeat(86))}`,
    'category=a&category=b',
    'category=%00',
    'categroy=shoes',
  ]) {
    it(`refuses ?${query.slice(0, 40)}`, async (test) => {
      const { app } = await servingFixture(test);
      const answer = await app.inject(`/v1/popular?${query}`);
      assert.equal(answer.statusCode, 400, answer.body);
      assert.match(answer.headers['content-type'] as string, /^application\/problem\+json/);
      assert.match(answer.json().detail, /"(limit|category|categroy)".*\.$/);
    });
  }

  it('shows an item’s own time if it has one', async (test) => {
    const items = [{ productId: 'p1', score: 1, category: 'shoes', asOf: NOW_MS - 1000 }];
    const popular = () => Promise.resolve({ asOf: NOW_MS, version: 1, items });
    const readers = Object.assign(new FakeReaders(), { popular });
    const { app } = await servingFixture(test, { readers });
    assert.equal((await app.inject('/v1/popular')).json().items[0].as_of, '2025-06-01T11:59:59.000Z');
  });
});

describe('one product, one user', () => {
  it('returns popularity', async (test) => {
    const fixture = await servingFixture(test);
    fill(fixture);
    const answer = await fixture.app.inject('/v1/products/p4/popularity');
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), {
      product_id: 'p4',
      score: 2,
      as_of: AS_OF,
      version: 1,
      views: 4,
      add_to_carts: 1,
      purchases: 0,
    });
  });

  it('returns affinity', async (test) => {
    const fixture = await servingFixture(test);
    fill(fixture);
    const answer = await fixture.app.inject('/v1/users/u%2F1/affinity');
    assert.equal(answer.statusCode, 200);
    assert.deepEqual(answer.json(), {
      user_id: 'u/1',
      as_of: AS_OF,
      version: 2,
      scores: { shoes: 0.75, bags: 0.25 },
    });
  });

  it('answers 404 with a sentence for unknown ids', async (test) => {
    const { app } = await servingFixture(test);
    for (const url of ['/v1/products/none/popularity', '/v1/users/none/affinity']) {
      const answer = await app.inject(url);
      assert.equal(answer.statusCode, 404);
      assert.match(answer.json().detail, /"none"/);
    }
  });

  it('refuses invalid ids', async (test) => {
    const { app } = await servingFixture(test);
    for (const id of ['x'.repeat(257), '%00', '%ff'])
      for (const url of [`/v1/products/${id}/popularity`, `/v1/users/${id}/affinity`])
        assert.equal((await app.inject(url)).statusCode, 400, url);
  });

  it('counts reads by artefact and version', async (test) => {
    const fixture = await servingFixture(test);
    fill(fixture);
    for (const url of [
      '/v1/popular',
      '/v1/products/p4/popularity',
      '/v1/users/u%2F1/affinity',
      '/v1/users/no/affinity',
    ])
      await fixture.app.inject(url);
    const text = await fixture.metrics.registry.getSingleMetricAsString('feature_reads_total');
    assert.match(text, /feature_reads_total\{artefact="popularity",version="1"\} 2/);
    assert.match(text, /feature_reads_total\{artefact="affinity",version="2"\} 1/);
  });
});

describe('a store that is down', () => {
  it('is a 503 with Retry-After that reveals nothing', async (test) => {
    const fixture = await servingFixture(test);
    fixture.readers.failure = new FreshetError('connection', 'redis://secret@10.1.2.3 refused');
    for (const url of ['/v1/popular', '/v1/products/p/popularity', '/v1/users/u/affinity']) {
      const answer = await fixture.app.inject(url);
      assert.equal(answer.statusCode, 503);
      assert.equal(answer.headers['retry-after'], '5');
      assert.ok(!answer.body.includes('10.1.2.3'));
    }
  });

  it('is a 500 without a stack when the cause is a bug', async (test) => {
    const fixture = await servingFixture(test);
    fixture.readers.failure = new TypeError('cannot read x of undefined');
    const answer = await fixture.app.inject('/v1/popular');
    assert.equal(answer.statusCode, 500);
    assert.deepEqual(Object.keys(answer.json()).sort(), ['detail', 'status', 'title', 'type']);
    assert.ok(!answer.body.includes('undefined') && !answer.body.includes('.js'));
  });
});

describe('affinity of another tenant’s user', () => {
  it('is answered like that of an unknown one', async (test) => {
    const tokens = [tokenEntry('one', 'reader', 'blue'), tokenEntry('two', 'admin', 'red')];
    const fixture = await servingFixture(test, withTokens(tokens));
    fill(fixture);
    const read = (token: string, id: string) =>
      fixture.app.inject({ url: `/v1/users/${id}/affinity`, headers: { authorization: `Bearer ${token}` } });
    assert.equal((await read('one', 'u%2F1')).statusCode, 200, 'claimed by no tenant');
    fixture.users.tenants.set('u/1', 'blue');
    assert.equal((await read('one', 'u%2F1')).statusCode, 200);
    const foreign = await read('two', 'u%2F1');
    const unknown = await read('two', 'u%2F2');
    assert.equal(foreign.statusCode, 404);
    assert.equal(foreign.body, unknown.body.replace('u/2', 'u/1'));
  });
});
