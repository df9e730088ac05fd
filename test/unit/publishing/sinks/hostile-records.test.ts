/**
 * I6: every record at every sink. Values at the edges of their schema, sizes at and over each limit, broken framing: a
 * record becomes a change or a poison, whose dead letter fits into a record; nothing else is thrown.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Layout } from '../../../../publishing/layout.js';
import { affinityOnline, affinityRows } from '../../../../publishing/sinks/affinity.js';
import { deletedOnline } from '../../../../publishing/sinks/deleted.js';
import { erasedOnline, erasedRows } from '../../../../publishing/sinks/erased.js';
import { interactionsOnline } from '../../../../publishing/sinks/interactions.js';
import { isPoison, type KeyedTopic, readKey, readValue } from '../../../../publishing/sinks/keyed-topic.js';
import { popularityOnline, popularityRows } from '../../../../publishing/sinks/popularity.js';
import { catalogueRows, deadLetterRows, userRows } from '../../../../publishing/sinks/tables.js';
import { deadLetterOf } from '../../../../runtime/log/dead-letter.js';
import { RECORD_BYTES_MAX } from '../../../../runtime/log/log.js';
import { Codec } from '../../../../schemas/codec.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { columnsOf } from '../../../support/columns.js';
import { blobs, HOSTILE_FILLS, HOSTILE_LENGTHS, spoiled } from '../../../support/hostile.js';

const codec = new Codec();
const layout = new Layout();
const set = featureSet(1);
const TOPICS = [
  popularityOnline(set, layout, 1),
  affinityOnline(set, layout),
  interactionsOnline(set, layout),
  popularityRows(set),
  affinityRows(set),
  erasedOnline(layout),
  deletedOnline(layout),
  erasedRows,
  catalogueRows,
  userRows,
  deadLetterRows,
].map((sink) => sink.topic as KeyedTopic<never>);

const control = String.fromCharCode(1);
const PRODUCT = { product_id: 'k', title: 't', description: 'd', category: 'c', price: 1.5, updated_at: 1 };
const values = [
  ...blobs(0),
  ...spoiled(codec.encode('Product', PRODUCT)),
  ...spoiled(codec.encode('User', { user_id: 'k', tenant_id: 't', active: true, updated_at: 1 })),
  ...spoiled(
    codec.encode('Popularity', {
      product_id: 'k',
      category: 'c',
      score: 1,
      views: 1,
      add_to_carts: 1,
      purchases: 1,
      as_of: 1,
    }),
  ),
  ...[control.repeat(90_000), '"'.repeat(200_000), '漢'.repeat(100_000), '\ud800'.repeat(1_000)].flatMap((text) => [
    codec.encode('Product', { ...PRODUCT, product_id: text }),
    codec.encode('Product', { ...PRODUCT, category: text }),
    codec.encode('User', { user_id: text, tenant_id: text, active: false, updated_at: -1 }),
  ]),
  ...[-1, 8.64e15, Number.MIN_SAFE_INTEGER + 1, 2 ** 52].map((updated_at) =>
    codec.encode('Product', { ...PRODUCT, updated_at }),
  ),
  ...[Number.NaN, Number.POSITIVE_INFINITY, -0, 1e308].map((price) => codec.encode('Product', { ...PRODUCT, price })),
];
const keys = [
  null,
  Buffer.from('k'),
  ...HOSTILE_LENGTHS.slice(0, 7).flatMap((length) => HOSTILE_FILLS.map((fill) => Buffer.alloc(length, fill))),
];

test('I6: every record is a change or one dead letter that fits, at every sink', () => {
  let changes = 0;
  let letters = 0;
  const take = (topic: KeyedTopic<never>, key: Buffer | null, value: Buffer | null) => {
    const columns = columnsOf(topic.name, 0, [{ key, value, timestamp: 1, offset: 7 }]);
    const read = readKey(topic, columns, 0, 1);
    const result = typeof read === 'string' ? readValue(topic, codec, columns, 0, read) : read;
    if (!isPoison(result)) {
      changes++;
      return;
    }
    const reason = { job: 'sink', code: result.reason, message: result.error, createdAt: 1 };
    const letter = codec.encode('DeadLetter', deadLetterOf(columns, 0, reason));
    assert.ok(letter.length < RECORD_BYTES_MAX / 2, `${topic.name}: a letter of ${letter.length} bytes`);
    letters++;
  };
  for (const topic of TOPICS) {
    for (const value of values) take(topic, Buffer.from('k'), value);
    for (const key of keys) for (const value of [null, Buffer.alloc(0), values[3]!]) take(topic, key, value);
  }
  assert.ok(changes > 200 && letters > 5_000, `${changes} changes, ${letters} letters`);
});
