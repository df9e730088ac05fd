DROP TABLE job_leases;
DROP TABLE job_runs;
