import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { servingFixture, tokenEntry, withTokens } from '../../../support/serving.js';

describe('routes of models', () => {
  it('answer with the request id, also in the header, and the versions used', async (test) => {
    const { app, models } = await servingFixture(test);
    for (const url of ['/v1/users/u1/recommendations', '/v1/products/p1/similar', '/v1/search?q=lamp']) {
      const answer = await app.inject({ url, headers: { 'x-request-id': 'mine' } });
      assert.equal(answer.statusCode, 200);
      assert.equal(answer.body, '{"request_id":"mine","version":7,"items":[{"product_id":"p1","score":0.5}]}');
      assert.equal(answer.headers['x-request-id'], 'mine');
      assert.equal(answer.headers['x-versions'], 'faiss=7, als=4');
    }
    assert.deepEqual(models.asked, [
      ['recommendations', 'u1', 20, false],
      ['similar', 'p1', 20],
      ['search', 'lamp', 20],
    ]);
    const one = await app.inject('/v1/search?q=lamp');
    const other = await app.inject('/v1/search?q=lamp');
    assert.notEqual(one.json().request_id, other.json().request_id);
  });

  it('accept limits from 1 to 1000, include_seen, and ids of any letters', async (test) => {
    const { app, models } = await servingFixture(test);
    await app.inject('/v1/users/a%2Fb%20%C3%A9/recommendations?limit=1000&include_seen=true');
    await app.inject('/v1/products/p1/similar?limit=1');
    await app.inject(`/v1/search?q=${encodeURIComponent('  zwölf Stühle ')}&limit=3`);
    assert.deepEqual(models.asked, [
      ['recommendations', 'a/b é', 1000, true],
      ['similar', 'p1', 1],
      ['search', 'zwölf Stühle', 3],
    ]);
    models.asked.length = 0;
    for (const path of [
      ...['/v1/users/u1/recommendations', '/v1/products/p1/similar', '/v1/search?q=x'].flatMap((url) =>
        ['limit=0', 'limit=1001', 'limit=x', 'more=1'].map((query) => `${url}${url.includes('?') ? '&' : '?'}${query}`),
      ),
      '/v1/users/u1/recommendations?include_seen=maybe',
      '/v1/search',
      '/v1/search?q=',
      '/v1/search?q=%20%20',
      `/v1/search?q=${'x'.repeat(513)}`,
      '/v1/products/%00/similar',
    ]) {
      const { statusCode, body } = await app.inject(path);
      assert.equal(statusCode, 400, `${path}: ${body}`);
    }
    assert.deepEqual(models.asked, []);
  });

  it('mark a fallback', async (test) => {
    const { app, models, metrics } = await servingFixture(test);
    models.answer = { version: 2, items: [], fallback: 'popularity', reads: { popularity: 2 } };
    const answer = (await app.inject('/v1/users/nobody/recommendations')).json();
    assert.deepEqual([answer.version, answer.items, answer.fallback], [2, [], 'popularity']);
    const text = await metrics.registry.getSingleMetricAsString('feature_reads_total');
    assert.match(text, /feature_reads_total\{artefact="popularity",version="2"\} 1/);
  });

  it('count reads by artefact and version', async (test) => {
    const { app, metrics } = await servingFixture(test);
    await app.inject('/v1/products/p1/similar');
    await app.inject('/v1/search?q=x');
    const text = await metrics.registry.getSingleMetricAsString('feature_reads_total');
    assert.match(text, /feature_reads_total\{artefact="faiss",version="7"\} 2/);
    assert.match(text, /feature_reads_total\{artefact="als",version="4"\} 2/);
  });

  it('answer 404 for a product that no model knows, 503 while a service does not answer', async (test) => {
    const { app, models } = await servingFixture(test);
    models.answer = null;
    const unknown = await app.inject('/v1/products/none/similar');
    assert.equal(unknown.statusCode, 404);
    assert.match(unknown.json().detail, /No model knows product "none"/);
    models.search = () => Promise.reject(new FreshetError('connection', 'redis://secret'));
    const down = await app.inject('/v1/search?q=x');
    assert.equal(down.statusCode, 503);
    assert.ok(!down.body.includes('secret'));
  });

  it('hide users of other tenants', async (test) => {
    const { app, users, models } = await servingFixture(test, withTokens([tokenEntry('t', 'reader', 'mine')]));
    users.tenants.set('theirs', 'other');
    const headers = { authorization: 'Bearer t' };
    const url = (user: string) => `/v1/users/${user}/recommendations`;
    assert.equal((await app.inject({ url: url('theirs'), headers })).statusCode, 404);
    assert.deepEqual(models.asked, []);
    assert.equal((await app.inject({ url: url('nobody'), headers })).statusCode, 200);
    assert.equal((await app.inject({ url: url('nobody') })).statusCode, 401);
  });
});
