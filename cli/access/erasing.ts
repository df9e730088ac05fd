/** Ways to request an erasure and to see its state: those of `openLogAccess`, plus the stores if they are known. */
import { z } from 'zod';
import { ERASER_WRITES, Eraser } from '../../ingest/eraser.js';
import type { ErasureStatus } from '../../publishing/erasure/certificate.js';
import { ErasureReader } from '../../publishing/erasure/erasure-reader.js';
import { erasureSettings } from '../../publishing/erasure/settings.js';
import { systemClock } from '../../runtime/process/clock.js';
import { readLock } from '../../runtime/process/data-folder.js';
import { hasCode } from '../../runtime/process/errors.js';
import { openGivenStores } from '../../runtime/stores/open-stores.js';
import { RUNNING_SETS } from '../../topics/running.js';
import { type Subject, subjectKey } from '../../topics/subject.js';
import type { Shell } from '../shell.js';
import type { ApiClient } from './api-client.js';
import { clientOf, openDirectAccess } from './open.js';

export interface ErasureAccess {
  readonly where: string;
  /** Why waiting is pointless, in a sentence; null if some process acts on the request. */
  readonly idle: string | null;
  /** Resolves when the request and its deletions are in the log. */
  request(subject: Subject, reason: string | null): Promise<void>;
  /** Waits up to `waitMs` for it to finish; null if none was requested. */
  status(subject: Subject, waitMs: number, signal: AbortSignal): Promise<ErasureStatus | null>;
  close(): Promise<void>;
}

const WRITE_MS_MAX = 30_000;

export async function openErasing(shell: Shell): Promise<ErasureAccess> {
  const { settings } = shell;
  const holder = await readLock(settings.FRESHET_DATA_DIR);
  if (settings.KAFKA_BROKERS !== undefined)
    return await openDirect(shell, holder?.address === undefined ? null : clientOf(settings.FRESHET_DATA_DIR, holder));
  if (holder !== null) return overHttp(clientOf(settings.FRESHET_DATA_DIR, holder));
  const access = await openDirect(shell, null);
  return { ...access, idle: 'No Freshet runs on this data folder: start one with "freshet up".' };
}

function overHttp(client: ApiClient): ErasureAccess {
  return {
    where: `the running Freshet at ${client.address}`,
    idle: null,
    request: async ({ kind, id }, reason) => {
      await client.postJson('/v1/erasures', { [`${kind}_id`]: id, reason });
    },
    status: (subject, waitMs, signal) => statusOf(client, subject, waitMs, signal),
    close: async () => {},
  };
}

/** Through the log. A holder of the data folder knows its private stores; otherwise those with URLs are used. */
async function openDirect(shell: Shell, holder: ApiClient | null): Promise<ErasureAccess> {
  const { settings, logger } = shell;
  const access = await openDirectAccess(shell, { writes: ERASER_WRITES });
  const { log, codec, where } = access;
  const eraser = new Eraser(log, codec, RUNNING_SETS.features, WRITE_MS_MAX);
  let stores: Awaited<ReturnType<typeof openGivenStores>> | null = null;
  const lookHere = async (subject: Subject, waitMs: number, signal: AbortSignal) => {
    stores ??= await openGivenStores(settings, logger);
    const { store, database } = stores;
    const options = { log, codec, clock: systemClock, store, database, sets: RUNNING_SETS.features };
    return await new ErasureReader({ ...options, ...erasureSettings(settings) }).status(subject, waitMs, signal);
  };
  return {
    where,
    idle: null,
    request: async (subject, reason) => {
      await eraser.erase(subject, reason, systemClock.now());
    },
    status: (subject, waitMs, signal) =>
      holder === null ? lookHere(subject, waitMs, signal) : statusOf(holder, subject, waitMs, signal),
    close: async () => {
      await eraser.close();
      await stores?.close();
      await access.close();
    },
  };
}

async function statusOf(
  client: ApiClient,
  subject: Subject,
  waitMs: number,
  signal: AbortSignal,
): Promise<ErasureStatus | null> {
  const path = `/v1/erasures/${encodeURIComponent(subjectKey(subject))}?wait_ms=${waitMs}`;
  try {
    return statusAnswer.parse(await client.get(path, signal));
  } catch (error) {
    if (hasCode(error, 'unknown_topic')) return null;
    throw error;
  }
}

const statusAnswer = z.object({
  subject: z.string(),
  state: z.enum(['waiting', 'done']),
  requested_at: z.string(),
  reason: z.string().nullable(),
  cut: z.object({ topic: z.string(), partition: z.number(), offset: z.number(), at: z.string() }).nullable(),
  waits_for: z.array(z.string()),
  certificate: z
    .object({
      verified_at: z.string(),
      gone: z.array(
        z.object({
          what: z.string(),
          where: z.enum(['log', 'task', 'online store', 'database']),
          topic: z.string(),
          partition: z.number(),
          offset: z.number(),
          left: z.enum(['nothing', 'only what came after the cut']),
        }),
      ),
      not_checked: z.array(z.string()),
      expires: z.array(
        z.object({ what: z.string(), where: z.string(), until: z.string().nullable(), rule: z.string() }),
      ),
      stays: z.array(z.string()),
    })
    .nullable(),
});
