/** Words of products: what a query finds, in which order, and what it does not find. */
import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createCatalogue } from '../../../../cli/demo/catalogue.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { openFaissVersion } from '../../../../snapshotters/faiss/faiss-version.js';
import { TextsCapture } from '../../../../snapshotters/faiss/texts-capture.js';
import { edits, editsAllowed } from '../../../../snapshotters/faiss/words/spelling.js';
import { buildWordIndex, type ProductText, WordIndex } from '../../../../snapshotters/faiss/words/word-index.js';
import { columnsOf } from '../../../support/columns.js';
import { codec, products, Workshop } from './build.js';

const text = (title: string, description = '', category = 'home', language = 'en'): ProductText => ({
  title,
  description,
  category,
  language,
});
const indexOf = (...texts: (ProductText | null)[]) => new WordIndex(buildWordIndex(texts), texts.length);
const found = (index: WordIndex, query: string) => index.search(query, 10).hits.map(({ position }) => position);

describe('a query finds', () => {
  test('products by their stems, those with the word in the title first', () => {
    const index = indexOf(text('Garden bench'), text('Lamp', 'It stands on a bench.'), text('Kettle'), null);
    assert.deepEqual(found(index, 'benches'), [0, 1]);
    assert.deepEqual(found(index, 'BENCH'), [0, 1]);
    assert.deepEqual(found(index, 'nothing'), []);
  });

  test('in every language of the products', () => {
    const index = indexOf(text('Gartenbänke', '', 'garten', 'de'), text('Garden bench'));
    assert.deepEqual(found(index, 'Gartenbänken'), [0]);
    assert.deepEqual(found(index, 'benches'), [1]);
  });

  test('an exact title before everything else', () => {
    const index = indexOf(
      text('Lamp lamp lamp', 'A lamp, a lamp.'),
      text('Desk lamp'),
      text('Lamp'),
      text('Lamp shade'),
    );
    const { hits } = index.search('lamp', 10);
    assert.deepEqual(
      hits.filter(({ isTitle }) => isTitle).map(({ position }) => position),
      [0, 2],
      'the same words are the same title',
    );
    assert.deepEqual(found(index, 'desk lamp')[0], 1);
  });

  test('an exact title also by words that were dropped from the query', () => {
    const index = indexOf(text('Lamp'), text('Lamp lamp', 'lamp'), text('The Lamp of Oak'), text('Oak lamp'));
    assert.equal(index.search('lamp oak', 1).hits[0]!.isTitle, false);
    assert.deepEqual(index.search('lamp oak', 1, 'the lamp of oak').hits[0], {
      ...{ position: 2, isTitle: true },
      score: index.search('lamp oak', 4).hits.find(({ position }) => position === 2)!.score,
    });
  });

  test('scores of at most 1, whatever a word stands for', () => {
    const index = indexOf(
      text('bench', '', 'c', 'en'),
      text('bench', '', 'c', 'fr'),
      ...Array.from({ length: 50 }, () => text('bench', '', 'c', 'fr')),
      text('banca bancb bancc', 'banca bancb bancc', 'banca bancb bancc'),
    );
    for (const query of ['bench', 'bancd', 'bench bancd'])
      for (const { score } of index.search(query, 60).hits) assert.ok(score > 0 && score <= 1, `${query}: ${score}`);
  });

  test('what was meant by a typing error, and less of it', () => {
    const index = indexOf(text('Garden bench'), text('Oak table'));
    for (const query of ['bnech', 'bemch', 'bencch', 'gardne', 'benh'])
      assert.deepEqual(found(index, query), [0], query);
    const [right] = index.search('bench', 1).hits;
    const [wrong] = index.search('bnech', 1).hits;
    assert.ok(wrong!.score < right!.score);
    assert.deepEqual(found(index, 'oka'), [], 'not of a short word');
  });

  test('numbers as they are, and no others', () => {
    const index = indexOf(text('Phone 15 Pro'), text('Phone 16 Pro'), text('Lamp X200 40W'), text('Lamp X300'));
    assert.deepEqual(found(index, 'phone 15')[0], 0);
    assert.deepEqual(found(index, 'x200'), [2]);
    assert.deepEqual(found(index, '40w'), [2]);
    assert.deepEqual(index.search('x250', 5), { hits: [], unknown: ['x250'] });
  });

  test('nothing for a word that nobody has, and says so', () => {
    const index = indexOf(text('Garden bench'));
    assert.deepEqual(index.search('xylophone', 5), { hits: [], unknown: ['xylophone'] });
    const { hits, unknown } = index.search('garden xylophone', 5);
    assert.deepEqual([hits.length, unknown], [1, ['xylophone']]);
    assert.deepEqual(index.search('!?', 5), { hits: [], unknown: [] });
    assert.deepEqual(indexOf().search('bench', 5), { hits: [], unknown: ['bench'] });
  });
});

test('scores are BM25, as a slow recount has them', () => {
  const texts = [
    text('red lamp', 'a lamp for reading'),
    text('blue lamp', 'blue'),
    text('red chair', 'red and red'),
    text('table', 'a table under a lamp and a chair'),
  ];
  const index = indexOf(...texts);
  const words = (value: string) => new Set(value.split(/\W+/).filter((word) => word !== ''));
  const stem: Record<string, string> = { reading: 'read' };
  const weights = texts.map(({ title, category, description }) => {
    const all = new Map<string, number>();
    for (const [value, weight] of [
      [title, 3],
      [category, 2],
      [description, 1],
    ] as const)
      for (const word of words(value)) all.set(stem[word] ?? word, (all.get(stem[word] ?? word) ?? 0) + weight);
    return all;
  });
  const lengths = weights.map((all) => [...all.values()].reduce((sum, weight) => sum + weight, 0));
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  const expected = (query: string[]) =>
    weights.map((all, i) => {
      let score = 0;
      let whole = 0;
      for (const word of query) {
        const n = weights.filter((other) => other.has(word)).length;
        const idf = Math.log(1 + (texts.length - n + 0.5) / (n + 0.5));
        const w = all.get(word) ?? 0;
        score += (idf * w * 2.2) / (w + 1.2 * (0.25 + (0.75 * lengths[i]!) / mean));
        whole += idf * 2.2;
      }
      return score / whole;
    });
  for (const query of ['red', 'lamp', 'red lamp', 'chair table lamp']) {
    const wanted = expected(query.split(' '));
    for (const { position, score } of index.search(query, 10).hits)
      assert.ok(
        Math.abs(score - wanted[position]!) < 1e-6,
        `${query}: ${position} has ${score}, not ${wanted[position]}`,
      );
  }
});

test('a common word: the best of thousands, titles first', () => {
  const texts = Array.from({ length: 5_000 }, (_, i) =>
    text(
      i % 1_000 === 999 ? 'lamp' : `lamp ${'x'.repeat(1 + (i % 7))}y`,
      i % 13 === 0 ? 'a lamp' : 'and something else',
    ),
  );
  const index = indexOf(...texts);
  const all = index.search('lamp', 5_000).hits;
  assert.equal(all.length, 5_000);
  for (const limit of [1, 5, 60]) assert.deepEqual(index.search('lamp', limit).hits, all.slice(0, limit));
  assert.deepEqual(
    all.slice(0, 5).map(({ position }) => position % 1_000),
    [999, 999, 999, 999, 999],
  );
});

test('edits between words', () => {
  for (const [a, b, distance] of [
    ['bench', 'bench', 0],
    ['bnech', 'bench', 1],
    ['bench', 'benches', 2],
    ['kitten', 'sitting', 3],
  ] as const)
    assert.equal(edits(a, b, 3), distance);
  assert.equal(edits('kitten', 'sitting', 1), 2, 'more than asked for');
  assert.deepEqual([3, 4, 7, 8].map(editsAllowed), [0, 1, 1, 2]);
});

test('texts of products: the newest, without those deleted or unreadable, through a savepoint', () => {
  const product = (id: string, title: string) =>
    codec.encode('Product', { product_id: id, title, description: 'd', category: 'c', price: null, updated_at: 1 });
  const columns = columnsOf('products', 0, [
    { key: 'a', value: product('a', 'old'), timestamp: 1, offset: 0 },
    { key: 'b', value: product('b', 'gone'), timestamp: 1, offset: 1 },
    { key: 'a', value: product('a', 'new'), timestamp: 1, offset: 2 },
    { key: 'b', value: null, timestamp: 1, offset: 3 },
    { key: 'a', value: Buffer.from('broken'), timestamp: 1, offset: 4 },
    { key: 'c', value: product('d', 'under another key'), timestamp: 1, offset: 5 },
  ]);
  const capture = new TextsCapture(codec, { memoryBytes: 1e6 });
  for (let row = 0; row < columns.count; row++) capture.add(columns, row);
  const again = new TextsCapture(codec, { memoryBytes: 1e6 });
  again.restore(capture.save());
  for (const one of [capture, again])
    assert.deepEqual(
      ['a', 'b', 'c', 'd'].map((id) => one.get(id)?.title),
      ['new', undefined, undefined, undefined],
    );
  assert.throws(() => new TextsCapture(codec, { memoryBytes: 100 }).restore(capture.save()), /SNAPSHOT_MEMORY_MB/);
});

describe('a version of the demo shop', () => {
  const catalogue = createCatalogue(1, Date.UTC(2026, 0, 1));
  let workshop: Workshop;
  let folder: string;
  before(async () => {
    workshop = await Workshop.open();
    const vectors = products(catalogue.length);
    const records = catalogue.map(({ product_id: id }, i) => ({ ...vectors[i]!, id }));
    const texts = columnsOf(
      'products',
      0,
      catalogue.map((product, offset) => ({
        key: product.product_id,
        value: codec.encode('Product', product),
        timestamp: 1,
        offset,
      })),
    );
    ({ folder } = await workshop.build(records, { texts }));
  });
  after(() => workshop.remove());

  test('finds all garden benches first, and exact titles in at least 99 % of 500 queries', async () => {
    const version = await openFaissVersion(folder, { logger: silentLogger, engine: 'exact' });
    try {
      const benches = catalogue
        .filter(({ title, category }) => category === 'garden' && /\bbench$/i.test(title))
        .map(({ product_id }) => product_id);
      assert.ok(benches.length >= 4, String(benches));
      const { items } = version.find('garden bench', 5)!;
      for (const id of benches.slice(0, 4))
        assert.ok(
          items.some(({ product_id }) => product_id === id),
          id,
        );
      let first = 0;
      const asked = catalogue.slice(0, 500);
      for (const { title } of asked) {
        const [best] = version.find(title, 1)!.items;
        if (catalogue.find(({ product_id }) => product_id === best?.product_id)?.title === title) first++;
      }
      assert.ok(first >= 0.99 * asked.length, `${first} of ${asked.length}`);
    } finally {
      await version.close();
    }
  });

  test('a version made before words has none', async () => {
    const manifest = join(folder, 'manifest.json');
    const kept = await readFile(manifest, 'utf8');
    const { files, ...rest } = JSON.parse(kept) as { files: { name: string }[] };
    await writeFile(manifest, JSON.stringify({ ...rest, files: files.filter(({ name }) => name !== 'words.bin') }));
    await rm(join(folder, 'words.bin'));
    const version = await openFaissVersion(folder, { logger: silentLogger, engine: 'exact' });
    assert.equal(version.find('garden bench', 5), null);
    await version.close();
  });
});
