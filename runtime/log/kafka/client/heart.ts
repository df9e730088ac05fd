/** The heartbeats of one generation of one member. */
import { systemClock } from '../../../process/clock.js';
import { asError } from '../../../process/errors.js';
import { ILLEGAL_GENERATION, KafkaError, passes, REBALANCE_IN_PROGRESS } from '../wire/errors.js';
import { heartbeat, type MemberKey } from '../wire/group-messages.js';
import type { Coordinator } from './coordinator.js';

const INTERVAL_MS = 1_000;

/** Why a generation ends: the group rebalances, or it no longer knows this member. */
export type Ending = 'rebalance' | 'lost';

export class Heart {
  readonly #coordinator: Coordinator;
  readonly #member: MemberKey;
  readonly #stopped = new AbortController();
  #nudge = new AbortController();
  #waiting: ((confirmed: boolean) => void)[] = [];
  #settle: (ending: Ending) => void = () => undefined;
  #fail: (error: Error) => void = () => undefined;
  /** Resolves when the member should give up its tasks and join again; rejects with an error that does not pass. */
  readonly ended: Promise<Ending>;

  constructor(coordinator: Coordinator, member: MemberKey) {
    this.#coordinator = coordinator;
    this.#member = member;
    this.ended = new Promise((resolve, reject) => {
      this.#settle = resolve;
      this.#fail = reject;
    });
    // It may fail before anything awaits it.
    this.ended.catch(() => undefined);
    void this.#beat();
  }

  /** Resolves with the answer to the first heartbeat sent after this call; false once stopped. */
  confirmed(): Promise<boolean> {
    if (this.#stopped.signal.aborted) return Promise.resolve(false);
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#nudge.abort();
    });
  }

  stop(): void {
    this.#stopped.abort();
    this.#nudge.abort();
    this.#answer(this.#waiting.splice(0), false);
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      if (this.#waiting.length === 0) await systemClock.sleep(INTERVAL_MS, this.#nudge.signal);
      this.#nudge = new AbortController();
      if (signal.aborted) return;
      const asked = this.#waiting.splice(0);
      try {
        const number = await this.#coordinator.ask(heartbeat(this.#member), notRebalancing, 'heartbeat');
        // While the group gathers for a rebalance, no other member can have our tasks yet.
        this.#answer(asked, !signal.aborted);
        if (number === REBALANCE_IN_PROGRESS) this.#settle('rebalance');
      } catch (error) {
        if (passes(error) && !signal.aborted) {
          this.#waiting.push(...asked);
          await systemClock.sleep(INTERVAL_MS / 4, signal);
          continue;
        }
        this.#answer(asked, false);
        if (!(error instanceof KafkaError) || error.kind !== 'member') this.#fail(asError(error));
        // The group has continued without us, but still knows us.
        else this.#settle(error.number === ILLEGAL_GENERATION ? 'rebalance' : 'lost');
        this.stop();
      }
    }
  }

  #answer(asked: readonly ((confirmed: boolean) => void)[], confirmed: boolean): void {
    for (const resolve of asked) resolve(confirmed);
  }
}

function notRebalancing(number: number): number {
  return number === REBALANCE_IN_PROGRESS ? 0 : number;
}
