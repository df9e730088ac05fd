import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allTopics } from '../../../topics/all.js';
import { findOrphans, mermaid } from '../../../topics/graph.js';
import { topic } from '../../../topics/topic.js';

/** Mermaid takes no dots and dashes in the names of nodes. */
const nodeId = (kind: string, name: string) => `${kind}_${name.replace(/\W/g, '_')}`;
const base = { doc: 'd', key: 'k', schema: 'User', cleanup: 'compact' } as const;

describe('the graph of topics', () => {
  test('finds topics that nobody reads or writes, and readers that do not exist', () => {
    const declarations = [
      topic({ ...base, name: 'used', owner: 'a', readers: ['b', 'gone'] }),
      topic({ ...base, name: 'unread', owner: 'producers' }),
      topic({ ...base, name: 'unwritten', owner: 'nobody', readers: ['a'] }),
      topic({ ...base, name: 'a-changelog', owner: 'a' }),
    ];
    assert.deepEqual(findOrphans(declarations, new Set(['a', 'b'])), {
      unread: ['unread'],
      unwritten: ['unwritten'],
      unknownReaders: ['used → gone'],
    });
  });

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
    ]);
    const { unwritten, unknownReaders } = findOrphans(allTopics(), parts);
    assert.deepEqual({ unwritten, unknownReaders }, { unwritten: [], unknownReaders: [] });
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
