/**
 * I25: kill -9 of a worker between every two steps of a run. The next worker continues the same run: it produces one
 * version, its result reaches run-results at least once, the previous version is current until then, and nothing captured is read again.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Run } from '../../jobs/runs.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { listVersions } from '../../publishing/versions/list.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import { resultsIn } from '../support/jobs.js';
import { nextLine, runScript, untilGone } from '../support/processes.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';
import { keysOf, put } from '../support/snapshots/counted.js';
import type { WorkerJob } from '../support/snapshots/worker-process.js';
import type { FaultPoint } from './harness/fault-points.js';

const SCRIPT = new URL('../support/snapshots/worker-process.js', import.meta.url);
const KEYS = 60;

/** The point at which the worker is killed, and the attempt that ends the run. */
const POINTS: readonly (readonly [point: FaultPoint, attempts: number])[] = [
  ['run.leased', 1],
  ['run.started', 2],
  ['run.built', 2],
  ['version.allocated', 2],
  ['version.moved', 2],
  ['version.verified', 2],
  ['version.decided', 2],
  ['version.followed', 2],
  ['run.published', 2],
  ['run.ended', 1],
  ['run.result_written', 1],
  ['run.reported', 1],
];

/** By then the new version is current. */
const SWITCHED: readonly FaultPoint[] = [
  ...(['version.decided', 'version.followed', 'run.published'] as const),
  ...(['run.ended', 'run.result_written', 'run.reported'] as const),
];

describe('a killed worker', () => {
  let postgres: Service;
  let database: Database;
  let folder: string;
  before(async () => {
    postgres = await startPostgres();
    database = await openPostgres({ url: postgres.url }, silentLogger);
    await migrateUp(database);
    folder = await mkdtemp(join(tmpdir(), 'freshet-worker-'));
    await opened(async (log) => {
      await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions: 2 });
      await put(log, keysOf(KEYS));
    });
  });
  after(async () => {
    await database?.close();
    await postgres?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function opened<T>(work: (log: Log) => Promise<T>): Promise<T> {
    const log = await openEmbeddedLog(join(folder, 'log'), silentLogger);
    try {
      return await work(log);
    } finally {
      await log.close();
    }
  }

  function start(over: Partial<WorkerJob>) {
    const job: WorkerJob = { folder, postgresUrl: postgres.url, runId: null, steps: [], ...over };
    return runScript(SCRIPT, [JSON.stringify(job)]);
  }

  async function newestRun(): Promise<string> {
    const rows = await database.query<{ run_id: string }>(
      'SELECT run_id FROM job_runs ORDER BY requested_at DESC LIMIT 1',
    );
    return rows[0]!.run_id;
  }

  /** The run as ended by the next worker. */
  async function goneOn(runId: string): Promise<Run> {
    const next = start({ runId });
    const exit = once(next, 'exit');
    const run = JSON.parse(await nextLine(next)) as Run;
    await exit;
    return run;
  }

  /** `results`: how often run-results has it. */
  async function check(run: Run, before: number | null, results = 1): Promise<void> {
    assert.equal(run.status, 'succeeded');
    assert.equal(run.result!['keys_updated'], KEYS);
    const { current, versions } = await listVersions(database, 'faiss');
    assert.equal(current, run.result!['version']);
    assert.equal(versions.filter(({ manifest }) => manifest.run_id === run.run_id).length, 1);
    assert.equal(versions.length, (before ?? 0) + 1);
    const written = (await opened(resultsIn)).filter(({ run_id }) => run_id === run.run_id);
    assert.equal(written.length, results);
    for (const { result } of written) assert.deepEqual(JSON.parse(result), run.result);
  }

  for (const [point, attempt] of POINTS)
    test(`at ${point}`, async () => {
      const before = (await listVersions(database, 'faiss')).current;
      const child = start({ steps: [{ point, passing: 1, does: 'kill' }] });
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      assert.equal(signal, 'SIGKILL');
      const runId = await newestRun();
      const between = (await listVersions(database, 'faiss')).current;
      if (!SWITCHED.includes(point)) assert.equal(between, before, 'the previous version is current until the switch');
      const run = await goneOn(runId);
      assert.equal(run.run_id, runId);
      assert.equal(run.attempt, attempt);
      // In the topic, but in the outbox still: it is written once more.
      await check(run, before, point === 'run.result_written' ? 2 : 1);
    });

  test('in the middle of a capture: its child ends too, and the next one continues from the savepoint', async (t) => {
    if (process.platform !== 'linux') return t.skip('the child is found through /proc');
    const before = (await listVersions(database, 'faiss')).current;
    // Progress is reported at most ten times a second: the capture must run for a moment before it is blocked.
    const slow = { point: 'capture.read', passing: 2, does: 'block', ms: 150 } as const;
    const held = { point: 'capture.read', passing: 4, does: 'hold' } as const;
    const killed = start({ diesInCapture: true, childSteps: [slow, held] });
    const { child } = JSON.parse(await nextLine(killed)) as { child: number };
    await untilGone(child);
    const runId = await newestRun();
    // Later records are not within the ends that this run has noted.
    await opened((log) => put(log, keysOf(3, 'later')));
    const run = await goneOn(runId);
    assert.equal(run.attempt, 2);
    await check(run, before);
  });
});
