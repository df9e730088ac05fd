/** The real all-MiniLM-L6-v2, imported by us, gives the figures that its makers publish. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openEmbedder } from '../../runtime/models/embedder/open-embedder.js';
import { messageOf } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { createMetrics } from '../../runtime/process/metrics.js';
import { fetchMiniLm } from '../support/minilm.js';

/** Published with the model: similarity of "That is a happy person" with each. */
const PUBLISHED = new Map([
  ['That is a happy dog', 0.6945773],
  ['That is a very happy person', 0.942915],
  ['Today is a sunny day', 0.2568761],
]);

test('all-MiniLM-L6-v2 gives the published similarities, and knows synonyms', async (t) => {
  let modelFolder: string;
  try {
    modelFolder = await fetchMiniLm();
  } catch (error) {
    t.skip(messageOf(error));
    return;
  }
  const embedder = await openEmbedder({ modelFolder, threads: 1, logger: silentLogger, metrics: createMetrics() });
  try {
    const texts = ['That is a happy person', ...PUBLISHED.keys(), 'sofa', 'couch', 'screwdriver'];
    const vectors = await embedder.embed(texts);
    const row = (i: number) => vectors.subarray(i * embedder.dimension, (i + 1) * embedder.dimension);
    const cosine = (a: number, b: number) => row(a).reduce((sum, value, i) => sum + value * row(b)[i]!, 0);
    for (const [i, published] of [...PUBLISHED.values()].entries())
      assert.ok(
        Math.abs(cosine(0, i + 1) - published) < 1e-5,
        `${texts[i + 1]}: ${cosine(0, i + 1)}, not ${published}`,
      );
    assert.ok(cosine(4, 5) > cosine(4, 6) + 0.3);
  } finally {
    await embedder.close();
  }
});
