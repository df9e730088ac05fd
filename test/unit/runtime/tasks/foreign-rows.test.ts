/** I9: rows that another version of a fold wrote are refused before a part reads them, whatever the kind of part. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasCode } from '../../../../runtime/process/errors.js';
import { defineKeyedFold } from '../../../../runtime/tasks/keyed-fold.js';
import { TestDriver } from '../../../../runtime/testing/test-driver.js';
import { Codec, type SchemaName } from '../../../../schemas/codec.js';
import { avroSchema } from '../../../../schemas/value-codec.js';
import { ownTopic } from '../../../../topics/typed.js';
import { CorpusScene } from '../../../support/corpus.js';
import { Driver } from '../../../support/driver.js';
import { append } from '../../../support/scripted-log.js';

const NOW = Date.UTC(2026, 10, 3, 12);

/** A row whose schema has the fingerprint of this one, but for a byte. */
function foreign(prefix: Buffer): Buffer {
  const other = Buffer.from(prefix);
  other[5] = other[5]! ^ 0xff;
  return Buffer.concat([other, Buffer.alloc(40)]);
}

const foreignRow = (schema: SchemaName) => foreign(new Codec().prefix(schema));

async function isRefused(restart: () => Promise<void>): Promise<void> {
  await assert.rejects(
    restart(),
    (error) =>
      hasCode(error, 'state') && /rows have another schema .* start the next version by replay/.test(String(error)),
  );
}

for (const [name, changelog, schema] of [
  ['activity', 'activityChangelog', 'ActivityRow'],
  ['popularity', 'popularityChangelog', 'PopularityRow'],
] as const)
  test(`I9: of ${name}`, async () => {
    const driver = await Driver.open({ now: NOW });
    try {
      await driver.pipe(driver.topics[changelog].name, '20000/x', foreignRow(schema), { partition: 0 });
      await isRefused(() => driver.crash());
    } finally {
      await driver.close();
    }
  });

for (const [name, changelog, schema] of [
  ['documents', 'documentsChangelog', 'DocumentTerms'],
  ['terms', 'termsChangelog', 'TermRow'],
] as const)
  test(`I9: of ${name} of the corpus`, async () => {
    const scene = await CorpusScene.open();
    await append(scene.log, scene.topics[changelog].name, Buffer.from('d/x'), foreignRow(schema), 0);
    await isRefused(() => scene.crash());
    await scene.close();
  });

const Sum = avroSchema<{ sum: number }>({
  type: 'record',
  name: 'Sum',
  namespace: 'shop',
  fields: [{ name: 'sum', type: 'long' }],
});
const sums = ownTopic({ name: 'sums', doc: 'Sums.', key: 'user', schema: Sum, cleanup: 'compact', owner: 'sum' });
const fold = defineKeyedFold({
  name: 'sum',
  input: sums,
  output: { ...sums, name: 'totals' },
  state: Sum,
  init: () => ({ sum: 0 }),
  fold: ({ sum }, { value }) => ({ sum: sum + value.sum }),
  emit: (_, state) => state,
});

test('I9: of a keyed fold; a deleted row has no schema and is none of them', async () => {
  const driver = await TestDriver.open({ features: [fold] });
  try {
    const [, changelog] = fold.topics('test', 2);
    await driver.pipe(changelog!, 'k/gone', null, { partition: 0 });
    await driver.crash();
    const { rowPrefix } = fold.processor({ application: 'test', codecs: undefined as never });
    await driver.pipe(changelog!, 'k/a', foreign(rowPrefix!), { partition: 0 });
    await isRefused(() => driver.crash());
  } finally {
    await driver.close();
  }
});
