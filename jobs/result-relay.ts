/**
 * Copies results from the outbox to run-results, in the order in which the runs ended. A row is deleted only after the
 * topic has its record, so a crash in between repeats the record: every result is written at least once, repeated ones
 * with the same run_id. Any number of processes may relay; a lock that is bound to the transaction lets one do so at a
 * time.
 */
import type { Log, LogWriter } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Database, Queryable } from '../runtime/stores/database.js';
import type { Codec } from '../schemas/codec.js';
import type { RunResult } from '../schemas/records.js';
import { runResults } from '../topics/jobs.js';
import { Bell } from './bell.js';
import { faultPoint } from './fault-points.js';
import type { Run } from './runs.js';

interface ResultRelayOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How soon it checks again when nothing has rung, and when it could not write, ms. */
  readonly pollMs: number;
  readonly retryMs: number;
}

type Ended = Run & { readonly outbox_order: number };

const RESULTS_MAX = 100;
/** "runs" in ASCII. */
const LOCK_KEY = 0x72756e73;
const TRY_LOCK = 'SELECT pg_try_advisory_xact_lock($1) AS mine';
const NEXT = `
  SELECT o.outbox_order, r.* FROM run_outbox o JOIN job_runs r USING (run_id) ORDER BY o.outbox_order LIMIT ${RESULTS_MAX}`;
const REMOVE = 'DELETE FROM run_outbox WHERE outbox_order = ANY($1)';

export class ResultRelay {
  readonly #o: ResultRelayOptions;
  readonly #bell: Bell;
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #turn: Promise<unknown> = Promise.resolve();
  #writer: LogWriter | null = null;

  constructor(options: ResultRelayOptions) {
    this.#o = options;
    this.#bell = new Bell(options.clock);
  }

  /** From now on everything in the outbox is relayed, at the latest after a call of `ring`. */
  start(): void {
    this.#running = this.#run();
  }

  /** The outbox may contain something. */
  ring(): void {
    this.#bell.ring();
  }

  /** Relays what it can, then ends. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#bell.ring();
    await this.#running;
    await this.#turn.catch(() => undefined);
    await this.#writer?.close();
    this.#writer = null;
  }

  /**
   * Resolves when the outbox is empty, or with false when another process is relaying. Errors: those of the log and the
   * database; results that were not relayed stay in the outbox.
   */
  flush(): Promise<boolean> {
    const turn = this.#turn.catch(() => undefined).then(() => this.#flush());
    this.#turn = turn;
    return turn;
  }

  async #run(): Promise<void> {
    const { logger, pollMs, retryMs } = this.#o;
    let isTroubled = false;
    for (;;) {
      const isLast = this.#stop.signal.aborted;
      let waitMs = pollMs;
      try {
        if (!(await this.flush())) waitMs = retryMs;
        isTroubled = false;
      } catch (error) {
        if (!isTroubled) logger.error({ event: 'run_results_unwritten', error: messageOf(error) });
        isTroubled = true;
        waitMs = retryMs;
      }
      if (isLast) return;
      await this.#bell.wait(waitMs);
    }
  }

  async #flush(): Promise<boolean> {
    for (;;) {
      const relayed = await this.#o.database.transaction((connection) => this.#relay(connection));
      if (relayed === null) return false;
      if (relayed.length === 0) return true;
      for (const { run_id } of relayed) await faultPoint('run.reported', run_id);
    }
  }

  /** Null: another process has the lock. */
  async #relay(connection: Queryable): Promise<readonly Ended[] | null> {
    const [lock] = await connection.query<{ mine: boolean }>(TRY_LOCK, [LOCK_KEY]);
    if (!lock!.mine) return null;
    const ended = await connection.query<Ended>(NEXT);
    if (ended.length === 0) return ended;
    await this.#write(ended);
    for (const { run_id } of ended) await faultPoint('run.result_written', run_id);
    await connection.execute(REMOVE, [ended.map(({ outbox_order }) => outbox_order)]);
    return ended;
  }

  async #write(ended: readonly Ended[]): Promise<void> {
    const { log, codec, clock } = this.#o;
    this.#writer ??= await log.writer([runResults.name]);
    for (const run of ended)
      this.#writer.add(runResults.name, Buffer.from(run.job_name), codec.encode(runResults.schema, resultOf(run)), {
        timestamp: clock.now(),
      });
    await this.#writer.flush();
  }
}

function resultOf(run: Ended): RunResult {
  return {
    run_id: run.run_id,
    job_name: run.job_name,
    status: run.status as RunResult['status'],
    attempt: run.attempt,
    requested_at: run.requested_at.getTime(),
    started_at: run.started_at?.getTime() ?? null,
    finished_at: run.finished_at!.getTime(),
    result: JSON.stringify(run.result),
  };
}
