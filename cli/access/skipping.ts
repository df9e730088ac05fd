/** Ways to give up offsets and to see what was given up: through a running Freshet, or through the log. */
import { userInfo } from 'node:os';
import { z } from 'zod';
import { type SkipRequest, Skips } from '../../ingest/skips.js';
import { systemClock } from '../../runtime/process/clock.js';
import { readLock } from '../../runtime/process/data-folder.js';
import type { Skip } from '../../schemas/records.js';
import { skips as skipsTopic } from '../../topics/events.js';
import type { Shell } from '../shell.js';
import { clientOf, openDirectAccess } from './open.js';

const skipAnswer = z.object({
  topic: z.string(),
  partition: z.number(),
  from: z.number(),
  to: z.number(),
  reason: z.string(),
  requested_at: z.string(),
  requested_by: z.string(),
});
const listAnswer = z.object({ skips: z.array(skipAnswer) });

export type ShownSkip = z.infer<typeof skipAnswer>;

interface SkipAccess {
  /** For messages: "the running Freshet at …". */
  readonly where: string;
  list(): Promise<ShownSkip[]>;
  /** Returns once readers see it. Throws InputError, or the server's message. */
  request(wanted: SkipRequest): Promise<ShownSkip>;
  close(): Promise<void>;
}

export async function openSkipping(shell: Shell): Promise<SkipAccess> {
  const { settings, logger } = shell;
  const holder = settings.KAFKA_BROKERS === undefined ? await readLock(settings.FRESHET_DATA_DIR) : null;
  if (holder !== null) {
    const client = clientOf(settings.FRESHET_DATA_DIR, holder);
    return {
      where: `the running Freshet at ${client.address}`,
      list: async () => listAnswer.parse(await client.get('/v1/skips')).skips,
      request: async (wanted) => skipAnswer.parse(await client.postJson('/v1/skips', wanted)),
      close: async () => {},
    };
  }
  const access = await openDirectAccess(shell, { writes: [skipsTopic.name] });
  const skips = new Skips({ log: access.log, codec: access.codec, logger, clock: systemClock });
  await skips.start();
  return {
    where: access.where,
    list: async () => skips.list().map(skipOf),
    request: async (wanted) => skipOf(await skips.request(wanted, { by: `user ${userName()}`, at: systemClock.now() })),
    close: async () => {
      await skips.stop();
      await access.close();
    },
  };
}

function skipOf({ topic, partition, from, to, reason, requested_at, requested_by }: Skip): ShownSkip {
  return { topic, partition, from, to, reason, requested_at: new Date(requested_at).toISOString(), requested_by };
}

/** A container may run under a number without a name. */
function userName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? 'unknown');
  }
}
