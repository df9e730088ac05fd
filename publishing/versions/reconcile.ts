/**
 * Makes stores and topic catch up after interrupted switches: once a second each head is compared with the online store
 * and with the newest record of `releases`, and any difference is repaired. Any number of processes may do this at
 * once; each step yields to a newer token.
 */
import { isTransient, messageOf } from '../../runtime/process/errors.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import type { Artefact } from '../layout.js';
import { type Followed, follow, type Restage } from './follow.js';
import { artefactsWithHeads, currentHead, raiseTimeline } from './heads.js';
import { versionMetrics } from './metrics.js';
import type { StorePlace } from './place.js';
import type { ReleasedSwitch, Releases } from './releases.js';

interface ReconcilerOptions {
  readonly place: StorePlace;
  readonly releases: Releases;
  readonly restage: Restage;
  /** Null: all that have a head. */
  readonly artefacts: readonly Artefact[] | null;
  /** From the end of one check to the next, ms. */
  readonly checkMs: number;
  /** Runs after each check; its errors are handled like those of the check. */
  readonly afterwards?: () => Promise<void>;
}

export class Reconciler {
  readonly name = 'reconciler';
  readonly #o: ReconcilerOptions;
  #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();

  constructor(options: ReconcilerOptions) {
    this.#o = options;
  }

  /** Begins; the first check runs at once. */
  async start(): Promise<void> {
    this.#stopping = new AbortController();
    this.#running = this.#run(this.#stopping.signal);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Checks everything. An error in one artefact does not stop the check of the others; the first error is thrown. */
  async look(): Promise<void> {
    const { place, artefacts } = this.#o;
    const errors: unknown[] = [];
    // The topic is read before Postgres, for the same reason as the store.
    const untold = await this.#o.releases.catchUp().then(
      () => null,
      (error: unknown) => [error],
    );
    for (const artefact of artefacts ?? (await artefactsWithHeads(place.database))) {
      try {
        await this.#lookAt(artefact, untold === null);
      } catch (error) {
        errors.push(error);
      }
    }
    errors.push(...(untold ?? []));
    if (errors.length > 0) throw errors[0];
  }

  async #lookAt(artefact: Artefact, releasesRead: boolean): Promise<void> {
    const { place, releases, restage } = this.#o;
    if (releasesRead) await this.#refuseForgotten(artefact, releases.newest(artefact));
    const followed = await follow(place, artefact, restage);
    if (followed === null) return;
    this.#say(artefact, followed);
    if (releasesRead && compareTokens(releases.last(artefact), followed.head) !== 0)
      await releases.write(followed.head);
  }

  /** A record that Postgres does not know: Postgres was restored from an older copy. */
  async #refuseForgotten(artefact: Artefact, newest: ReleasedSwitch | null): Promise<void> {
    const { place } = this.#o;
    const head = await currentHead(place.database, artefact);
    if (head === null || newest === null) return;
    const order = compareTokens(newest, head);
    if (order > 0 || (order === 0 && newest.current !== head.current))
      await raiseTimeline(place, artefact, newest, newest.current);
  }

  #say(artefact: Artefact, { head, moved }: Followed): void {
    versionMetrics(this.#o.place.metrics).current.set({ artefact }, head.current);
    if (!moved) return;
    const { logger } = this.#o.place;
    logger.info({ event: 'version_followed', artefact, version: head.current }, 'The online store follows Postgres');
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { place, checkMs, afterwards } = this.#o;
    let failing = false;
    while (!signal.aborted) {
      try {
        await this.look();
        await afterwards?.();
        failing = false;
      } catch (error) {
        // Once per outage: sinks and readers report it too.
        const level = isTransient(error) ? 'warn' : 'error';
        if (!failing)
          place.logger[level]({ event: 'reconcile_failed', error: messageOf(error) }, 'Reconciling failed; retrying');
        failing = true;
      }
      await place.clock.sleep(checkMs, signal);
    }
  }
}
