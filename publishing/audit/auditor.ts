/**
 * The auditor: follows the log continuously with a small sample and, every few minutes, compares the sample with what
 * the stores serve. It reads slowly from the start of the window. Each restart of the process starts over with another
 * sample.
 */
import type { Clock } from '../../runtime/process/clock.js';
import { messageOf } from '../../runtime/process/errors.js';
import type { EventBus } from '../../runtime/process/events.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Service } from '../../runtime/process/service.js';
import type { Audit } from './audit.js';
import { audited } from './events.js';
import type { AuditReport } from './report.js';

interface AuditorOptions {
  readonly audit: Pick<Audit, 'follow' | 'compare' | 'close'>;
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: EventBus;
  /** When to begin: reading the log may take a while and must not delay startup. */
  readonly after: Promise<void>;
}

export interface AuditorState {
  /** following: the log has been read to its end once. */
  readonly state: 'catching_up' | 'following';
  /** ms. */
  readonly intervalMs: number;
  /** Null before the first comparison. */
  readonly last: AuditReport | null;
}

const FOLLOW_MS = 1_000;
const RETRY_MS = 5_000;
/** A comparison that failed because the pipeline stalled or a store was down is retried sooner. */
const AGAIN_MS = 60_000;

export class Auditor implements Service {
  readonly name = 'auditor';
  readonly #o: AuditorOptions;
  readonly #stopping = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #following = false;
  #last: AuditReport | null = null;

  constructor(options: AuditorOptions) {
    this.#o = options;
  }

  current(): AuditorState {
    return {
      state: this.#following ? 'following' : 'catching_up',
      intervalMs: this.#o.intervalMs,
      last: this.#last,
    };
  }

  async start(): Promise<void> {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
    await this.#o.audit.close();
  }

  async #run(): Promise<void> {
    const { audit, clock, logger } = this.#o;
    const { signal } = this.#stopping;
    const stopped = new Promise((resolve) => signal.addEventListener('abort', resolve));
    await Promise.race([this.#o.after, stopped]);
    let nextAt = Number.NEGATIVE_INFINITY;
    while (!signal.aborted) {
      try {
        await audit.follow(signal);
        this.#following = true;
        if (clock.elapsed() >= nextAt) {
          const isDone = await this.#compare(signal);
          nextAt = clock.elapsed() + (isDone ? this.#o.intervalMs : Math.min(AGAIN_MS, this.#o.intervalMs));
        }
        await clock.sleep(FOLLOW_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.warn({ event: 'audit_failed', error: messageOf(error) }, 'The audit will be retried');
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  /** False when nothing could be compared. */
  async #compare(signal: AbortSignal): Promise<boolean> {
    const { audit, clock, logger, events } = this.#o;
    const report = await audit.compare(signal);
    this.#last = report;
    if (report.behind !== null) {
      logger.info({ event: 'audit_waits', reason: report.behind }, 'Nothing can be compared right now');
      return false;
    }
    events.emit(audited, { report, atMs: clock.now() });
    return true;
  }
}
