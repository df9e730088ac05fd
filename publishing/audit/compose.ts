/** Audits as the product runs them: over the real stores, within bounds. */
import { randomBytes } from 'node:crypto';
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import { type Service, startAll, stopAll } from '../../runtime/process/service.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import type { Codec } from '../../schemas/codec.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { HOUR_MS } from '../../topics/time.js';
import type { PublishingSettings } from '../settings.js';
import { tablePosition } from '../sinks/table-sink-store.js';
import { Audit, type AuditOptions } from './audit.js';
import { Auditor, type AuditorState } from './auditor.js';
import { StoredFeatures } from './served.js';
import { Verifications } from './verifications.js';

/** A verification in a live process leaves half of the time to the process. */
const VERIFY_BUSY_SHARE = 0.5;

interface AuditSources {
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly store: OnlineStore;
  readonly database: Database;
  readonly settings: PublishingSettings;
  /** The version to compare with the log. */
  readonly set: FeatureSet;
}

/** The continuous audit: 20 bytes per event kept for a product, 80 to 120 for a user, at most about 70 MB. */
const FOLLOWING = { keysMax: 2_000, eventsMax: 500_000, busyShare: 0.25, depth: 'some' } as const;
/** One verification: as many keys as requested, up to about 700 MB of events. */
const ONCE = { keysMax: Number.POSITIVE_INFINITY, eventsMax: 5_000_000, depth: 'all' } as const;

/** What a process with stores offers: verifications on request, and the auditor if the process publishes. */
export interface LiveAudits extends Service, Pick<Verifications, 'begin' | 'get'> {
  /** Null if no auditor runs. */
  auditor(): AuditorState | null;
}

interface LiveAuditsOptions extends AuditSources {
  readonly logger: Logger;
  readonly events: EventBus;
  /** Whether this process publishes: only then, and with AUDIT_SAMPLE above 0, does it run an auditor. */
  readonly publishes: boolean;
  /** When the auditor begins. */
  readonly after: Promise<void>;
}

export function createAudits(options: LiveAuditsOptions): LiveAudits {
  const { settings, clock, logger, events, after } = options;
  const verifications = new Verifications(
    (request, onRead) => singleAudit(options, { ...request, busyShare: VERIFY_BUSY_SHARE }, onRead),
    logger,
  );
  const services: Service[] = [verifications];
  let auditor: Auditor | null = null;
  if (options.publishes && settings.AUDIT_SAMPLE > 0) {
    const audit = followingAudit(options, settings.AUDIT_SAMPLE);
    auditor = new Auditor({ audit, intervalMs: settings.AUDIT_INTERVAL_S * 1_000, clock, logger, events, after });
    services.push(auditor);
  }
  return {
    name: 'audits',
    start: () => startAll(services),
    stop: () => stopAll(services),
    auditor: () => auditor?.current() ?? null,
    begin: (request) => verifications.begin(request),
    get: (id) => verifications.get(id),
  };
}

/** Every start draws another sample, so that every key is covered over time. */
function followingAudit(sources: AuditSources, share: number): Audit {
  const { keysMax, eventsMax, ...rest } = FOLLOWING;
  return new Audit({ ...common(sources), ...rest, sample: { share, salt: newSalt(), keysMax, eventsMax } });
}

/** `busyShare`: share of the time that reading the log may take; below 1 if live work shares the process. */
export function singleAudit(
  sources: AuditSources,
  { share, salt, busyShare }: { readonly share: number; readonly salt: string; readonly busyShare: number },
  onRead: (records: number) => void,
): Audit {
  const { keysMax, eventsMax, depth } = ONCE;
  return new Audit({ ...common(sources), depth, busyShare, onRead, sample: { share, salt, keysMax, eventsMax } });
}

/** A salt that has not been used before. */
export function newSalt(): string {
  return randomBytes(4).toString('hex');
}

function common(
  sources: AuditSources,
): Pick<AuditOptions, 'log' | 'codec' | 'clock' | 'set' | 'served' | 'positions' | 'settings'> {
  const { log, codec, clock, store, database, settings, set } = sources;
  return {
    log,
    codec,
    clock,
    set,
    served: new StoredFeatures({ store, database, keyPrefix: settings.REDIS_KEY_PREFIX, set }),
    positions: { redis: (id) => store.position(id), postgres: (id) => tablePosition(database, id) },
    settings: {
      popularityHalfLifeMs: settings.POPULARITY_HALF_LIFE_H * HOUR_MS,
      affinityHalfLifeMs: settings.AFFINITY_HALF_LIFE_H * HOUR_MS,
      duplicateHorizonMs: settings.DUPLICATE_HORIZON_H * HOUR_MS,
    },
  };
}
