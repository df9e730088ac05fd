-- Tables that mirror topics of producers, and the view of the dead letters topic.
CREATE TABLE catalogue (
  product_id text PRIMARY KEY,
  title text NOT NULL,
  description text NOT NULL,
  category text NOT NULL,
  price float8,
  updated_at timestamptz NOT NULL
);

CREATE TABLE users (
  user_id text PRIMARY KEY,
  tenant_id text NOT NULL,
  active boolean NOT NULL,
  updated_at timestamptz NOT NULL
);

CREATE TABLE dead_letters (
  id text PRIMARY KEY,
  kind text NOT NULL,
  job_id text,
  job_name text NOT NULL,
  source jsonb,
  record_key bytea,
  size bigint NOT NULL,
  sha256 text NOT NULL,
  input bytea NOT NULL,
  input_json text,
  reason_code text NOT NULL,
  error text NOT NULL,
  stack text,
  attempts integer NOT NULL,
  created_at timestamptz NOT NULL,
  state text NOT NULL,
  redrive_run_id text
);

CREATE INDEX dead_letters_created_at ON dead_letters (created_at);
