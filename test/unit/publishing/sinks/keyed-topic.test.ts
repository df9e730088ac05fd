import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Layout } from '../../../../publishing/layout.js';
import { affinityOnline } from '../../../../publishing/sinks/affinity.js';
import { isPoison, type KeyedTopic, readKey, readValue } from '../../../../publishing/sinks/keyed-topic.js';
import { popularityOnline } from '../../../../publishing/sinks/popularity.js';
import { catalogueRows, deadLetterRows, userRows } from '../../../../publishing/sinks/tables.js';
import type { RecordColumns } from '../../../../runtime/log/log.js';
import { Codec, type SchemaName } from '../../../../schemas/codec.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { partitionOf } from '../../../../topics/partition.js';
import { columnsOf } from '../../../support/columns.js';
import { affinity, codec, HALF_LIFE_MS, popularity } from '../../../support/publishing.js';

const SET = featureSet(1);
const { topic } = popularityOnline(SET, new Layout(), HALF_LIFE_MS);
const encode = (value: object, schema: SchemaName = 'Popularity') => codec.encode(schema, value);

function read(
  key: string | Buffer | null,
  value: Buffer | null,
  from: KeyedTopic<never> = topic,
  partitions = 1,
  partition = 0,
) {
  const columns = columnsOf(from.name, partition, [{ key, value, timestamp: 1, offset: 7 }]);
  return readRow(from as KeyedTopic<unknown>, codec, columns, partitions);
}

/** The first row, as a sink reads it: the key, and the value only of a key that is right. */
function readRow(from: KeyedTopic<unknown>, by: Codec, columns: RecordColumns, partitions: number) {
  const id = readKey(from, columns, 0, partitions);
  return typeof id === 'string' ? readValue(from, by, columns, 0, id) : id;
}

function reasonOf(...parameters: Parameters<typeof read>): string {
  const change = read(...parameters);
  assert.ok(isPoison(change), 'the record was taken');
  return change.reason;
}

describe('a record becomes a change', () => {
  test('of its key', () => {
    const value = popularity('p1');
    const change = read('p1', encode(value));
    assert.ok(!isPoison(change));
    assert.deepEqual({ ...(change.value as object) }, value);
    assert.equal(change.key, 'p1');
  });

  test('that deletes, when it has no value', () => {
    assert.deepEqual(read('p1', null), { key: 'p1', value: null });
  });
});

describe('a record is poison', () => {
  test('without a key that stores could hold', () => {
    assert.equal(reasonOf(null, encode(popularity('p1'))), 'missing_key');
    assert.equal(reasonOf('', null), 'empty_id');
    assert.equal(reasonOf('x'.repeat(257), null), 'id_too_long');
    assert.equal(reasonOf(Buffer.from([0x70, 0xff]), null), 'invalid_utf8');
    assert.equal(reasonOf('p\0', null), 'invalid_value');
    assert.ok(!isPoison(read('x'.repeat(256), null)));
  });

  test('when its bytes are not in a known Avro schema', () => {
    assert.equal(reasonOf('p1', Buffer.from('{"product_id": "p1"}')), 'unknown_framing');
    assert.equal(reasonOf('p1', Buffer.from([0, 0, 0, 0, 9, 1, 2])), 'unknown_schema');
    assert.equal(reasonOf('p1', encode(popularity('p1')).subarray(0, 15)), 'undecodable');
  });

  test('when key and value name different things', () => {
    assert.equal(reasonOf('p2', encode(popularity('p1'))), 'key_mismatch');
  });

  test('in a partition other than its key’s, and then says nothing about its key', () => {
    const wrong = (partitionOf(4, Buffer.from('p1')) + 1) % 4;
    const change = read('p1', encode(popularity('p1')), topic, 4, wrong);
    assert.ok(isPoison(change));
    assert.equal(change.reason, 'wrong_partition');
    assert.equal(change.key, null);
    assert.equal(reasonOf('p1', null, topic, 4, wrong), 'wrong_partition');
  });

  test('with numbers, times or texts that a store cannot hold', () => {
    for (const over of [
      { score: Number.NaN },
      { score: -1 },
      { score: Number.POSITIVE_INFINITY },
      { views: -1 },
      { as_of: -1 },
      { as_of: 253_402_300_800_000 },
      { category: 'a\0b' },
    ])
      assert.equal(reasonOf('p1', encode(popularity('p1', over))), 'invalid_value', JSON.stringify(over));
    const users = affinityOnline(SET, new Layout()).topic;
    assert.equal(reasonOf('u1', encode(affinity('u1', { a: Number.NaN }), 'Affinity'), users), 'invalid_value');
    assert.equal(reasonOf('u1', encode(affinity('u1', { 'a\0': 1 }), 'Affinity'), users), 'invalid_value');
    const product = { product_id: 'p', title: 't\0', description: '', category: '', price: null, updated_at: 1 };
    assert.equal(reasonOf('p', encode(product, 'Product'), catalogueRows.topic), 'invalid_value');
    const user = { user_id: 'u', tenant_id: '\0', active: true, updated_at: 1 };
    assert.equal(reasonOf('u', encode(user, 'User'), userRows.topic), 'invalid_value');
  });

  test('unless it is a dead letter, which may be anywhere and contain anything', () => {
    const letter = {
      ...{ id: 'x/0/1', kind: 'record', job_id: null, job_name: 'j', source: null, record_key: null, size: 1 },
      ...{ sha256: '', input: Buffer.from('\0'), input_json: '"\0"', reason_code: 'r', error: 'e\0', stack: null },
      ...{ attempts: 1, created_at: 1, state: 'open', redrive_run_id: null },
    };
    const wrong = (partitionOf(4, Buffer.from('x/0/1')) + 1) % 4;
    const change = read('x/0/1', encode(letter, 'DeadLetter'), deadLetterRows.topic, 4, wrong);
    assert.ok(!isPoison(change));
    const texts = deadLetterRows.columns.map((column) => column.value(change.value as never));
    assert.ok(texts.every((text) => typeof text !== 'string' || !text.includes('\0')));
  });
});

test('a writer with a newer schema is read through the registry', async () => {
  const newer = JSON.stringify({
    ...{ type: 'record', name: 'Popularity', namespace: 'freshet' },
    fields: [
      ...['product_id', 'category'].map((name) => ({ name, type: 'string' })),
      { name: 'score', type: 'double' },
      ...['as_of', 'views', 'add_to_carts', 'purchases'].map((name) => ({ name, type: 'long' })),
      { name: 'trend', type: 'double' },
    ],
  });
  const registry = new Codec({ schemaById: async (id) => (id === 9 ? newer : null) });
  const own = encode(popularity('p1', { score: 4 }));
  const trend = Buffer.alloc(8);
  const value = Buffer.concat([Buffer.from([0, 0, 0, 0, 9]), own.subarray(10), trend]);
  const columns = columnsOf(topic.name, 0, [{ key: 'p1', value, timestamp: 1, offset: 0 }]);
  await registry.prepare(columns.bytes, columns.count, columns.valueStart, columns.valueEnd);
  const change = readRow(topic as KeyedTopic<unknown>, registry, columns, 1);
  assert.ok(!isPoison(change));
  assert.equal((change.value as { score: number }).score, 4);
});
