import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { keysOf, NOW_MS, servingFixture, tokenEntry, valuesOf, withTokens } from '../../../support/serving.js';

const BODIES = {
  products: { title: 'A shoe', description: 'Red', category: 'shoes' },
  documents: { text: 'Guten Tag' },
  users: { tenant_id: 'main' },
} as const;
const STORED = {
  products: { product_id: 'x', ...BODIES.products, price: null, updated_at: NOW_MS },
  documents: { doc_id: 'x', ...BODIES.documents, language: null, source: null, updated_at: NOW_MS },
  users: { user_id: 'x', ...BODIES.users, active: true, updated_at: NOW_MS },
} as const;

for (const topic of Object.keys(BODIES) as (keyof typeof BODIES)[]) {
  const url = `/v1/${topic}/x`;
  describe(`/v1/${topic}/{id}`, () => {
    it('is set and deleted', async (test) => {
      const fixture = await servingFixture(test);
      const put = await fixture.app.inject({ method: 'PUT', url, payload: BODIES[topic] });
      assert.equal(put.statusCode, 202);
      assert.deepEqual(put.json(), { accepted: 1 });
      const deleted = await fixture.app.inject({ method: 'DELETE', url });
      assert.equal(deleted.statusCode, 202);
      assert.deepEqual(deleted.json(), { accepted: 1 });
      assert.deepEqual(await valuesOf(fixture, topic), [STORED[topic], null]);
      assert.deepEqual(await keysOf(fixture.log, topic), ['x', 'x']);
    });

    it('accepts any id of up to 256 bytes', async (test) => {
      const fixture = await servingFixture(test);
      for (const id of ['a/b?c#d:e%', 'ü 😀', 'x'.repeat(256), '€'.repeat(85)]) {
        const answer = await fixture.app.inject({
          method: 'PUT',
          url: `/v1/${topic}/${encodeURIComponent(id)}`,
          payload: BODIES[topic],
        });
        assert.equal(answer.statusCode, 202, `${id}: ${answer.body}`);
        assert.ok((await keysOf(fixture.log, topic)).includes(id));
      }
    });

    it('refuses invalid ids', async (test) => {
      const { app } = await servingFixture(test);
      for (const id of [
        'x'.repeat(257),
        encodeURIComponent('€'.repeat(86)),
        '%00',
        '%ff',
        '%zz',
        '',
        'x'.repeat(3000),
      ]) {
        for (const method of ['PUT', 'DELETE'] as const) {
          const payload = method === 'PUT' ? { payload: BODIES[topic] } : {};
          const answer = await app.inject({ method, url: `/v1/${topic}/${id}`, ...payload });
          assert.equal(answer.statusCode, 400, `${method} ${id.slice(0, 20)}: ${answer.body}`);
          assert.ok(answer.json().detail.length < 300);
          assert.match(answer.headers['content-type'] as string, /problem\+json/);
        }
      }
    });

    it('refuses other records', async (test) => {
      const fixture = await servingFixture(test);
      for (const payload of ['[]', 'null', '"x"', '{}', '', JSON.stringify({ ...BODIES[topic], wrong: 1 })]) {
        const headers = { 'content-type': 'application/json' };
        const answer = await fixture.app.inject({ method: 'PUT', url, headers, payload });
        assert.equal(answer.statusCode, 400, payload);
        assert.match(answer.json().detail, /\.$/);
      }
      assert.equal(fixture.log.flushes.length, 0);
    });

    it('accepts no form, no lines, and no body on DELETE', async (test) => {
      const { app } = await servingFixture(test);
      for (const type of ['application/x-www-form-urlencoded', 'application/x-ndjson', 'text/plain']) {
        for (const method of ['PUT', 'DELETE'] as const) {
          const headers = { 'content-type': type };
          const answer = await app.inject({ method, url, headers, payload: JSON.stringify(BODIES[topic]) });
          assert.equal(answer.statusCode, 415, `${method} ${type}`);
        }
      }
      assert.equal((await app.inject({ method: 'DELETE', url, payload: {} })).statusCode, 400);
    });
  });
}

describe('records over the limit', () => {
  it('answer 413', async (test) => {
    const fixture = await servingFixture(test);
    const payload = { text: 'x'.repeat(600 * 1024) };
    const answer = await fixture.app.inject({ method: 'PUT', url: '/v1/documents/x', payload });
    assert.equal(answer.statusCode, 413);
    assert.match(answer.json().detail, /512 KiB/);
    assert.equal(fixture.log.flushes.length, 0);
  });
});

describe('tenants of users', () => {
  const headers = { authorization: 'Bearer one' };

  it('are the token’s own', async (test) => {
    const fixture = await servingFixture(test, withTokens([tokenEntry('one', 'producer', 'blue')]));
    const put = (tenant_id: string, id = 'x') =>
      fixture.app.inject({ method: 'PUT', url: `/v1/users/${id}`, headers, payload: { tenant_id } });
    const foreign = await put('red');
    assert.equal(foreign.statusCode, 403);
    assert.match(foreign.json().detail, /tenant "blue"/);
    assert.equal((await put('blue')).statusCode, 202);
    fixture.users.tenants.set('y', 'red');
    assert.equal((await put('blue', 'y')).statusCode, 403);
    assert.equal((await fixture.app.inject({ method: 'DELETE', url: '/v1/users/y', headers })).statusCode, 403);
    fixture.users.tenants.set('y', 'blue');
    assert.equal((await fixture.app.inject({ method: 'DELETE', url: '/v1/users/y', headers })).statusCode, 202);
    assert.equal((await keysOf(fixture.log, 'users')).length, 2);
  });

  it('are not assumed when the table does not answer', async (test) => {
    const fixture = await servingFixture(test, withTokens([tokenEntry('one', 'producer', 'blue')]));
    fixture.users.failure = new Error('relation "users" does not exist');
    const answer = await fixture.app.inject({ method: 'DELETE', url: '/v1/users/y', headers });
    assert.equal(answer.statusCode, 500);
    assert.equal(fixture.log.flushes.length, 0);
  });
});
