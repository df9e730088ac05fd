import assert from 'node:assert/strict';
import { it } from 'node:test';
import { makeFirstModels } from '../../../../cli/demo/first-models.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { embeddingsSet } from '../../../../topics/embeddings.js';
import { events, products } from '../../../../topics/events.js';
import { append, ScriptedLog } from '../../../support/scripted-log.js';
import { FakeRuns, succeeded } from '../../../support/versions.js';

it('requests an index when products are embedded, and a model when interactions are written', async () => {
  const log = await ScriptedLog.of();
  await append(log, products.name, Buffer.from('p1'), Buffer.from('x'));
  const runs = new FakeRuns();
  runs.jobs.push('faiss', 'als');
  const seen: string[] = [];
  let embedded = false;
  let due = 3;
  log.shownOffsets = async (_group, ends) => ends.map(() => (embedded ? Number.POSITIVE_INFINITY : 0));
  const input = { topic: events.name, partition: 0 };
  await makeFirstModels({
    log,
    embeddings: embeddingsSet(1),
    runs,
    versions: {
      list: async (artefact) => ({ artefact, current: null, candidate: null, share: 0, pinned: null, versions: [] }),
    },
    parts: () => [{ input, oldestDue: () => due }],
    endOffsets: [{ partition: 0, offset: 5 }],
    logger: silentLogger,
    signal: new AbortController().signal,
    clock: {
      now: () => 0,
      elapsed: () => 0,
      sleep: async () => {
        const asked = runs.asked.map(({ job }) => job).join();
        seen.push(`${asked}|${embedded}|${due}`);
        if (runs.asked.length > 0) runs.advance(succeeded());
        if (asked === 'faiss' && embedded) due = due === 3 ? 4 : 5;
        embedded = true;
      },
    },
  });
  assert.deepEqual(
    runs.asked.map(({ job, by }) => [job, by]),
    [
      ['faiss', 'demo'],
      ['als', 'demo'],
    ],
  );
  assert.equal(seen[0], '|false|3', 'no index before the products are embedded');
  assert.ok(seen.includes('faiss|true|4'), 'no model before the interactions of the history are written');
});
