import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import Fastify, { type InjectOptions } from 'fastify';
import { addGuard } from '../../../../serving/access/guard.js';
import { buildApp } from '../../../../serving/app.js';
import { REQUESTS_PER_MINUTE } from '../../../../serving/limits.js';
import { servingFixture, servingOptions, tokenEntry, withTokens } from '../../../support/serving.js';

const ROLES = ['reader', 'producer', 'operator', 'admin'] as const;
const TOKENS = ROLES.map((role) => tokenEntry(role, role));
const EVENT = { event_id: 'e1', user_id: 'u1', product_id: 'p1', event_type: 'view', ts: 1000 };

/** Every route, the lowest role that may use it, and its status for that role. */
const ROUTES: [InjectOptions, (typeof ROLES)[number] | 'anybody', number][] = [
  [{ url: '/health/live' }, 'anybody', 200],
  [{ url: '/health/ready' }, 'anybody', 200],
  [{ url: '/' }, 'reader', 200],
  [{ url: '/assets/uPlot.min.css' }, 'reader', 200],
  [{ url: '/metrics' }, 'reader', 200],
  [{ url: '/openapi.json' }, 'reader', 200],
  [{ url: '/v1/overview' }, 'reader', 200],
  [{ url: '/v1/overview/history' }, 'reader', 200],
  [{ url: '/v1/popular' }, 'reader', 200],
  [{ url: '/v1/products/p/popularity' }, 'reader', 404],
  [{ url: '/v1/products/p' }, 'reader', 404],
  [{ method: 'POST', url: '/v1/features', payload: { products: ['p'] } }, 'reader', 200],
  [{ url: '/v1/users/u/affinity' }, 'reader', 404],
  [{ url: '/v1/users/u/recommendations' }, 'reader', 200],
  [{ url: '/v1/products/p/similar' }, 'reader', 200],
  [{ url: '/v1/search?q=x' }, 'reader', 200],
  [{ url: '/v1/access' }, 'reader', 200],
  [{ url: '/v1/stopwords' }, 'reader', 200],
  [{ url: '/v1/stopwords/en' }, 'reader', 503],
  [{ url: '/v1/versions' }, 'reader', 200],
  [{ url: '/v1/versions/stopwords' }, 'reader', 200],
  [{ url: '/v1/jobs/stopwords/runs' }, 'reader', 200],
  [{ url: '/v1/runs/none' }, 'reader', 404],
  [{ url: '/no/such/path' }, 'reader', 404],
  [{ method: 'POST', url: '/v1/events', payload: EVENT }, 'producer', 202],
  [{ method: 'PUT', url: '/v1/documents/d', payload: { text: 'x' } }, 'producer', 202],
  [{ method: 'DELETE', url: '/v1/documents/d' }, 'producer', 202],
  [{ method: 'PUT', url: '/v1/products/p', payload: { title: '', description: '', category: 'c' } }, 'producer', 202],
  [{ method: 'DELETE', url: '/v1/products/p' }, 'producer', 202],
  [{ method: 'PUT', url: '/v1/users/u', payload: { tenant_id: 'main' } }, 'producer', 202],
  [{ method: 'DELETE', url: '/v1/users/u' }, 'producer', 202],
  [{ method: 'POST', url: '/v1/topics/events/records', payload: { value: EVENT } }, 'producer', 202],
  [{ url: '/v1/topics' }, 'operator', 200],
  [{ url: '/v1/topics/events/records' }, 'operator', 200],
  [{ method: 'POST', url: '/v1/erasures', payload: { user_id: 'u' } }, 'operator', 202],
  [{ url: '/v1/erasures/user:u' }, 'operator', 404],
  [{ url: '/v1/skips' }, 'operator', 200],
  [
    { method: 'POST', url: '/v1/skips', payload: { topic: 'events', partition: 0, from: 0, to: 1, reason: 'x' } },
    'operator',
    202,
  ],
  [{ method: 'POST', url: '/v1/versions/stopwords/rollback' }, 'operator', 200],
  [{ method: 'POST', url: '/v1/versions/stopwords/promote', payload: { version: 2 } }, 'operator', 200],
  [{ method: 'POST', url: '/v1/versions/stopwords/pin', payload: { version: null } }, 'operator', 200],
  [{ method: 'POST', url: '/v1/jobs/stopwords/runs', payload: { dry_run: true } }, 'operator', 202],
  [{ url: '/v1/audit' }, 'operator', 200],
  [{ method: 'POST', url: '/v1/verifications', payload: { sample: 1 } }, 'operator', 503],
  [{ url: '/v1/verifications/none' }, 'operator', 503],
];

describe('I13: roles', () => {
  it('the table below names every route', async (test) => {
    const { options } = await servingOptions();
    const seen = new Set<string>();
    const app = await buildApp(options);
    test.after(() => app.close());
    for (const [route] of ROUTES) seen.add(`${route.method ?? 'GET'} ${String(route.url).split('?', 1)[0]}`);
    const paths = app.swagger().paths ?? {};
    for (const [path, operations] of Object.entries(paths)) {
      for (const method of Object.keys(operations ?? {})) {
        const pattern = new RegExp(`^${method.toUpperCase()} ${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`);
        assert.ok(
          [...seen].some((route) => pattern.test(route)),
          `${method} ${path} is not in the table`,
        );
      }
    }
  });

  for (const [route, lowest, status] of ROUTES) {
    const name = `${route.method ?? 'GET'} ${String(route.url)}`;
    it(`${name} is for ${lowest}${lowest === 'anybody' ? '' : ' and above'}`, async (test) => {
      const { app } = await servingFixture(test, withTokens(TOKENS, '0.0.0.0'));
      const call = (headers: Record<string, string>) => app.inject({ ...route, headers });
      const anonymous = await call({});
      if (lowest === 'anybody') {
        assert.equal(anonymous.statusCode, status);
        return;
      }
      assert.equal(anonymous.statusCode, 401);
      assert.match(anonymous.headers['www-authenticate'] as string, /^(Bearer|Basic) realm="freshet"/);
      assert.equal((await call({ authorization: 'Bearer wrong' })).statusCode, 401);
      for (const role of ROLES) {
        const allowed: boolean = ROLES.indexOf(role) >= ROLES.indexOf(lowest);
        const answer = await call({ authorization: `Bearer ${role}` });
        assert.equal(answer.statusCode, allowed ? status : 403, `${role}: ${answer.body}`);
        if (!allowed) assert.match(answer.json().detail, new RegExp(`role ${role}; this needs ${lowest}`));
      }
    });
  }

  it('lets a browser open the page with the token as password', async (test) => {
    const { app } = await servingFixture(test, withTokens(TOKENS));
    assert.match((await app.inject('/')).headers['www-authenticate'] as string, /^Basic/);
    assert.match((await app.inject('/v1/popular')).headers['www-authenticate'] as string, /^Bearer/);
    const authorization = `Basic ${Buffer.from('me:reader').toString('base64')}`;
    assert.equal((await app.inject({ url: '/', headers: { authorization } })).statusCode, 200);
    assert.equal((await app.inject({ url: '/v1/overview', headers: { authorization } })).statusCode, 200);
  });

  it('needs no token on loopback without any', async (test) => {
    const { app } = await servingFixture(test);
    for (const [route, , status] of ROUTES) {
      const answer = await app.inject(route);
      assert.equal(answer.statusCode, status, `${route.method ?? 'GET'} ${String(route.url)}: ${answer.body}`);
    }
  });

  it('refuses to be built for other machines without tokens', async () => {
    const { options } = await servingOptions({
      settings: { HOST: '0.0.0.0', PORT: 0, API_TOKENS: undefined, API_TOKENS_FILE: undefined },
    });
    await assert.rejects(buildApp(options), /^FreshetError: HOST is 0\.0\.0\.0/);
  });

  it('refuses a route that names no access class', async (test) => {
    const app = Fastify();
    test.after(() => app.close());
    await addGuard(app, { listenHost: '127.0.0.1', tokens: null });
    assert.throws(() => app.get('/forgotten', () => 'x'), /GET \/forgotten names no access class/);
    app.get('/told', { config: { access: 'open' } }, () => 'x');
    assert.equal((await app.inject('/told')).statusCode, 200);
  });
});

describe('names and origins', () => {
  const write = { method: 'POST', url: '/v1/events', payload: EVENT } as const;

  it('refuses foreign host names on every route', async (test) => {
    const { app } = await servingFixture(test);
    for (const url of ['/', '/health/live', '/v1/popular', '/no/such/path', '/metrics']) {
      const answer = await app.inject({ url, headers: { host: 'rebound.example.org:8080' } });
      assert.equal(answer.statusCode, 403, url);
      assert.match(answer.json().detail, /rebound\.example\.org/);
    }
    assert.equal((await app.inject({ url: '/health/live', headers: { host: '127.0.0.1:8080' } })).statusCode, 200);
  });

  it('refuses them even with a token', async (test) => {
    const { app } = await servingFixture(test, withTokens(TOKENS));
    const headers = { host: 'rebound.example.org', authorization: 'Bearer admin' };
    assert.equal((await app.inject({ url: '/v1/popular', headers })).statusCode, 403);
  });

  it('refuses writes with a foreign origin, and accepts our own', async (test) => {
    const fixture = await servingFixture(test);
    const call = (origin: string) => fixture.app.inject({ ...write, headers: { host: 'localhost:8080', origin } });
    for (const origin of ['http://example.org', 'http://localhost:3000', 'null', 'https://localhost:8081'])
      assert.equal((await call(origin)).statusCode, 403, origin);
    assert.equal(fixture.log.flushes.length, 0);
    assert.equal((await call('http://localhost:8080')).statusCode, 202);
    const read = await fixture.app.inject({ url: '/v1/popular', headers: { origin: 'http://example.org' } });
    assert.equal(read.statusCode, 200, 'reading is harmless: the browser hides the answer');
    assert.equal(read.headers['access-control-allow-origin'], undefined);
  });

  it('refuses DELETE and PUT as well', async (test) => {
    const { app } = await servingFixture(test);
    const headers = { origin: 'http://example.org' };
    for (const method of ['PUT', 'DELETE'] as const)
      assert.equal((await app.inject({ method, url: '/v1/products/p', headers })).statusCode, 403);
  });
});

describe('rates', () => {
  it('are limited per token and class', async (test) => {
    const { app } = await servingFixture(test, withTokens(TOKENS));
    const call = (role: string, url = '/v1/topics') =>
      app.inject({ url, headers: { authorization: `Bearer ${role}` } });
    for (let n = 0; n < REQUESTS_PER_MINUTE.operate; n++) assert.equal((await call('operator')).statusCode, 200);
    const limited = await call('operator');
    assert.equal(limited.statusCode, 429);
    assert.match(limited.headers['content-type'] as string, /problem\+json/);
    assert.ok(Number(limited.headers['retry-after']) > 0 && Number(limited.headers['retry-after']) <= 60);
    assert.equal((await call('admin')).statusCode, 200, 'another token');
    assert.equal((await call('operator', '/v1/popular')).statusCode, 200, 'another class');
  });

  it('limit failures by address without locking out a valid token', async (test) => {
    const { app } = await servingFixture(test, withTokens(TOKENS));
    const call = (token: string) => app.inject({ url: '/v1/popular', headers: { authorization: `Bearer ${token}` } });
    const statuses = new Set<number>();
    for (let n = 0; n < 61; n++) statuses.add((await call(`guess ${n}`.replace(' ', ''))).statusCode);
    assert.deepEqual([...statuses], [401, 429]);
    assert.equal((await call('reader')).statusCode, 200);
  });

  it('are not limited on loopback without tokens', async (test) => {
    const { app } = await servingFixture(test);
    for (let n = 0; n <= REQUESTS_PER_MINUTE.operate; n++)
      assert.equal((await app.inject('/v1/topics')).statusCode, 200);
  });
});
