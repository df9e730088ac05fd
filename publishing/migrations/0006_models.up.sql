-- Factors of a recommendation model, one row per user or product and version. Ids stand in the order of their bytes, as
-- in the files, so that a version is read back page by page in the same order.
CREATE TABLE als_user_factors (
  version integer NOT NULL,
  id text COLLATE "C" NOT NULL,
  factors real[] NOT NULL,
  PRIMARY KEY (version, id)
);

CREATE TABLE als_item_factors (
  version integer NOT NULL,
  id text COLLATE "C" NOT NULL,
  factors real[] NOT NULL,
  PRIMARY KEY (version, id)
);

-- What a version of the search index holds; the index itself is a file in the version's folder.
CREATE TABLE faiss_indexes (
  version integer PRIMARY KEY,
  model text NOT NULL,
  dimension integer NOT NULL,
  count bigint NOT NULL,
  kind text NOT NULL,
  -- Of the index file, hex.
  sha256 text NOT NULL
);

-- Who has asked to be forgotten, and when: versions that were made before still hold what they learned, and their
-- readers pass over it.
CREATE TABLE erased_subjects (
  subject text PRIMARY KEY,
  requested_at timestamptz NOT NULL
) WITH (fillfactor = 60);

-- Interactions are a live feature that lies in the online store alone: no view follows its switches.
CREATE OR REPLACE FUNCTION point_live_view(artefact text, version integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CASE artefact
    WHEN 'popularity' THEN
      EXECUTE format(
        'CREATE OR REPLACE VIEW product_popularity AS
           SELECT product_id, category, score, as_of, views, add_to_carts, purchases FROM %I',
        'product_popularity_v' || version);
    WHEN 'affinity' THEN
      EXECUTE format(
        'CREATE OR REPLACE VIEW user_affinity AS SELECT user_id, as_of, scores FROM %I',
        'user_affinity_v' || version);
    WHEN 'interactions' THEN
      NULL;
  END CASE;
END
$$;
