import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { keysOf, servingFixture, valuesOf } from '../../../support/serving.js';

const EVENT = {
  event_id: 'e1',
  user_id: 'u1',
  product_id: 'p1',
  category: 'shoes',
  event_type: 'purchase',
  ts: '2025-06-01T00:00:00.5+02:00',
};
const STORED = { ...EVENT, ts: Date.UTC(2025, 4, 31, 22) + 500 };
const NDJSON = { 'content-type': 'application/x-ndjson' };
const post = (payload: unknown) => ({ method: 'POST', url: '/v1/events', payload: payload as object }) as const;

describe('POST /v1/events', () => {
  it('accepts one event', async (test) => {
    const fixture = await servingFixture(test);
    const answer = await fixture.app.inject(post(EVENT));
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(answer.json(), { accepted: 1, rejected: [] });
    assert.deepEqual(await valuesOf(fixture, 'events'), [STORED]);
    assert.deepEqual(await keysOf(fixture.log, 'events'), ['u1']);
  });

  it('accepts an array and names the rejected events', async (test) => {
    const fixture = await servingFixture(test);
    const answer = await fixture.app.inject(post([EVENT, { ...EVENT, event_id: '' }, 7, { ...EVENT, event_id: 'e2' }]));
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(answer.json(), {
      accepted: 2,
      rejected: [
        { index: 1, error: '"event_id" must not be empty.' },
        { index: 2, error: 'An event must be a JSON object (it is 7).' },
      ],
    });
    assert.equal((await keysOf(fixture.log, 'events')).length, 2);
  });

  it('accepts one event per line, and rejects only the broken lines', async (test) => {
    const fixture = await servingFixture(test);
    const lines = [
      Buffer.from(JSON.stringify(EVENT)),
      Buffer.from(''),
      Buffer.from(' \t'),
      Buffer.from('{"event_id": '),
      Buffer.concat([Buffer.from('{"event_id":"'), Buffer.from([0xff]), Buffer.from('"}')]),
      Buffer.from(`${JSON.stringify({ ...EVENT, user_id: 'ü' })}\r`),
    ];
    const payload = Buffer.concat(lines.flatMap((line) => [line, Buffer.from('\n')]));
    const answer = await fixture.app.inject({ method: 'POST', url: '/v1/events', headers: NDJSON, payload });
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(answer.json(), {
      accepted: 2,
      rejected: [
        { index: 1, error: 'The line is not JSON.' },
        { index: 2, error: 'The line is not UTF-8.' },
      ],
    });
    assert.deepEqual((await keysOf(fixture.log, 'events')).sort(), ['u1', 'ü']);
  });

  it('accepts a last line without a line feed', async (test) => {
    const fixture = await servingFixture(test);
    const payload = `${JSON.stringify(EVENT)}\n${JSON.stringify({ ...EVENT, event_id: 'e2' })}`;
    const answer = await fixture.app.inject({ method: 'POST', url: '/v1/events', headers: NDJSON, payload });
    assert.deepEqual(answer.json(), { accepted: 2, rejected: [] });
  });

  it('answers 400 when all are rejected, and writes nothing', async (test) => {
    const fixture = await servingFixture(test);
    const answer = await fixture.app.inject(post([{ ...EVENT, ts: 'soon' }, null]));
    assert.equal(answer.statusCode, 400);
    assert.match(answer.headers['content-type'] as string, /^application\/problem\+json/);
    const body = answer.json();
    assert.equal(body.accepted, 0);
    assert.deepEqual(
      body.rejected.map(({ index }: { index: number }) => index),
      [0, 1],
    );
    assert.match(body.detail, /All 2 records were rejected; the first: "ts" must be/);
    assert.equal(fixture.log.flushes.length, 0);
  });

  it('accepts duplicates, late and future events: the log decides', async (test) => {
    const fixture = await servingFixture(test);
    const answer = await fixture.app.inject(
      post([EVENT, EVENT, { ...EVENT, ts: 0 }, { ...EVENT, ts: '2199-01-01T00:00:00Z' }]),
    );
    assert.deepEqual(answer.json(), { accepted: 4, rejected: [] });
  });

  for (const [what, payload] of [
    ['an empty array', '[]'],
    ['nothing', ''],
    ['no JSON', '{"event_id": '],
    ['bytes that are not UTF-8', Buffer.from([0x22, 0xff, 0x22])],
  ] as const) {
    it(`refuses ${what}`, async (test) => {
      const { app } = await servingFixture(test);
      const headers = { 'content-type': 'application/json' };
      const answer = await app.inject({ method: 'POST', url: '/v1/events', headers, payload });
      assert.equal(answer.statusCode, 400);
      assert.match(answer.json().detail, /\.$/);
    });
  }

  it('refuses an empty NDJSON body', async (test) => {
    const { app } = await servingFixture(test);
    const answer = await app.inject({ method: 'POST', url: '/v1/events', headers: NDJSON, payload: '\n\n' });
    assert.equal(answer.statusCode, 400);
  });

  for (const type of [
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'text/plain',
    'application/xml',
  ]) {
    it(`answers 415 to ${type}`, async (test) => {
      const fixture = await servingFixture(test);
      const answer = await fixture.app.inject({
        ...post(''),
        headers: { 'content-type': type },
        payload: JSON.stringify(EVENT),
      });
      assert.equal(answer.statusCode, 415);
      assert.match(answer.json().detail, /application\/json/);
      assert.equal(fixture.log.flushes.length, 0);
    });
  }

  it('accepts JSON that names its charset', async (test) => {
    const { app } = await servingFixture(test);
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    assert.equal((await app.inject({ ...post(EVENT), headers })).statusCode, 202);
  });

  it('answers 415 to a body without a type and to a compressed one', async (test) => {
    const { app } = await servingFixture(test);
    const untyped = await app.inject({
      method: 'POST',
      url: '/v1/events',
      payload: Buffer.from(JSON.stringify(EVENT)),
    });
    assert.equal(untyped.statusCode, 415);
    const packed = await app.inject({ ...post(EVENT), headers: { 'content-encoding': 'gzip' } });
    assert.equal(packed.statusCode, 415);
    assert.match(packed.json().detail, /uncompressed/);
  });

  it('answers 413 to a body of 2 MB and to too many events', async (test) => {
    const fixture = await servingFixture(test);
    const large = await fixture.app.inject({
      ...post(''),
      headers: { 'content-type': 'application/json' },
      payload: `[${JSON.stringify({ ...EVENT, event_id: 'x'.repeat(2_000_000) })}]`,
    });
    assert.equal(large.statusCode, 413);
    assert.match(large.headers['content-type'] as string, /^application\/problem\+json/);
    assert.match(large.json().detail, /1024 KiB/);
    const many = await fixture.app.inject({
      method: 'POST',
      url: '/v1/events',
      headers: NDJSON,
      payload: '{}\n'.repeat(10_001),
    });
    assert.equal(many.statusCode, 413);
    assert.match(many.json().detail, /10001 records; send at most 10000/);
    assert.equal(fixture.log.flushes.length, 0);
  });

  it('accepts 10,000 events at once', async (test) => {
    const fixture = await servingFixture(test);
    const line = (index: number) =>
      JSON.stringify({ event_id: `${index}`, user_id: 'u', product_id: 'p', event_type: 'view', ts: 1 });
    const payload = Array.from({ length: 10_000 }, (_, index) => line(index)).join('\n');
    const answer = await fixture.app.inject({ method: 'POST', url: '/v1/events', headers: NDJSON, payload });
    assert.deepEqual(answer.json(), { accepted: 10_000, rejected: [] });
    assert.equal((await keysOf(fixture.log, 'events')).length, 10_000);
  });

  it('answers only when the log has acknowledged', async (test) => {
    const fixture = await servingFixture(test);
    const { begun, release } = fixture.log.holdNext();
    let answered = false;
    const answer = fixture.app.inject(post(EVENT)).then((result) => {
      answered = true;
      return result;
    });
    await begun;
    await fixture.app.inject('/health/live');
    assert.equal(answered, false);
    release();
    assert.equal((await answer).statusCode, 202);
  });

  it('answers 503 with Retry-After when the log fails, and works again after', async (test) => {
    const fixture = await servingFixture(test);
    fixture.log.failNext(new FreshetError('connection', 'broker-7.internal:9092 refused'));
    const failed = await fixture.app.inject(post(EVENT));
    assert.equal(failed.statusCode, 503);
    assert.ok(Number(failed.headers['retry-after']) > 0);
    assert.ok(!failed.body.includes('broker-7'), 'host names are not revealed');
    assert.equal((await fixture.app.inject(post(EVENT))).statusCode, 202);
  });
});
