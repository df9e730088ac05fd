DROP TRIGGER job_leases_notify ON job_leases;
DROP TRIGGER job_runs_notify ON job_runs;
DROP FUNCTION notify_jobs();

ALTER TABLE job_leases ADD COLUMN run_id text;

DROP TABLE run_topics;

ALTER TABLE job_runs ADD COLUMN told boolean;
UPDATE job_runs SET told = finished_at IS NOT NULL AND run_id NOT IN (SELECT run_id FROM run_outbox);
ALTER TABLE job_runs ALTER COLUMN told SET NOT NULL;
DROP TABLE run_outbox;

DROP INDEX job_runs_queue;
ALTER TABLE job_runs DROP COLUMN queue_order;
ALTER TABLE job_runs RENAME COLUMN kept TO built;
