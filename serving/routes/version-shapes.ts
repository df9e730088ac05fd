/** Shapes of versions: what is published, which version is current, the runs that make versions. */
import { array, integer, nullableText, nullableTime, number, object, type Schema, text, time } from './schema.js';

const versionNumber: Schema = { type: 'integer', minimum: 1 };
const nullableVersion: Schema = { ...versionNumber, type: ['integer', 'null'] };
const share: Schema = {
  type: 'number',
  minimum: 0,
  maximum: 1,
  description: 'Share of requests that the candidate answers.',
};
const anything: Schema = { type: 'object', additionalProperties: true };
const head = {
  artefact: text,
  current: nullableVersion,
  candidate: nullableVersion,
  share,
  pinned: { ...nullableVersion, description: 'The version that stays current, whatever else is published.' },
};

const stopwordsShape = {
  $id: 'Stopwords',
  ...object({
    version: versionNumber,
    language: { ...text, description: 'Primary tag, lower case.' },
    words: {
      type: 'object',
      description: 'From a word to the confidence that it is a stopword.',
      additionalProperties: { type: 'number', minimum: 0, maximum: 1 },
    },
  }),
};

const versionsShape = {
  $id: 'Versions',
  ...object({
    ...head,
    versions: array(
      object({
        version: versionNumber,
        state: { type: 'string', enum: ['staged', 'verified', 'shadow', 'canary', 'current', 'retired', 'failed'] },
        created_at: time,
        activated_at: nullableTime,
        reaped: { type: 'boolean', description: 'Its data was deleted: it can be listed, but not switched to.' },
        reason: { ...nullableText, description: 'Why it failed or was replaced.' },
        manifest: { ...anything, description: 'Inputs, settings, counts, checks and their figures, files.' },
      }),
    ),
  }),
};

const allVersionsShape = {
  $id: 'AllVersions',
  ...object({
    artefacts: array(
      object({
        ...head,
        activated_at: { ...nullableTime, description: 'When the current version became current.' },
        count: { ...integer, description: 'Number of known versions.' },
        job: { ...nullableText, description: 'The job that makes the next version; null if there is none.' },
      }),
    ),
  }),
};

const runShape = {
  $id: 'Run',
  ...object({
    run_id: text,
    job_name: text,
    status: { type: 'string', enum: ['queued', 'running', 'succeeded', 'failed', 'skipped', 'cancelled'] },
    attempt: integer,
    dry_run: { type: 'boolean' },
    requested_at: time,
    started_at: nullableTime,
    finished_at: nullableTime,
    progress: {
      description: 'While it runs: its current phase.',
      anyOf: [object({ phase: text, done: number, total: { type: ['number', 'null'] } }), { type: 'null' }],
    },
    result: {
      description:
        'success, duration_seconds, documents_processed or records_processed, stopwords_updated, version, summary (lines), errors, timestamp.',
      anyOf: [anything, { type: 'null' }],
    },
  }),
};

/** By their $id. */
export const VERSION_SHAPES = [
  stopwordsShape,
  { $id: 'StopwordLanguages', ...object({ languages: array(text) }) },
  versionsShape,
  allVersionsShape,
  { $id: 'Rollback', ...object({ to: nullableVersion, reason: nullableText }, ['to', 'reason']) },
  { $id: 'Promotion', ...object({ version: nullableVersion }, ['version']) },
  { $id: 'Pin', ...object({ version: { ...nullableVersion, description: 'Null unpins the version.' } }) },
  { $id: 'RunRequest', ...object({ dry_run: { type: 'boolean', default: false } }, ['dry_run']) },
  { $id: 'RunReceipt', ...object({ run_id: text }) },
  runShape,
  { $id: 'RunList', ...object({ runs: array({ $ref: 'Run#' }) }) },
] as const;
