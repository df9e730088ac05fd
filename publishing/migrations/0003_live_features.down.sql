DROP VIEW user_category_affinity;
DROP VIEW products;
DROP VIEW user_affinity;
DROP VIEW product_popularity;

DO $$
DECLARE
  name text;
BEGIN
  FOR name IN
    SELECT tablename FROM pg_tables
    WHERE schemaname = current_schema() AND tablename ~ '^(product_popularity|user_affinity)_v[0-9]+$'
  LOOP
    EXECUTE format('DROP TABLE %I', name);
  END LOOP;
END
$$;

DROP FUNCTION point_live_view(text, integer);
DROP FUNCTION create_live_tables(integer);

-- The tables are gone: what says that they hold something must go with them.
DELETE FROM versions WHERE artefact IN ('popularity', 'affinity');
DELETE FROM sink_offsets WHERE topic ~ '^(popularity|affinity)\.v[0-9]+$';
