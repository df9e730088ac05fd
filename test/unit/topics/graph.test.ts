import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allTopics } from '../../../topics/all.js';
import { mermaid } from '../../../topics/graph.js';

/** Mermaid allows no dots or dashes in node names. */
const nodeId = (kind: string, name: string) => `${kind}_${name.replace(/\W/g, '_')}`;
describe('the graph of topics', () => {
  test('has no writer or reader that does not exist', () => {
    const parts = new Set([
      'activity',
      'popularity',
      'intake',
      'corpus',
      'corpus-terms',
      'embeddings',
      'stopwords',
      'faiss',
      'als',
      'jobs',
      'snapshotters',
      'publishing',
      'serving',
      // No part of this code base.
      'producers',
      'everyone',
    ]);
    for (const { name, owner, readers } of allTopics())
      for (const part of [owner, ...readers]) assert.ok(parts.has(part), `${name} names ${part}`);
  });

  test('is drawn with every topic and every edge', () => {
    const drawn = mermaid(allTopics());
    assert.match(drawn, /^flowchart LR\n/);
    for (const { name, readers, owner } of allTopics()) {
      const id = nodeId('t', name);
      assert.ok(drawn.includes(`  ${id}[("${name}")]\n`));
      assert.ok(drawn.includes(`  ${nodeId('p', owner)} --> ${id}\n`));
      for (const reader of readers) assert.ok(drawn.includes(`  ${id} --> ${nodeId('p', reader)}\n`));
    }
    assert.ok(drawn.includes('  t_features_v1_activity_changelog -.->|restore| p_activity\n'));
    assert.ok(drawn.includes('  p_corpus_terms([corpus-terms])\n'));
  });
});
