/**
 * When a shard is written: after it has been quiet for 5 s, or once its first unwritten change is an interval old, and
 * at most a few megabytes per commit: otherwise fifty languages of 256 shards would be one transaction.
 *
 * Times are the emitter's, not the log's: while a task catches up, every record is old, and by its log time each shard
 * would look quiet at every commit.
 */
import { capacityFor, DueSet, enlarged } from '../../runtime/tasks/state/columns.js';
import type { ColumnSink, ColumnSource } from '../../runtime/tasks/state/saved-columns.js';

const QUIET_MS = 5_000;
/** Number of bytes after which a commit writes no further shard. */
const COMMIT_BYTES_MAX = 2 * 1024 * 1024;

export class ShardOutput {
  readonly #intervalMs: number;
  /** Shards with unwritten changes, in order of the first one. */
  readonly #waiting = new DueSet();
  /** Per shard: input offset of the first change. */
  #since = new Float64Array(256);
  /** Per shard: when the first and the last change were noticed. */
  #firstMs = new Float64Array(256);
  #lastMs = new Float64Array(256);
  /** Shards with changes that have not been noticed. */
  readonly #touched = new DueSet();
  #taken: number[] = [];

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** An input record at this offset changed the shard. */
  changed(shard: number, offset: number): void {
    if (shard >= this.#since.length) {
      const capacity = capacityFor(shard + 1, this.#since.length);
      this.#since = enlarged(this.#since, capacity);
      this.#firstMs = enlarged(this.#firstMs, capacity);
      this.#lastMs = enlarged(this.#lastMs, capacity);
    }
    if (this.#waiting.add(shard)) {
      this.#since[shard] = offset;
      this.#firstMs[shard] = Number.POSITIVE_INFINITY;
    }
    this.#touched.add(shard);
  }

  isDue(now: number): boolean {
    this.#notice(now);
    const { ids } = this.#waiting;
    for (let i = 0; i < ids.length; i++) if (this.#isReady(ids[i]!, now)) return true;
    return false;
  }

  /**
   * Writes the shards ready at asOf; `write` returns the bytes. Repeated before committed(), it writes the same shards.
   */
  emit(asOf: number, write: (shard: number) => number): void {
    this.#notice(asOf);
    if (this.#taken.length > 0) {
      for (const shard of this.#taken) write(shard);
      return;
    }
    const { ids } = this.#waiting;
    let bytes = 0;
    for (let i = 0; i < ids.length && bytes < COMMIT_BYTES_MAX; i++) {
      const shard = ids[i]!;
      if (!this.#isReady(shard, asOf)) continue;
      bytes += write(shard);
      this.#taken.push(shard);
    }
  }

  /** The shards that emit() wrote are in the log. */
  committed(): void {
    if (this.#taken.length === 0) return;
    const taken = new Set(this.#taken);
    this.#waiting.remove((shard) => taken.has(shard));
    this.#taken = [];
  }

  /** Oldest offset whose change is not written once the taken shards are; `position` if there is none. */
  oldestDue(position: number): number {
    const taken = new Set(this.#taken);
    for (const shard of this.#waiting.ids) if (!taken.has(shard)) return Math.min(this.#since[shard]!, position);
    return position;
  }

  save(into: ColumnSink): void {
    into.copy('waiting', this.#waiting.ids);
    into.copy('since', this.#since);
  }

  /** `oldestDue` of the newest marker: shards changed before it have been written since. */
  load(from: ColumnSource, oldestDue: number): void {
    const waiting = from.take('waiting', Int32Array);
    const since = from.take('since', Float64Array);
    for (const shard of waiting) if (since[shard]! >= oldestDue) this.changed(shard, since[shard]!);
  }

  #notice(now: number): void {
    for (let i = 0; i < this.#touched.size; i++) {
      const shard = this.#touched.at(i);
      this.#firstMs[shard] = Math.min(this.#firstMs[shard]!, now);
      this.#lastMs[shard] = now;
    }
    this.#touched.clear();
  }

  /** At once if the change was noticed at a time still to come: the clock was ahead then. */
  #isReady(shard: number, now: number): boolean {
    const lastMs = this.#lastMs[shard]!;
    return now < lastMs || now - lastMs >= QUIET_MS || now - this.#firstMs[shard]! >= this.#intervalMs;
  }
}
