/** I25: runs of a snapshotter from the request to the version, with a real Postgres and a process for each. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { takeLease } from '../../jobs/lease.js';
import type { Run, RunProgress, Runs } from '../../jobs/runs.js';
import type { Versions } from '../../publishing/versions/versions.js';
import { systemClock } from '../../runtime/process/clock.js';
import { FreshetError, hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { artifactsFolder } from '../../runtime/process/settings.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';
import { faultsOf, keysOf, put } from '../support/snapshots/counted.js';
import { COUNTING_FILE } from '../support/snapshots/counting.js';
import { openRunScene, request } from '../support/snapshots/run-scene.js';

const events = new Events();
/** In the middle of a capture. */
const HELD = faultsOf({ point: 'capture.read', passing: 3, does: 'hold' });

async function ended(runs: Runs, runId: string): Promise<Run> {
  let run: Run | null = null;
  await events.until(`the end of run ${runId}`, async () => {
    run = await runs.get(runId);
    return run?.finished_at != null;
  });
  return run!;
}

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
    const file = await readFile(join(artefacts, 'faiss', 'v1', COUNTING_FILE), 'utf8');
    assert.equal(file.trim().split('\n').length, 20);
    assert.equal((await scene.versions.list('faiss')).current, 1);
    // Told is told once the row says so; the work folder is empty then.
    await events.until('the result is told', async () => (await scene.results()).length === 1);
    const [told] = await scene.results();
    assert.deepEqual([told!.run_id, told!.status, told!.attempt], [run.run_id, 'succeeded', 1]);
    assert.deepEqual(JSON.parse(told!.result), run.result);
    assert.deepEqual(await readdir(join(artefacts, '.work', 'counting')), []);
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

  test('are done in order, one at a time, also those that were asked for without a database', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    await put(scene.log, keysOf(3), 1);
    for (const run_id of ['c', 'a', 'b']) await request(scene.log, { run_id, dry_run: run_id === 'a' });
    await request(scene.log, { run_id: 'd', job_name: 'somebody-elses' });
    const worker = scene.worker();
    await worker.start();
    await ended(worker.runs, 'b');
    await events.until('all are told', async () => (await scene.results()).length === 3);
    assert.deepEqual(
      (await scene.results()).map(({ run_id }) => run_id),
      ['c', 'a', 'b'],
    );
    assert.equal((await worker.runs.get('b'))!.result!['version'], 2);
    assert.equal(await worker.runs.get('d'), null);
  });

  test('that the log says have ended are not done again by a database that has forgotten them', async (t) => {
    const scene = await openRunScene(t, postgres.url);
    const first = scene.worker();
    const run = await first.runOnce('counting', { dryRun: false });
    await first.stop();
    await scene.database.execute('TRUNCATE job_runs');
    const second = scene.worker();
    await second.start();
    const known = (await second.runs.get(run.run_id))!;
    assert.equal(known.status, 'succeeded');
    assert.deepEqual(known.result, run.result);
    await second.runOnce('counting', { dryRun: false });
    assert.equal((await scene.versions.list('faiss')).current, 2);
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

  test('can be cancelled by whoever waits for them', async (t) => {
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

  test('have ended also when the log cannot be told just then, and are told later', async (t) => {
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
    await events.until('it is told', async () => (await scene.results()).length === 1);
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

describe('a lease', () => {
  let postgres: Service;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  test('is held by one, is renewed, and goes to the next when its heartbeat is too old', async (t) => {
    const { database } = await openRunScene(t, postgres.url);
    const options = { database, clock: systemClock, logger: silentLogger, boundMs: 1_000 };
    const first = (await takeLease(options, 'job', 'run'))!;
    t.after(() => first.release());
    assert.equal(first.epoch, 1);
    assert.equal(await takeLease(options, 'job', 'run'), null);
    assert.ok((await takeLease(options, 'other job', 'run')) !== null);
    const beatAt = async () =>
      (await database.query<{ at: Date }>("SELECT heartbeat_at AS at FROM job_leases WHERE job_name = 'job'"))[0]!.at;
    const begun = await beatAt();
    await events.until('a heartbeat', async () => (await beatAt()) > begun);
    first.check();
    await database.execute("UPDATE job_leases SET heartbeat_at = now() - interval '2 s' WHERE job_name = 'job'");
    const second = (await takeLease(options, 'job', 'run'))!;
    assert.equal(second.epoch, 2);
    await events.until('the first one notices', () => first.lost.aborted);
    assert.throws(
      () => first.check(),
      (error) => hasCode(error, 'fenced'),
    );
    await first.release();
    assert.equal(await takeLease(options, 'job', 'run'), null, 'a former holder gives nothing away');
    await second.release();
    await second.release();
    const third = (await takeLease(options, 'job', 'run'))!;
    assert.equal(third.epoch, 3);
    await third.release();
  });

  test('is no longer trusted before anybody else can have it', async (t) => {
    const { database } = await openRunScene(t, postgres.url);
    const boundMs = 900;
    const silent = { ...database, query: database.query.bind(database), execute: () => new Promise<number>(() => {}) };
    const options = { database: silent, clock: systemClock, logger: silentLogger, boundMs };
    const lease = (await takeLease(options, 'job', 'run'))!;
    const other = { database, clock: systemClock, logger: silentLogger, boundMs };
    let wasTrusted = true;
    await events.until('the lease is free', async () => {
      wasTrusted = !lease.lost.aborted;
      return (await takeLease(other, 'job', 'run')) !== null;
    });
    assert.equal(wasTrusted, false);
  });
});
