/** I6: every record of `products` is embedded, removed or one dead letter, and the products after it are embedded. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_BYTES_MAX } from '../../../../runtime/log/log.js';
import { Codec } from '../../../../schemas/codec.js';
import { products } from '../../../../topics/events.js';
import { blobs, HOSTILE_TEXTS, HOSTILE_TIMES, spoiled } from '../../../support/hostile.js';
import { append } from '../../../support/scripted-log.js';
import { CountingEmbedder, Stage } from './stage.js';

const codec = new Codec();
const GOOD = { product_id: 'k', title: 't', description: 'd', category: 'c', price: 1.5, updated_at: 1 };

function hostile(): [key: Buffer | null, value: Buffer][] {
  const whole = codec.encode('Product', GOOD);
  const key = Buffer.from('k');
  const records: [Buffer | null, Buffer][] = [...blobs(key.length), ...spoiled(whole)].map((value) => [key, value]);
  for (const text of HOSTILE_TEXTS) {
    records.push([Buffer.from(text), codec.encode('Product', { ...GOOD, product_id: text })]);
    for (const field of ['title', 'description', 'category'])
      records.push([key, codec.encode('Product', { ...GOOD, [field]: text })]);
  }
  for (const updated_at of HOSTILE_TIMES) records.push([key, codec.encode('Product', { ...GOOD, updated_at })]);
  for (const price of [Number.NaN, Number.POSITIVE_INFINITY, -1])
    records.push([key, codec.encode('Product', { ...GOOD, price })]);
  records.push([null, whole], [Buffer.alloc(0), whole], [Buffer.from([0xff]), whole]);
  return records.filter(([at, value]) => (at?.length ?? 0) + value.length <= RECORD_BYTES_MAX);
}

test('I6: no record stops the embeddings', async () => {
  const stage = await Stage.of({ productPartitions: 1, embeddingPartitions: 1 });
  const records = hostile();
  const after: string[] = [];
  for (const [n, [key, value]] of records.entries()) {
    await append(stage.log, products.name, key, value, 0);
    if (n % 20 !== 0) continue;
    await stage.put(`after ${n}`, { title: `title ${n}` }, 0);
    after.push(`after ${n}`);
  }
  await stage.pass(new CountingEmbedder('m'));
  const table = await stage.table();
  for (const id of after) assert.ok(table.has(id), id);
  const ids = (await stage.deadLetters()).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, 'one letter each');
  assert.ok(ids.length > 150, `${ids.length} letters of ${records.length}`);
});
