/** I6: every record of `documents` is counted or one dead letter, and the documents after it count. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RECORD_BYTES_MAX } from '../../../../runtime/log/log.js';
import { Codec } from '../../../../schemas/codec.js';
import { CorpusScene } from '../../../support/corpus.js';
import { blobs, HOSTILE_TEXTS, HOSTILE_TIMES, spoiled } from '../../../support/hostile.js';

const codec = new Codec();
const GOOD = { doc_id: 'd', language: 'en', source: 'news', text: 'a good word', updated_at: 1 };
/** Each value under the key of the good document, those with a hostile id under that. */
function hostile(): [key: Buffer | null, value: Buffer][] {
  const whole = codec.encode('Document', GOOD);
  const key = Buffer.from('d');
  const records: [Buffer | null, Buffer][] = [...blobs(key.length), ...spoiled(whole)].map((value) => [key, value]);
  for (const text of HOSTILE_TEXTS) {
    records.push([Buffer.from(text), codec.encode('Document', { ...GOOD, doc_id: text })]);
    for (const field of ['language', 'source', 'text'])
      records.push([key, codec.encode('Document', { ...GOOD, [field]: text })]);
  }
  for (const updated_at of HOSTILE_TIMES) records.push([key, codec.encode('Document', { ...GOOD, updated_at })]);
  records.push([null, whole], [Buffer.alloc(0), whole], [Buffer.from([0xff]), whole]);
  return records.filter(([at, value]) => (at?.length ?? 0) + value.length <= RECORD_BYTES_MAX);
}

test('I6: no record stops the corpus', async () => {
  const scene = await CorpusScene.open({ partitions: 1 });
  try {
    const records = hostile();
    for (const [n, [key, value]] of records.entries()) {
      await scene.pipe(key, value, { partition: 0 });
      if (n % 20 === 0) await scene.pipe(`after ${n}`, { text: 'afterwards', language: 'en' }, { partition: 0 });
    }
    await scene.settle();
    const counted = (await scene.published()).get('en')!.terms.get('afterwards')!;
    const sum = [...counted.values()].reduce((all, count) => all + count, 0);
    assert.equal(sum, Math.ceil(records.length / 20));
    const ids = (await scene.letters()).map(({ id }) => id);
    assert.equal(new Set(ids).size, ids.length, 'one letter each');
    assert.ok(ids.length > 150, `${ids.length} letters of ${records.length}`);
  } finally {
    await scene.close();
  }
});
