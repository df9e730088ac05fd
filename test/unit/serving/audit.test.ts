/** Comparing served values with the log, over HTTP: how requests are checked and passed on. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FakeAudits, REPORT } from '../../support/audits.js';
import { servingFixture } from '../../support/serving.js';

it('reports the auditor’s latest findings, or that none runs', async (test) => {
  const audits = new FakeAudits();
  const { app } = await servingFixture(test, { audits });
  const ask = async () => (await app.inject({ url: '/v1/audit' })).json();
  assert.deepEqual(await ask(), { state: 'off', interval_seconds: null, last: null });
  audits.state = { state: 'following', intervalMs: 300_000, last: REPORT };
  assert.deepEqual(await ask(), { state: 'following', interval_seconds: 300, last: REPORT });
});

it('starts one verification at a time, with the requested sample', async (test) => {
  const audits = new FakeAudits();
  const { app } = await servingFixture(test, { audits });
  const begin = (payload: object) => app.inject({ method: 'POST', url: '/v1/verifications', payload });
  for (const [payload, sentence] of [
    [{}, /"sample" must be the share/],
    [{ sample: 0 }, /above 0/],
    [{ sample: 1.1 }, /at most 1/],
    [{ sample: '1' }, /a number/],
    [{ sample: 1, salt: 'x'.repeat(65) }, /more than 64/],
    [{ sample: 1, more: 1 }, /"more" is not a field/],
  ] as const) {
    const answer = await begin(payload);
    assert.equal(answer.statusCode, 400);
    assert.match(answer.json<{ detail: string }>().detail, sentence);
  }
  const begun = await begin({ sample: 0.5, salt: 'mine' });
  assert.equal(begun.statusCode, 202);
  assert.equal(begun.headers['location'], '/v1/verifications/running');
  assert.deepEqual(audits.begun, [{ share: 0.5, salt: 'mine' }]);
  const second = await begin({ sample: 0.5 });
  assert.equal(second.statusCode, 409);
  assert.match(audits.begun[1]!.salt, /^[0-9a-f]{8}$/);
  const done = await app.inject({ url: '/v1/verifications/done' });
  assert.deepEqual(done.json<{ report: unknown }>().report, REPORT);
  assert.equal((await app.inject({ url: '/v1/verifications/other' })).statusCode, 404);
});

it('reports that a process has nothing to compare', async (test) => {
  const { app } = await servingFixture(test);
  const answer = await app.inject({ method: 'POST', url: '/v1/verifications', payload: { sample: 1 } });
  assert.equal(answer.statusCode, 503);
  assert.equal((await app.inject({ url: '/v1/audit' })).json<{ state: string }>().state, 'off');
});
