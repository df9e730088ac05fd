import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { allTopics } from '../../../../topics/all.js';
import { append } from '../../../support/scripted-log.js';
import {
  type Fixture,
  keysOf,
  NOW_MS,
  servingFixture,
  tokenEntry,
  valuesOf,
  withTokens,
} from '../../../support/serving.js';

const EVENT = { event_id: 'e1', user_id: 'u1', product_id: 'p1', category: null, event_type: 'view', ts: 1000 };
const NDJSON = { 'content-type': 'application/x-ndjson' };

interface Answer {
  readonly topic: string;
  readonly records: { partition: number; offset: number; key: string; value: { event_id: string } }[];
  readonly next: { partition: number; offset: number }[];
}

/** `counts[p]` events in partition p, in order. */
async function fill({ log, codec }: Fixture, counts: readonly number[]): Promise<void> {
  for (const [partition, count] of counts.entries()) {
    for (let n = 0; n < count; n++) {
      const value = codec.encode('Event', { ...EVENT, event_id: `${partition}-${n}` });
      await append(log, 'events', Buffer.from('u1'), value, partition);
    }
  }
}

const ids = ({ records }: Answer) => records.map(({ value }) => value.event_id);
const positions = ({ next }: Answer) => next.map(({ partition, offset }) => `${partition}:${offset}`).join();

async function read(fixture: Fixture, query: string, topic = 'events'): Promise<Answer> {
  const answer = await fixture.app.inject(`/v1/topics/${topic}/records?${query}`);
  assert.equal(answer.statusCode, 200, answer.body);
  return answer.json();
}

describe('GET /v1/topics', () => {
  it('lists every declared topic with its offsets', async (test) => {
    const fixture = await servingFixture(test);
    await fill(fixture, [2, 1]);
    const { topics } = (await fixture.app.inject('/v1/topics')).json();
    assert.deepEqual(
      topics.map(({ name }: { name: string }) => name),
      allTopics().map(({ name }) => name),
    );
    const { offsets, partitions, schema } = topics[0];
    assert.deepEqual({ partitions, schema }, { partitions: 4, schema: 'Event' });
    assert.deepEqual(offsets[0], { partition: 0, earliest: 0, last_stable: 2, high_watermark: 2 });
  });
});

describe('GET /v1/topics/{name}/records', () => {
  it('returns decoded records from the beginning', async (test) => {
    const fixture = await servingFixture(test);
    await fill(fixture, [1]);
    assert.deepEqual(await read(fixture, ''), {
      topic: 'events',
      records: [
        {
          partition: 0,
          offset: 0,
          timestamp: '2025-06-01T00:00:00.000Z',
          key: 'u1',
          value: { ...EVENT, event_id: '0-0' },
        },
      ],
      next: [
        { partition: 0, offset: 1 },
        { partition: 1, offset: 0 },
        { partition: 2, offset: 0 },
        { partition: 3, offset: 0 },
      ],
    });
  });

  it('alternates between partitions, and continues where it ended', async (test) => {
    const fixture = await servingFixture(test);
    await fill(fixture, [5, 2, 0, 3]);
    const seen: string[] = [];
    let query = 'from=beginning';
    const sizes: number[] = [];
    for (let turn = 0; turn < 5; turn++) {
      const answer = await read(fixture, `${query}&limit=4`);
      seen.push(...ids(answer));
      sizes.push(answer.records.length);
      query = `positions=${positions(answer)}`;
    }
    assert.deepEqual(sizes, [4, 4, 2, 0, 0]);
    assert.deepEqual(seen.slice(0, 4), ['0-0', '1-0', '3-0', '0-1']);
    assert.equal(new Set(seen).size, 10);
    assert.deepEqual(
      seen.filter((id) => id.startsWith('0-')),
      ['0-0', '0-1', '0-2', '0-3', '0-4'],
    );
  });

  it('reads one partition, from an offset, and from the end', async (test) => {
    const fixture = await servingFixture(test);
    await fill(fixture, [3, 3]);
    assert.deepEqual(ids(await read(fixture, 'partition=1')), ['1-0', '1-1', '1-2']);
    const later = await read(fixture, 'partition=1&offset=2');
    assert.deepEqual(ids(later), ['1-2']);
    assert.equal(positions(later), '1:3');
    const end = await read(fixture, 'from=end');
    assert.deepEqual(end.records, []);
    assert.equal(positions(end), '0:3,1:3,2:0,3:0');
  });

  it('waits for the first record, but not above the limit', async (test) => {
    const fixture = await servingFixture(test);
    const waiting = read(fixture, 'from=end&wait_ms=30000');
    while (fixture.log.readersOpen === 0) await new Promise(setImmediate);
    await fill(fixture, [1]);
    assert.deepEqual(ids(await waiting), ['0-0']);
    const none = await read(fixture, 'from=end&wait_ms=20');
    assert.deepEqual(none.records, []);
    assert.equal(fixture.log.readersOpen, 0);
  });

  it('stops waiting when the server stops', async (test) => {
    const fixture = await servingFixture(test);
    const waiting = read(fixture, 'from=end&wait_ms=30000');
    while (fixture.log.readersOpen === 0) await new Promise(setImmediate);
    fixture.stopping.abort();
    assert.deepEqual((await waiting).records, []);
  });

  it('answers 503 when too many are already waiting', async (test) => {
    const fixture = await servingFixture(test);
    const waiting = Array.from({ length: 32 }, () => read(fixture, 'from=end&wait_ms=30000'));
    while (fixture.log.readersOpen < 32) await new Promise(setImmediate);
    const refused = await fixture.app.inject('/v1/topics/events/records');
    assert.equal(refused.statusCode, 503);
    fixture.stopping.abort();
    await Promise.all(waiting);
  });

  it('shows undecodable records and markers', async (test) => {
    const fixture = await servingFixture(test);
    await append(fixture.log, 'events', Buffer.from([0xff]), Buffer.from('poison'), 0);
    await append(fixture.log, 'events', null, null, 0);
    const marker = {
      application: 'features.v1',
      task: 0,
      incarnation: 'x',
      fingerprint: 'y',
      sequence: 1,
      parts: [],
      tables: [],
    };
    await append(
      fixture.log,
      'features.v1.activity-changelog',
      Buffer.from('!marker'),
      fixture.codec.encode('Marker', marker),
      0,
    );
    const [poison, empty] = (await read(fixture, '')).records as unknown as Record<string, unknown>[];
    assert.deepEqual(
      [poison!['key'], poison!['key_base64'], poison!['value_base64'], 'value' in poison!],
      [null, '/w==', 'cG9pc29u', false],
    );
    assert.match(String(poison!['error']), /framings/);
    assert.deepEqual([empty!['key'], empty!['value']], [null, null]);
    const [first] = (await read(fixture, '', 'features.v1.activity-changelog')).records;
    assert.deepEqual(first!.value, marker);
  });

  it('limits an answer by bytes as well', async (test) => {
    const fixture = await servingFixture(test);
    const value = fixture.codec.encode('Document', {
      doc_id: 'd',
      language: null,
      source: null,
      text: 'x'.repeat(500_000),
      updated_at: 0,
    });
    for (let n = 0; n < 30; n++) await append(fixture.log, 'documents', Buffer.from('d'), value, 0);
    const answer = await read(fixture, 'limit=1000', 'documents');
    assert.equal(answer.records.length, 17);
    assert.equal(answer.next[0]!.offset, 17);
  });

  const refused: [string, number, RegExp][] = [
    ['partition=4', 400, /partitions 0 to 3, not 4/],
    ['positions=0:1,9:0', 400, /partitions 0 to 3, not 9/],
    ['positions=0:0,0:1', 400, /twice/],
    ['positions=0', 400, /"positions"/],
    ['offset=1', 400, /needs "partition"/],
    ['partition=0&offset=0&from=end', 400, /one way/],
    ['partition=0&positions=0:0', 400, /one way/],
    ['from=middle', 400, /beginning, end/],
    ['limit=0', 400, /"limit"/],
    ['limit=1001', 400, /"limit"/],
    ['wait_ms=30001', 400, /"wait_ms"/],
    ['partition=-1', 400, /"partition"/],
    ['partition=0&offset=99', 410, /has the offsets 1 to 2, not 99/],
    ['partition=0&offset=0', 410, /not 0/],
    ['positions=0:0', 410, /from=beginning/],
  ];
  for (const [query, status, sentence] of refused) {
    it(`answers ${status} to ?${query}`, async (test) => {
      const fixture = await servingFixture(test);
      await fill(fixture, [2]);
      fixture.log.truncate({ topic: 'events', partition: 0 }, 1);
      const answer = await fixture.app.inject(`/v1/topics/events/records?${query}`);
      assert.equal(answer.statusCode, status, answer.body);
      assert.match(answer.json().detail, sentence);
    });
  }

  it('answers 404 for an undeclared topic', async (test) => {
    const { app } = await servingFixture(test);
    for (const method of ['GET', 'POST'] as const) {
      const answer = await app.inject({
        method,
        url: '/v1/topics/nothing/records',
        ...(method === 'POST' ? { payload: {} } : {}),
      });
      assert.equal(answer.statusCode, 404);
      assert.match(answer.json().detail, /"nothing"/);
    }
  });
});

describe('POST /v1/topics/{name}/records', () => {
  const post = (topic: string, payload: string | object) =>
    ({
      method: 'POST',
      url: `/v1/topics/${topic}/records`,
      payload,
      ...(typeof payload === 'string' ? { headers: NDJSON } : {}),
    }) as const;

  it('writes records of producers, checked against their schema', async (test) => {
    const fixture = await servingFixture(test);
    const lines = [{ key: 'u1', value: EVENT }, { value: { ...EVENT, event_id: 'e2' } }, { key: 'x', value: EVENT }];
    const answer = await fixture.app.inject(post('events', lines.map((line) => JSON.stringify(line)).join('\n')));
    assert.equal(answer.statusCode, 202);
    assert.deepEqual(answer.json(), {
      accepted: 2,
      rejected: [{ index: 2, error: '"key" must be the value\'s user_id, "u1" (it is "x").' }],
    });
    assert.deepEqual(await valuesOf(fixture, 'events'), [EVENT, { ...EVENT, event_id: 'e2' }]);
  });

  it('deletes by key', async (test) => {
    const fixture = await servingFixture(test);
    const value = { title: 't', description: 'd', category: 'c', product_id: 'p1' };
    const answer = await fixture.app.inject(post('products', [{ value }, { key: 'p1', value: null }]));
    assert.deepEqual(answer.json(), { accepted: 2, rejected: [] });
    assert.deepEqual(await valuesOf(fixture, 'products'), [{ ...value, price: null, updated_at: NOW_MS }, null]);
  });

  it('refuses topics that are not for producers', async (test) => {
    const fixture = await servingFixture(test);
    for (const { name } of allTopics().filter(({ owner }) => owner !== 'producers')) {
      const answer = await fixture.app.inject(post(name, [{ key: 'k', value: null }]));
      assert.equal(answer.statusCode, 403, name);
      assert.match(answer.json().detail, new RegExp(`Topic ${name} is written by`));
    }
    assert.equal(fixture.log.flushes.length, 0);
  });

  it('limits users to the tenant of the token', async (test) => {
    const fixture = await servingFixture(test, withTokens([tokenEntry('one', 'producer', 'blue')]));
    fixture.users.tenants.set('taken', 'red');
    const user = (user_id: string, tenant_id: string) => ({ value: { user_id, tenant_id } });
    const payload = [user('a', 'blue'), user('b', 'red'), user('taken', 'blue'), { key: 'taken', value: null }];
    const headers = { authorization: 'Bearer one' };
    const answer = await fixture.app.inject({ ...post('users', payload), headers });
    assert.deepEqual(
      answer.json().rejected.map(({ index }: { index: number }) => index),
      [1, 2, 3],
    );
    assert.deepEqual(await keysOf(fixture.log, 'users'), ['a']);
  });
});
