/**
 * What every windowed fold keeps besides its sums: the partition clock, the rows per (entity, day), the entities due for
 * the next emission, and the midnight sweep. Days leave memory with the partition clock, which is in the log; what readers
 * see follows the emitter's clock, which is not: so emission reads only the window of its as_of, and the sweep re-emits
 * each entity that lost a day. Both ways a leaving day puts its entities into the sweep exactly once.
 */
import { DueSet, IntList } from '../../runtime/tasks/state/columns.js';
import { EntityDays } from '../../runtime/tasks/state/entity-days.js';
import { FlushQueue } from '../../runtime/tasks/state/flush-queue.js';
import type { ColumnSink, ColumnSource } from '../../runtime/tasks/state/saved-columns.js';
import { WINDOW_DAYS } from '../../topics/limits.js';
import { dayOf, windowStart } from './days.js';

/**
 * A sweep is spread over this time, a third of its limit: at full speed it delayed live changes by seconds (p99 7 s at
 * a million users, with the sweep over in 65 s).
 */
const SWEEP_MS = 300_000;
const SWEEP_PER_COMMIT_MIN = 50;
const SWEEP_PER_COMMIT_MAX = 5_000;

export class WindowedState {
  readonly rows: EntityDays;
  readonly unflushed = new FlushQueue();
  /** Entities whose value changed since the last commit. */
  readonly due = new DueSet();
  #clock = -1;
  #clockDay = -1;
  #sweptDay = -1;
  #sweepDay = -1;
  #dueEmitted = 0;
  /** Due entities that a table has changed since they were visited. */
  readonly #changedSince = new Set<number>();
  readonly #sweep = new IntList();
  #sweepAt = 0;
  #sweepEmitted = 0;
  /** When the sweep began. */
  #sweepSince = Number.POSITIVE_INFINITY;

  readonly #onDrop: (row: number) => void;

  /** `onGrow`: see EntityDays. `onDrop`: a row leaves memory. */
  constructor(onGrow: (capacity: number) => void, onDrop: (row: number) => void = () => undefined) {
    this.rows = new EntityDays(onGrow);
    this.#onDrop = onDrop;
  }

  get clock(): number {
    return this.#clock;
  }

  get sweptDay(): number {
    return this.#sweptDay;
  }

  /** Moves the partition clock; a new day drops the rows that left the window for good. Returns the clock. */
  advance(logTime: number): number {
    if (logTime > this.#clock) {
      this.#clock = logTime;
      const day = dayOf(logTime);
      if (day !== this.#clockDay) {
        this.#clockDay = day;
        this.#dropExpired();
      }
    }
    return this.#clock;
  }

  /** After a restore: the marker's clock and last swept day, or −1 for a fresh start at `now`. */
  start(clock: number, sweptDay: number, now: number): void {
    const today = dayOf(Math.max(now, clock));
    this.#sweptDay = sweptDay < 0 ? today : sweptDay;
    this.#sweepDay = this.#sweptDay;
    if (clock >= 0) this.advance(clock);
    this.#dropExpired();
  }

  #dropExpired(): void {
    if (this.#clock < 0 || this.#sweepDay < 0) return;
    const first = windowStart(this.#clock);
    for (const day of this.rows.days()) {
      if (day >= first) continue;
      const unswept = day > this.#sweepDay - WINDOW_DAYS;
      this.rows.dropDay(day, (row, entity) => {
        this.unflushed.forget(row);
        this.#onDrop(row);
        if (unswept) this.#sweep.push(entity);
      });
    }
  }

  /** Call after a commit was acknowledged. */
  save(into: ColumnSink): void {
    this.rows.save(into.within('rows'));
    this.unflushed.save(into.within('unflushed'));
    into.copy('sweep', this.#sweep.items.subarray(this.#sweepAt));
    into.share('clock', Float64Array.of(this.#clock, this.#sweepDay));
  }

  /**
   * In place of a fresh state; as while restoring, nothing expires until start(). `sweptDay`: of the newest marker.
   * Entities that waited for a sweep that has finished since wait no more; an unfinished one keeps them, because their rows
   * may have left memory already. Returns whether it has finished.
   */
  load(from: ColumnSource, sweptDay: number): boolean {
    this.rows.load(from.within('rows'));
    this.unflushed.load(from.within('unflushed'));
    const sweep = from.take('sweep', Int32Array);
    const [clock, sweepDay] = from.take('clock', Float64Array);
    this.#clock = clock!;
    this.#clockDay = clock! < 0 ? -1 : dayOf(clock!);
    if (sweptDay >= sweepDay!) return true;
    for (const entity of sweep) this.#sweep.push(entity);
    return false;
  }

  /**
   * A table has changed how the entity is shown. If the commit that emits the previous value is in flight, the entity
   * becomes due once more.
   */
  tableChanged(entity: number): void {
    if (!this.due.add(entity) && this.#dueEmitted > 0) this.#changedSince.add(entity);
  }

  isDue(asOf: number): boolean {
    return this.due.size > 0 || this.#sweepAt < this.#sweep.length || dayOf(asOf) !== this.#sweepDay;
  }

  /** Visits what is to be emitted at asOf: all that changed, then a paced part of the sweep. Repeatable until committed(). */
  visitDue(asOf: number, visit: (entity: number) => void): void {
    this.#beginSweep(dayOf(asOf));
    this.#dueEmitted = this.due.size;
    for (let i = 0; i < this.#dueEmitted; i++) visit(this.due.at(i));
    const end = this.#sweepEnd(asOf);
    for (let i = this.#sweepAt; i < end; i++) {
      const entity = this.#sweep.at(i);
      if (!this.due.has(entity)) visit(entity);
    }
    this.#sweepEmitted = end;
  }

  /** Where the sweep should be at asOf. */
  #sweepEnd(asOf: number): number {
    const { length } = this.#sweep;
    if (length === 0) return 0;
    this.#sweepSince = Math.min(this.#sweepSince, asOf);
    const due = Math.ceil((length * (asOf - this.#sweepSince)) / SWEEP_MS) - this.#sweepAt;
    return Math.min(length, this.#sweepAt + Math.min(Math.max(due, SWEEP_PER_COMMIT_MIN), SWEEP_PER_COMMIT_MAX));
  }

  /**
   * Entities with a row in a day that left are emitted again. A clock that was set back brings days back: then it is those
   * with a row in one of these, and the days leave once more when it is time.
   */
  #beginSweep(today: number): void {
    if (today === this.#sweepDay) return;
    const kept = Math.min(today, this.#sweepDay) - WINDOW_DAYS;
    const moved = Math.max(today, this.#sweepDay) - WINDOW_DAYS;
    for (const day of this.rows.days()) {
      if (day <= kept || day > moved) continue;
      for (let row = this.rows.firstOfDay(day); row >= 0; row = this.rows.nextOfDay(row))
        this.#sweep.push(this.rows.entity[row]!);
    }
    this.#sweepDay = today;
  }

  /** The visited entities are in the log. Others that a table made due while the commit was in flight stay. */
  committed(): void {
    if (this.#dueEmitted === this.due.size) this.due.clear();
    else this.due.dropFirst(this.#dueEmitted);
    this.#dueEmitted = 0;
    for (const entity of this.#changedSince) this.due.add(entity);
    this.#changedSince.clear();
    this.#sweepAt = this.#sweepEmitted;
    if (this.#sweepAt >= this.#sweep.length) {
      this.#sweep.clear();
      this.#sweepAt = 0;
      this.#sweepEmitted = 0;
      this.#sweepSince = Number.POSITIVE_INFINITY;
      this.#sweptDay = this.#sweepDay;
    }
    this.unflushed.committed();
  }
}
