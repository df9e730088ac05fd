import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import pino from 'pino';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { Problem } from '../../../../serving/problem.js';
import { OVERVIEW, servingFixture, tokenEntry, withTokens } from '../../../support/serving.js';

describe('health', () => {
  it('is live at once, and ready when it waits for nothing', async (test) => {
    const fixture = await servingFixture(test);
    fixture.readiness = { ready: false, waiting: ['tasks are being restored', 'Postgres does not answer'] };
    assert.deepEqual((await fixture.app.inject('/health/live')).json(), { status: 'live' });
    const waiting = await fixture.app.inject('/health/ready');
    assert.equal(waiting.statusCode, 503);
    assert.deepEqual(waiting.json(), {
      status: 'waiting',
      waiting: ['tasks are being restored', 'Postgres does not answer'],
    });
    fixture.readiness = { ready: true, waiting: [] };
    const ready = await fixture.app.inject('/health/ready');
    assert.equal(ready.statusCode, 200);
    assert.deepEqual(ready.json(), { status: 'ready', waiting: [] });
  });

  it('shows reasons, which may contain addresses, only to callers with access', async (test) => {
    const readiness = {
      ready: false,
      waiting: ['table products', 'the database'],
      reasons: { 'the database': 'no answer from db.internal:5432' },
    };
    const full = ['table products', 'the database: no answer from db.internal:5432'];
    const local = await servingFixture(test);
    local.readiness = readiness;
    assert.deepEqual((await local.app.inject('/health/ready')).json().waiting, full);
    const guarded = await servingFixture(test, withTokens([tokenEntry('secret', 'reader')]));
    guarded.readiness = readiness;
    const ask = (authorization?: string) =>
      guarded.app.inject({ url: '/health/ready', headers: authorization === undefined ? {} : { authorization } });
    for (const without of [await ask(), await ask('Bearer wrong'), await ask('nonsense')]) {
      assert.equal(without.statusCode, 503);
      assert.deepEqual(without.json().waiting, ['table products', 'the database']);
    }
    assert.deepEqual((await ask('Bearer secret')).json().waiting, full);
  });
});

describe('overview', () => {
  it('returns the figures with the time', async (test) => {
    const { app } = await servingFixture(test);
    const answer = await app.inject('/v1/overview');
    assert.deepEqual(answer.json(), { as_of: '2025-06-01T12:00:00.000Z', ...OVERVIEW });
  });

  it('answers 503 while they are unavailable', async (test) => {
    const overview = () => Promise.reject(new FreshetError('timeout', 'slow'));
    const { app } = await servingFixture(test, { overview });
    assert.equal((await app.inject('/v1/overview')).statusCode, 503);
  });
});

describe('metrics', () => {
  it('count requests by the pattern of their route, never by their path', async (test) => {
    const { app } = await servingFixture(test);
    for (const id of ['a', 'b', 'c']) await app.inject(`/v1/products/${id}/popularity`);
    await app.inject('/no/such/path');
    const answer = await app.inject('/metrics');
    assert.match(answer.headers['content-type'] as string, /^text\/plain; version=0\.0\.4/);
    assert.match(
      answer.body,
      /freshet_http_requests_total\{route="\/v1\/products\/:id\/popularity",method="GET",status="404"\} 3/,
    );
    assert.match(answer.body, /freshet_http_requests_total\{route="none",method="GET",status="404"\} 1/);
    assert.match(answer.body, /freshet_http_request_seconds_count\{route="\/v1\/products\/:id\/popularity"\} 3/);
  });
});

describe('every answer', () => {
  it('has an id and the security headers', async (test) => {
    const { app } = await servingFixture(test);
    for (const url of [
      '/',
      '/health/live',
      '/v1/popular',
      '/v1/popular?limit=0',
      '/no/such/path',
      '/v1/products/%zz',
    ]) {
      const { headers } = await app.inject(url);
      assert.match(headers['x-request-id'] as string, /^[0-9a-f-]{36}$/, url);
      assert.equal(headers['x-content-type-options'], 'nosniff');
      assert.equal(headers['referrer-policy'], 'no-referrer');
      assert.match(headers['content-security-policy'] as string, /default-src 'self';.*frame-ancestors 'none'/);
    }
  });

  it('adopts a harmless id of the caller', async (test) => {
    const { app } = await servingFixture(test);
    const idFor = async (id: string) =>
      (await app.inject({ url: '/health/live', headers: { 'x-request-id': id } })).headers['x-request-id'];
    assert.equal(await idFor('trace-1.2:3_4'), 'trace-1.2:3_4');
    for (const id of ['a b', 'x'.repeat(65), '<script>', '']) assert.notEqual(await idFor(id), id);
  });

  it('is logged in one line at debug, failures at error too, without ids of users', async (test) => {
    const lines: Record<string, unknown>[] = [];
    const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) });
    const fixture = await servingFixture(test, { logger });
    await fixture.app.inject('/v1/users/somebody/affinity');
    assert.equal(lines.length, 1);
    const [line] = lines;
    assert.deepEqual(
      [line!['level'], line!['event'], line!['method'], line!['route'], line!['status']],
      [20, 'http_request', 'GET', '/v1/users/:id/affinity', 404],
    );
    assert.equal(typeof line!['duration_seconds'], 'number');
    lines.length = 0;
    fixture.readers.failure = new Error('the reason');
    const failed = await fixture.app.inject('/v1/users/somebody/affinity');
    assert.deepEqual(
      lines.map(({ level, event }) => [level, event]),
      [
        [50, 'http_request_failed'],
        [20, 'http_request'],
      ],
    );
    assert.match(JSON.stringify(lines[0]), /the reason/);
    assert.equal(lines[0]!['request_id'], failed.headers['x-request-id']);
    assert.ok(!JSON.stringify(lines).includes('somebody'));
    lines.length = 0;
    fixture.readers.failure = new Problem(503, 'It is not there yet.');
    assert.equal((await fixture.app.inject('/v1/users/somebody/affinity')).statusCode, 503);
    assert.deepEqual(
      lines.map(({ event }) => event),
      ['http_request'],
      'something that does not exist yet has not failed',
    );
  });

  it('names a wrong path or method', async (test) => {
    const { app } = await servingFixture(test);
    const answer = await app.inject({ method: 'POST', url: '/v1/popular?x=1', payload: {} });
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.json().detail, 'There is no POST /v1/popular; /openapi.json lists the routes.');
  });
});
