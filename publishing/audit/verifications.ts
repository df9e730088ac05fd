/** Comparisons requested by people: one at a time, in the background of the process that has the log and the stores. */
import { randomUUID } from 'node:crypto';
import { messageOf } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Service } from '../../runtime/process/service.js';
import type { Audit } from './audit.js';
import type { AuditReport } from './report.js';

export interface Verification {
  readonly verification_id: string;
  readonly status: 'running' | 'done' | 'failed';
  /** Records of `events` read so far. */
  readonly records_read: number;
  /** Null until done. */
  readonly report: AuditReport | null;
  /** Why it failed; null otherwise. */
  readonly error: string | null;
}

/** Share of all keys, and the salt that chooses them. */
interface VerificationRequest {
  readonly share: number;
  readonly salt: string;
}

/** Finished ones that can still be queried. */
const REMEMBERED = 20;

export class Verifications implements Service {
  readonly name = 'verifications';
  readonly #create: (request: VerificationRequest, onRead: (records: number) => void) => Audit;
  readonly #logger: Logger;
  readonly #stopping = new AbortController();
  readonly #known = new Map<string, Verification>();
  #running: Promise<void> | null = null;

  constructor(create: (request: VerificationRequest, onRead: (records: number) => void) => Audit, logger: Logger) {
    this.#create = create;
    this.#logger = logger;
  }

  async start(): Promise<void> {
    // Nothing runs until it is requested.
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  /** Begins one; null while another is running. */
  begin(request: VerificationRequest): Verification | null {
    if (this.#running !== null) return null;
    const id = randomUUID();
    const started: Verification = {
      verification_id: id,
      status: 'running',
      records_read: 0,
      report: null,
      error: null,
    };
    this.#set(started);
    this.#running = this.#run(id, request).finally(() => {
      this.#running = null;
    });
    return started;
  }

  /** Null for an id that is unknown or no longer known. */
  get(id: string): Verification | null {
    return this.#known.get(id) ?? null;
  }

  async #run(id: string, request: VerificationRequest): Promise<void> {
    const audit = this.#create(request, (records) => {
      const now = this.#known.get(id)!;
      this.#set({ ...now, records_read: now.records_read + records });
    });
    try {
      const report = await audit.compare(this.#stopping.signal);
      this.#set({ ...this.#known.get(id)!, status: 'done', report });
    } catch (error) {
      this.#set({ ...this.#known.get(id)!, status: 'failed', error: messageOf(error) });
      this.#logger.warn({ event: 'verification_failed', verification_id: id, error: messageOf(error) });
    } finally {
      await audit.close();
    }
  }

  #set(verification: Verification): void {
    this.#known.set(verification.verification_id, verification);
    for (const old of this.#known.keys()) {
      if (this.#known.size <= REMEMBERED) break;
      this.#known.delete(old);
    }
  }
}
