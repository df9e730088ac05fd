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
  END CASE;
END
$$;

DROP TABLE erased_subjects;
DROP TABLE faiss_indexes;
DROP TABLE als_item_factors;
DROP TABLE als_user_factors;

-- The rows are gone: what says that they were published must go with them. Interactions had no version before.
DELETE FROM version_pins WHERE artefact IN ('interactions', 'als', 'faiss');
DELETE FROM versions WHERE artefact IN ('interactions', 'als', 'faiss');
DELETE FROM version_heads WHERE artefact IN ('interactions', 'als', 'faiss');
DELETE FROM sink_offsets WHERE topic = 'erasures';
