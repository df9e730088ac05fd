import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allTopics } from '../../../topics/all.js';
import { findOrphans, mermaid } from '../../../topics/graph.js';
import { topic } from '../../../topics/topic.js';

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
    const parts = new Set(['activity', 'popularity', 'intake', 'publishing', 'serving']);
    const { unwritten, unknownReaders } = findOrphans(allTopics(), parts);
    assert.deepEqual({ unwritten, unknownReaders }, { unwritten: [], unknownReaders: [] });
  });

  test('is drawn with every topic and every edge', () => {
    const drawn = mermaid(allTopics());
    assert.match(drawn, /^flowchart LR\n/);
    for (const { name, readers, owner } of allTopics()) {
      const id = `t_${name.replace(/\W/g, '_')}`;
      assert.ok(drawn.includes(`  ${id}[("${name}")]\n`));
      assert.ok(drawn.includes(`  p_${owner} --> ${id}\n`));
      for (const reader of readers) assert.ok(drawn.includes(`  ${id} --> p_${reader}\n`));
    }
    assert.ok(drawn.includes('  t_features_v1_activity_changelog -.->|restore| p_activity\n'));
  });
});
