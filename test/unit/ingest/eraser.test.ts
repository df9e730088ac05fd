/** The state of an erasure can be read at once after its request. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Eraser } from '../../../ingest/eraser.js';
import type { LogReader } from '../../../runtime/log/log.js';
import { featureSet } from '../../../topics/feature-set.js';
import { codec, memoryLog } from '../../support/publishing.js';

test('a request resolves once readers see it, not when its commit is acknowledged', async () => {
  const log = await memoryLog(1);
  const reader = log.reader.bind(log);
  let show = (): void => undefined;
  const shown = new Promise<void>((resolve) => {
    show = resolve;
  });
  let asked = (): void => undefined;
  const waits = new Promise<void>((resolve) => {
    asked = resolve;
  });
  // Like a broker that is still writing the markers of the transaction.
  log.reader = (start, options): LogReader => {
    const real = reader(start, options);
    return new Proxy(real, {
      get: (target, name) =>
        name === 'poll'
          ? async () => {
              asked();
              await shown;
              return await target.poll();
            }
          : (Reflect.get(target, name) as () => unknown).bind(target),
    });
  };
  const eraser = new Eraser(log, codec, [featureSet(1)], 10_000);
  let done = false;
  const request = eraser.erase({ kind: 'user', id: 'u1' }, null, Date.now()).then((key) => {
    done = true;
    return key;
  });
  await waits;
  assert.equal(done, false);
  show();
  assert.equal(await request, 'user:u1');
  await eraser.close();
});
