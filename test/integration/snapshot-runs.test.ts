/** I25: runs of a snapshotter from the request to the version, with a real Postgres and a process for each. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { RunProgress, Runs } from '../../jobs/runs.js';
import type { Versions } from '../../publishing/versions/versions.js';
import { FreshetError, hasCode } from '../../runtime/process/errors.js';
import { artifactsFolder } from '../../runtime/stores/settings.js';
import { endOf, requestInTopic } from '../support/jobs.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';
import { faultsOf, keysOf, put } from '../support/snapshots/counted.js';
import { COUNTING_FILE } from '../support/snapshots/counting.js';
import { openRunScene } from '../support/snapshots/run-scene.js';

const events = new Events();
/** In the middle of a capture. */
const HELD = faultsOf({ point: 'capture.read', passing: 3, does: 'hold' });

const ended = (runs: Runs, runId: string) => endOf(events, runs, runId);

describe('runs', () => {
  let postgres: Service;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  test('make a version that holds what the topic held', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(20));
    const worker = scene.worker();
    await worker.start();
    assert.deepEqual(worker.waiting, []);
    assert.deepEqual(worker.runs.jobs, ['counting']);
    const asked = await worker.runs.request('counting', { dryRun: false, by: 'test' });
    assert.equal(asked.status, 'queued');
    const run = await ended(worker.runs, asked.run_id);
    assert.equal(run.status, 'succeeded');
    assert.equal(run.attempt, 1);
    const { duration_seconds, timestamp, ...result } = run.result!;
    assert.deepEqual(result, {
      success: true,
      records_processed: 20,
      keys_updated: 20,
      summary: ['20 keys', 'before: nothing'],
      errors: [],
      version: 1,
      version_state: 'current',
    });
    assert.ok(typeof duration_seconds === 'number' && duration_seconds > 0);
    assert.ok(!Number.isNaN(Date.parse(String(timestamp))));
    const artefacts = artifactsFolder(scene.settings);
    const work = join(artefacts, '.work', 'counting');
    const file = await readFile(join(artefacts, 'faiss', 'v1', COUNTING_FILE), 'utf8');
    assert.equal(file.trim().split('\n').length, 20);
    assert.equal((await scene.versions.list('faiss')).current, 1);
    await events.until('the result is written', async () => (await scene.results()).length === 1);
    const [written] = await scene.results();
    assert.deepEqual([written!.run_id, written!.status, written!.attempt], [run.run_id, 'succeeded', 1]);
    assert.deepEqual(JSON.parse(written!.result), run.result);
    await events.until('what it worked with is removed', async () => (await readdir(work)).length === 0);
    const next = await worker.runOnce('counting', { dryRun: false });
    assert.deepEqual([next.result!['version'], next.result!['summary']], [2, ['20 keys', 'before: 20']]);
    const metrics = await scene.metrics.registry.metrics();
    for (const line of [
      'batch_job_runs_total{job_name="counting",status="success"} 2',
      'batch_job_records_processed_total{job_name="counting"} 40',
      'batch_job_duration_seconds_count{job_name="counting"} 2',
      'batch_job_consecutive_failures{job_name="counting"} 0',
      'data_quality_checks_total{check_type="count",status="pass"} 2',
    ])
      assert.ok(metrics.includes(`${line}\n`), line);
    assert.match(metrics, /batch_job_last_success_timestamp\{job_name="counting"\} \d{10}/);
    assert.deepEqual(
      (await worker.runs.latest('counting', 10)).map(({ run_id }) => run_id),
      [next.run_id, run.run_id],
    );
  });

  test('that are dry show what would be, and publish nothing', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(5), 1);
    const seen: RunProgress[] = [];
    const run = await scene
      .worker()
      .runOnce('counting', { dryRun: true, onProgress: (progress) => seen.push(progress) });
    assert.equal(run.status, 'succeeded');
    assert.equal(run.dry_run, true);
    assert.deepEqual(run.result!['summary'], ['5 keys', 'before: nothing']);
    assert.equal(run.result!['version'], undefined);
    assert.ok(seen.some(({ phase }) => phase === 'capture') && seen.some(({ phase }) => phase === 'build'));
    assert.deepEqual((await scene.versions.list('faiss')).versions, []);
    assert.deepEqual(await readdir(join(artifactsFolder(scene.settings), '.work', 'counting')), []);
    assert.ok(!(await scene.metrics.registry.metrics()).includes('batch_job_runs_total{'));
  });

  test('that fail say why, and leave the version as it was', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    const worker = scene.worker();
    await put(scene.log, keysOf(3), 1);
    await worker.runOnce('counting', { dryRun: false });
    for (const [key, sentence] of [
      ['!fail', /^nothing can be made of this$/],
      ['!check', /^4 keys$/],
      ['!unnamed', /names the files index.faiss, but wrote index.faiss, other.txt/],
      ['!memory', /raise it$/],
    ] as const) {
      await put(scene.log, [key], 1);
      const run = await worker.runOnce('counting', { dryRun: false });
      assert.equal(run.status, 'failed', key);
      assert.equal(run.result!['success'], false);
      assert.match((run.result!['errors'] as string[]).join(), sentence);
      assert.equal((await scene.versions.list('faiss')).current, 1);
      const writer = await scene.log.writer(['terms']);
      writer.add('terms', Buffer.from(key), null, { timestamp: Date.now() });
      await writer.flush();
    }
    const metrics = await scene.metrics.registry.metrics();
    assert.ok(metrics.includes('batch_job_runs_total{job_name="counting",status="failure"} 4\n'));
    assert.ok(metrics.includes('batch_job_consecutive_failures{job_name="counting"} 4\n'));
    assert.ok(metrics.includes('data_quality_checks_total{check_type="count",status="fail"} 1\n'));
    assert.equal((await worker.runOnce('counting', { dryRun: false })).status, 'succeeded');
    assert.match(await scene.metrics.registry.metrics(), /batch_job_consecutive_failures\{job_name="counting"\} 0\n/);
    await assert.rejects(worker.runOnce('other', { dryRun: false }), (error) => hasCode(error, 'invalid_data'));
  });

  test('are done in order, one at a time, also those that were asked for through the topic', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(3), 1);
    for (const run_id of ['c', 'a', 'b'])
      await requestInTopic(scene.log, { run_id, job_name: 'counting', dry_run: run_id === 'a' });
    await requestInTopic(scene.log, { run_id: 'd', job_name: 'somebody-elses' });
    const worker = scene.worker();
    await worker.start();
    await ended(worker.runs, 'b');
    await events.until('all results are written', async () => (await scene.results()).length === 3);
    assert.deepEqual(
      (await scene.results()).map(({ run_id }) => run_id),
      ['c', 'a', 'b'],
    );
    assert.equal((await worker.runs.get('b'))!.result!['version'], 2);
    assert.equal((await worker.runs.get('d'))!.status, 'queued', 'it waits for a worker that has its job');
  });

  for (const [what, forget] of [
    ['has forgotten them', 'TRUNCATE job_runs, run_outbox, run_topics'],
    [
      'is an older copy',
      "TRUNCATE run_outbox, run_topics; UPDATE job_runs SET status = 'running', finished_at = NULL, result = NULL",
    ],
  ] as const)
    test(`that the log says have ended are not done again by a database that ${what}`, async (t) => {
      const scene = await openRunScene(t, postgres.url);
      await requestInTopic(scene.log, { run_id: 'a', job_name: 'counting' });
      const first = scene.worker();
      await first.start();
      const run = await ended(first.runs, 'a');
      await first.stop();
      await scene.database.execute(forget);
      const second = scene.worker();
      await second.start();
      const known = (await second.runs.get('a'))!;
      assert.equal(known.status, 'succeeded');
      assert.deepEqual(known.result, run.result);
      await second.runOnce('counting', { dryRun: false });
      assert.equal((await scene.versions.list('faiss')).current, 2);
      assert.equal((await scene.results()).length, 2);
    });

  test('go on when their worker is stopped and another one starts', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(60));
    const first = scene.worker({ execArgv: HELD });
    await first.start();
    const { run_id } = await first.runs.request('counting', { dryRun: false, by: 'test' });
    const work = join(artifactsFolder(scene.settings), '.work', 'counting', run_id);
    await events.until('a savepoint', () => existsSync(join(work, 'capture.savepoint')));
    await first.stop();
    assert.equal((await first.runs.get(run_id))!.status, 'queued');
    assert.ok(existsSync(join(work, 'capture.savepoint')));
    await put(scene.log, keysOf(5, 'later'), 1);
    const second = scene.worker();
    await second.start();
    const run = await ended(second.runs, run_id);
    assert.deepEqual([run.status, run.attempt, run.result!['keys_updated']], ['succeeded', 2, 60]);
    await events.until('what it worked with is removed', () => !existsSync(work));
  });

  test('can be cancelled by the caller that waits for them', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(20));
    const cancel = new AbortController();
    const worker = scene.worker({ execArgv: HELD });
    const cancelled = worker.runOnce('counting', { dryRun: false, signal: cancel.signal });
    await events.until('it runs', async () => (await worker.runs.latest('counting', 1))[0]?.status === 'running');
    cancel.abort();
    const run = await cancelled;
    assert.equal(run.status, 'cancelled');
    assert.equal((await scene.results())[0]!.status, 'cancelled');
  });

  test('whose process is killed are tried again, but not for ever', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    const worker = scene.worker({ execArgv: faultsOf({ point: 'capture.noted', passing: 1, does: 'kill' }) });
    const run = await worker.runOnce('counting', { dryRun: false });
    assert.deepEqual([run.status, run.attempt], ['failed', 4]);
    assert.match(String(run.result!['errors']), /3 attempts ended with their process/);
  });

  test('have ended also when the log takes no results just then, and it gets them later', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    let failures = 2;
    /** The log, which takes no results for a while. */
    const troubled = new Proxy(scene.log, {
      get: (log, name) => {
        const value = Reflect.get(log, name) as unknown;
        if (name !== 'writer') return typeof value === 'function' ? value.bind(log) : value;
        return async (topics: readonly string[]) => {
          if (topics.includes('run-results') && failures-- > 0) throw new FreshetError('connection', 'no broker');
          return log.writer(topics);
        };
      },
    });
    const worker = scene.worker({ log: troubled });
    await worker.start();
    const { run_id } = await worker.runs.request('counting', { dryRun: false, by: 'test' });
    const run = await ended(worker.runs, run_id);
    assert.equal(run.status, 'succeeded');
    await events.until('the result is written', async () => (await scene.results()).length === 1);
    assert.deepEqual(JSON.parse((await scene.results())[0]!.result), run.result);
    assert.equal((await scene.versions.list('faiss')).versions.length, 1);
  });

  test('are done by one of two workers, and the other sees them ended', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(10), 1);
    const [one, two] = [scene.worker(), scene.worker()];
    await Promise.all([one.start(), two.start()]);
    const asked = await Promise.all(
      [one, two, one].map(({ runs }) => runs.request('counting', { dryRun: false, by: 'test' })),
    );
    for (const { run_id } of asked) {
      const run = await ended(two.runs, run_id);
      assert.deepEqual([run.status, run.attempt], ['succeeded', 1]);
    }
    assert.equal((await scene.versions.list('faiss')).versions.length, 3);
  });

  test('of a worker that lost its lease are ended by the next, and it can publish nothing', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(10), 1);
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let reach: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => {
      reach = resolve;
    });
    let outcome: unknown = null;
    /** Publishes late, as a process does that stood still. */
    const late: Pick<Versions, 'publish' | 'list'> = {
      list: (artefact) => scene.versions.list(artefact),
      publish: async (build, right) => {
        reach();
        await held;
        try {
          return await scene.versions.publish(build, right);
        } catch (error) {
          outcome = error;
          throw error;
        }
      },
    };
    const zombie = scene.worker({ versions: late });
    await zombie.start();
    const { run_id } = await zombie.runs.request('counting', { dryRun: false, by: 'test' });
    await reached;
    // Its heartbeats no longer count: the clock that decides is Postgres's.
    await scene.database.execute("UPDATE job_leases SET heartbeat_at = now() - interval '1 minute', holder = 'gone'");
    const heir = scene.worker();
    await heir.start();
    const run = await ended(heir.runs, run_id);
    assert.deepEqual([run.status, run.attempt, run.result!['version']], ['succeeded', 2, 1]);
    const next = await heir.runOnce('counting', { dryRun: false });
    assert.equal(next.result!['version'], 2);
    release();
    await events.until('the late publisher was refused', () => outcome !== null);
    assert.ok(hasCode(outcome, 'fenced'), String(outcome));
    assert.equal((await scene.versions.list('faiss')).current, 2);
    assert.equal((await scene.versions.list('faiss')).versions.length, 2);
    assert.deepEqual((await heir.runs.get(run_id))!.result, run.result);
  });

  test('whose publication fails keep the former version and say so', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    const refusing: Pick<Versions, 'publish' | 'list'> = {
      list: (artefact) => scene.versions.list(artefact),
      publish: async () => {
        throw new FreshetError('connection', 'the online store does not answer');
      },
    };
    const run = await scene.worker({ versions: refusing }).runOnce('counting', { dryRun: false });
    assert.deepEqual([run.status, run.result!['errors']], ['failed', ['the online store does not answer']]);
  });
});
