-- Tables of one version of the live features. A version has its own, so that two can stand side by side; every column
-- but the key changes all the time, so there is no other index and room on each page for updates in place.
CREATE FUNCTION create_live_tables(version integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format(
    'CREATE TABLE IF NOT EXISTS %I (
       product_id text PRIMARY KEY,
       category text NOT NULL,
       score float8 NOT NULL,
       as_of timestamptz NOT NULL,
       views bigint NOT NULL,
       add_to_carts bigint NOT NULL,
       purchases bigint NOT NULL
     ) WITH (fillfactor = 60)', 'product_popularity_v' || version);
  EXECUTE format(
    'CREATE TABLE IF NOT EXISTS %I (
       user_id text PRIMARY KEY,
       as_of timestamptz NOT NULL,
       scores jsonb NOT NULL
     ) WITH (fillfactor = 60)', 'user_affinity_v' || version);
END
$$;

-- Points the view of one artefact at a version. Replacing a view keeps what depends on it.
CREATE FUNCTION point_live_view(artefact text, version integer) RETURNS void LANGUAGE plpgsql AS $$
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
  END CASE;
END
$$;

SELECT create_live_tables(1);
SELECT point_live_view('popularity', 1);
SELECT point_live_view('affinity', 1);

CREATE VIEW products AS
  SELECT c.product_id, c.title, c.description, c.category, c.price, c.updated_at,
         p.score AS popularity_score, p.as_of AS popularity_as_of
  FROM catalogue c LEFT JOIN product_popularity p USING (product_id);

CREATE VIEW user_category_affinity AS
  SELECT a.user_id, s.key AS category, s.value::float8 AS score, a.as_of
  FROM user_affinity a CROSS JOIN LATERAL jsonb_each_text(a.scores) AS s;
