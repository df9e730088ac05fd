/**
 * Rows keyed by (entity, UTC day), the state of every windowed fold: a chain of days per entity, newest first, and a
 * chain of rows per day for the midnight sweep. The owner keeps the contents of the rows in columns with the same row
 * numbers.
 *
 * Totals are added along the chain, so their order (and with it the last bit) depends on the days alone, never on the
 * order of arrival or on a restart.
 */
import { capacityFor, enlarged } from './columns.js';
import type { ColumnSink, ColumnSource } from './saved-columns.js';

const NONE = -1;

export class EntityDays {
  #capacity: number;
  #used = 0;
  #free = NONE;
  #live = 0;
  entity: Int32Array;
  day: Int32Array;
  #nextOfEntity: Int32Array;
  #nextOfDay: Int32Array;
  #headOfEntity: Int32Array;
  readonly #headOfDay = new Map<number, number>();
  readonly #onGrow: (capacity: number) => void;

  /** `onGrow`: the owner enlarges its own columns to the new capacity. */
  constructor(onGrow: (capacity: number) => void, capacity = 1024) {
    this.#capacity = capacity;
    this.entity = new Int32Array(capacity);
    this.day = new Int32Array(capacity);
    this.#nextOfEntity = new Int32Array(capacity);
    this.#nextOfDay = new Int32Array(capacity);
    this.#headOfEntity = new Int32Array(1024).fill(NONE);
    this.#onGrow = onGrow;
    onGrow(capacity);
  }

  /** Row numbers assigned so far: owners save their columns up to here. */
  get used(): number {
    return this.#used;
  }

  /** Rows in use. */
  get size(): number {
    return this.#live;
  }

  /** Newest row of an entity, or -1. */
  first(entity: number): number {
    return entity < this.#headOfEntity.length ? this.#headOfEntity[entity]! : NONE;
  }

  /** The entity's row of the next older day, or -1. */
  next(row: number): number {
    return this.#nextOfEntity[row]!;
  }

  /** The entity's row of that day, or -1. */
  find(entity: number, day: number): number {
    let row = this.first(entity);
    while (row !== NONE && this.day[row]! > day) row = this.#nextOfEntity[row]!;
    return row !== NONE && this.day[row] === day ? row : NONE;
  }

  /** The entity's row of that day, created if needed (see `created`). The owner must then set its columns. */
  obtain(entity: number, day: number): number {
    if (entity >= this.#headOfEntity.length) {
      const from = this.#headOfEntity.length;
      this.#headOfEntity = enlarged(this.#headOfEntity, capacityFor(entity + 1, from));
      this.#headOfEntity.fill(NONE, from);
    }
    let before = NONE;
    let row = this.#headOfEntity[entity]!;
    while (row !== NONE && this.day[row]! > day) {
      before = row;
      row = this.#nextOfEntity[row]!;
    }
    if (row !== NONE && this.day[row] === day) {
      this.created = false;
      return row;
    }
    const fresh = this.#allocate();
    this.entity[fresh] = entity;
    this.day[fresh] = day;
    this.#nextOfEntity[fresh] = row;
    if (before === NONE) this.#headOfEntity[entity] = fresh;
    else this.#nextOfEntity[before] = fresh;
    this.#nextOfDay[fresh] = this.#headOfDay.get(day) ?? NONE;
    this.#headOfDay.set(day, fresh);
    this.created = true;
    return fresh;
  }

  /** Whether the last obtain() created its row. */
  created = false;

  /** Days that have rows, in no order. */
  days(): number[] {
    return [...this.#headOfDay.keys()];
  }

  /** First row of a day, or -1; nextOfDay continues. */
  firstOfDay(day: number): number {
    return this.#headOfDay.get(day) ?? NONE;
  }

  nextOfDay(row: number): number {
    return this.#nextOfDay[row]!;
  }

  /** Removes every row of a day; `visit` is called for each one first. */
  dropDay(day: number, visit: (row: number, entity: number) => void): void {
    let row = this.#headOfDay.get(day) ?? NONE;
    this.#headOfDay.delete(day);
    while (row !== NONE) {
      const following = this.#nextOfDay[row]!;
      const entity = this.entity[row]!;
      visit(row, entity);
      let before = NONE;
      let at = this.#headOfEntity[entity]!;
      while (at !== row) {
        before = at;
        at = this.#nextOfEntity[at]!;
      }
      if (before === NONE) this.#headOfEntity[entity] = this.#nextOfEntity[row]!;
      else this.#nextOfEntity[before] = this.#nextOfEntity[row]!;
      this.#nextOfDay[row] = this.#free;
      this.#free = row;
      this.#live--;
      row = following;
    }
  }

  save(into: ColumnSink): void {
    const used = this.#used;
    into.copy('entity', this.entity, used);
    into.copy('day', this.day, used);
    into.copy('next-of-entity', this.#nextOfEntity, used);
    into.copy('next-of-day', this.#nextOfDay, used);
    into.copy('heads-of-entities', this.#headOfEntity);
    into.share('heads-of-days', Int32Array.from([...this.#headOfDay].flat()));
    into.share('free-live', Int32Array.of(this.#free, this.#live));
  }

  /**
   * Replaces all rows by the saved ones. The capacity is what was used, and the owner loads columns of the same length.
   */
  load(from: ColumnSource): void {
    this.entity = from.take('entity', Int32Array);
    this.day = from.take('day', Int32Array);
    this.#nextOfEntity = from.take('next-of-entity', Int32Array);
    this.#nextOfDay = from.take('next-of-day', Int32Array);
    this.#headOfEntity = from.take('heads-of-entities', Int32Array);
    const heads = from.take('heads-of-days', Int32Array);
    const [free, live] = from.take('free-live', Int32Array);
    this.#free = free!;
    this.#live = live!;
    this.#used = this.entity.length;
    this.#capacity = this.#used;
    this.#headOfDay.clear();
    for (let i = 0; i < heads.length; i += 2) this.#headOfDay.set(heads[i]!, heads[i + 1]!);
  }

  #allocate(): number {
    this.#live++;
    if (this.#free !== NONE) {
      const row = this.#free;
      this.#free = this.#nextOfDay[row]!;
      return row;
    }
    if (this.#used === this.#capacity) {
      const capacity = capacityFor(this.#used + 1, this.#capacity);
      this.entity = enlarged(this.entity, capacity);
      this.day = enlarged(this.day, capacity);
      this.#nextOfEntity = enlarged(this.#nextOfEntity, capacity);
      this.#nextOfDay = enlarged(this.#nextOfDay, capacity);
      this.#capacity = capacity;
      this.#onGrow(capacity);
    }
    return this.#used++;
  }
}
