DROP TABLE stopwords;
DROP TABLE version_pins;
DROP INDEX versions_one_per_run;
ALTER TABLE versions
  DROP COLUMN run_id,
  DROP COLUMN checksum,
  DROP COLUMN touched_at,
  DROP COLUMN retired_at,
  DROP COLUMN reaped_at,
  DROP COLUMN removed_at,
  DROP COLUMN reason;
-- The rows are gone: what says that they were published must go with them.
DELETE FROM versions WHERE artefact NOT IN ('popularity', 'affinity');
DROP TABLE version_heads;
