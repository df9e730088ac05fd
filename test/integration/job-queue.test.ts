/**
 * I25: the queue of runs, with jobs that are no snapshots: who is woken by what, that a run is done by one worker at a
 * time, and that its result is written to run-results by any worker.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Attendance, type Ending, Interrupted, type Job, type JobRun } from '../../jobs/job.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Database } from '../../runtime/stores/database.js';
import { endOf, openJobScene, WORKER_PACE } from '../support/jobs.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const events = new Events();

function jobOf(run: (run: JobRun, attendance: Attendance) => Promise<Ending>): Job {
  return { name: 'trivial', policy: { deathsMax: 3 }, run };
}

/** Done at once. */
const done = jobOf(async () => ({ event: 'succeed', result: { records_processed: 1 } }));
/** Done when the worker stops it. */
const endless = jobOf(
  (_, { signal }) =>
    new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('it was stopped')), { once: true });
    }),
);
const BY_HAND = { dryRun: false, by: 'test' };
/** Only a notification wakes a worker of this pace. */
const NOTIFIED = { pace: { ...WORKER_PACE, retryMs: 60_000 } };

describe('the queue of runs', () => {
  let postgres: Service;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  test('has a run from its request to its result, and a value that its job keeps', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const kept: unknown[] = [];
    const job = jobOf(async (run, attendance) => {
      kept.push(run.kept);
      attendance.progress({ phase: 'counting', done: 1, total: 3 });
      await attendance.keep({ counted: run.attempt });
      attendance.check();
      if (run.attempt < 3) throw new Interrupted('its process was killed');
      return { event: 'succeed', result: { records_processed: 7, summary: ['seven'] } };
    });
    const worker = scene.workerOf([job]);
    await worker.start();
    assert.deepEqual(worker.waiting, []);
    const asked = await worker.runs.request('trivial', BY_HAND);
    assert.deepEqual([asked.status, asked.attempt, asked.started_at], ['queued', 0, null]);
    const run = await endOf(events, worker.runs, asked.run_id);
    assert.deepEqual(kept, [null, { counted: 1 }, { counted: 2 }]);
    assert.deepEqual([run.status, run.attempt], ['succeeded', 3]);
    const { duration_seconds, timestamp, ...result } = run.result!;
    assert.deepEqual(result, { success: true, records_processed: 7, summary: ['seven'], errors: [] });
    assert.equal(timestamp, run.finished_at!.toISOString());
    const tookMs = run.finished_at!.getTime() - run.started_at!.getTime();
    assert.ok(Math.abs(Number(duration_seconds) * 1_000 - tookMs) <= 2, `${String(duration_seconds)} s, ${tookMs} ms`);
    await events.until('the result is written', async () => (await scene.results()).length === 1);
    const [written] = await scene.results();
    assert.deepEqual(JSON.parse(written!.result), run.result);
    assert.equal(written!.finished_at, run.finished_at!.getTime());
    assert.deepEqual(await scene.database.query('SELECT kept FROM job_runs'), [{ kept: null }]);
  });

  test('wakes its workers for a request, whatever writes the row', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const worker = scene.workerOf([done], NOTIFIED);
    await worker.start();
    const first = await worker.runs.request('trivial', BY_HAND);
    await endOf(events, worker.runs, first.run_id);
    await scene.database.execute(`INSERT INTO job_runs (run_id, job_name, status, attempt, deaths, dry_run, requested_at,
      requested_by, epoch) VALUES ('by hand', 'trivial', 'queued', 0, 0, false, now(), 'psql', 0)`);
    assert.equal((await endOf(events, worker.runs, 'by hand')).status, 'succeeded');
  });

  test('wakes a waiting worker when the lease is free', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const first = scene.workerOf([endless], NOTIFIED);
    await first.start();
    const { run_id } = await first.runs.request('trivial', BY_HAND);
    await events.until('it runs', async () => (await first.runs.get(run_id))?.status === 'running');
    const second = scene.workerOf([done], NOTIFIED);
    await second.start();
    await first.stop();
    const run = await endOf(events, second.runs, run_id);
    assert.deepEqual([run.status, run.attempt], ['succeeded', 2]);
    assert.deepEqual(await scene.database.query('SELECT deaths FROM job_runs'), [{ deaths: 0 }]);
  });

  test('is looked at again after a lost connection', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const worker = scene.workerOf([done], NOTIFIED);
    await worker.start();
    const first = await worker.runs.request('trivial', BY_HAND);
    await endOf(events, worker.runs, first.run_id);
    const listening = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN %' AND datname = current_database()";
    const ended = await scene.database.query(`SELECT pg_terminate_backend(pid, 5000) FROM (${listening}) AS listening`);
    assert.equal(ended.length, 1);
    // Its notification is lost: nothing listens.
    const { run_id } = await worker.runs.request('trivial', BY_HAND);
    assert.deepEqual(await scene.database.query(listening), []);
    await endOf(events, worker.runs, run_id);
  });

  test('is looked at now and then where no notification comes', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const deaf = new Proxy(scene.database, {
      get: (database, name: keyof Database) => {
        if (name === 'listen') return () => ({ close: async () => undefined });
        return (database[name] as () => unknown).bind(database);
      },
    });
    const worker = scene.workerOf([done], { database: deaf, pace: { ...WORKER_PACE, pollMs: 50 } });
    await worker.start();
    for (let i = 0; i < 3; i++) {
      const { run_id } = await worker.runs.request('trivial', BY_HAND);
      await endOf(events, worker.runs, run_id);
    }
    await events.until('the results are written', async () => (await scene.results()).length === 3);
  });

  test('gives a run to one of several workers, one run of a job at a time, in order', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const order: string[] = [];
    let running = 0;
    const job = jobOf(async ({ run_id }) => {
      order.push(run_id);
      assert.equal(++running, 1, 'another run of the job is under way');
      await scene.database.query('SELECT pg_sleep(0.01)');
      running--;
      return { event: 'succeed', result: {} };
    });
    const workers = [scene.workerOf([job]), scene.workerOf([job]), scene.workerOf([job])];
    await Promise.all(workers.map((worker) => worker.start()));
    const asked: string[] = [];
    for (let i = 0; i < 12; i++) asked.push((await workers[i % 3]!.runs.request('trivial', BY_HAND)).run_id);
    for (const run_id of asked) {
      const run = await endOf(events, workers[0]!.runs, run_id);
      assert.deepEqual([run.status, run.attempt, run.result!['errors']], ['succeeded', 1, []]);
    }
    assert.deepEqual(order, asked);
    await events.until('the results are written', async () => (await scene.results()).length === asked.length);
    assert.deepEqual(
      (await scene.results()).map(({ run_id }) => run_id),
      asked,
    );
    assert.deepEqual(await scene.database.query('SELECT 1 FROM run_outbox'), []);
  });

  test('gives no run to a worker whose lease another has taken', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const claimed: number[] = [];
    /** Between the first lease and its claim another worker takes the lease. */
    const late = new Proxy(scene.database, {
      get: (database, name: keyof Database) => {
        if (name !== 'query') return (database[name] as () => unknown).bind(database);
        return async (sql: string, parameters: readonly []) => {
          const isClaim = sql.includes('SKIP LOCKED');
          if (isClaim && claimed.length === 0)
            await database.execute("UPDATE job_leases SET epoch = epoch + 1, holder = 'another'");
          const rows = await database.query(sql, parameters);
          if (isClaim) claimed.push(rows.length);
          return rows;
        };
      },
    });
    const worker = scene.workerOf([done], { database: late });
    await worker.start();
    const { run_id } = await worker.runs.request('trivial', BY_HAND);
    await events.until('it has tried to claim the run', () => claimed.length > 0);
    assert.deepEqual(claimed, [0]);
    await scene.database.execute("UPDATE job_leases SET heartbeat_at = now() - interval '1 minute'");
    assert.equal((await endOf(events, worker.runs, run_id)).attempt, 1);
  });

  test('has its results relayed by another worker where the one that ended the run cannot', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const cut = new Proxy(scene.log, {
      get: (log, name) => {
        const value = Reflect.get(log, name) as unknown;
        if (name === 'writer') return async () => Promise.reject(new FreshetError('connection', 'no broker'));
        return typeof value === 'function' ? value.bind(log) : value;
      },
    });
    const ender = scene.workerOf([done], { log: cut });
    const run = await ender.runOnce('trivial', { dryRun: false });
    assert.equal(run.status, 'succeeded');
    assert.deepEqual(await scene.results(), []);
    const relay = scene.workerOf([]);
    await relay.start();
    await events.until('the result is written', async () => (await scene.results()).length === 1);
  });
});
