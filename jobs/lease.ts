/**
 * The right to work on a job: one row in Postgres with an epoch and a heartbeat, all by Postgres's own clock. A worker
 * that finds the heartbeat older than the bound takes the lease with the next epoch. The holder stops trusting it
 * early: after two thirds of the bound, counted from the start of the last heartbeat that was answered, so it has
 * stepped down before another worker can take over. A process that was suspended cannot know this; then the epoch
 * prevents it from publishing.
 */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import type { Clock } from '../runtime/process/clock.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Database } from '../runtime/stores/database.js';

interface LeaseOptions {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Maximum age of a heartbeat, ms. The same for all workers. */
  readonly boundMs: number;
}

const TAKE = `
  INSERT INTO job_leases AS l (job_name, epoch, holder, heartbeat_at)
  VALUES ($1, 1, $2, clock_timestamp())
  ON CONFLICT (job_name) DO UPDATE
    SET epoch = l.epoch + 1, holder = $2, heartbeat_at = clock_timestamp()
    WHERE l.holder IS NULL OR l.heartbeat_at < clock_timestamp() - $3 * interval '1 millisecond'
  RETURNING epoch`;
const BEAT =
  'UPDATE job_leases SET heartbeat_at = clock_timestamp() WHERE job_name = $1 AND epoch = $2 AND holder = $3';
const RELEASE = 'UPDATE job_leases SET holder = NULL WHERE job_name = $1 AND epoch = $2 AND holder = $3';
const TRUST_SHARE = 2 / 3;
const BEAT_SHARE = 1 / 5;

/** Takes the lease of a job; null while another worker holds it. Errors: those of the database. */
export async function takeLease(options: LeaseOptions, job: string): Promise<Lease | null> {
  const { database, clock, boundMs } = options;
  const holder = `${hostname()}/${process.pid}/${randomBytes(6).toString('hex')}`;
  const begunMs = clock.elapsed();
  const [row] = await database.query<{ epoch: number }>(TAKE, [job, holder, boundMs]);
  return row === undefined ? null : new Lease(options, { job, holder, epoch: row.epoch, begunMs });
}

export class Lease {
  readonly job: string;
  /** Higher than the epoch of every earlier holder. */
  readonly epoch: number;
  readonly #o: LeaseOptions;
  readonly #holder: string;
  readonly #lost = new AbortController();
  readonly #over = new AbortController();
  readonly #beating: Promise<void>;
  #trustedUntilMs: number;

  constructor(
    options: LeaseOptions,
    { job, holder, epoch, begunMs }: { job: string; holder: string; epoch: number; begunMs: number },
  ) {
    this.#o = options;
    this.job = job;
    this.epoch = epoch;
    this.#holder = holder;
    this.#trustedUntilMs = begunMs + options.boundMs * TRUST_SHARE;
    this.#beating = this.#beat();
  }

  /** Aborted when the lease is no longer valid. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** Errors: 'fenced' when the lease is no longer valid. */
  check(): void {
    if (this.#o.clock.elapsed() >= this.#trustedUntilMs) this.#lost.abort();
    if (this.#lost.signal.aborted)
      throw new FreshetError('fenced', `the lease of ${this.job} (epoch ${this.epoch}) is no longer this worker's`);
  }

  /** Releases the lease: at once if Postgres answers, otherwise when the bound has passed. May be called twice. */
  async release(): Promise<void> {
    if (this.#over.signal.aborted) return;
    this.#over.abort();
    await this.#beating;
    const { database, logger } = this.#o;
    try {
      await database.execute(RELEASE, [this.job, this.epoch, this.#holder]);
    } catch (error) {
      logger.warn({ event: 'lease_not_released', job_name: this.job, epoch: this.epoch, error: messageOf(error) });
    }
  }

  async #beat(): Promise<void> {
    const { clock, boundMs, logger } = this.#o;
    const ending = AbortSignal.any([this.#over.signal, this.#lost.signal]);
    // A heartbeat may hang with its connection; the watch does not.
    const watch = this.#watch(ending);
    while (!ending.aborted) {
      await clock.sleep(boundMs * BEAT_SHARE, ending);
      if (ending.aborted) break;
      const begunMs = clock.elapsed();
      try {
        const rows = await Promise.race([this.#renew(), watch]);
        if (ending.aborted) break;
        if (rows === 0) this.#lost.abort();
        else this.#trustedUntilMs = begunMs + boundMs * TRUST_SHARE;
      } catch (error) {
        logger.warn({ event: 'lease_heartbeat_failed', job_name: this.job, error: messageOf(error) });
      }
    }
    await watch;
    if (this.#lost.signal.aborted) logger.error({ event: 'lease_lost', job_name: this.job, epoch: this.epoch });
  }

  #renew(): Promise<number> {
    return this.#o.database.execute(BEAT, [this.job, this.epoch, this.#holder]);
  }

  /** Resolves when the lease is released or no longer valid. */
  async #watch(ending: AbortSignal): Promise<void> {
    const { clock } = this.#o;
    while (!ending.aborted) {
      const leftMs = this.#trustedUntilMs - clock.elapsed();
      if (leftMs <= 0) this.#lost.abort();
      else await clock.sleep(leftMs, ending);
    }
  }
}
