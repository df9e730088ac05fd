/**
 * I6: every record at the intake of events. Whatever a record contains, it is counted, late, a duplicate or one dead
 * letter, and the events after it count.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_BYTES_MAX } from '../../../../runtime/log/log.js';
import { Codec } from '../../../../schemas/codec.js';
import type { DeadLetter, Event, Popularity } from '../../../../schemas/records.js';
import { deadLetters, events, lateEvents } from '../../../../topics/events.js';
import { Driver } from '../../../support/driver.js';
import { blobs, spoiled } from '../../../support/hostile.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const codec = new Codec();
const GOOD: Event = { event_id: 'e', user_id: 'u', product_id: 'p', category: null, event_type: 'view', ts: NOW };

function hostile(): [key: Buffer | null, value: Buffer | null][] {
  const user = Buffer.from('u');
  const records: [Buffer | null, Buffer | null][] = [];
  const whole = codec.encode('Event', GOOD);
  for (const value of [...blobs(user.length), ...spoiled(whole)]) records.push([user, value]);
  for (const ts of [0, -1, 1, NOW - 400 * 86_400_000, NOW + 3_600_000, 8.64e15, 2 ** 52, -(2 ** 52)])
    records.push([user, codec.encode('Event', { ...GOOD, event_id: `at ${ts}`, ts })]);
  for (const id of ['', 'x'.repeat(256), 'x'.repeat(257), '\0', '\u0001'.repeat(90_000), '漢'.repeat(86), '\ud800'])
    for (const field of ['event_id', 'user_id', 'product_id', 'category'] as const)
      records.push([field === 'user_id' ? Buffer.from(id) : user, codec.encode('Event', { ...GOOD, [field]: id })]);
  for (const key of [null, Buffer.alloc(0), Buffer.alloc(300, 0x01), Buffer.from([0xff])]) records.push([key, whole]);
  return records.filter(([key, value]) => (key?.length ?? 0) + (value?.length ?? 0) <= RECORD_BYTES_MAX);
}

test('I6: no record stops the intake of events', async () => {
  const driver = await Driver.open({ now: NOW, partitions: 1 });
  try {
    const records = hostile();
    const writer = await driver.log.writer([events.name]);
    let sent = 0;
    for (const [n, [key, value]] of records.entries()) {
      writer.add(events.name, key, value, { partition: 0 });
      writer.add(
        events.name,
        Buffer.from('u'),
        codec.encode('Event', { ...GOOD, event_id: `good ${n}`, product_id: 'after' }),
        {
          partition: 0,
        },
      );
      sent++;
      if (writer.bufferedBytes > 4 * RECORD_BYTES_MAX) await writer.flush();
    }
    await writer.flush();
    await writer.close();
    await driver.run();
    const row = (await driver.table<Popularity>(driver.topics.popularity.name)).get('after');
    assert.equal(row?.views, sent, 'every event after a bad record counts');
    const letters = await driver.records<DeadLetter>(deadLetters.name);
    const ids = letters.map(({ value }) => value!.id);
    assert.equal(new Set(ids).size, ids.length, 'one letter each');
    assert.ok(letters.length > 150, `${letters.length} letters of ${sent}`);
    const late = await driver.records(lateEvents.name);
    assert.ok(late.length >= 3);
  } finally {
    await driver.close();
  }
});
