import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { ErasureStatus } from '../../../../publishing/erasure/certificate.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import type { Erasure } from '../../../../schemas/records.js';
import { partitionOf } from '../../../../topics/partition.js';
import { append, written } from '../../../support/scripted-log.js';
import {
  type Fixture,
  keysOf,
  NOW_MS,
  servingFixture,
  tokenEntry,
  valuesOf,
  withTokens,
} from '../../../support/serving.js';

const floor = (topic: string, id: string, offset: number) => ({
  topic,
  partition: partitionOf(4, Buffer.from(id)),
  offset,
});
/** As plain objects. */
const requests = async (fixture: Fixture) =>
  JSON.parse(JSON.stringify(await valuesOf(fixture, 'erasures'))) as Erasure[];
const erase = (payload: unknown) => ({ method: 'POST', url: '/v1/erasures', payload: payload as object }) as const;

describe('POST /v1/erasures', () => {
  it('writes the request and its effect on a user in one transaction', async (test) => {
    const fixture = await servingFixture(test);
    const answer = await fixture.app.inject(erase({ user_id: 'u1', reason: 'asked by letter' }));
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(answer.json(), { subject: 'user:u1' });
    assert.equal(answer.headers.location, '/v1/erasures/user%3Au1');
    assert.deepEqual(fixture.log.flushes, [3]);
    assert.match(fixture.log.transactionalIds.join(), /^freshet-erasures-[0-9a-f]{24}$/);
    const after = ['events', 'users', 'affinity.v1', 'interactions.v1'].map((topic) => floor(topic, 'u1', 0));
    assert.deepEqual(await requests(fixture), [
      { subject: 'user:u1', requested_at: NOW_MS, reason: 'asked by letter', after },
    ]);
    assert.deepEqual(await keysOf(fixture.log, 'erasures'), ['user:u1']);
    for (const topic of ['events', 'users'])
      assert.deepEqual(
        (await written(fixture.log, topic)).map(({ key, value }) => [key, value]),
        [['u1', null]],
      );
  });

  it('stores the end of the partitions, so that the cut can be found', async (test) => {
    const fixture = await servingFixture(test);
    for (let i = 0; i < 3; i++) await append(fixture.log, 'events', Buffer.from('u1'), Buffer.from('x'));
    await fixture.app.inject(erase({ user_id: 'u1' }));
    const [request] = await requests(fixture);
    assert.deepEqual(request!.after[0], floor('events', 'u1', 3));
  });

  it('removes a product from the catalogue', async (test) => {
    const fixture = await servingFixture(test);
    assert.deepEqual((await fixture.app.inject(erase({ product_id: 'p1' }))).json(), { subject: 'product:p1' });
    assert.deepEqual(
      (await written(fixture.log, 'products')).map(({ key, value }) => [key, value]),
      [['p1', null]],
    );
    assert.deepEqual(await keysOf(fixture.log, 'events'), []);
    assert.deepEqual(await requests(fixture), [
      {
        subject: 'product:p1',
        requested_at: NOW_MS,
        reason: null,
        after: ['products', 'popularity.v1'].map((topic) => floor(topic, 'p1', 0)),
      },
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

  it('opens a new writer after a failure, and serves waiting requests', async (test) => {
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

  it('is limited to the tenant of the token', async (test) => {
    const fixture = await servingFixture(test, withTokens([tokenEntry('one', 'operator', 'blue')]));
    fixture.users.tenants.set('u1', 'red');
    const headers = { authorization: 'Bearer one' };
    const foreign = await fixture.app.inject({ ...erase({ user_id: 'u1' }), headers });
    assert.equal(foreign.statusCode, 403);
    assert.equal(fixture.log.flushes.length, 0);
    assert.equal((await fixture.app.inject({ ...erase({ user_id: 'u2' }), headers })).statusCode, 202);
  });
});

describe('GET /v1/erasures/{subject}', () => {
  const status: ErasureStatus = {
    subject: 'user:a/b:c',
    state: 'waiting',
    requested_at: '2025-06-01T12:00:00.000Z',
    reason: null,
    cut: null,
    waits_for: ['the database to apply topic affinity.v1'],
    certificate: null,
  };

  it('returns the state for any id, and waits as long as requested', async (test) => {
    const fixture = await servingFixture(test);
    fixture.erasures.known.set('user:a/b:c', status);
    const url = `/v1/erasures/${encodeURIComponent('user:a/b:c')}`;
    assert.deepEqual((await fixture.app.inject(url)).json(), status);
    await fixture.app.inject(`${url}?wait_ms=2000`);
    assert.deepEqual(fixture.erasures.waits, [0, 2000]);
  });

  it('answers 404 without a request, 400 for an invalid subject', async (test) => {
    const fixture = await servingFixture(test);
    assert.equal((await fixture.app.inject('/v1/erasures/user:none')).statusCode, 404);
    for (const subject of ['none', 'tenant:x', 'user:', `user:${'x'.repeat(257)}`, 'user:x?wait_ms=30001']) {
      const answer = await fixture.app.inject(`/v1/erasures/${subject}`);
      assert.equal(answer.statusCode, 400, subject);
    }
  });

  it('is for operators, and limited to the tenant of the token', async (test) => {
    const tokens = [tokenEntry('one', 'operator', 'blue'), tokenEntry('two', 'producer', 'blue')];
    const fixture = await servingFixture(test, withTokens(tokens));
    fixture.erasures.known.set('user:u1', status);
    fixture.users.tenants.set('u1', 'red');
    const get = (token: string) =>
      fixture.app.inject({ url: '/v1/erasures/user:u1', headers: { authorization: `Bearer ${token}` } });
    assert.equal((await get('two')).statusCode, 403);
    assert.equal((await get('one')).statusCode, 404);
    fixture.users.tenants.delete('u1');
    assert.equal((await get('one')).statusCode, 200);
  });
});
