/** The model without files: the same everywhere, of norm 1, and nearer for texts that share words. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { badRow } from '../../../../../runtime/models/embedder/embedder.js';
import { HASHED_CHARACTERS_MAX, HASHED_DIMENSION, HashedModel } from '../../../../../runtime/models/embedder/hashed.js';

const model = new HashedModel();

async function embed(texts: readonly string[]): Promise<Float32Array> {
  const vectors = new Float32Array(texts.length * HASHED_DIMENSION);
  for (const batch of model.plan(texts)) {
    const found = await batch.run();
    for (const [i, row] of batch.rows.entries())
      vectors.set(found.subarray(i * HASHED_DIMENSION, (i + 1) * HASHED_DIMENSION), row * HASHED_DIMENSION);
  }
  return vectors;
}

async function cosine(a: string, b: string): Promise<number> {
  const vectors = await embed([a, b]);
  let sum = 0;
  for (let i = 0; i < HASHED_DIMENSION; i++) sum += vectors[i]! * vectors[HASHED_DIMENSION + i]!;
  return sum;
}

test('the same bits on every machine: vectors stored under its name stay comparable', async () => {
  const vectors = await embed(['Oak desk, 140 × 70 cm', 'Schöne grüne Lampe', '日本語の机']);
  assert.equal(
    `${model.model} ${createHash('sha256').update(new Uint8Array(vectors.buffer)).digest('hex').slice(0, 16)}`,
    'hashed-ngrams-e702437134bf d54d742d68b12940',
  );
});

test('every text has norm 1, even one without letters, and whatever else is in its batch', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ unit: 'binary', maxLength: 60 }), { minLength: 1, maxLength: 150 }),
      async (texts) => {
        const together = await embed(texts);
        assert.equal(badRow(together, HASHED_DIMENSION), -1);
        const alone = await embed(texts.slice(-1));
        assert.deepEqual(together.slice(-HASHED_DIMENSION), alone);
      },
    ),
    { numRuns: 100, seed: 20_261_104 },
  );
});

test('texts that share words, or parts of them, are nearer than others; case and width do not matter', async () => {
  const near = await cosine('steel water bottle', 'Water bottles of steel');
  const far = await cosine('steel water bottle', 'oak desk lamp');
  assert.ok(near > 0.6 && far < 0.3, `${near} and ${far}`);
  assert.ok((await cosine('bookshelf', 'bookshelves')) > (await cosine('bookshelf', 'lampshade')) + 0.3);
  assert.ok((await cosine('OAK Desk', 'ｏａｋ desk')) > 0.999);
});

test('it is lexical: synonyms do not match', async () => {
  assert.ok((await cosine('sofa', 'couch')) < 0.2);
});

test('a huge text is cut', async () => {
  const text = 'word and other words '.repeat(HASHED_CHARACTERS_MAX);
  assert.deepEqual(await embed([text]), await embed([text.slice(0, HASHED_CHARACTERS_MAX)]));
});
