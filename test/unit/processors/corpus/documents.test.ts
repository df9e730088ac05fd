/** The outcome of each record of `documents`: counted, truncated, or a dead letter with the reason. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DOCUMENT_BYTES_MAX } from '../../../../processors/corpus/document-terms.js';
import { TASK_SOURCES_MAX } from '../../../../processors/corpus/kinds.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Document } from '../../../../schemas/records.js';
import { partitionOf } from '../../../../topics/partition.js';
import { CorpusScene, recount } from '../../../support/corpus.js';
import { referenceWords } from './reference-words.js';

const codec = new Codec();
const GOOD: Document = { doc_id: 'a', language: 'en', source: 'news', text: 'good words', updated_at: 1 };

function encoded(changes: Partial<Document> = {}): Buffer {
  return codec.encode('Document', { ...GOOD, ...changes });
}

/** The encoded document with one string replaced by another of the same length. */
function patched(document: Buffer, from: string, to: Buffer): Buffer {
  const at = document.indexOf(from);
  assert.ok(at > 0 && from.length === to.length);
  const copy = Buffer.from(document);
  to.copy(copy, at);
  return copy;
}

async function withScene(body: (scene: CorpusScene) => Promise<void>): Promise<void> {
  // So long that a restart reads all records again.
  const scene = await CorpusScene.open({ partitions: 2, changelogIntervalMs: 3_600_000 });
  try {
    await body(scene);
  } finally {
    await scene.close();
  }
}

describe('I6: an invalid record of documents', () => {
  const cases: Record<string, [key: string | Buffer | null, value: Buffer | null, code: string]> = {
    'has no key': [null, encoded(), 'missing_key'],
    'has an empty key': ['', encoded({ doc_id: '' }), 'empty_id'],
    'has a key that is not UTF-8': [Buffer.from([0x61, 0xff]), encoded(), 'invalid_utf8'],
    'has a key that is too long': ['x'.repeat(257), encoded({ doc_id: 'x'.repeat(257) }), 'id_too_long'],
    'has a key that differs from its doc_id': ['b', encoded(), 'key_mismatch'],
    'is not Avro': ['a', Buffer.from('{"text": "hello"}'), 'unknown_framing'],
    'is truncated': ['a', encoded().subarray(0, -4), 'undecodable'],
    'continues past its end': ['a', Buffer.concat([encoded(), Buffer.from([0])]), 'undecodable'],
    'has a text that is not UTF-8': [
      'a',
      patched(encoded(), 'good', Buffer.from([0x67, 0xc3, 0x28, 0x64])),
      'invalid_utf8',
    ],
    'has a source that is not UTF-8': [
      'a',
      patched(encoded(), 'news', Buffer.from([0x6e, 0xff, 0x77, 0x73])),
      'invalid_utf8',
    ],
    'has a source that is too long': ['a', encoded({ source: 's'.repeat(257) }), 'id_too_long'],
    'has a language that is not a tag': ['a', encoded({ language: 'Deutsch' }), 'invalid_language'],
    'has an underscore in its language': ['a', encoded({ language: 'de_AT' }), 'invalid_language'],
    'has an empty language': ['a', encoded({ language: '' }), 'invalid_language'],
  };
  for (const [what, [key, value, code]] of Object.entries(cases)) {
    test(`${what}: a dead letter, and nothing is counted`, () =>
      withScene(async (scene) => {
        // The partition of the key, and that of the document that must not stay.
        const partition = key === null ? 0 : partitionOf(2, Buffer.from(key));
        await scene.pipe(key, value, { partition });
        await scene.settle();
        const letters = await scene.letters();
        assert.deepEqual(
          letters.map(({ reason_code, job_name }) => [reason_code, job_name]),
          [[code, 'corpus']],
        );
        assert.equal(letters[0]!.size, value!.length);
        assert.deepEqual(await scene.published(), new Map());
        assert.deepEqual(scene.outcomes, new Map([['dead_letter', 1]]));
        await scene.crash();
        await scene.settle();
        assert.equal((await scene.letters()).length, 1, 'one letter, also after a restart');
        assert.deepEqual(scene.outcomes, new Map([['dead_letter', 1]]));
      }));
  }

  test('is in the wrong partition: a dead letter, also for a deletion', () =>
    withScene(async (scene) => {
      const right = partitionOf(2, Buffer.from('a'));
      await scene.pipe('a', encoded());
      await scene.pipe('a', encoded({ text: 'elsewhere' }), { partition: 1 - right });
      await scene.pipe('a', null, { partition: 1 - right });
      await scene.settle();
      assert.deepEqual(
        (await scene.letters()).map(({ reason_code }) => reason_code),
        ['wrong_partition', 'wrong_partition'],
      );
      assert.deepEqual(
        await scene.published(),
        recount([{ language: 'en', source: 'news', terms: ['good', 'words'] }]),
      );
    }));

  test('was written with another schema whose decoder hides invalid UTF-8: found all the same', () => {
    const asked: number[] = [];
    const schema = JSON.stringify({
      type: 'record',
      name: 'Document',
      namespace: 'freshet',
      fields: [
        { name: 'doc_id', type: 'string' },
        { name: 'text', type: 'string' },
        { name: 'updated_at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      ],
    });
    const other = new Codec({
      schemaById: async (id) => {
        asked.push(id);
        return schema;
      },
    });
    const body = (text: Buffer) =>
      Buffer.concat([Buffer.from([0, 0, 0, 0, 7, 2, 0x61, text.length * 2]), text, Buffer.from([2])]);
    return CorpusScene.open({ partitions: 1, codec: other }).then(async (scene) => {
      try {
        await scene.pipe('a', body(Buffer.from('ab\ufffd')));
        await scene.settle();
        assert.deepEqual(await scene.letters(), [], 'U+FFFD itself is a character');
        await scene.pipe('a', body(Buffer.from([0x61, 0xff, 0x62])));
        await scene.settle();
        assert.deepEqual(asked, [7]);
        assert.deepEqual(
          (await scene.letters()).map(({ reason_code }) => reason_code),
          ['invalid_utf8'],
        );
      } finally {
        await scene.close();
      }
    });
  });
});

describe('a document', () => {
  test('without words counts as a document, of an unknown language if none is given', () =>
    withScene(async (scene) => {
      await scene.pipe('a', { text: '' });
      await scene.pipe('b', { text: '12 % …', language: 'de' });
      await scene.settle();
      assert.deepEqual(
        await scene.published(),
        recount([
          { language: 'und', source: '', terms: [] },
          { language: 'de', source: '', terms: [] },
        ]),
      );
    }));

  test('has the language of its tag, in any notation, or it is detected', () =>
    withScene(async (scene) => {
      await scene.pipe('a', { language: 'DE-at', text: 'x' });
      await scene.pipe('b', { language: 'zh-Hant-TW', text: 'x' });
      await scene.pipe('c', {
        text: 'Der schnelle braune Fuchs springt über den faulen Hund, und niemand weiß warum.',
      });
      await scene.pipe('d', { text: '42 – 17' });
      await scene.settle();
      const languages = new Set((await scene.published()).keys());
      assert.deepEqual([...languages].sort(), ['de', 'und', 'zh']);
    }));

  test('of mixed scripts has the words of each', () =>
    withScene(async (scene) => {
      const text = "The 東京タワー isn't ไทยแลนด์ или Тройка, हिन्दी! L’homme";
      await scene.pipe('a', { language: 'en', text });
      await scene.settle();
      assert.deepEqual(await scene.published(), recount([{ language: 'en', source: '', terms: referenceWords(text) }]));
    }));

  test('of a giant size is truncated at 256 KiB of terms; all counted terms are subtracted again', () =>
    withScene(async (scene) => {
      const words = Array.from({ length: 70_000 }, (_, i) =>
        [...String(i)].map((digit) => 'abcdefghij'[+digit]).join(''),
      );
      // Short words, to fill a record that Kafka would still accept.
      const text = words.join(' ').slice(0, 500 * 1024);
      await scene.pipe('a', { language: 'en', source: 'x', text });
      await scene.settle();
      const kept: string[] = [];
      let bytes = 0;
      for (const word of new Set(referenceWords(text))) {
        bytes += Buffer.byteLength(word);
        if (bytes > DOCUMENT_BYTES_MAX) break;
        kept.push(word);
      }
      const isCut = kept.length < new Set(referenceWords(text)).size;
      assert.ok(isCut, 'the text has more terms than fit');
      assert.deepEqual(await scene.published(), recount([{ language: 'en', source: 'x', terms: kept }]));
      assert.deepEqual(scene.outcomes, new Map([['cut', 1]]));
      const hashes = scene.hashes();
      await scene.crash();
      assert.deepEqual(scene.hashes(), hashes);
      await scene.pipe('a', null);
      await scene.settle();
      assert.deepEqual(await scene.published(), new Map());
    }));

  test('that is written again unchanged changes nothing', () =>
    withScene(async (scene) => {
      await scene.pipe('a', { language: 'en', text: 'same words' });
      await scene.settle();
      const before = await scene.records(scene.topics.termChanges.name);
      await scene.pipe('a', { language: 'en-GB', text: 'Words, same words!', updated_at: 99 });
      await scene.pipe('gone', null);
      await scene.settle();
      assert.deepEqual(await scene.records(scene.topics.termChanges.name), before);
      assert.deepEqual(
        scene.outcomes,
        new Map([
          ['counted', 1],
          ['unchanged', 2],
        ]),
      );
    }));

  test('of one source too many counts under "other", and is subtracted there', () =>
    withScene(async (scene) => {
      const count = 3 * TASK_SOURCES_MAX;
      const long = 'x'.repeat(250);
      for (let i = 0; i < count; i++)
        await scene.pipe(`d${i}`, { language: 'en', source: `${long}${i}`, text: 'word' });
      await scene.settle();
      const { totals, terms } = (await scene.published()).get('en')!;
      const sum = [...totals.values()].reduce((all, documents) => all + documents);
      assert.equal(sum, count);
      assert.ok(totals.get('other')! >= count - 2 * TASK_SOURCES_MAX);
      assert.deepEqual([...terms.keys()], ['word']);
      const rows = await scene.records<{ source: string }>(scene.topics.documentsChangelog.name);
      const sources = new Set(rows.map(({ value }) => value!.source));
      assert.equal(sources.size, 2 * TASK_SOURCES_MAX + 1, 'per task; other is the same in both');
      await scene.crash();
      for (let i = 0; i < count; i++) await scene.pipe(`d${i}`, null);
      await scene.settle();
      assert.deepEqual(await scene.published(), new Map());
    }));
});
