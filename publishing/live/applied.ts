/** Waits until sinks have passed offsets: by events for partitions owned here, by asking the store for the others. */
import type { TopicPartition } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { GroupSink, Materialiser } from './materialise.js';
import { isWhole } from './position-plan.js';

interface End {
  readonly partition: number;
  readonly offset: number;
}

const ASK_MS = 250;

export class Applied {
  readonly #groups: readonly Materialiser[];
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  /** Wakes all waiters. */
  readonly #waiting = new Set<() => void>();

  constructor(groups: readonly Materialiser[], clock: Clock) {
    this.#groups = groups;
    this.#clock = clock;
  }

  /** Some position may have changed. */
  changed(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Ends all waiting. */
  close(): void {
    this.#closing.abort(new Error('the publisher is stopping'));
    this.changed();
  }

  async wait(topic: string, ends: readonly End[], signal?: AbortSignal): Promise<void> {
    const sinks = this.#groups.flatMap((group) =>
      group.sinks.filter((sink) => sink.topic.name === topic).map((sink) => ({ group, sink })),
    );
    if (sinks.length === 0) throw new Error(`no sink reads topic "${topic}"`);
    let open = sinks.flatMap(({ group, sink }) => ends.map((end) => ({ group, sink, end })));
    while (open.length > 0) {
      signal?.throwIfAborted();
      this.#closing.signal.throwIfAborted();
      // Listen first, then check, so that no change in between is missed.
      const nap = new AbortController();
      const wake = () => nap.abort();
      this.#waiting.add(wake);
      signal?.addEventListener('abort', wake);
      try {
        const left: typeof open = [];
        for (const wait of open)
          if (!(await this.#isApplied(wait.group, wait.sink, { topic, ...wait.end }, wait.end.offset))) left.push(wait);
        open = left;
        if (open.length > 0) await this.#clock.sleep(ASK_MS, nap.signal);
      } finally {
        this.#waiting.delete(wake);
        signal?.removeEventListener('abort', wake);
      }
    }
  }

  async #isApplied(group: Materialiser, sink: GroupSink, at: TopicPartition, offset: number): Promise<boolean> {
    const own = group.progressOf(at);
    if (own !== 'elsewhere') return own !== null && own >= offset;
    const id = { sink: group.sink, topic: at.topic, partition: at.partition };
    // A store that cannot be reached has not confirmed the position.
    const held = await sink.store.position(id).catch(() => null);
    return held !== null && isWhole(held) && held.nextOffset >= offset;
  }
}
