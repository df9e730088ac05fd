/** Interactions in the online store: the text of any record, how the sink handles records, and what readers see. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { relativeError } from '../../../../publishing/audit/reference.js';
import { Layout } from '../../../../publishing/layout.js';
import { createModelReader } from '../../../../publishing/reading/models.js';
import { erasedOnline } from '../../../../publishing/sinks/erased.js';
import { interactionsOnline } from '../../../../publishing/sinks/interactions.js';
import { interactionsReader, storedInteractions } from '../../../../publishing/sinks/interactions-row.js';
import { onlineSinkStore } from '../../../../publishing/sinks/sink-store.js';
import type { Queryable } from '../../../../runtime/stores/database.js';
import { AvroWriter } from '../../../../schemas/avro-writer.js';
import type { Interactions } from '../../../../schemas/records.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { codec, deadLettersIn, localStore, memoryLog, rig, write } from '../../../support/publishing.js';

const TOPIC = 'interactions.v1';
const PARTITIONS = 2;
const SET = featureSet(1);

const item = fc.record({
  product_id: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
  weight: fc.double({ min: 0, max: 1e9, noNaN: true }),
  count: fc.integer({ min: 1, max: 1_000_000 }),
  last_ts: fc.integer({ min: 0, max: 4e12 }),
  purchases: fc.integer({ min: 0, max: 1_000 }),
});
const record: fc.Arbitrary<Interactions> = fc.record({
  user_id: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }),
  as_of: fc.integer({ min: 0, max: 4e12 }),
  items: fc.array(item, { maxLength: 30 }),
  truncated: fc.integer({ min: 0, max: 1_000 }),
});

function user(user_id: string, items: readonly (readonly [string, number, number, number])[]): Interactions {
  const rows = items.map(([product_id, weight, count, purchases]) => ({
    ...{ product_id, weight, count, purchases },
    last_ts: 0,
  }));
  return { user_id, as_of: 5, items: rows, truncated: 0 };
}

describe('the text of interactions', () => {
  test('contains what the record contains, weights within 1e-9', () => {
    const read = interactionsReader();
    fc.assert(
      fc.property(record, (value) => {
        const bytes = codec.encode('Interactions', value);
        const row = read(codec, bytes, 0, bytes.length);
        assert.deepEqual([row.userId, row.asOf, row.problem], [value.user_id, value.as_of, null]);
        const { asOf, items, truncated } = storedInteractions(row.text);
        assert.deepEqual([asOf, truncated], [value.as_of, value.truncated]);
        assert.equal(items.length, value.items.length);
        for (const [i, { weight, ...rest }] of items.entries()) {
          const { product_id, count, purchases } = value.items[i]!;
          assert.deepEqual(rest, { productId: product_id, count, purchases });
          assert.ok(relativeError(weight, value.items[i]!.weight) < 1e-9);
        }
      }),
    );
  });

  test('is also read from blocks that carry their size, and refused if truncated or too long', () => {
    const read = interactionsReader();
    const writer = new AvroWriter().begin(codec.prefix('Interactions')).string('ada').long(5);
    // Two blocks of one item each; the first as other writers write it, with a negative count followed by its size.
    writer.long(-1).long(14).string('boots').double(3).long(1).long(7).long(1);
    writer.long(1).string('hat').double(1).long(2).long(8).long(0).long(0).long(4);
    const bytes = Buffer.from(writer.finish());
    const whole = read(codec, bytes, 0, bytes.length);
    assert.equal(whole.text, '{"as_of":5,"items":[["boots",3,1,1],["hat",1,2,0]],"truncated":4}');
    assert.throws(() => read(codec, bytes, 0, bytes.length - 1), /cut short/);
    const longer = Buffer.concat([bytes, Buffer.of(0)]);
    assert.throws(() => read(codec, longer, 0, longer.length), /1 bytes are left over/);
  });
});

describe('interactions in the online store', () => {
  async function running(t: TestContext) {
    const store = await localStore(t);
    const layout = new Layout('test:');
    const log = await memoryLog(PARTITIONS);
    const interactions = interactionsOnline(SET, layout);
    const erased = erasedOnline(layout);
    const made = rig(t, log, [
      { topic: interactions.topic, store: onlineSinkStore(store, interactions), forgetsUnseen: true },
      { topic: erased.topic, store: onlineSinkStore(store, erased), forgetsUnseen: true },
    ]);
    const id = { sink: 'test', topic: 'pointer', partition: 0 };
    const { epoch } = await store.open(id);
    const batch = { id, epoch, expectedOffset: 0, nextOffset: 1, incarnation: '', at: 0 };
    await store.apply(batch, [
      { op: 'set', key: layout.currentVersion('interactions'), value: '1' },
      { op: 'set', key: layout.versionSequence('interactions'), value: '1.1' },
    ]);
    const database: Queryable = {
      query: () => assert.fail('the online store has it'),
      execute: () => assert.fail('nothing is written'),
    };
    return { store, layout, log, reader: createModelReader({ store, database, keyPrefix: 'test:' }), ...made };
  }

  test('show what a user has bought, and nothing for an unknown or deleted user', async (t) => {
    const { store, layout, log, reader, materialiser, caughtUp } = await running(t);
    await write(log, TOPIC, 'Interactions', [
      [
        'a:b',
        user('a:b', [
          ['boots/1', 6.25, 3, 2],
          ['hat', 2, 1, 0],
          ['"quoted"', 1, 1, 1],
        ]),
      ],
      ['gone', user('gone', [['boots/1', 3, 1, 1]])],
      ['gone', null],
    ]);
    await materialiser.start();
    await caughtUp();
    assert.deepEqual(await reader.purchasedOf('a:b'), new Set(['boots/1', '"quoted"']));
    assert.deepEqual(await reader.purchasedOf('gone'), new Set());
    assert.equal(await reader.interactionsOf('gone'), null);
    const known = await reader.interactionsOf('a:b');
    assert.deepEqual(known?.items[1], { productId: 'hat', weight: 2, count: 1, purchases: 0 });
    assert.deepEqual(await store.keys(layout.features(SET).interactionsUserPrefix), [
      'test:interactions:v1:user:a%3Ab',
    ]);
  });

  test('with a weight that is not a number become a dead letter; the others continue', async (t) => {
    const { log, reader, materialiser, caughtUp } = await running(t);
    await write(log, TOPIC, 'Interactions', [
      ['odd', user('odd', [['hat', Number.NaN, 1, 1]])],
      ['ada', user('ada', [['hat', 1, 1, 1]])],
    ]);
    await materialiser.start();
    await caughtUp();
    assert.deepEqual(await reader.purchasedOf('ada'), new Set(['hat']));
    assert.deepEqual(await reader.purchasedOf('odd'), new Set());
    const [letter, ...others] = await deadLettersIn(log);
    assert.deepEqual([letter?.reason_code, others.length], ['invalid_value', 0]);
  });

  test('include the time of a user’s erasure request', async (t) => {
    const { store, layout, log, materialiser, caughtUp } = await running(t);
    const erasure = { subject: 'user:ü/1', requested_at: 1_700_000_000_000, reason: null, after: [] };
    await write(log, 'erasures', 'Erasure', [['user:ü/1', erasure]]);
    await materialiser.start();
    await caughtUp();
    assert.equal(await store.get(layout.erased('user:ü/1')), '1700000000000');
  });
});
