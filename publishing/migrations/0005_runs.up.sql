-- Runs of jobs. The topics run-requests and run-results are the truth; this is where workers agree on who does what.
CREATE TABLE job_runs (
  run_id text PRIMARY KEY,
  job_name text NOT NULL,
  status text NOT NULL CHECK (status IN ('queued', 'running', 'succeeded', 'failed', 'skipped', 'cancelled')),
  attempt integer NOT NULL,
  -- Attempts that ended with their process, without a word.
  deaths integer NOT NULL,
  dry_run boolean NOT NULL,
  requested_at timestamptz NOT NULL,
  requested_by text NOT NULL,
  started_at timestamptz,
  finished_at timestamptz,
  progress jsonb,
  -- What the run has built, from then on until it ends.
  built jsonb,
  result jsonb,
  -- Of the lease under which it was last written: a former holder writes nothing more.
  epoch bigint NOT NULL,
  -- Whether run-results has its end.
  told boolean NOT NULL
);

CREATE INDEX job_runs_by_job ON job_runs (job_name, requested_at DESC);

-- Who may work on a job. The epoch only ever rises: it fences what the run publishes.
CREATE TABLE job_leases (
  job_name text PRIMARY KEY,
  epoch bigint NOT NULL,
  holder text,
  run_id text,
  heartbeat_at timestamptz NOT NULL
);
