-- Which version of an artefact is current: the one place where switches are decided. (timeline, seq) is the token of the
-- newest switch, epoch the highest of a publisher that has switched. The row is locked for a switch and for reaping.
CREATE TABLE version_heads (
  artefact text PRIMARY KEY,
  timeline bigint NOT NULL DEFAULT 1,
  seq bigint NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 0,
  current integer,
  previous integer,
  pinned integer,
  last_version integer NOT NULL DEFAULT 0
) WITH (fillfactor = 60);

INSERT INTO version_heads (artefact, timeline, seq, epoch, current, last_version)
SELECT artefact,
       coalesce(max(timeline) FILTER (WHERE state = 'current'), 1),
       coalesce(max(seq) FILTER (WHERE state = 'current'), 0),
       max(epoch),
       max(version) FILTER (WHERE state = 'current'),
       max(version)
FROM versions GROUP BY artefact;

-- touched_at: when its publisher last showed a sign of life. reaped_at: from then on nobody may switch to it;
-- removed_at: its data are gone.
ALTER TABLE versions
  ADD COLUMN run_id text,
  ADD COLUMN checksum text,
  ADD COLUMN touched_at timestamptz,
  ADD COLUMN retired_at timestamptz,
  ADD COLUMN reaped_at timestamptz,
  ADD COLUMN removed_at timestamptz,
  ADD COLUMN reason text;

-- A run makes one version, however often it is tried again.
CREATE UNIQUE INDEX versions_one_per_run ON versions (artefact, run_id);

-- Processes that read a version by configuration: it is kept as long as they show a sign of life.
CREATE TABLE version_pins (
  artefact text NOT NULL,
  version integer NOT NULL,
  holder text NOT NULL,
  renewed_at timestamptz NOT NULL,
  PRIMARY KEY (artefact, version, holder)
);

CREATE TABLE stopwords (
  version integer NOT NULL,
  language text NOT NULL,
  word text NOT NULL,
  confidence float8 NOT NULL,
  idf float8 NOT NULL,
  document_frequency bigint NOT NULL,
  PRIMARY KEY (version, language, word)
);
