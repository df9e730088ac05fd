/**
 * Input that is meant to break something, at every route of the description: the answer is a 4xx with a sentence, never
 * a 5xx, and nothing passes a limit.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { InjectOptions } from 'fastify';
import { RECORD_BYTES_MAX } from '../../../runtime/log/log.js';
import { keysOf, servingFixture } from '../../support/serving.js';

const EVENT = { event_id: 'e1', user_id: 'u1', product_id: 'p1', category: null, event_type: 'view', ts: 1000 };
const PRODUCT = { product_id: 'p', title: 't', description: 'd', category: 'c', price: 1 };
const NDJSON = { 'content-type': 'application/x-ndjson' };
const JSON_TYPE = { 'content-type': 'application/json' };

/** `levels` of arrays, or of objects, as text. */
const deep = (levels: number, open = '[', close = ']') => open.repeat(levels) + close.repeat(levels);
const deepObject = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`;

interface Described {
  readonly parameters?: readonly {
    readonly name: string;
    readonly in: string;
    readonly schema?: { readonly type?: unknown };
  }[];
  readonly requestBody?: unknown;
}

async function routesOf(app: { inject(path: string): Promise<{ json(): unknown }> }) {
  const { paths } = (await app.inject('/openapi.json')).json() as { paths: Record<string, Record<string, Described>> };
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      path: path.replace(/\{\w+\}/g, 'x'),
      method: method.toUpperCase() as NonNullable<InjectOptions['method']>,
      ...operation,
    })),
  );
}

describe('hostile input', () => {
  it('JSON that is nested 5,000 levels deep is refused by every route with a body', async (test) => {
    const { app } = await servingFixture(test);
    const withBody = (await routesOf(app)).filter(({ requestBody }) => requestBody !== undefined);
    assert.ok(withBody.length >= 7, withBody.map(({ path }) => path).join(' '));
    for (const { path, method } of withBody)
      for (const payload of [deep(5_000), deepObject(5_000), `{"ts":${deep(5_000)}}`, `{"a":${deepObject(33)}}`]) {
        const answer = await app.inject({ method, url: path, headers: JSON_TYPE, payload });
        assert.ok(answer.statusCode >= 400 && answer.statusCode < 500, `${method} ${path}: ${answer.statusCode}`);
        if (answer.statusCode === 400)
          assert.match(answer.json().detail, /nested more than 32 levels deep|must be|is missing/);
      }
  });

  it('a line that is nested too deeply spoils only itself', async (test) => {
    const fixture = await servingFixture(test);
    for (const [url, good] of [
      ['/v1/events', EVENT],
      ['/v1/topics/products/records', { value: PRODUCT }],
      ['/v1/topics/documents/records', { value: { doc_id: 'd', text: 'x' } }],
    ] as const) {
      const payload = `{"ts":${deep(5_000)}}\n${JSON.stringify(good)}\n`;
      const answer = await fixture.app.inject({ method: 'POST', url, headers: NDJSON, payload });
      assert.equal(answer.statusCode, 202, `${url}: ${answer.body}`);
      const { accepted, rejected } = answer.json();
      assert.deepEqual(
        [accepted, rejected],
        [1, [{ index: 0, error: 'The line is nested more than 32 levels deep.' }]],
      );
    }
  });

  it('a record that is too large spoils only itself', async (test) => {
    const fixture = await servingFixture(test);
    const large = { ...PRODUCT, product_id: 'large', title: 'x'.repeat(RECORD_BYTES_MAX) };
    const payload = `${JSON.stringify({ value: large })}\n${JSON.stringify({ value: PRODUCT })}\n`;
    const answer = await fixture.app.inject({
      method: 'POST',
      url: '/v1/topics/products/records',
      headers: NDJSON,
      payload,
    });
    assert.equal(answer.statusCode, 202, answer.body);
    assert.equal(answer.json().accepted, 1);
    assert.match(answer.json().rejected[0].error, /^The record has 5\d{5} bytes; at most 524288 are allowed\.$/);
    assert.deepEqual(await keysOf(fixture.log, 'products'), ['p']);
  });

  it('every whole number in a query is written in decimal digits', async (test) => {
    const { app } = await servingFixture(test);
    let checked = 0;
    for (const { path, method, parameters = [] } of await routesOf(app))
      for (const { name, in: where, schema } of parameters) {
        if (where !== 'query' || schema?.type !== 'integer') continue;
        for (const value of [
          'Infinity',
          '-Infinity',
          'NaN',
          '9'.repeat(400),
          '1e2',
          '0x10',
          '0b1',
          '1_0',
          '',
          '%20',
          '1.5',
        ]) {
          const answer = await app.inject({ method, url: `${path}?${name}=${value}` });
          assert.equal(answer.statusCode, 400, `${method} ${path}?${name}=${value.slice(0, 20)}: ${answer.body}`);
          assert.match(answer.json().detail, new RegExp(`"${name}"`));
          checked++;
        }
      }
    assert.ok(checked >= 60, `only ${checked}`);
  });

  it('times that no store can hold are refused where they arrive', async (test) => {
    const fixture = await servingFixture(test);
    for (const updated_at of [
      -1,
      8.64e15,
      253_402_300_800_000,
      1e300,
      '1969-12-31T23:59:59Z',
      '+010000-01-01T00:00:00Z',
    ])
      for (const [url, value] of [
        ['/v1/products/p', PRODUCT],
        ['/v1/documents/d', { text: 'x' }],
        ['/v1/users/u', { tenant_id: 't' }],
      ] as const) {
        const answer = await fixture.app.inject({ method: 'PUT', url, payload: { ...value, updated_at } });
        assert.equal(answer.statusCode, 400, `${url} ${updated_at}: ${answer.body}`);
        assert.match(answer.json().detail, /"updated_at"/);
      }
    const event = await fixture.app.inject({ method: 'POST', url: '/v1/events', payload: { ...EVENT, ts: 8.64e15 } });
    assert.equal(event.statusCode, 400);
    const latest = { ...PRODUCT, updated_at: 253_402_300_799_999 };
    assert.equal((await fixture.app.inject({ method: 'PUT', url: '/v1/products/p', payload: latest })).statusCode, 202);
  });

  it('an id that looks like the key of a marker can be read back', async (test) => {
    const { app } = await servingFixture(test);
    const user = { user_id: '!marker', tenant_id: 't' };
    await app.inject({ method: 'PUT', url: '/v1/users/!marker', payload: user });
    const { records } = (await app.inject('/v1/topics/users/records?from=beginning')).json();
    assert.equal(records[0].key, '!marker');
    assert.equal(records[0].value.tenant_id, 't', JSON.stringify(records[0]));
  });
});
