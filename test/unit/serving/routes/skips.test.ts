import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { Skips } from '../../../../ingest/skips.js';
import { systemClock } from '../../../../runtime/process/clock.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { Codec } from '../../../../schemas/codec.js';
import type { AccessToken } from '../../../../serving/settings.js';
import { append, ScriptedLog } from '../../../support/scripted-log.js';
import { servingFixture, tokenEntry, withTokens } from '../../../support/serving.js';

const WANTED = { topic: 'events', partition: 0, from: 0, to: 1, reason: 'a disk error' };
const post = (payload: object, token?: string) =>
  ({
    method: 'POST',
    url: '/v1/skips',
    payload,
    ...(token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }),
  }) as const;

async function fixtureWith(test: TestContext, tokens: readonly AccessToken[] | null) {
  const log = await ScriptedLog.of();
  const skips = new Skips({ log, codec: new Codec(), logger: silentLogger, clock: systemClock });
  await skips.start();
  test.after(() => skips.stop());
  const { app } = await servingFixture(test, { log, skips, ...(tokens === null ? {} : withTokens(tokens)) });
  return { app, log };
}

describe('POST /v1/skips', () => {
  it('gives up a range, and GET shows by whom and why', async (test) => {
    const { app, log } = await fixtureWith(test, [tokenEntry('a', 'operator'), tokenEntry('b', 'reader')]);
    await append(log, 'events', Buffer.from('u'), Buffer.from('x'), 0);
    const answer = await app.inject(post(WANTED, 'a'));
    assert.equal(answer.statusCode, 202, answer.body);
    const { requested_at, requested_by, ...rest } = answer.json();
    assert.deepEqual(rest, WANTED);
    assert.match(requested_by, /^token [0-9a-f]{12}$/);
    assert.ok(Number.isFinite(Date.parse(requested_at)));
    const list = await app.inject({ url: '/v1/skips', headers: { authorization: 'Bearer a' } });
    assert.deepEqual(list.json(), { skips: [answer.json()] });
    assert.equal((await app.inject(post(WANTED, 'b'))).statusCode, 403);
  });

  it('refuses what cannot be skipped with a sentence', async (test) => {
    const { app } = await fixtureWith(test, null);
    for (const [body, sentence] of [
      [{ ...WANTED, to: 0 }, /must be above "from"/],
      [WANTED, /events\[0\] holds the offsets/],
      [{ ...WANTED, topic: 'nothing' }, /There is no topic "nothing"/],
    ] as const) {
      const answer = await app.inject(post(body));
      assert.equal(answer.statusCode, 400);
      assert.match(answer.json().detail, sentence);
    }
    assert.deepEqual((await app.inject('/v1/skips')).json(), { skips: [] });
  });
});
