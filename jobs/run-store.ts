/**
 * Runs as stored in Postgres, by its clock alone. Every update requires a state in which it is possible (run-state.ts)
 * and its own epoch, so a worker that has lost its lease changes nothing more.
 */
import { FreshetError } from '../runtime/process/errors.js';
import type { Database, Queryable, SqlValue } from '../runtime/stores/database.js';
import type { RunResult } from '../schemas/records.js';
import { END_STATUS, type EndEvent, statesBefore } from './run-state.js';
import type { Run, RunProgress } from './runs.js';

export interface RunRow extends Run {
  readonly requested_by: string;
  /** Attempts that died with their process. */
  readonly deaths: number;
  /** What the job keeps for later attempts; only the job understands it. Null for nothing. */
  readonly kept: unknown;
  readonly epoch: number;
}

/** When a job last succeeded and last failed, and how often it has failed since then; dry runs do not count. */
export interface JobHistory {
  readonly succeeded: Date | null;
  readonly failed: Date | null;
  readonly failures: number;
}

interface NewRun {
  readonly run_id: string;
  readonly job_name: string;
  readonly dry_run: boolean;
  readonly requested_by: string;
  /** Null: now. */
  readonly requested_at: Date | null;
}

const COLUMNS = `run_id, job_name, status, attempt, deaths, dry_run, requested_at, requested_by, started_at, finished_at,
  progress, kept, result, epoch`;

const REQUEST = `
  INSERT INTO job_runs (run_id, job_name, status, attempt, deaths, dry_run, requested_by, requested_at, epoch)
  VALUES ($1, $2, 'queued', 0, 0, $3, $4, coalesce($5::timestamptz, now()), 0)
  ON CONFLICT (run_id) DO NOTHING
  RETURNING ${COLUMNS}`;
const ADOPT = `
  INSERT INTO job_runs AS r (run_id, job_name, status, attempt, deaths, dry_run, requested_at, requested_by, started_at,
    finished_at, result, epoch)
  VALUES ($1, $2, $3, $4, 0, false, $5, 'unknown', $6, $7, $8::jsonb, 0)
  ON CONFLICT (run_id) DO UPDATE SET status = $3, attempt = $4, started_at = $6, finished_at = $7, result = $8::jsonb,
    progress = NULL, kept = NULL
    WHERE r.finished_at IS NULL`;
const IS_WAITING = `
  SELECT 1 FROM job_runs WHERE job_name = $1 AND finished_at IS NULL AND ($2::text IS NULL OR run_id = $2) LIMIT 1`;
/** A row locked by a worker that has lost the lease is skipped: that worker's changes will be refused. */
const CLAIM = `
  UPDATE job_runs SET status = 'running', attempt = attempt + 1, epoch = $2, started_at = coalesce(started_at, now()),
    deaths = deaths + CASE WHEN status = 'running' THEN 1 ELSE 0 END, progress = NULL
  WHERE run_id = (
      SELECT run_id FROM job_runs
      WHERE job_name = $1 AND finished_at IS NULL AND status = ANY($3) AND epoch <= $2
        AND ($4::text IS NULL OR run_id = $4)
      ORDER BY queue_order LIMIT 1 FOR UPDATE SKIP LOCKED)
    AND EXISTS (SELECT 1 FROM job_leases WHERE job_name = $1 AND epoch = $2)
  RETURNING ${COLUMNS}`;
const YIELD = `
  UPDATE job_runs SET status = 'queued', progress = NULL WHERE run_id = $1 AND epoch = $2 AND status = ANY($3)`;
const PROGRESS = `UPDATE job_runs SET progress = $3::jsonb WHERE run_id = $1 AND epoch = $2 AND status = 'running'`;
const KEEP = `UPDATE job_runs SET kept = $3::jsonb WHERE run_id = $1 AND epoch = $2 AND status = 'running'`;
const END = `
  WITH ended AS (
    UPDATE job_runs SET status = $3, finished_at = now(), progress = NULL, kept = NULL,
      result = $4::jsonb || jsonb_build_object(
        'duration_seconds', round(greatest(extract(epoch FROM now() - started_at), 0)::numeric, 3),
        'timestamp', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))
    WHERE run_id = $1 AND epoch = $2 AND status = ANY($5)
    RETURNING ${COLUMNS}),
  outbox AS (INSERT INTO run_outbox (run_id) SELECT run_id FROM ended)
  SELECT * FROM ended`;
const HISTORY = `
  WITH r AS (SELECT status, finished_at FROM job_runs WHERE job_name = $1 AND NOT dry_run AND finished_at IS NOT NULL),
    s AS (SELECT max(finished_at) AS at FROM r WHERE status = 'succeeded')
  SELECT (SELECT at FROM s) AS succeeded,
    (SELECT max(finished_at) FROM r WHERE status = 'failed') AS failed,
    (SELECT count(*) FROM r WHERE status = 'failed' AND finished_at > coalesce((SELECT at FROM s), '-infinity')) AS failures`;

/** Postgres cannot index longer names, and a notification contains the name. */
const ID_CHARACTERS_MAX = 256;

export class RunStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** Queues a run and wakes the workers; null if its id is already known, whatever its state. */
  async request(run: NewRun, on: Queryable = this.#database): Promise<RunRow | null> {
    checkIds(run);
    const { run_id, job_name, dry_run, requested_by, requested_at } = run;
    const [row] = await on.query<RunRow>(REQUEST, [run_id, job_name, dry_run, requested_by, requested_at]);
    return row ?? null;
  }

  /** Records the end of a run that the log knows and the database does not, as after a restore from a backup. */
  async adopt(ended: RunResult, on: Queryable): Promise<void> {
    checkIds(ended);
    const { run_id, job_name, status, attempt, requested_at, started_at, finished_at, result } = ended;
    const started = started_at === null ? null : new Date(started_at);
    const times = [new Date(requested_at), started, new Date(finished_at)];
    await on.execute(ADOPT, [run_id, job_name, status, attempt, ...times, result]);
  }

  /** Null: there is no such run. */
  async get(runId: string): Promise<RunRow | null> {
    return this.#one(`SELECT ${COLUMNS} FROM job_runs WHERE run_id = $1`, [runId]);
  }

  /** Newest first. */
  latest(job: string, limit: number): Promise<RunRow[]> {
    return this.#database.query(
      `SELECT ${COLUMNS} FROM job_runs WHERE job_name = $1 ORDER BY requested_at DESC, run_id LIMIT $2`,
      [job, limit],
    );
  }

  /** Whether the job has a run that has not ended; with `only`, whether that run has not. */
  async isWaiting(job: string, only: string | null): Promise<boolean> {
    return (await this.#database.query(IS_WAITING, [job, only])).length > 0;
  }

  /** The ids among these that belong to runs that have ended. */
  async ended(runIds: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.query<{ run_id: string }>(
      'SELECT run_id FROM job_runs WHERE run_id = ANY($1) AND finished_at IS NOT NULL',
      [runIds],
    );
    return new Set(rows.map(({ run_id }) => run_id));
  }

  /**
   * Starts an attempt at the job's first run that has not ended, or at `only`; null if there is none or the lease is
   * newer.
   */
  claim(job: string, epoch: number, only: string | null): Promise<RunRow | null> {
    return this.#one(CLAIM, [job, epoch, statesBefore('start'), only]);
  }

  /** Back to the queue: another worker continues it later. */
  async yield(runId: string, epoch: number): Promise<void> {
    await this.#database.execute(YIELD, [runId, epoch, statesBefore('yield')]);
  }

  async progress(runId: string, epoch: number, progress: RunProgress): Promise<void> {
    await this.#database.execute(PROGRESS, [runId, epoch, JSON.stringify(progress)]);
  }

  /** False when the run has ended or a newer holder has it. */
  async keep(runId: string, epoch: number, value: unknown): Promise<boolean> {
    return (await this.#database.execute(KEEP, [runId, epoch, JSON.stringify(value)])) > 0;
  }

  /** Ends it and puts its result into the outbox; null when it had ended already or a newer holder has it. */
  end(
    runId: string,
    epoch: number,
    event: EndEvent,
    result: Readonly<Record<string, unknown>>,
  ): Promise<RunRow | null> {
    return this.#one(END, [runId, epoch, END_STATUS[event], JSON.stringify(result), statesBefore(event)]);
  }

  async history(job: string): Promise<JobHistory> {
    const [row] = await this.#database.query<JobHistory>(HISTORY, [job]);
    return row!;
  }

  async #one(sql: string, parameters: readonly SqlValue[]): Promise<RunRow | null> {
    const [row] = await this.#database.query<RunRow>(sql, parameters);
    return row ?? null;
  }
}

/** The part of it that is public. */
export function runOf(row: RunRow): Run {
  const { run_id, job_name, status, attempt, dry_run, requested_at, started_at, finished_at, progress, result } = row;
  return { run_id, job_name, status, attempt, dry_run, requested_at, started_at, finished_at, progress, result };
}

function checkIds({ run_id, job_name }: { readonly run_id: string; readonly job_name: string }): void {
  for (const id of [run_id, job_name])
    if (id === '' || id.length > ID_CHARACTERS_MAX)
      throw new FreshetError(
        'invalid_data',
        `a run's id and the name of its job have 1 to ${ID_CHARACTERS_MAX} characters`,
      );
}
