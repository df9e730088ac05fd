import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FreshetError } from '../../../../runtime/errors.js';
import { written } from '../../../support/scripted-log.js';
import { keysOf, NOW_MS, servingFixture, tokenEntry, valuesOf, withTokens } from '../../../support/serving.js';

const erase = (payload: unknown) => ({ method: 'POST', url: '/v1/erasures', payload: payload as object }) as const;

describe('POST /v1/erasures', () => {
  it('writes the request and its effect on a user in one transaction', async (test) => {
    const fixture = await servingFixture(test);
    const answer = await fixture.app.inject(erase({ user_id: 'u1', reason: 'asked by letter' }));
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(answer.json(), { subject: 'user:u1' });
    assert.deepEqual(fixture.log.flushes, [2]);
    assert.match(fixture.log.transactionalIds.join(), /^freshet-erasures-[0-9a-f]{24}$/);
    assert.deepEqual(await valuesOf(fixture, 'erasures'), [
      { subject: 'user:u1', requested_at: NOW_MS, reason: 'asked by letter' },
    ]);
    assert.deepEqual(await keysOf(fixture.log, 'erasures'), ['user:u1']);
    assert.deepEqual(
      (await written(fixture.log, 'events')).map(({ key, value }) => [key, value]),
      [['u1', null]],
    );
  });

  it('takes a product out of the catalogue', async (test) => {
    const fixture = await servingFixture(test);
    assert.deepEqual((await fixture.app.inject(erase({ product_id: 'p1' }))).json(), { subject: 'product:p1' });
    assert.deepEqual(
      (await written(fixture.log, 'products')).map(({ key, value }) => [key, value]),
      [['p1', null]],
    );
    assert.deepEqual(await keysOf(fixture.log, 'events'), []);
    assert.deepEqual(await valuesOf(fixture, 'erasures'), [
      { subject: 'product:p1', requested_at: NOW_MS, reason: null },
    ]);
  });

  for (const payload of [
    {},
    { user_id: 'u', product_id: 'p' },
    { user_id: '' },
    { user_id: 7 },
    { user_id: 'u', reason: 7 },
    { user_id: 'u', why: 'x' },
    { user_id: 'x'.repeat(257) },
    [],
  ]) {
    it(`refuses ${JSON.stringify(payload).slice(0, 50)}`, async (test) => {
      const fixture = await servingFixture(test);
      const answer = await fixture.app.inject(erase(payload));
      assert.equal(answer.statusCode, 400);
      assert.match(answer.json().detail, /\.$/);
      assert.equal(fixture.log.flushes.length, 0);
    });
  }

  it('begins with a new writer after a failure, and serves waiting requests', async (test) => {
    const fixture = await servingFixture(test);
    fixture.log.failNext(new FreshetError('indefinite_commit', 'unknown'));
    const answers = await Promise.all([
      fixture.app.inject(erase({ user_id: 'u1' })),
      fixture.app.inject(erase({ user_id: 'u2' })),
    ]);
    assert.deepEqual(
      answers.map(({ statusCode }) => statusCode),
      [503, 202],
    );
    assert.equal(new Set(fixture.log.transactionalIds).size, 2);
    assert.equal(fixture.log.writersOpen, 1, 'the dead writer was closed');
  });

  it('keeps to the tenant of the token', async (test) => {
    const fixture = await servingFixture(test, withTokens([tokenEntry('one', 'operator', 'blue')]));
    fixture.users.tenants.set('u1', 'red');
    const headers = { authorization: 'Bearer one' };
    const foreign = await fixture.app.inject({ ...erase({ user_id: 'u1' }), headers });
    assert.equal(foreign.statusCode, 403);
    assert.equal(fixture.log.flushes.length, 0);
    assert.equal((await fixture.app.inject({ ...erase({ user_id: 'u2' }), headers })).statusCode, 202);
  });
});
