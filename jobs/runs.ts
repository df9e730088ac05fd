/** Runs of jobs as the rest of the code sees them: request one, read its state. */
export type RunStatus = 'queued' | 'running' | 'succeeded' | 'failed' | 'skipped' | 'cancelled';

/** Phase and progress of a run: `done` of `total`, in the unit of the phase; `total` is null if unknown. */
export interface RunProgress {
  readonly phase: string;
  readonly done: number;
  readonly total: number | null;
}

export interface Run {
  readonly run_id: string;
  readonly job_name: string;
  readonly status: RunStatus;
  readonly attempt: number;
  readonly dry_run: boolean;
  readonly requested_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  /** While it runs: its progress. */
  readonly progress: RunProgress | null;
  /**
   * Once it has ended: success, duration_seconds, documents_processed | records_processed, stopwords_updated, version,
   * summary (lines, of a dry run too), errors, timestamp.
   */
  readonly result: Readonly<Record<string, unknown>> | null;
}

export interface Runs {
  /** Names of jobs that can be run, in order. */
  readonly jobs: readonly string[];
  /** Queues a run. Errors: FreshetError 'invalid_data' for an unknown job; those of the database. */
  request(job: string, options: { readonly dryRun: boolean; readonly by: string }): Promise<Run>;
  /** Null: there is no such run. */
  get(runId: string): Promise<Run | null>;
  /** Newest first. */
  latest(job: string, limit: number): Promise<readonly Run[]>;
}
