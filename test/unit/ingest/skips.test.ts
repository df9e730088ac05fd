import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { InputError } from '../../../ingest/input-error.js';
import { readSkip, Skips } from '../../../ingest/skips.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { Codec } from '../../../schemas/codec.js';
import { append, ScriptedLog } from '../../support/scripted-log.js';

const WANTED = { topic: 'events', partition: 2, from: 1, to: 3, reason: 'a disk error' };
const ORDER = { by: 'user someone', at: 1_000 };

async function filled(): Promise<ScriptedLog> {
  const log = await ScriptedLog.of();
  for (let i = 0; i < 5; i++) await append(log, 'events', Buffer.from('u'), Buffer.from('x'), 2);
  return log;
}

async function started(t: TestContext, log: ScriptedLog): Promise<Skips> {
  const skips = new Skips({ log, codec: new Codec(), logger: silentLogger, clock: systemClock });
  await skips.start();
  t.after(() => skips.stop());
  return skips;
}

describe('offsets that were given up', () => {
  it('are known to every process, also to those that start later', async (t) => {
    const log = await filled();
    const [first, second] = [await started(t, log), await started(t, log)];
    const seen = new Promise<void>((resolve) => second.subscribe(resolve));
    assert.deepEqual(
      { ...(await first.request(WANTED, ORDER)) },
      {
        ...WANTED,
        topic_id: await log.admin.topicId('events'),
        requested_at: 1_000,
        requested_by: 'user someone',
      },
    );
    await seen;
    for (const skips of [first, second, await started(t, log)]) {
      assert.deepEqual(skips.of({ topic: 'events', partition: 2 }), [
        { from: 1, to: 3, topicId: await log.admin.topicId('events') },
      ]);
      assert.deepEqual(skips.of({ topic: 'events', partition: 1 }), []);
      assert.deepEqual(
        skips.list().map(({ requested_by, reason }) => [requested_by, reason]),
        [['user someone', 'a disk error']],
      );
    }
  });

  it('must be in the log, in a topic whose records may be missing', async (t) => {
    const skips = await started(t, await filled());
    const refused = (more: object, message: RegExp) =>
      assert.rejects(skips.request({ ...WANTED, ...more }, ORDER), (error: unknown) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, message);
        return true;
      });
    await refused({ topic: 'evnts' }, /no topic "evnts"/);
    await refused({ partition: 4 }, /has the partitions 0 to 3/);
    await refused({ to: 6 }, /events\[2\] holds the offsets 0 to 4/);
    await refused({ topic: 'features.v1.activity-changelog' }, /cannot be skipped: state/);
    await refused({ topic: 'skips' }, /cannot be skipped/);
    assert.deepEqual(skips.list(), []);
  });
});

describe('a request to skip', () => {
  it('names a range and a reason, and nothing else', () => {
    assert.deepEqual(readSkip({ ...WANTED, reason: '  a disk error ' }), WANTED);
    const refused = (more: object, message: RegExp) => assert.throws(() => readSkip({ ...WANTED, ...more }), message);
    refused({ to: 1 }, /"to" is the first offset that is read again/);
    refused({ from: -1 }, /"from" must be a whole number ≥ 0/);
    refused({ partition: 1.5 }, /"partition" must be a whole number/);
    refused({ from: 2 ** 60, to: 2 ** 61 }, /"from" must be a whole number/);
    refused({ reason: ' ' }, /"reason" must have 1 to 500 characters/);
    refused({ reason: 'x'.repeat(501) }, /"reason" must have 1 to 500 characters/);
    refused({ extra: 1 }, /"extra" is not a field of a skip/);
  });
});
