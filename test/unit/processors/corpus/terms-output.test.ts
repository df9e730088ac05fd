/** What `terms` publishes of a shard, and when. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ShardOutput } from '../../../../processors/corpus/shard-output.js';
import { fnv1a } from '../../../../processors/corpus/shards.js';
import { TermTable } from '../../../../processors/corpus/term-table.js';
import { TERMS_BYTES_MAX, TermsRecord } from '../../../../processors/corpus/terms-record.js';
import { RECORD_BYTES_MAX } from '../../../../runtime/log/log.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Terms } from '../../../../schemas/records.js';
import { CorpusScene } from '../../../support/corpus.js';

const codec = new Codec();

function encode(table: TermTable, key: string): Terms | null {
  const bytes = Buffer.from(key);
  const record = new TermsRecord(table).encode(codec.prefix('Terms'), table.obtainGroup(bytes, 0, bytes.length), 7);
  if (record !== null) assert.ok(record.length < RECORD_BYTES_MAX);
  return record === null ? null : (codec.decode('Terms', record) as Terms);
}

function add(table: TermTable, key: string, term: string, source: string, documents: number): void {
  const group = table.obtainGroup(Buffer.from(key), 0, key.length);
  const bytes = Buffer.from(term);
  table.add(table.obtain(group, bytes, 0, bytes.length), table.sources.intern(Buffer.from(source)), documents, 0);
}

describe('a shard', () => {
  test('shows its terms, most frequent first, then by their bytes', () => {
    const table = new TermTable();
    add(table, 'de/9', 'selten', 'news', 1);
    add(table, 'de/9', 'und', 'news', 5);
    add(table, 'de/9', 'und', '', 2);
    add(table, 'de/9', 'aber', 'news', 4);
    add(table, 'de/9', 'ab', 'news', 4);
    add(table, 'de/9', 'weg', 'shop', 1);
    add(table, 'de/9', 'weg', 'shop', -1);
    const { terms, ...rest } = encode(table, 'de/9')!;
    assert.deepEqual(
      { ...rest },
      {
        language: 'de',
        shard: 9,
        as_of: 7,
        sources: ['', 'news'],
        totals: [],
        omitted: 0,
        omitted_documents_max: 0,
      },
    );
    assert.deepEqual(
      terms.map(({ term, documents }) => [term, documents]),
      [
        ['und', [2, 5]],
        ['ab', [0, 4]],
        ['aber', [0, 4]],
        ['selten', [0, 1]],
      ],
    );
  });

  test('that is empty becomes null; documents without words keep shard 0', () => {
    const table = new TermTable();
    add(table, 'de/9', 'und', '', 1);
    add(table, 'de/9', 'und', '', -1);
    assert.equal(encode(table, 'de/9'), null);
    add(table, 'de/0', '', 'shop', 3);
    assert.deepEqual(encode(table, 'de/0')!.totals, [3]);
    assert.deepEqual(encode(table, 'de/0')!.sources, ['shop']);
  });

  test('leaves rare terms out above 400 KiB, and records how many and how frequent', () => {
    const table = new TermTable();
    const count = 20_000;
    for (let i = 0; i < count; i++)
      add(table, 'de/9', `${'wort'.repeat(9)}${String(i).padStart(6, '0')}`, 'x', count - i);
    const { terms, omitted, omitted_documents_max: most } = encode(table, 'de/9')!;
    assert.ok(terms.length * 45 < TERMS_BYTES_MAX + 100 && terms.length > 8_000, `${terms.length} terms`);
    assert.equal(terms.length + omitted, count);
    assert.equal(terms.at(-1)!.documents[0], count - terms.length + 1);
    assert.equal(most, count - terms.length);
  });

  test('shows the 63 largest of more than 64 sources, and the sum of the others', () => {
    const table = new TermTable();
    for (let i = 0; i < 64; i++) add(table, 'de/0', '', `s${String(i).padStart(3, '0')}`, 1_000 - i);
    for (let i = 0; i < 64; i++) add(table, 'de/0', 'und', `s${String(i).padStart(3, '0')}`, 1_000 - i);
    assert.equal(encode(table, 'de/0')!.sources.length, 64);
    assert.ok(!encode(table, 'de/0')!.sources.includes('other'));
    for (const [source, documents] of [
      ['large', 5_000],
      ['other', 9_000],
    ] as const)
      for (const term of ['', 'und']) add(table, 'de/0', term, source, documents);
    const { sources, totals, terms } = encode(table, 'de/0')!;
    const rest = 9_000 + 1_000 - 62 + 1_000 - 63;
    assert.deepEqual(sources, [...sources.slice(0, 63).sort(), 'other']);
    assert.ok(sources.includes('large') && sources.includes('s061') && !sources.includes('s062'));
    assert.equal(totals[63], rest);
    assert.deepEqual(terms[0]!.documents, totals);
    assert.equal(
      totals.reduce((sum, documents) => sum + documents),
      5_000 + 9_000 + (64 * (1_000 + 1_000 - 63)) / 2,
    );
  });

  test('never falls below zero: that stops the task', () => {
    const table = new TermTable();
    add(table, 'de/9', 'und', 'x', 1);
    assert.throws(() => add(table, 'de/9', 'und', 'x', -2), { code: 'internal', message: /de\/und .* -1 documents/ });
  });
});

describe('a shard is written', () => {
  const written = (output: ShardOutput, asOf: number, bytes = 1): number[] => {
    const shards: number[] = [];
    if (!output.isDue(asOf)) return shards;
    output.emit(asOf, (shard) => {
      shards.push(shard);
      return bytes;
    });
    output.committed();
    return shards;
  };

  test('when it has been quiet for five seconds', () => {
    const output = new ShardOutput(60_000);
    output.changed(3, 10);
    assert.deepEqual(written(output, 1_000), []);
    assert.equal(output.oldestDue(50), 10);
    assert.deepEqual(written(output, 5_999), []);
    output.changed(3, 20);
    assert.deepEqual(written(output, 6_000), []);
    assert.deepEqual(written(output, 10_999), []);
    assert.deepEqual(written(output, 11_000), [3]);
    assert.equal(output.oldestDue(50), 50);
    assert.deepEqual(written(output, 99_000), []);
  });

  test('when its first change is an interval old', () => {
    const output = new ShardOutput(60_000);
    for (let ms = 0; ms < 60_000; ms += 1_000) {
      output.changed(1, ms);
      assert.deepEqual(written(output, ms), []);
    }
    output.changed(1, 60_000);
    assert.deepEqual(written(output, 60_000), [1]);
  });

  test('together with others, up to two megabytes; the rest keeps its offset', () => {
    const output = new ShardOutput(60_000);
    for (let shard = 0; shard < 20; shard++) output.changed(shard, 100 + shard);
    assert.deepEqual(written(output, 0), []);
    const first = written(output, 5_000, 400 * 1024);
    assert.deepEqual(first, [0, 1, 2, 3, 4, 5]);
    assert.equal(output.oldestDue(500), 106);
    assert.equal(written(output, 5_000, 400 * 1024).length, 6);
    assert.equal(written(output, 5_100, 400 * 1024).length, 6);
    assert.deepEqual(written(output, 5_200, 400 * 1024), [18, 19]);
  });

  test('again with the same others, until its commit is known to be in the log', () => {
    const output = new ShardOutput(60_000);
    for (let shard = 0; shard < 9; shard++) output.changed(shard, shard);
    output.isDue(0);
    const tries = [5_000, 5_050, 90_000].map((asOf) => {
      const shards: number[] = [];
      output.emit(asOf, (shard) => {
        shards.push(shard);
        return 512 * 1024;
      });
      assert.equal(output.oldestDue(99), 4);
      return shards;
    });
    assert.deepEqual(tries, [
      [0, 1, 2, 3],
      [0, 1, 2, 3],
      [0, 1, 2, 3],
    ]);
  });

  test('at once when the clock was set back', () => {
    const output = new ShardOutput(60_000);
    output.changed(1, 0);
    assert.deepEqual(written(output, 1_000_000), []);
    assert.deepEqual(written(output, 5_000), [1]);
  });
});

test('shards of the hop and of terms are FNV-1a modulo 256; a shard that loses its last term gets a null', async () => {
  const scene = await CorpusScene.open({ partitions: 2 });
  try {
    await scene.pipe('a', { language: 'en', text: 'stay leave' });
    await scene.pipe('b', { language: 'en', text: 'stay' });
    await scene.settle();
    const shardOf = (term: string) => `en/${fnv1a(Buffer.from(term), 0, term.length) & 255}`;
    assert.deepEqual([...(await scene.shards()).keys()].sort(), ['en/0', shardOf('leave'), shardOf('stay')].sort());
    await scene.pipe('a', null);
    await scene.settle();
    assert.deepEqual([...(await scene.shards()).keys()].sort(), ['en/0', shardOf('stay')].sort());
    const last = (await scene.records(scene.topics.terms.name)).filter(({ key }) => key === shardOf('leave')).at(-1);
    assert.equal(last!.value, null);
  } finally {
    await scene.close();
  }
});
