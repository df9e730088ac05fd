/**
 * Runs as Postgres has them. Every change asks for the states in which it means something (run-state.ts) and for an
 * epoch not above its own: a worker that has lost its lease changes nothing more.
 */
import type { Database, SqlValue } from '../runtime/stores/database.js';
import type { RunRequest, RunResult } from '../schemas/records.js';
import { END_STATUS, type EndEvent, statesBefore } from './run-state.js';
import type { Run, RunProgress } from './runs.js';

export interface RunRow extends Run {
  readonly requested_by: string;
  /** Attempts that ended with their process, without a word. */
  readonly deaths: number;
  /** What its job has kept for later attempts, which only the job understands; null: nothing. */
  readonly kept: unknown;
  readonly epoch: number;
  readonly told: boolean;
}

const COLUMNS = `run_id, job_name, status, attempt, deaths, dry_run, requested_at, requested_by, started_at, finished_at,
  progress, built AS kept, result, epoch, told`;

const ENSURE = `
  INSERT INTO job_runs (run_id, job_name, status, attempt, deaths, dry_run, requested_at, requested_by, epoch, told)
  VALUES ($1, $2, 'queued', 0, 0, $3, $4, $5, 0, false)
  ON CONFLICT (run_id) DO NOTHING`;
/** An end that the log knows and the database does not, as after a restore from a backup. */
const ADOPT = `
  INSERT INTO job_runs AS r (run_id, job_name, status, attempt, deaths, dry_run, requested_at, requested_by, started_at,
    finished_at, result, epoch, told)
  VALUES ($1, $2, $3, $4, 0, false, $5, 'unknown', $6, $7, $8::jsonb, 0, true)
  ON CONFLICT (run_id) DO UPDATE SET status = $3, attempt = $4, started_at = $6, finished_at = $7, result = $8::jsonb,
    progress = NULL, built = NULL, told = true
    WHERE r.finished_at IS NULL`;
const START = `
  UPDATE job_runs SET status = 'running', attempt = attempt + 1, epoch = $2, started_at = coalesce(started_at, $3),
    deaths = deaths + CASE WHEN status = 'running' THEN 1 ELSE 0 END, progress = NULL
  WHERE run_id = $1 AND epoch <= $2 AND status = ANY($4)
  RETURNING ${COLUMNS}`;
const YIELD = `
  UPDATE job_runs SET status = 'queued', progress = NULL WHERE run_id = $1 AND epoch = $2 AND status = ANY($3)`;
const PROGRESS = `UPDATE job_runs SET progress = $3::jsonb WHERE run_id = $1 AND epoch = $2 AND status = 'running'`;
const KEEP = `UPDATE job_runs SET built = $3::jsonb WHERE run_id = $1 AND epoch = $2 AND status = 'running'`;
const END = `
  UPDATE job_runs SET status = $3, finished_at = $4, result = $5::jsonb, progress = NULL, built = NULL
  WHERE run_id = $1 AND epoch <= $2 AND status = ANY($6)
  RETURNING ${COLUMNS}`;

const HISTORY = `
  WITH r AS (SELECT status, finished_at FROM job_runs WHERE job_name = $1 AND NOT dry_run AND finished_at IS NOT NULL),
    s AS (SELECT max(finished_at) AS at FROM r WHERE status = 'succeeded')
  SELECT (SELECT at FROM s) AS succeeded,
    (SELECT max(finished_at) FROM r WHERE status = 'failed') AS failed,
    (SELECT count(*) FROM r WHERE status = 'failed' AND finished_at > coalesce((SELECT at FROM s), '-infinity')) AS failures`;

export class RunStore {
  readonly #database: Database;

  constructor(database: Database) {
    this.#database = database;
  }

  /** A row for a request; an existing one stays. */
  async ensure({ run_id, job_name, dry_run, requested_at, requested_by }: RunRequest): Promise<void> {
    await this.#database.execute(ENSURE, [run_id, job_name, dry_run, new Date(requested_at), requested_by]);
  }

  async adopt(ended: RunResult): Promise<void> {
    const { run_id, job_name, status, attempt, requested_at, started_at, finished_at, result } = ended;
    const started = started_at === null ? null : new Date(started_at);
    const times = [new Date(requested_at), started, new Date(finished_at)];
    await this.#database.execute(ADOPT, [run_id, job_name, status, attempt, ...times, result]);
  }

  /** Null: no such run. */
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

  /** Oldest first. */
  unended(job: string): Promise<RunRow[]> {
    return this.#database.query(
      `SELECT ${COLUMNS} FROM job_runs WHERE job_name = $1 AND finished_at IS NULL ORDER BY requested_at, run_id`,
      [job],
    );
  }

  /** Ended, but the log may not know it: the process died in between. */
  untold(job: string): Promise<RunRow[]> {
    return this.#database.query(
      `SELECT ${COLUMNS} FROM job_runs WHERE job_name = $1 AND finished_at IS NOT NULL AND NOT told ORDER BY finished_at`,
      [job],
    );
  }

  /** Of these, the ids of runs that have ended. */
  async ended(runIds: readonly string[]): Promise<Set<string>> {
    const rows = await this.#database.query<{ run_id: string }>(
      'SELECT run_id FROM job_runs WHERE run_id = ANY($1) AND finished_at IS NOT NULL',
      [runIds],
    );
    return new Set(rows.map(({ run_id }) => run_id));
  }

  /** Null when it has ended meanwhile, or a newer holder has it. */
  async start(runId: string, epoch: number, now: Date): Promise<RunRow | null> {
    return this.#one(START, [runId, epoch, now, statesBefore('start')]);
  }

  /** Back to the queue: somebody goes on with it later. */
  async yield(runId: string, epoch: number): Promise<void> {
    await this.#database.execute(YIELD, [runId, epoch, statesBefore('yield')]);
  }

  async progress(runId: string, epoch: number, progress: RunProgress): Promise<void> {
    await this.#database.execute(PROGRESS, [runId, epoch, JSON.stringify(progress)]);
  }

  /** False when it has ended, or a newer holder has it. */
  async keep(runId: string, epoch: number, value: unknown): Promise<boolean> {
    return (await this.#database.execute(KEEP, [runId, epoch, JSON.stringify(value)])) > 0;
  }

  /** Null when it has ended already, or a newer holder has it. */
  async end(
    runId: string,
    epoch: number,
    event: EndEvent,
    now: Date,
    result: Readonly<Record<string, unknown>>,
  ): Promise<RunRow | null> {
    return this.#one(END, [runId, epoch, END_STATUS[event], now, JSON.stringify(result), statesBefore(event)]);
  }

  async markTold(runId: string): Promise<void> {
    await this.#database.execute('UPDATE job_runs SET told = true WHERE run_id = $1', [runId]);
  }

  /** When the job last succeeded and last failed, and how often it has failed since; dry runs do not count. */
  async history(job: string): Promise<{ succeeded: Date | null; failed: Date | null; failures: number }> {
    const [row] = await this.#database.query<{ succeeded: Date | null; failed: Date | null; failures: number }>(
      HISTORY,
      [job],
    );
    return row!;
  }

  async #one(sql: string, parameters: readonly SqlValue[]): Promise<RunRow | null> {
    const [row] = await this.#database.query<RunRow>(sql, parameters);
    return row ?? null;
  }
}

/** What everybody may see of it. */
export function runOf(row: RunRow): Run {
  const { run_id, job_name, status, attempt, dry_run, requested_at, started_at, finished_at, progress, result } = row;
  return { run_id, job_name, status, attempt, dry_run, requested_at, started_at, finished_at, progress, result };
}
