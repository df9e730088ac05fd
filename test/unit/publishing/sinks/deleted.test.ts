/** Deleted products, from the catalogue's topic to the readers of models. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { Layout } from '../../../../publishing/layout.js';
import { createModelReader } from '../../../../publishing/reading/models.js';
import { deletedOnline } from '../../../../publishing/sinks/deleted.js';
import { onlineSinkStore } from '../../../../publishing/sinks/sink-store.js';
import type { Queryable } from '../../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../../runtime/stores/online-store.js';
import type { Product } from '../../../../schemas/records.js';
import { localStore, memoryLog, rig, write } from '../../../support/publishing.js';

const TOPIC = 'products';
const PARTITIONS = 2;

const product = (product_id: string): Product => ({
  ...{ product_id, title: 'a', description: 'b', category: 'c', price: 1 },
  updated_at: 5,
});

const database: Queryable = {
  query: () => assert.fail('the online store has it'),
  execute: () => assert.fail('nothing is written'),
};

async function running(t: TestContext, store: OnlineStore) {
  const log = await memoryLog(PARTITIONS);
  const sink = deletedOnline(new Layout('test:'));
  const made = rig(t, log, [{ topic: sink.topic, store: onlineSinkStore(store, sink), forgetsUnseen: true }]);
  return { log, reader: createModelReader({ store, database, keyPrefix: 'test:' }), ...made };
}

describe('I35: deleted products', () => {
  test('are known until they are added again; others never are', async (t) => {
    const { log, reader, materialiser, caughtUp } = await running(t, await localStore(t));
    await write(log, TOPIC, 'Product', [
      ['a:b', product('a:b')],
      ['gone', product('gone')],
      ['back', product('back')],
      ['gone', null],
      ['back', null],
      ['never/was', null],
      ['back', product('back')],
    ]);
    await materialiser.start();
    await caughtUp();
    const asked = ['a:b', 'gone', 'back', 'never/was', 'unheard of'];
    assert.deepEqual(await reader.deletedOf(asked), new Set(['gone', 'never/was']));
    assert.deepEqual(await reader.deletedOf([]), new Set());
    await write(log, TOPIC, 'Product', [
      ['gone', product('gone')],
      ['a:b', null],
    ]);
    await caughtUp();
    assert.deepEqual(await reader.deletedOf(asked), new Set(['a:b', 'never/was']));
  });

  test('stay known through a rebuild from a topic that no longer has them, and existing ones are released', async (t) => {
    const store = await localStore(t);
    const id = { sink: 'before', topic: TOPIC, partition: 0 };
    const { epoch } = await store.open(id);
    const key = new Layout('test:').deletedProducts();
    await store.apply(
      { id, epoch, expectedOffset: 0, nextOffset: 1, incarnation: '', at: 0 },
      ['long gone', 'added in the meantime'].map((field) => ({ op: 'hset', key, field, value: '1' })),
    );
    const { log, reader, materialiser, caughtUp } = await running(t, store);
    await write(log, TOPIC, 'Product', [
      ['added in the meantime', product('added in the meantime')],
      ['x', product('x')],
    ]);
    await materialiser.start();
    await caughtUp();
    assert.deepEqual(await reader.deletedOf(['long gone', 'added in the meantime', 'x']), new Set(['long gone']));
  });
});
