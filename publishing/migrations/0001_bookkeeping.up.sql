-- Where every sink stands. The row is the fence: rows of a batch are written only together with the move of
-- next_offset, and only by the holder of the newest epoch.
CREATE TABLE sink_offsets (
  sink text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  epoch bigint NOT NULL,
  next_offset bigint NOT NULL,
  incarnation text NOT NULL,
  updated_at timestamptz NOT NULL,
  PRIMARY KEY (sink, topic, partition)
) WITH (fillfactor = 60);

-- Versions of everything published. (timeline, seq) is the token of a switch, epoch the publisher's fence.
CREATE TABLE versions (
  artefact text NOT NULL,
  version integer NOT NULL,
  state text NOT NULL CHECK (state IN ('staged', 'verified', 'shadow', 'canary', 'current', 'retired', 'failed')),
  manifest jsonb NOT NULL,
  timeline bigint NOT NULL,
  seq bigint NOT NULL,
  epoch bigint NOT NULL,
  created_at timestamptz NOT NULL,
  activated_at timestamptz,
  PRIMARY KEY (artefact, version)
);

CREATE UNIQUE INDEX versions_one_current ON versions (artefact) WHERE state = 'current';
