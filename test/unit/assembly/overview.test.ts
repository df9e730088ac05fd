/** The lag of the parts of a deployment, as the page shows it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OverviewSampler } from '../../../assembly/overview.js';
import { EMBEDDINGS_APPLICATION } from '../../../processors/embeddings/main.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { createMetrics } from '../../../runtime/process/metrics.js';
import { ReachedOffsets } from '../../../runtime/tasks/reached-offsets.js';
import { memoryLog, write } from '../../support/publishing.js';

test('embeddings lag behind the products, by what their own application has reached', async () => {
  const log = await memoryLog(1);
  const deleted = Array.from({ length: 5 }, (_, i) => [`p${i}`, null] as const);
  await write(log, 'products', 'Product', deleted);
  const applications = ['features.v1', EMBEDDINGS_APPLICATION].map((name) => ({ name, reached: new ReachedOffsets() }));
  const [features, embeddings] = applications;
  const lag = async () => {
    const options = {
      log,
      metrics: createMetrics(),
      clock: systemClock,
      version: 1,
      demo: false,
      settings: {},
      stores: { store: { kind: 'local' } },
    };
    return (await new OverviewSampler({ ...options, applications, publisher: null }).current()).lag.embeddings;
  };
  features!.reached.advance([{ topic: 'products', partition: 0, offset: 5 }]);
  assert.equal(await lag(), 5, 'another application has read them');
  embeddings!.reached.advance([{ topic: 'products', partition: 0, offset: 3 }]);
  assert.equal(await lag(), 2);
  embeddings!.reached.advance([{ topic: 'products', partition: 0, offset: 5 }]);
  assert.equal(await lag(), 0);
});
