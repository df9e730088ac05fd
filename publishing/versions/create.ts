/** Versions of a deployment: publishing, switching, listing, and the background work that goes with them. */
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import { FreshetError, hasCode, isTransient, messageOf } from '../../runtime/process/errors.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Metrics } from '../../runtime/process/metrics.js';
import { Artifacts } from '../../runtime/stores/artifacts.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { artifactsFolder } from '../../runtime/stores/settings.js';
import { tokenText } from '../../runtime/stores/switch-token.js';
import type { Codec } from '../../schemas/codec.js';
import { type Artefact, Layout } from '../layout.js';
import type { PublishingSettings } from '../settings.js';
import { before, promoted } from './choose.js';
import { faultPoint } from './fault-points.js';
import { type Followed, follow, type Restage } from './follow.js';
import { artefactsWithHeads, readHead } from './heads.js';
import { keepPreviousReady } from './keep-ready.js';
import { listVersions } from './list.js';
import { versionMetrics } from './metrics.js';
import { PIN_HOLDER, type Pinned, pinnedBy, releasePins, renewPins } from './pins.js';
import type { VersionsPlace } from './place.js';
import { bringIn } from './publish.js';
import { Reconciler } from './reconcile.js';
import { Releases } from './releases.js';
import { restageFromDatabase } from './restage.js';
import { retain } from './retain.js';
import { decide, type Wish } from './switch.js';
import type { Build, Published, PublishRight, VersionList, Versions } from './versions.js';

/** Intervals, in ms; shorter ones for tests. */
export interface VersionsPace {
  /** Between two checks of the reconciler. */
  readonly checkMs: number;
  /** Between two retention checks. */
  readonly retainMs: number;
  /** How long a caller that switches waits for the online store to follow. */
  readonly followMsMax: number;
  /** Wait before the first retry; doubled each time. */
  readonly retryMs: number;
}

export interface VersionsOptions {
  readonly database: Database;
  readonly store: OnlineStore;
  readonly log: Log;
  readonly codec: Codec;
  /** REDIS_KEY_PREFIX, the folder of artefacts, FEATURE_VERSION_*. */
  readonly settings: PublishingSettings;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly events: EventBus;
  readonly clock: Clock;
  readonly pace?: Partial<VersionsPace>;
}

const PACE: VersionsPace = { checkMs: 1_000, retainMs: 60_000, followMsMax: 10_000, retryMs: 50 };
const RETRY_MS_MAX = 1_000;

/** Migrations and topics must be applied. Everything but `start` works without being started. */
export function createVersions(options: VersionsOptions): Versions {
  return new StoredVersions(options);
}

class StoredVersions implements Versions {
  readonly name = 'versions';
  readonly #place: VersionsPlace;
  readonly #pace: VersionsPace;
  readonly #pinned: Pinned;
  readonly #releases: Releases;
  readonly #restage: Restage;
  readonly #reconciler: Reconciler;
  #retainedAtMs = Number.NEGATIVE_INFINITY;

  constructor({ log, codec, settings, pace, ...stores }: VersionsOptions) {
    const layout = new Layout(settings.REDIS_KEY_PREFIX);
    this.#place = { ...stores, layout, artifacts: new Artifacts(artifactsFolder(settings)) };
    this.#pace = { ...PACE, ...pace };
    this.#pinned = pinnedBy(settings);
    this.#releases = new Releases(log, codec);
    this.#restage = restageFromDatabase(this.#place);
    this.#reconciler = new Reconciler({
      place: this.#place,
      releases: this.#releases,
      restage: this.#restage,
      artefacts: null,
      checkMs: this.#pace.checkMs,
      afterwards: () => this.#keep(),
    });
  }

  /** If stores are down, the background work retries. */
  async start(): Promise<void> {
    await this.#reconciler.start();
  }

  async stop(): Promise<void> {
    await this.#reconciler.stop();
    await releasePins(this.#place.database, PIN_HOLDER).catch(() => undefined);
    await this.#releases.close();
  }

  async publish(build: Build, right: PublishRight): Promise<Published> {
    const published = await bringIn(this.#place, build, right);
    await this.#settle(build.artefact, `${build.artefact}/${build.manifest.run_id}`);
    return published;
  }

  list(artefact: Artefact): Promise<VersionList> {
    return listVersions(this.#place.database, artefact);
  }

  promote(artefact: Artefact, version?: number): Promise<VersionList> {
    return this.#switch({ artefact, epoch: null, choose: promoted(version) });
  }

  rollback(artefact: Artefact, options: { readonly to?: number; readonly reason?: string } = {}): Promise<VersionList> {
    return this.#switch({ artefact, epoch: null, choose: before(options.to), reason: options.reason });
  }

  async pin(artefact: Artefact, version: number | null): Promise<VersionList> {
    if (version !== null) return this.#switch({ artefact, epoch: null, choose: async () => version, pin: true });
    await this.#place.database.execute('UPDATE version_heads SET pinned = NULL WHERE artefact = $1', [artefact]);
    return this.list(artefact);
  }

  async #switch(wish: Wish): Promise<VersionList> {
    await decide(this.#place, wish);
    await this.#settle(wish.artefact, wish.artefact);
    return this.list(wish.artefact);
  }

  /** Waits until the online store has followed, then writes to the topic; if that fails, it is repaired later. */
  async #settle(artefact: Artefact, where: string): Promise<void> {
    const followed = await this.#follow(artefact);
    await faultPoint('version.followed', where);
    if (followed === null) return;
    versionMetrics(this.#place.metrics).current.set({ artefact }, followed.head.current);
    try {
      await this.#releases.write(followed.head);
    } catch (error) {
      if (!(error instanceof FreshetError)) throw error;
      const { logger } = this.#place;
      logger.warn(
        { event: 'release_not_written', artefact, error: messageOf(error) },
        'The reconciler will write it later',
      );
    }
    await faultPoint('version.released', where);
  }

  async #follow(artefact: Artefact): Promise<Followed | null> {
    const { clock } = this.#place;
    const endMs = clock.elapsed() + this.#pace.followMsMax;
    for (let waitMs = this.#pace.retryMs; ; waitMs = Math.min(2 * waitMs, RETRY_MS_MAX)) {
      try {
        return await follow(this.#place, artefact, this.#restage);
      } catch (error) {
        if (!isTransient(error) && !hasCode(error, 'internal')) throw error;
        if (clock.elapsed() + waitMs > endMs) throw await this.#undone(artefact, error);
      }
      await clock.sleep(waitMs);
    }
  }

  async #undone(artefact: Artefact, cause: unknown): Promise<FreshetError> {
    const head = await readHead(this.#place.database, artefact).catch(() => null);
    const which = head?.current == null ? artefact : `${artefact} to version ${head.current} (${tokenText(head)})`;
    return new FreshetError(
      'unavailable',
      `The switch of ${which} is decided and will be followed, but the online store has not done so within ` +
        `${this.#pace.followMsMax / 1000} s: ${messageOf(cause)}`,
      { cause },
    );
  }

  /** The periodic work. */
  async #keep(): Promise<void> {
    const { clock, database } = this.#place;
    if (clock.elapsed() - this.#retainedAtMs < this.#pace.retainMs) return;
    await renewPins(this.#place, this.#pinned, PIN_HOLDER);
    for (const artefact of await artefactsWithHeads(database)) {
      await retain(this.#place, artefact);
      await keepPreviousReady(this.#place, artefact, this.#restage);
    }
    this.#retainedAtMs = clock.elapsed();
  }
}
