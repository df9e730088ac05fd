/** TypeScript types for the records of public topics. Times are ms since 1970 UTC. */
export type EventType = 'view' | 'add_to_cart' | 'purchase';

export interface Event {
  event_id: string;
  user_id: string;
  product_id: string;
  category: string | null;
  event_type: EventType;
  ts: number;
}

export interface Product {
  product_id: string;
  title: string;
  description: string;
  category: string;
  price: number | null;
  updated_at: number;
}

export interface Document {
  doc_id: string;
  language: string | null;
  source: string | null;
  text: string;
  updated_at: number;
}

export interface User {
  user_id: string;
  tenant_id: string;
  active: boolean;
  updated_at: number;
}

export interface Popularity {
  product_id: string;
  category: string;
  score: number;
  as_of: number;
  views: number;
  add_to_carts: number;
  purchases: number;
}

export interface Affinity {
  user_id: string;
  as_of: number;
  scores: Record<string, number>;
}

export interface Interactions {
  user_id: string;
  as_of: number;
  /** `purchases`: how many of the counted events were purchases. */
  items: { product_id: string; weight: number; count: number; last_ts: number; purchases: number }[];
  truncated: number;
}

export interface Embedding {
  product_id: string;
  content_hash: string;
  model: string;
  /** float32 little endian. */
  vector: Buffer;
}

export interface DeadLetter {
  id: string;
  kind: 'record' | 'job' | 'item' | 'document';
  job_id: string | null;
  job_name: string;
  source: { topic: string; partition: number; offset: number } | null;
  record_key: Buffer | null;
  size: number;
  sha256: string;
  input: Buffer;
  input_json: string | null;
  reason_code: string;
  error: string;
  stack: string | null;
  attempts: number;
  created_at: number;
  state: 'open' | 'redriven' | 'purged';
  redrive_run_id: string | null;
}

export interface Erasure {
  subject: string;
  requested_at: number;
  reason: string | null;
  /** End offsets, at the request, of the topics that contain the subject: its deletions are at or above them. */
  after: { topic: string; partition: number; offset: number }[];
}

export interface Skip {
  topic: string;
  partition: number;
  from: number;
  /** The first offset that is read again. */
  to: number;
  /** Id of the topic that was meant; null where the log has no ids. */
  topic_id: string | null;
  requested_at: number;
  requested_by: string;
  reason: string;
}

/** Document frequencies of one shard of a language's terms. */
export interface Terms {
  language: string;
  shard: number;
  as_of: number;
  /** Names behind the columns of `totals` and of each term; '' is a document without a source. */
  sources: string[];
  /** Documents of the language by source; empty except in shard 0. */
  totals: number[];
  /** Most frequent first. */
  terms: { term: string; documents: number[] }[];
  omitted: number;
  omitted_documents_max: number;
}

/** Which version of an artefact is current; the token is (timeline, seq). */
export interface Release {
  artefact: string;
  timeline: number;
  seq: number;
  current: number | null;
  candidate: number | null;
  share: number;
  /** JSON. */
  manifest: string;
  topics: string[];
}

export interface RunRequest {
  run_id: string;
  job_name: string;
  requested_at: number;
  requested_by: string;
  dry_run: boolean;
}

export interface RunResult {
  run_id: string;
  job_name: string;
  status: 'succeeded' | 'failed' | 'skipped' | 'cancelled';
  attempt: number;
  requested_at: number;
  started_at: number | null;
  finished_at: number;
  /** JSON. */
  result: string;
}
