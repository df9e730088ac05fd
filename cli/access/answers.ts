/** Responses of the HTTP API about versions and runs, checked and converted to the types of their ports. */
import { z } from 'zod';
import type { Run } from '../../jobs/runs.js';
import type { Artefact } from '../../publishing/layout.js';
import type { Manifest } from '../../publishing/versions/manifest.js';
import type { VersionList } from '../../publishing/versions/versions.js';

const time = z.iso.datetime().transform((text) => new Date(text));

const versionList = z.object({
  artefact: z.custom<Artefact>((value) => typeof value === 'string'),
  current: z.number().nullable(),
  candidate: z.number().nullable(),
  share: z.number(),
  pinned: z.number().nullable(),
  versions: z.array(
    z.object({
      version: z.number(),
      state: z.enum(['staged', 'verified', 'shadow', 'canary', 'current', 'retired', 'failed']),
      created_at: time,
      activated_at: time.nullable(),
      reaped: z.boolean(),
      reason: z.string().nullable(),
      manifest: z.custom<Partial<Manifest>>((value) => typeof value === 'object' && value !== null),
    }),
  ),
});

const run = z.object({
  run_id: z.string(),
  job_name: z.string(),
  status: z.enum(['queued', 'running', 'succeeded', 'failed', 'skipped', 'cancelled']),
  attempt: z.number(),
  dry_run: z.boolean(),
  requested_at: time,
  started_at: time.nullable(),
  finished_at: time.nullable(),
  progress: z.object({ phase: z.string(), done: z.number(), total: z.number().nullable() }).nullable(),
  result: z.record(z.string(), z.unknown()).nullable(),
});

/** Throws ZodError if the other side is another version than this command. */
export function versionListOf(answer: unknown): VersionList {
  return versionList.parse(answer);
}

/** Throws ZodError, as versionListOf. */
export function runOf(answer: unknown): Run {
  return run.parse(answer);
}

export const runReceipt = z.object({ run_id: z.string() });
