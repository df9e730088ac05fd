/**
 * The users waiting for the slower output (interactions): at most one record per user and interval. Two reasons for
 * waiting are kept apart. A change by an input record has an offset, and the marker holds the oldest one, so that a
 * restore reads from there; a day that left has no offset, so it keeps the midnight sweep open instead.
 */
import { capacityFor, DueSet, enlarged } from '../../../runtime/tasks/state/columns.js';
import type { ColumnSink, ColumnSource } from '../../../runtime/tasks/state/saved-columns.js';

const PER_COMMIT = 2_000;

export class SlowOutput {
  readonly #intervalMs: number;
  /** Users changed by input records since their last record, in order of the first change. */
  readonly #changed = new DueSet();
  /** Users who lost a day, unless they are waiting for a change anyway. */
  readonly #swept = new DueSet();
  /** Per user: offset of the first change. */
  #since = new Float64Array(1024);
  /** Per user: as_of of the last record written. */
  #emitted = new Float64Array(1024);
  #nextMs = Number.POSITIVE_INFINITY;
  /** The time take() was called for. */
  #lastMs = Number.POSITIVE_INFINITY;
  #taken: number[] = [];

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** An input record at this offset changed the user. */
  changed(user: number, offset: number): void {
    this.#reserve(user);
    if (!this.#changed.add(user)) return;
    this.#since[user] = offset;
    this.#wait(user);
  }

  /** An erased user must not wait for the removal. */
  hurry(user: number): void {
    this.#emitted[user] = 0;
    this.#nextMs = 0;
  }

  /** A day of the user left the window. */
  swept(user: number): void {
    this.#reserve(user);
    if (this.#changed.has(user) || !this.#swept.add(user)) return;
    this.#wait(user);
  }

  /** Whether any user is still waiting because a day left. */
  get isSweeping(): boolean {
    return this.#swept.size > 0;
  }

  isDue(now: number): boolean {
    const wentBack = now < this.#lastMs && this.#lastMs !== Number.POSITIVE_INFINITY;
    return now >= this.#nextMs || (wentBack && this.#changed.size + this.#swept.size > 0);
  }

  /** The users whose records are written now; an uncommitted choice is repeated. */
  take(asOf: number): readonly number[] {
    if (asOf < this.#lastMs) this.#nextMs = asOf;
    this.#lastMs = asOf;
    if (this.#taken.length > 0 || asOf < this.#nextMs) return this.#taken;
    this.#nextMs = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#changed.size; i++) this.#takeIfReady(this.#changed.at(i), asOf);
    for (let i = 0; i < this.#swept.size; i++) {
      const user = this.#swept.at(i);
      if (!this.#changed.has(user)) this.#takeIfReady(user, asOf);
    }
    return this.#taken;
  }

  /** The users that take() chose for asOf are in the log. */
  committed(asOf: number): void {
    if (this.#taken.length === 0) return;
    for (const user of this.#taken) this.#emitted[user] = asOf;
    const taken = new Set(this.#taken);
    const isTaken = (user: number) => taken.has(user);
    this.#changed.remove(isTaken);
    if (this.#swept.size > 0) this.#swept.remove(isTaken);
    this.#taken = [];
  }

  /** Oldest offset whose change is not written once the current choice is; `position` if there is none. */
  oldestDue(position: number): number {
    const taken = new Set(this.#taken);
    for (let i = 0; i < this.#changed.size; i++) {
      const user = this.#changed.at(i);
      if (!taken.has(user)) return Math.min(this.#since[user]!, position);
    }
    return position;
  }

  save(into: ColumnSink): void {
    into.copy('changed', this.#changed.ids);
    into.copy('swept', this.#swept.ids);
    into.copy('since', this.#since);
    into.copy('emitted', this.#emitted);
  }

  /** `oldestDue` of the newest marker: users changed before it have been written since. */
  load(from: ColumnSource, oldestDue: number, sweepIsOver: boolean): void {
    const changed = from.take('changed', Int32Array);
    const swept = from.take('swept', Int32Array);
    this.#since = from.take('since', Float64Array);
    this.#emitted = from.take('emitted', Float64Array);
    for (const user of changed) {
      if (this.#since[user]! < oldestDue) continue;
      this.#changed.add(user);
      this.#wait(user);
    }
    if (!sweepIsOver) for (const user of swept) this.swept(user);
  }

  #takeIfReady(user: number, asOf: number): void {
    const ready = this.#readyMs(user, asOf);
    if (ready <= asOf && this.#taken.length < PER_COMMIT) this.#taken.push(user);
    else if (ready < this.#nextMs) this.#nextMs = ready;
  }

  #wait(user: number): void {
    this.#nextMs = Math.min(this.#nextMs, this.#readyMs(user, this.#lastMs));
  }

  /** At once if the last record was written for a time still to come: the clock was ahead then. */
  #readyMs(user: number, asOf: number): number {
    const emitted = this.#emitted[user]!;
    return emitted > asOf ? asOf : emitted + this.#intervalMs;
  }

  #reserve(user: number): void {
    if (user < this.#since.length) return;
    const capacity = capacityFor(user + 1, this.#since.length);
    this.#since = enlarged(this.#since, capacity);
    this.#emitted = enlarged(this.#emitted, capacity);
  }
}
