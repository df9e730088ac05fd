-- Postgres decides who does which run: job_runs is the queue. Topics bring requests of others in and carry results out.

-- What the job of a run keeps for later attempts.
ALTER TABLE job_runs RENAME COLUMN built TO kept;

-- Runs of a job are done in this order: that of their insertion.
ALTER TABLE job_runs ADD COLUMN queue_order bigint;
UPDATE job_runs SET queue_order = numbered.n
FROM (SELECT run_id, row_number() OVER (ORDER BY requested_at, run_id) AS n FROM job_runs) AS numbered
WHERE job_runs.run_id = numbered.run_id;
ALTER TABLE job_runs
  ALTER COLUMN queue_order SET NOT NULL,
  ALTER COLUMN queue_order ADD GENERATED ALWAYS AS IDENTITY;
SELECT setval(pg_get_serial_sequence('job_runs', 'queue_order'), coalesce(max(queue_order), 0) + 1, false) FROM job_runs;

CREATE INDEX job_runs_queue ON job_runs (job_name, queue_order) WHERE finished_at IS NULL;

-- Ends that run-results does not have yet, written by the statement that ends the run.
CREATE TABLE run_outbox (
  outbox_order bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  run_id text NOT NULL UNIQUE REFERENCES job_runs ON DELETE CASCADE
);
INSERT INTO run_outbox (run_id)
SELECT run_id FROM job_runs WHERE finished_at IS NOT NULL AND NOT told ORDER BY finished_at;
ALTER TABLE job_runs DROP COLUMN told;

-- How far run-requests and run-results have been brought into job_runs; moved only together with the rows.
CREATE TABLE run_topics (
  topic text PRIMARY KEY,
  -- Tells the topic from a later one of the same name; null where the log cannot.
  topic_id text,
  next_offset bigint NOT NULL
);

-- A lease belongs to a job: which run it is for is known only once one has been claimed.
ALTER TABLE job_leases DROP COLUMN run_id;

-- Wakes those that wait: workers for a request or a lease, relays for an end.
CREATE FUNCTION notify_jobs() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('freshet_jobs', NEW.job_name);
  RETURN NULL;
END
$$;

CREATE TRIGGER job_runs_notify AFTER INSERT OR UPDATE OF finished_at ON job_runs
  FOR EACH ROW EXECUTE FUNCTION notify_jobs();
CREATE TRIGGER job_leases_notify AFTER UPDATE OF holder ON job_leases
  FOR EACH ROW WHEN (NEW.holder IS NULL) EXECUTE FUNCTION notify_jobs();
