import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InjectOptions } from 'fastify';
import type { ErasureStatus } from '../../../publishing/erasure/certificate.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import { buildApp } from '../../../serving/app.js';
import { FakeAudits, REPORT } from '../../support/audits.js';
import { AnswerChecker, type OpenApi, type Operation } from '../../support/openapi.js';
import { append } from '../../support/scripted-log.js';
import { NOW_MS, servingFixture, servingOptions, tokenEntry, withTokens } from '../../support/serving.js';
import { runOf, succeeded } from '../../support/versions.js';

async function documentOf(test: { after(run: () => Promise<void>): void }): Promise<OpenApi> {
  const app = await buildApp((await servingOptions()).options);
  test.after(() => app.close());
  return (await app.inject('/openapi.json')).json();
}

function operations(document: OpenApi): [string, string, Operation][] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, Operation] => [path, method, operation]),
  );
}

/** Every $ref in the document. */
function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) =>
    name === '$ref' && typeof inner === 'string' ? [inner] : references(inner),
  );
}

/** Whether a request's path may belong to both, and neither is the more special one. */
function areAmbiguous(one: string, other: string): boolean {
  const [a, b] = [one.split('/'), other.split('/')];
  const isOpen = (part: string) => part.startsWith('{');
  if (a.length !== b.length || !a.every((part, i) => part === b[i] || isOpen(part) || isOpen(b[i]!))) return false;
  const isMoreSpecial = (these: string[], those: string[]) =>
    these.some((part, i) => !isOpen(part) && isOpen(those[i]!));
  return isMoreSpecial(a, b) === isMoreSpecial(b, a);
}

const PROGRESS = { phase: 'read terms', done: 3, total: null };
const EVENT = { event_id: 'e1', user_id: 'u1', product_id: 'p1', event_type: 'view', ts: 1000 };

const CERTIFIED: ErasureStatus = {
  subject: 'user:u1',
  state: 'done',
  requested_at: '2025-06-01T12:00:00.000Z',
  reason: null,
  cut: { topic: 'events', partition: 1, offset: 7, at: '2025-06-01T12:00:00.000Z' },
  waits_for: [],
  certificate: {
    verified_at: '2025-06-01T12:00:01.000Z',
    gone: [{ what: 'affinity', where: 'database', topic: 'affinity.v1', partition: 1, offset: 3, left: 'nothing' }],
    not_checked: [],
    expires: [{ what: 'previous values', where: 'topic users', until: null, rule: 'compaction' }],
    stays: ['popularity'],
  },
};

describe('/openapi.json', () => {
  it('names every route with an id, a summary, a tag, its parameters and its answers', async (test) => {
    const document = await documentOf(test);
    assert.match(document.openapi, /^3\.1\./);
    const all = operations(document);
    const ids = all.map(([, , { operationId }]) => operationId);
    assert.equal(new Set(ids).size, ids.length, 'ids are unique');
    for (const [path, method, operation] of all) {
      const name = `${method} ${path}`;
      assert.match(operation.operationId, /^[a-z]\w+$/, name);
      assert.ok((operation.summary ?? '').length > 10, name);
      assert.equal(operation.tags?.length, 1, name);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      const declared = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      assert.deepEqual(
        declared.map((parameter) => parameter.name),
        inPath,
        name,
      );
      for (const parameter of operation.parameters ?? []) {
        assert.ok((parameter.description ?? '').length > 0, `${name} ${parameter.name}`);
        // An empty search is invalid.
        const isNeeded = parameter.in === 'path' || `${path} ${parameter.name}` === '/v1/search q';
        assert.equal(parameter.required ?? false, isNeeded, `${name} ${parameter.name}`);
      }
      assert.equal(operation.requestBody !== undefined, method === 'put' || method === 'post', name);
      assert.ok(
        Object.keys(operation.responses).some((status) => status.startsWith('2')),
        name,
      );
      for (const answer of Object.values(operation.responses)) {
        assert.ok(answer.description.length > 3, name);
        assert.ok(answer.content !== undefined, name);
      }
    }
  });

  it('refers only to definitions in the document', async (test) => {
    const document = await documentOf(test);
    const found = new Set(references(document));
    assert.ok(found.has('#/components/schemas/Problem'));
    for (const reference of found) {
      const name = /^#\/components\/schemas\/(\w+)$/.exec(reference)?.[1];
      assert.ok(name !== undefined && name in document.components.schemas, reference);
    }
  });

  it('follows the recommended rules of redocly lint', async (test) => {
    const document = await documentOf(test);
    assert.deepEqual(document.info.license, { name: 'Apache-2.0', identifier: 'Apache-2.0' });
    const servers = (document.servers ?? []).map(({ url }) => url);
    assert.ok(servers.length > 0, 'no-empty-servers');
    for (const url of servers) assert.ok(url === '/' || !/\/$|example\.com|localhost/.test(url), `servers: ${url}`);
    const schemes = Object.keys(document.components.securitySchemes);
    assert.ok((document.security ?? []).length > 0, 'security-defined');
    for (const each of document.security ?? [])
      for (const name of Object.keys(each)) assert.ok(schemes.includes(name), `security-defined: ${name}`);
    for (const [path, method, { operationId, responses }] of operations(document)) {
      const refusals = Object.keys(responses).filter((status) => status.startsWith('4'));
      assert.ok(refusals.length > 0, `operation-4xx-response: ${method} ${path}`);
      assert.equal(encodeURIComponent(operationId), operationId, 'operation-operationId-url-safe');
      assert.ok(!/.\/$|\?|\{\}/.test(path), `path: ${path}`);
    }
    const used = new Set(references(document));
    for (const name of Object.keys(document.components.schemas))
      assert.ok(used.has(`#/components/schemas/${name}`), `no-unused-components: ${name}`);
    const paths = Object.keys(document.paths);
    for (const [i, one] of paths.entries())
      for (const other of paths.slice(i + 1))
        assert.ok(!areAmbiguous(one, other), `no-ambiguous-paths: ${one} ${other}`);
  });

  it('has the routes of the contract', async (test) => {
    const all = operations(await documentOf(test)).map(([path, method]) => `${method.toUpperCase()} ${path}`);
    assert.deepEqual(all.sort(), [
      'DELETE /v1/documents/{id}',
      'DELETE /v1/products/{id}',
      'DELETE /v1/users/{id}',
      'GET /health/live',
      'GET /health/ready',
      'GET /metrics',
      'GET /openapi.json',
      'GET /v1/access',
      'GET /v1/audit',
      'GET /v1/erasures/{subject}',
      'GET /v1/jobs/{name}/runs',
      'GET /v1/overview',
      'GET /v1/overview/history',
      'GET /v1/popular',
      'GET /v1/products/{id}',
      'GET /v1/products/{id}/popularity',
      'GET /v1/products/{id}/similar',
      'GET /v1/runs/{id}',
      'GET /v1/search',
      'GET /v1/skips',
      'GET /v1/stopwords',
      'GET /v1/stopwords/{lang}',
      'GET /v1/topics',
      'GET /v1/topics/{name}/records',
      'GET /v1/users/{id}/affinity',
      'GET /v1/users/{id}/recommendations',
      'GET /v1/verifications/{id}',
      'GET /v1/versions',
      'GET /v1/versions/{artefact}',
      'POST /v1/erasures',
      'POST /v1/events',
      'POST /v1/features',
      'POST /v1/jobs/{name}/runs',
      'POST /v1/skips',
      'POST /v1/topics/{name}/records',
      'POST /v1/verifications',
      'POST /v1/versions/{artefact}/pin',
      'POST /v1/versions/{artefact}/promote',
      'POST /v1/versions/{artefact}/rollback',
      'PUT /v1/documents/{id}',
      'PUT /v1/products/{id}',
      'PUT /v1/users/{id}',
    ]);
  });
});

const PRODUCT_P1 = {
  productId: 'p1',
  title: 'Lamp',
  description: 'It shines.',
  category: 'c',
  price: 12.5,
  updatedAt: NOW_MS,
};

describe('answers to real requests', () => {
  it('are as documented, both successes and errors', async (test) => {
    const audits = new FakeAudits();
    const access = withTokens([tokenEntry('t', 'admin'), tokenEntry('r', 'reader')]);
    const fixture = await servingFixture(test, { ...access, audits });
    const document: OpenApi = (
      await fixture.app.inject({ url: '/openapi.json', headers: { authorization: 'Bearer t' } })
    ).json();
    const checker = await AnswerChecker.of(document);
    const call = async (request: InjectOptions, token = 't') => {
      const headers = { authorization: `Bearer ${token}`, ...request.headers };
      const answer = await fixture.app.inject({ ...request, headers });
      const { statusCode: status, body } = answer;
      const method = request.method ?? 'GET';
      checker.check({ method, url: String(request.url), status, type: String(answer.headers['content-type']), body });
    };
    fixture.readers.products.set('p1', {
      ...{ productId: 'p1', category: 'c', score: 1.5, asOf: NOW_MS, version: 1 },
      ...{ views: 1, addToCarts: 0, purchases: 0 },
    });
    fixture.readers.users.set('u1', { userId: 'u1', asOf: NOW_MS, version: 1, scores: { c: 1 } });
    const events = { method: 'POST', url: '/v1/events' } as const;
    const text = { 'content-type': 'text/plain' };

    await call({ ...events, payload: [EVENT, {}] });
    await call({ ...events, payload: {} });
    await call({ ...events, headers: text, payload: 'x' });
    await call({ ...events, payload: { x: 'x'.repeat(2_000_000) } });
    await call({ ...events, payload: EVENT }, 'r');
    await call({ ...events, payload: EVENT }, 'unknown');
    fixture.log.failNext(new FreshetError('timeout', 'x'));
    await call({ ...events, payload: EVENT });
    for (const [url, payload] of [
      ['/v1/products/p1', { title: 't', description: 'd', category: 'c' }],
      ['/v1/documents/d1', { text: 't' }],
      ['/v1/users/u1', { tenant_id: 'main' }],
    ] as const) {
      await call({ method: 'PUT', url, payload });
      await call({ method: 'PUT', url, payload: {} });
      await call({ method: 'DELETE', url });
    }
    await call({ url: '/v1/popular' });
    fixture.readers.listed.set('p1', PRODUCT_P1);
    await call({ url: '/v1/popular?include=product' });
    await call({ url: '/v1/popular?include=everything' });
    await call({ url: '/v1/products/p1' });
    await call({ url: '/v1/products/none' });
    fixture.readers.done.set('u1', {
      userId: 'u1',
      version: 1,
      asOf: NOW_MS,
      items: [{ productId: 'p1', weight: 3, count: 1, purchases: 1 }],
      truncated: 0,
    });
    const everything = { users: ['u1', 'none'], products: ['p1', 'none'] };
    for (const payload of [
      everything,
      { users: ['u1'], features: ['affinity'] },
      {},
      { ...everything, features: ['x'] },
    ])
      await call({ method: 'POST', url: '/v1/features', payload });
    await call({ url: '/v1/popular?limit=0' });
    await call({ url: '/v1/products/p1/popularity' });
    await call({ url: '/v1/products/none/popularity' });
    await call({ url: '/v1/users/u1/affinity' });
    await call({ url: '/v1/users/none/affinity' });
    for (const url of ['/v1/users/u1/recommendations', '/v1/products/p1/similar', '/v1/search?q=lamp']) {
      await call({ url });
      await call({ url: `${url}${url.includes('?') ? '&' : '?'}limit=1001` });
    }
    await call({ url: '/v1/search' });
    fixture.models.answer = { version: 1, items: [], fallback: 'popularity', reads: { popularity: 1 } };
    await call({ url: '/v1/users/none/recommendations' });
    fixture.models.answer = null;
    await call({ url: '/v1/products/none/similar' });
    await call({ method: 'POST', url: '/v1/erasures', payload: { user_id: 'u1' } });
    await call({ method: 'POST', url: '/v1/erasures', payload: {} });
    fixture.erasures.known.set('user:u1', CERTIFIED);
    fixture.erasures.known.set('user:u2', { ...CERTIFIED, state: 'waiting', cut: null, certificate: null });
    for (const key of ['user:u1', 'user%3Au2', 'user:none', 'nobody']) await call({ url: `/v1/erasures/${key}` });
    const skip = { topic: 'events', partition: 0, from: 0, to: 1, reason: 'x' };
    for (const payload of [skip, { ...skip, topic: 'none' }, { ...skip, to: 0 }, {}])
      await call({ method: 'POST', url: '/v1/skips', payload });
    await call({ url: '/v1/skips' });
    await call({ url: '/v1/topics' });
    await append(fixture.log, 'events', Buffer.from('k'), Buffer.from('poison'));
    await call({ url: '/v1/topics/events/records' });
    await call({ url: '/v1/topics/none/records' });
    await call({ url: '/v1/topics/events/records?partition=0&offset=99' });
    await call({ url: '/v1/topics/events/records?limit=0' });
    await call({ method: 'POST', url: '/v1/topics/events/records', payload: { value: EVENT } });
    await call({ method: 'POST', url: '/v1/topics/popularity.v1/records', payload: { value: EVENT } });
    await call({ url: '/v1/overview' });
    await call({ url: '/v1/overview/history' });
    await call({ url: '/v1/audit' });
    audits.state = { state: 'following', intervalMs: 300_000, last: REPORT };
    await call({ url: '/v1/audit' });
    for (const payload of [{ sample: 0.5 }, { sample: 2 }, { sample: 1, salt: 'x' }, {}])
      await call({ method: 'POST', url: '/v1/verifications', payload });
    for (const id of ['running', 'done', 'failed', 'none']) await call({ url: `/v1/verifications/${id}` });
    await call({ url: '/v1/access' });
    await call({ url: '/v1/stopwords/en' });
    fixture.readers.words.set('en', { the: 1 });
    for (const path of ['stopwords', 'stopwords/en', 'stopwords/fi', 'stopwords/%00'])
      await call({ url: `/v1/${path}` });
    for (const path of ['', '/stopwords', '/popularity', '/faiss', '/none']) await call({ url: `/v1/versions${path}` });
    for (const [path, payload] of [
      ['rollback', { reason: 'x' }],
      ['rollback', { to: 1 }],
      ['promote', {}],
      ['promote', { version: 3 }],
      ['promote', { version: 0 }],
      ['pin', { version: 2 }],
      ['pin', {}],
    ] as const)
      await call({ method: 'POST', url: `/v1/versions/stopwords/${path}`, payload });
    for (const payload of [{}, { dry_run: true }, { dry_run: 1 }])
      await call({ method: 'POST', url: '/v1/jobs/stopwords/runs', payload });
    await call({ method: 'POST', url: '/v1/jobs/none/runs', payload: {} });
    fixture.runs.known.push(succeeded({ run_id: 'done' }), runOf({ run_id: 'busy', progress: PROGRESS }));
    for (const id of ['done', 'busy', 'none']) await call({ url: `/v1/runs/${id}` });
    for (const path of ['stopwords/runs', 'stopwords/runs?limit=0', 'none/runs'])
      await call({ url: `/v1/jobs/${path}` });
    await call({ url: '/metrics' });
    await call({ url: '/openapi.json' });
    await call({ url: '/health/live' });
    await call({ url: '/health/live', headers: { host: 'elsewhere.example' } });
    await call({ url: '/health/ready' });
    fixture.readiness = { ready: false, waiting: ['x'] };
    await call({ url: '/health/ready' });

    for (const [path, method, { operationId }] of operations(document))
      assert.ok(
        ['200', '202'].some((status) => checker.checked.has(`${operationId} ${status}`)),
        `no success of ${method} ${path} was checked`,
      );
  });

  it('are reported if they are not as documented', async (test) => {
    const checker = await AnswerChecker.of(await documentOf(test));
    const seen = { method: 'GET', url: '/v1/popular', status: 200, type: 'application/json' };
    const body = { as_of: '2025-06-01T12:00:00.000Z', version: 1, items: [] };
    checker.check({ ...seen, body: JSON.stringify(body) });
    for (const wrong of [{ ...body, version: '1' }, { ...body, more: 1 }, { ...body, as_of: 'noon' }, { version: 1 }])
      assert.throws(() => checker.check({ ...seen, body: JSON.stringify(wrong) }), /popular 200/);
    assert.throws(() => checker.check({ ...seen, status: 418, body: '{}' }), /not documented/);
  });
});
