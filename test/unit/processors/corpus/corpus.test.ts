/**
 * The corpus fold as a whole: `terms` equals a recount of the newest documents, after any sequence of changes, wherever
 * its tasks crash and whatever compaction has removed in the meantime.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { documents } from '../../../../topics/events.js';
import { CorpusScene, type Counted, recount, type SceneOptions } from '../../../support/corpus.js';
import { referenceWords } from './reference-words.js';

interface Text {
  readonly language: string | null;
  readonly source: string | null;
  readonly text: string;
}

const LONG = Array.from(
  { length: 400 },
  (_, i) => `w${[...String(i)].map((digit) => 'abcdefghij'[+digit]).join('')}`,
).join(' ');

type Step =
  | { readonly do: 'put'; readonly id: string; readonly text: Text }
  | { readonly do: 'delete'; readonly id: string }
  | { readonly do: 'fold' | 'commit'; readonly half: 'corpus' | 'terms' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'crash' }
  | { readonly do: 'compact' };

const text: fc.Arbitrary<Text> = fc.record({
  // Not given and not detectable: unknown.
  language: fc.constantFrom('de', 'de-AT', 'EN', 'ja', null),
  source: fc.constantFrom(null, 'news', 'shop', ''),
  text: fc.constantFrom(
    '',
    '123',
    'der Hund und die Katze',
    'der Hund und der Vogel',
    'the dog and the cat',
    '犬と猫 and the dog',
    // More terms than the initial memory has room for.
    LONG,
    'x y z',
    'Z y',
  ),
});
const id = fc.constantFrom('a', 'b', 'c', 'dö/1', 'e');
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant('put' as const), id, text }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('delete' as const), id }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constantFrom('fold' as const, 'commit' as const),
      half: fc.constantFrom('corpus' as const, 'terms' as const),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.constantFrom(1_000, 5_000, 30_000) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const) }) },
);

function counted(texts: ReadonlyMap<string, Text>): Map<string, Counted> {
  return recount(
    [...texts.values()].map(({ language, source, text: words }) => ({
      language: language === null ? 'und' : language.slice(0, 2).toLowerCase(),
      source: source ?? '',
      terms: referenceWords(words),
    })),
  );
}

async function play(steps: readonly Step[], options: SceneOptions): Promise<void> {
  const scene = await CorpusScene.open({ changelogIntervalMs: 5_000, ...options });
  const texts = new Map<string, Text>();
  try {
    for (const next of steps) {
      if (next.do === 'put') {
        // A text that would be detected is given its language.
        const given = next.text.language ?? (/^[\d\s]*$/.test(next.text.text) ? null : 'fr');
        texts.set(next.id, { ...next.text, language: given });
        await scene.pipe(next.id, { ...next.text, language: given });
      } else if (next.do === 'delete') {
        texts.delete(next.id);
        await scene.pipe(next.id, null);
      } else if (next.do === 'wait') scene.clock.advance(next.ms);
      else if (next.do === 'crash') await scene.crash();
      else if (next.do === 'compact') compact(scene);
      else if (next.do === 'fold') await scene.fold(scene[next.half]);
      else await scene.commit(scene[next.half]);
    }
    await scene.settle();
    assert.deepEqual(await scene.published(), counted(texts));
    const hashes = scene.hashes();
    compact(scene);
    await scene.crash();
    assert.deepEqual(scene.hashes(), hashes, 'a restored state has the same bits');
    await scene.settle();
    assert.deepEqual(await scene.published(), counted(texts));
    for (const key of texts.keys()) await scene.pipe(key, null);
    await scene.settle();
    assert.deepEqual(await scene.published(), new Map(), 'nothing is left of what was deleted');
    scene.clock.advance(60_000);
    await scene.run();
    scene.clock.advance(60_000);
    await scene.run();
    compactAway(scene);
    await scene.crash();
    for (const topic of [scene.topics.documentsChangelog, scene.topics.termsChangelog])
      assert.deepEqual(await scene.records(topic.name), [], 'no row is left either');
  } finally {
    await scene.close();
  }
}

/** Removes everything that Kafka may have removed by now. */
function compact(scene: CorpusScene): void {
  const { terms, documentsChangelog, termsChangelog } = scene.topics;
  for (const { name } of [documents, terms, documentsChangelog, termsChangelog]) scene.log.compact(name);
}

function compactAway(scene: CorpusScene): void {
  const { documentsChangelog, termsChangelog } = scene.topics;
  for (const { name } of [documentsChangelog, termsChangelog]) scene.log.compact(name, { dropTombstones: true });
}

describe('I28: the frequencies of terms', () => {
  test('equal a recount after any sequence of changes, restarts and compactions', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), (steps) => play(steps, {})),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 60), seed: 22 },
    );
  });

  test('equal it with checkpoints of the terms as well', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60, size: 'max' }), async (steps) => {
        const checkpointFolder = await mkdtemp(join(tmpdir(), 'freshet-corpus-'));
        try {
          await play(steps, { checkpointFolder });
        } finally {
          await rm(checkpointFolder, { recursive: true, force: true });
        }
      }),
      { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 20), seed: 23 },
    );
  });
});

describe('I28: the hole that compaction leaves', () => {
  test('a counted value that is gone when the task restarts is still subtracted', async () => {
    const scene = await CorpusScene.open({ partitions: 1, changelogIntervalMs: 3_600_000 });
    try {
      await scene.pipe('a', { language: 'en', text: 'first words' });
      await scene.run();
      await scene.pipe('a', { language: 'en', text: 'second words' });
      await scene.pipe('b', { language: 'en', text: 'second document' });
      await scene.run();
      await scene.pipe('a', { language: 'en', text: 'third' });
      await scene.pipe('b', null);
      scene.log.compact(documents.name);
      assert.equal((await scene.records(documents.name)).length, 2, 'of five, the third and the deletion are left');
      await scene.crash();
      await scene.settle();
      const third = recount([{ language: 'en', source: '', terms: ['third'] }]);
      assert.deepEqual(await scene.published(), third);
    } finally {
      await scene.close();
    }
  });

  test('a deleted document does not reappear with the older records that a restore reads again', async () => {
    const scene = await CorpusScene.open({ partitions: 1, changelogIntervalMs: 3_600_000 });
    try {
      await scene.pipe('a', { language: 'en', text: 'old words' });
      await scene.pipe('b', { language: 'en', text: 'other words' });
      await scene.run();
      await scene.pipe('a', null);
      await scene.settle();
      // The null rows are gone when it is restored, but the input is still complete.
      scene.log.compact(scene.topics.documentsChangelog.name, { dropTombstones: true });
      const hashes = scene.hashes();
      await scene.crash();
      assert.deepEqual(scene.hashes(), hashes);
      await scene.settle();
      assert.deepEqual(await scene.published(), recount([{ language: 'en', source: '', terms: ['other', 'words'] }]));
    } finally {
      await scene.close();
    }
  });

  test('a commit lost with its process is repeated from what is left of the input', async () => {
    const scene = await CorpusScene.open({ partitions: 1, changelogIntervalMs: 3_600_000 });
    try {
      await scene.pipe('a', { language: 'en', text: 'first words' });
      await scene.run();
      await scene.pipe('a', { language: 'en', text: 'second words' });
      await scene.fold(scene.corpus);
      await scene.pipe('a', { language: 'de', source: 'new', text: 'third words' });
      scene.log.compact(documents.name);
      await scene.crash();
      await scene.settle();
      const third = [{ language: 'de', source: 'new', terms: ['third', 'words'] }];
      assert.deepEqual(await scene.published(), recount(third));
    } finally {
      await scene.close();
    }
  });

  test('rows of one commit cover the same offset, and the next record is above it', async () => {
    const scene = await CorpusScene.open({ partitions: 1 });
    try {
      for (const key of ['a', 'b', 'c']) await scene.pipe(key, { language: 'en', text: key });
      await scene.run();
      const rows = await scene.records<{ covers: number }>(scene.topics.documentsChangelog.name);
      assert.deepEqual(
        rows.map(({ key, value }) => [key, value!.covers]),
        [
          ['d/a', 3],
          ['d/b', 3],
          ['d/c', 3],
        ],
      );
      await scene.crash();
      await scene.pipe('c', { language: 'en', text: 'changed' });
      await scene.settle();
      const terms = ['a', 'b', 'changed'].map((term) => ({ language: 'en', source: '', terms: [term] }));
      assert.deepEqual(await scene.published(), recount(terms));
    } finally {
      await scene.close();
    }
  });

  test('an invalid record removes its document, so that a replay without the previous record ends the same', async () => {
    const outcomes: Map<string, Counted>[] = [];
    for (const isCompacted of [false, true]) {
      const scene = await CorpusScene.open({ partitions: 1 });
      try {
        await scene.pipe('a', { language: 'en', text: 'good' });
        await scene.pipe('b', { language: 'en', text: 'good' });
        if (!isCompacted) await scene.run();
        await scene.pipe('a', { language: 'no tag at all', text: 'bad' });
        if (isCompacted) scene.log.compact(documents.name);
        await scene.settle();
        outcomes.push(await scene.published());
      } finally {
        await scene.close();
      }
    }
    assert.deepEqual(outcomes[0], recount([{ language: 'en', source: '', terms: ['good'] }]));
    assert.deepEqual(outcomes[1], outcomes[0]);
  });
});

test('a term that was emptied in an unfinished flush is not subtracted twice', async () => {
  const scene = await CorpusScene.open({ partitions: 1, changelogIntervalMs: 1_000 });
  try {
    await scene.pipe('a', { language: 'en', text: 'word' });
    await scene.settle();
    await scene.pipe('a', null);
    await scene.fold(scene.corpus);
    await scene.commit(scene.corpus);
    await scene.fold(scene.terms);
    scene.clock.advance(1_000);
    // Its rows are in the changelog, but no marker says yet that they are complete.
    await scene.commit(scene.terms);
    await scene.crash();
    await scene.settle();
    assert.deepEqual(await scene.published(), new Map());
    await scene.pipe('a', { language: 'en', text: 'word' });
    await scene.settle();
    assert.deepEqual(await scene.published(), recount([{ language: 'en', source: '', terms: ['word'] }]));
  } finally {
    await scene.close();
  }
});

test('a document from the next century does not stop the clock of the output', async () => {
  const scene = await CorpusScene.open({ partitions: 1 });
  try {
    const writer = await scene.log.writer([documents.name]);
    const value = { doc_id: 'a', language: 'en', source: null, text: 'later', updated_at: 1 };
    const timestamp = Date.UTC(2126, 0, 1);
    writer.add(documents.name, Buffer.from('a'), scene.codec.encode('Document', value), { timestamp });
    await writer.flush();
    await scene.settle();
    assert.deepEqual(await scene.published(), recount([{ language: 'en', source: '', terms: ['later'] }]));
    for (const { as_of } of (await scene.shards()).values()) assert.ok(as_of <= scene.clock.now());
  } finally {
    await scene.close();
  }
});
