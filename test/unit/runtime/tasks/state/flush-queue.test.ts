/** Changelog and records together always give the state, however rows come, change, empty and leave, and none stays behind. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { FlushQueue } from '../../../../../runtime/tasks/state/flush-queue.js';
import { SavedColumns } from '../../../../../runtime/tasks/state/saved-columns.js';

const ROWS = 6;

type Step =
  | { readonly do: 'add' | 'empty' | 'forget'; readonly row: number }
  | { readonly do: 'commit'; readonly rows: number; readonly lost: boolean }
  | { readonly do: 'restore' | 'reload' };

const row = fc.nat(ROWS - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('add' as const), row }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('empty' as const), row }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), row }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('commit' as const), rows: fc.nat(4), lost: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('restore' as const, 'reload' as const) }) },
);

/** A state of sums that is kept in a changelog as tasks do it, and its log of records. */
class Model {
  queue: FlushQueue;
  readonly sums = new Map<number, number>();
  readonly records: { readonly row: number; readonly amount: number }[] = [];
  readonly changelog = new Map<number, { readonly sum: number; readonly covers: number }>();
  readonly dropped: number[] = [];
  #restoreFrom = 0;
  #flushFrom = 0;
  #isFlushing = false;

  constructor() {
    this.queue = this.#newQueue();
  }

  #newQueue(): FlushQueue {
    return new FlushQueue((dropped) => this.dropped.push(dropped));
  }

  fold(row: number, amount: number): void {
    this.records.push({ row, amount });
    this.#fold(row, amount, this.records.length - 1);
  }

  #fold(row: number, amount: number, offset: number): void {
    const sum = (this.sums.get(row) ?? 0) + amount;
    assert.ok(sum >= 0, 'a record from before an empty row was counted again');
    this.sums.set(row, sum);
    if (sum === 0) this.queue.markEmptied(row, offset);
    else this.queue.markDirty(row);
  }

  /** The row is gone, and its number will be another's. */
  forget(row: number): void {
    this.queue.forget(row);
    this.sums.delete(row);
    this.changelog.delete(row);
    for (const [offset, record] of this.records.entries())
      if (record.row === row) this.records[offset] = { row: -1, amount: 0 };
  }

  commit(rows: number, isLost = false): void {
    if (!this.#isFlushing) {
      this.queue.begin(this.#restoreFrom);
      this.#flushFrom = this.records.length;
      this.#isFlushing = true;
    }
    const covers = this.records.length;
    const written: (() => void)[] = [];
    let count = 0;
    this.queue.visit(rows, (visited, isOver) => {
      count++;
      const sum = this.sums.get(visited)!;
      if (isOver) assert.equal(sum, 0, 'only an empty row is deleted');
      written.push(() => (isOver ? this.changelog.delete(visited) : this.changelog.set(visited, { sum, covers })));
    });
    assert.ok(count <= rows);
    if (isLost) return;
    for (const write of written) write();
    this.queue.committed();
    if (!this.queue.isComplete) return;
    this.#isFlushing = false;
    this.#restoreFrom = this.#flushFrom;
  }

  /** The state from the changelog and the records. */
  restore(): void {
    const before = new Map([...this.sums].filter(([, sum]) => sum > 0));
    this.queue = this.#newQueue();
    this.queue.beginRestore();
    this.sums.clear();
    this.#isFlushing = false;
    for (const [kept, { sum, covers }] of this.changelog) {
      this.sums.set(kept, sum);
      this.queue.restored(kept, covers, sum === 0);
    }
    for (let offset = this.#restoreFrom; offset < this.records.length; offset++) {
      const { row: changed, amount } = this.records[offset]!;
      if (changed >= 0 && !this.queue.isCovered(changed, offset)) this.#fold(changed, amount, offset);
    }
    this.queue.endRestore();
    assert.deepEqual(sorted(this.sums, true), sorted(before));
  }

  /** The queue from a checkpoint, taken right after a commit. */
  reload(): void {
    const saved = new SavedColumns();
    this.queue.save(saved);
    this.queue = this.#newQueue();
    this.queue.load(saved);
    this.#isFlushing = false;
  }
}

function sorted(sums: ReadonlyMap<number, number>, withoutEmpty = false): [number, number][] {
  return [...sums].filter(([, sum]) => !withoutEmpty || sum > 0).sort(([a], [b]) => a - b);
}

test('I2: changelog and records give the state at any time, and quiet flushes leave nothing else in the changelog', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 150 }), (steps) => {
      const model = new Model();
      for (const next of steps) {
        if (next.do === 'add') model.fold(next.row, 1 + model.records.length);
        else if (next.do === 'empty' && (model.sums.get(next.row) ?? 0) > 0)
          model.fold(next.row, -model.sums.get(next.row)!);
        else if (next.do === 'forget') model.forget(next.row);
        else if (next.do === 'commit') model.commit(next.rows, next.lost);
        else if (next.do === 'restore') model.restore();
        else if (next.do === 'reload') model.reload();
      }
      // The rest of the running flush, one for what came meanwhile, and two until an empty row may go and has gone.
      for (let i = 0; i < 4; i++) model.commit(Number.POSITIVE_INFINITY);
      assert.equal(model.queue.size, 0);
      const kept = new Map([...model.changelog].map(([key, { sum }]) => [key, sum]));
      assert.deepEqual(sorted(kept), sorted(model.sums, true));
      model.restore();
    }),
    { numRuns: 1_000 },
  );
});

test('an empty row is deleted, and its owner called, only when no record from before can be read again', () => {
  const model = new Model();
  model.fold(3, 1);
  model.commit(10);
  model.fold(3, -1);
  model.commit(10);
  assert.deepEqual([...model.changelog], [[3, { sum: 0, covers: 2 }]], 'first a row that says so');
  assert.deepEqual(model.dropped, []);
  model.commit(10);
  assert.deepEqual([[...model.changelog], model.dropped], [[], [3]]);
  model.fold(3, 5);
  model.commit(10);
  assert.equal(model.changelog.get(3)?.sum, 5, 'its number may be used again');
});
