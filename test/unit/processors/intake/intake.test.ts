/** I6: every record that cannot be counted becomes exactly one dead letter or late event, and the stream continues. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { avroType } from '../../../../schemas/codec.js';
import type { DeadLetter, Event, Popularity } from '../../../../schemas/records.js';
import { deadLetters, events, lateEvents } from '../../../../topics/events.js';
import { partitionOf } from '../../../../topics/partition.js';
import { Driver } from '../../../support/driver.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const DAY_MS = 86_400_000;
let driver: Driver;
let sent = 0;

before(async () => {
  driver = await Driver.open({ now: NOW, commitIntervalMs: 0 });
});
after(() => driver.close());

function event(over: Partial<Record<keyof Event, unknown>> = {}): Event {
  sent++;
  const made = {
    event_id: `e${sent}`,
    user_id: 'u1',
    product_id: 'p1',
    category: null,
    event_type: 'view',
    ts: driver.clock.now(),
  };
  return { ...made, ...over } as Event;
}

async function lettersOf(send: () => Promise<void>): Promise<DeadLetter[]> {
  const known = new Set((await driver.records<DeadLetter>(deadLetters.name)).map(({ key }) => key));
  const counted = (await driver.table<Popularity>(driver.topics.popularity.name)).get('p1')?.views ?? 0;
  await send();
  await driver.pipe(events.name, 'u1', event());
  await driver.run();
  const row = (await driver.table<Popularity>(driver.topics.popularity.name)).get('p1');
  assert.equal(row?.views, counted + 1, 'the next good event counts, the bad one does not');
  return (await driver.records<DeadLetter>(deadLetters.name))
    .filter(({ key }) => !known.has(key))
    .map(({ value }) => value!);
}

const framed = (body: Buffer) => Buffer.concat([driver.codec.prefix('Event'), body]);

const bad: [string, string, () => Promise<void>][] = [
  ['poison bytes', 'unknown_framing', () => driver.pipe(events.name, 'u1', Buffer.from('not avro at all'))],
  ['an empty value', 'unknown_framing', () => driver.pipe(events.name, 'u1', Buffer.alloc(0))],
  [
    'an unknown schema',
    'unknown_schema',
    () => driver.pipe(events.name, 'u1', Buffer.from('c3010011223344556677', 'hex')),
  ],
  [
    'a registry id without a registry',
    'unknown_schema',
    () => driver.pipe(events.name, 'u1', Buffer.from([0, 0, 0, 0, 7, 1])),
  ],
  [
    'the wrong schema',
    'undecodable',
    () => driver.pipe(events.name, 'u1', driver.codec.encode('Popularity', wrongRecord)),
  ],
  [
    'a truncated value',
    'undecodable',
    () => driver.pipe(events.name, 'u1', framed(avroType('Event').toBuffer(event()).subarray(0, -2))),
  ],
  [
    'trailing bytes',
    'undecodable',
    () =>
      driver.pipe(events.name, 'u1', framed(Buffer.concat([avroType('Event').toBuffer(event()), Buffer.from([0])]))),
  ],
  ['a 300-byte id', 'id_too_long', () => driver.pipe(events.name, 'u1', event({ product_id: 'p'.repeat(300) }))],
  ['an id with a NUL', 'invalid_id', () => driver.pipe(events.name, 'u1', event({ product_id: 'p\u0000' }))],
  ['an empty id', 'empty_id', () => driver.pipe(events.name, 'u1', event({ event_id: '' }))],
  ['an unknown event type', 'unknown_event_type', () => driver.pipe(events.name, 'u1', event({ event_type: 'buy' }))],
  ['a time a day ahead', 'future', () => driver.pipe(events.name, 'u1', event({ ts: driver.clock.now() + DAY_MS }))],
  ['no key', 'missing_key', () => driver.pipe(events.name, null, event(), { partition: 0 })],
  ['a key that is not the user', 'key_mismatch', () => driver.pipe(events.name, 'u2', event())],
  [
    'the wrong partition',
    'wrong_partition',
    () => driver.pipe(events.name, 'u1', event(), { partition: 1 - partitionOf(2, Buffer.from('u1')) }),
  ],
  ['an erasure without a key', 'missing_key', () => driver.pipe(events.name, null, null, { partition: 0 })],
];
const wrongRecord = { product_id: 'p', category: 'c', score: 1, as_of: NOW, views: 1, add_to_carts: 0, purchases: 0 };

for (const [what, reason, send] of bad) {
  test(`I6: ${what} becomes one dead letter, ${reason}`, async () => {
    const letters = await lettersOf(send);
    assert.deepEqual(
      letters.map(({ reason_code }) => reason_code),
      [reason],
    );
    const [letter] = letters;
    assert.equal(letter!.state, 'open');
    assert.equal(letter!.id, `events/${letter!.source!.partition}/${letter!.source!.offset}`);
    assert.ok(letter!.error.length > 10, 'the error is a sentence');
  });
}

test('I6: an id that is not UTF-8 becomes a dead letter', async () => {
  const value = avroType('Event').toBuffer(event({ product_id: 'abcdef' }));
  const at = value.indexOf('abcdef');
  value[at] = 0xff;
  const letters = await lettersOf(() => driver.pipe(events.name, 'u1', framed(value)));
  assert.deepEqual(
    letters.map(({ reason_code }) => reason_code),
    ['invalid_utf8'],
  );
});

test('I6: an event of the year 1970 is a late event, kept unchanged, and not a dead letter', async () => {
  const before = (await driver.records(lateEvents.name)).length;
  const old = event({ ts: 86_400_000 });
  const letters = await lettersOf(() => driver.pipe(events.name, 'u1', old));
  assert.deepEqual(letters, []);
  const late = (await driver.records<{ event: Buffer; event_ts: number }>(lateEvents.name)).slice(before);
  assert.equal(late.length, 1);
  assert.equal(late[0]!.value!.event_ts, 86_400_000);
  assert.deepEqual({ ...(driver.codec.decode('Event', late[0]!.value!.event) as Event) }, old);
});

test('a time up to five minutes ahead counts as the log time', async () => {
  const ahead = event({ user_id: 'u9', product_id: 'p9', ts: driver.clock.now() + 300_000 });
  assert.deepEqual(await lettersOf(() => driver.pipe(events.name, 'u9', ahead)), []);
  const row = (await driver.table<Popularity>(driver.topics.popularity.name)).get('p9')!;
  assert.ok(row.score <= 1 && row.score > 0.999, `${row.score}: not more than a view happening now`);
});
