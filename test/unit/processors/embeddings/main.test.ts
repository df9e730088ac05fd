/** The application as a service: it opens the model of its settings, joins its group, and recovers from an error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReporting } from '../../../../assembly/reporting.js';
import { loadSettings } from '../../../../assembly/settings.js';
import { createEmbeddings } from '../../../../processors/embeddings/main.js';
import { embedderMetrics } from '../../../../runtime/models/embedder/metrics.js';
import { systemClock } from '../../../../runtime/process/clock.js';
import { FreshetError, hasCode } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { embeddingsSet } from '../../../../topics/embeddings.js';
import { listener, type Said } from '../../../support/listener.js';
import { Stage } from './stage.js';

const set = embeddingsSet(1);

test('without a model folder the hashed model is opened, loudly; an unknown outcome of a commit costs no restore', async () => {
  const stage = await Stage.of();
  for (let i = 0; i < 20; i++) await stage.put(`p${i}`, { title: `title ${i}` });
  const said: Said[] = [];
  const { log, codec } = stage;
  const reporting = openReporting(listener(said));
  stage.log.failNext(new FreshetError('indefinite_commit', 'no answer came'));
  const service = createEmbeddings({
    set,
    log,
    codec,
    ...reporting,
    settings: loadSettings({ COMMIT_INTERVAL_MS: '5' }),
    clock: systemClock,
  });
  await service.start();
  await stage.until('all is embedded', async () => (await stage.table()).size === 20);
  await service.stop();
  await service.stop();
  const warning = said.find(({ event }) => event === 'embedding_model');
  assert.equal(warning?.['kind'], 'hashed');
  assert.match(String(warning?.['note']), /lexical only/);
  const times = (name: string) => said.filter(({ event }) => event === name).length;
  assert.deepEqual([times('commit_outcome_unknown'), times('task_failed'), times('task_restored')], [1, 0, 2]);
  const { values } = await embedderMetrics(reporting.metrics).model.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.kind, value]),
    [['hashed', 1]],
  );
  for (const { vector, model } of (await stage.table()).values()) {
    assert.equal(vector.length, 4 * 384);
    assert.match(model, /^hashed-ngrams-[0-9a-f]{12}$/);
  }
});

test('a missing model folder stops the start with an explanation', async () => {
  const { log, codec } = await Stage.of();
  const settings = loadSettings({ EMBEDDING_MODEL_DIR: '/nowhere/at/all' });
  const service = createEmbeddings({ set, log, codec, settings, ...openReporting(silentLogger), clock: systemClock });
  await assert.rejects(
    service.start(),
    (error) => hasCode(error, 'settings') && /no folder \/nowhere\/at\/all/.test(String(error)),
  );
  await service.stop();
});
