/** When tasks committed, from the markers in a changelog: every commit writes one with the time of its start. */
import type { Log } from '../../../runtime/log/log.js';
import { Follower } from './follower.js';

export class Commits {
  /** ms, ascending, per changelog partition, which is the task's number. */
  readonly #times = new Map<number, number[]>();
  readonly #follower: Follower;

  constructor(log: Log, changelog: string) {
    this.#follower = new Follower(log, changelog, ({ partition, timestamp, key }) => {
      if (key !== '!marker') return;
      const times = this.#times.get(partition);
      if (times === undefined) this.#times.set(partition, [timestamp]);
      else times.push(timestamp);
    });
  }

  /** Number of commits. */
  get count(): number {
    return [...this.#times.values()].reduce((sum, times) => sum + times.length, 0);
  }

  /** Reads the commits since the last call. */
  advance(): Promise<void> {
    return this.#follower.advance();
  }

  /**
   * The longest time without a commit between two moments (ms), of the given tasks or of all that ever committed.
   * Meaningful only while every task always has input.
   */
  longestGapMs(from: number, to: number, tasks: readonly number[] = [...this.#times.keys()]): number {
    let longest = 0;
    for (const task of tasks) {
      let before = from;
      for (const time of [...(this.#times.get(task) ?? []), to]) {
        if (time <= from) continue;
        longest = Math.max(longest, Math.min(time, to) - before);
        before = Math.min(time, to);
      }
    }
    return longest;
  }

  /** Number of commits of a task between two moments (ms). */
  between(from: number, to: number, task: number): number {
    return (this.#times.get(task) ?? []).filter((time) => time >= from && time <= to).length;
  }

  close(): Promise<void> {
    return this.#follower.close();
  }
}
