import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { servingFixture } from '../../../support/serving.js';
import { runOf, SUMMARY, succeeded } from '../../../support/versions.js';

const ask = { method: 'POST', url: '/v1/jobs/stopwords/runs' } as const;

it('requests a run, and returns its location', async (test) => {
  const { app, runs } = await servingFixture(test);
  const answer = await app.inject({ ...ask, payload: { dry_run: true } });
  assert.equal(answer.statusCode, 202);
  assert.deepEqual(answer.json(), { run_id: 'run-1' });
  assert.equal(answer.headers.location, '/v1/runs/run-1');
  assert.equal((await app.inject(ask)).statusCode, 202, 'a body is not needed');
  assert.deepEqual(runs.asked, [
    { job: 'stopwords', dryRun: true, by: 'api' },
    { job: 'stopwords', dryRun: false, by: 'api' },
  ]);
});

it('returns the state of a run', async (test) => {
  const { app, runs } = await servingFixture(test);
  await app.inject(ask);
  runs.advance({ status: 'running', progress: { phase: 'read terms', done: 3, total: 12 } });
  const busy = (await app.inject('/v1/runs/run-1')).json();
  assert.equal(busy.status, 'running');
  assert.deepEqual(busy.progress, { phase: 'read terms', done: 3, total: 12 });
  assert.equal(busy.result, null);
  runs.advance(succeeded());
  const done = (await app.inject('/v1/runs/run-1')).json();
  assert.equal(done.finished_at, '2025-06-01T02:00:01.600Z');
  assert.deepEqual(done.result.summary, SUMMARY);
});

it('lists the latest runs of a job, newest first', async (test) => {
  const { app, runs } = await servingFixture(test);
  runs.known.push(...Array.from({ length: 30 }, (_, n) => runOf({ run_id: `r${n}` })));
  const list = async (query = '') => {
    const answer = await app.inject(`/v1/jobs/stopwords/runs${query}`);
    return (answer.json() as { runs: { run_id: string }[] }).runs.map(({ run_id }) => run_id);
  };
  assert.equal((await list()).length, 20);
  assert.deepEqual(await list('?limit=2'), ['r0', 'r1']);
  assert.equal((await app.inject('/v1/jobs/stopwords/runs?limit=101')).statusCode, 400);
});

it('lists the jobs when asked for an unknown one, and answers 404 for an unknown run', async (test) => {
  const { app } = await servingFixture(test);
  for (const request of [{ ...ask, url: '/v1/jobs/als/runs' }, '/v1/jobs/als/runs']) {
    const answer = await app.inject(request);
    assert.equal(answer.statusCode, 404);
    assert.equal(answer.json().detail, 'There is no job "als"; the jobs are stopwords.');
  }
  for (const id of ['none', '%00']) assert.equal((await app.inject(`/v1/runs/${id}`)).statusCode, 404);
});

it('refuses invalid requests, and reports a log that is down', async (test) => {
  const { app, runs } = await servingFixture(test);
  for (const payload of [{ dry_run: 'yes' }, { dryRun: true }, []])
    assert.equal((await app.inject({ ...ask, payload })).statusCode, 400);
  assert.deepEqual(runs.asked, []);
  runs.request = () => Promise.reject(new FreshetError('timeout', 'broker-1 is silent'));
  const down = await app.inject({ ...ask, payload: {} });
  assert.equal(down.statusCode, 503);
  assert.ok(!down.body.includes('broker-1'));
});
