/** The contents of the in-process store, and how steps change them. No I/O here. */
import type { BatchPlan, NumbersStep, PlanStep, RegroupStep } from '../batch-plan.js';
import type { SinkPosition } from '../online-store.js';
import { RankedSet } from './ranked-set.js';

/** A step whose outcome does not depend on the contents of the store: it is idempotent. */
type AbsoluteStep = Exclude<PlanStep, RegroupStep | NumbersStep>;

export type Value =
  | { readonly kind: 'string'; readonly text: string }
  | { readonly kind: 'hash'; readonly fields: Map<string, string> }
  | { readonly kind: 'zset'; readonly set: RankedSet };

/** One line on disk: a batch (steps and the sink's new position), or part of a snapshot. */
export interface StateRecord {
  readonly sink?: string;
  readonly position?: SinkPosition;
  /** Values to be renamed, [from, to], before the steps. A missing value is not moved. */
  readonly moves?: readonly (readonly [string, string])[];
  readonly steps?: readonly AbsoluteStep[];
  /** Sinks whose position is removed. */
  readonly forgotten?: readonly string[];
}

const CAPTURE_VALUES_MAX = 1000;

export class LocalState {
  readonly values = new Map<string, Value>();
  readonly positions = new Map<string, SinkPosition>();

  /** The first key of another kind than the batch needs; null if there is none. */
  conflict(plan: BatchPlan): string | null {
    for (const key of plan.sortedSets) if (!this.#isFree(key, 'zset')) return key;
    for (const key of plan.hashes) if (!this.#isFree(key, 'hash')) return key;
    return null;
  }

  #isFree(key: string, kind: Value['kind']): boolean {
    const value = this.values.get(key);
    return value === undefined || value.kind === kind;
  }

  /** The steps with numbers as text, and every regroup replaced by its result at this moment. Changes nothing. */
  resolve(steps: readonly PlanStep[]): AbsoluteStep[] {
    const view = new GroupsView(this);
    for (const step of steps) if (step.op === 'regroup') view.watch(step.key);
    const resolved: AbsoluteStep[] = [];
    for (const step of steps) {
      const absolute =
        step.op === 'regroup' ? resolveRegroup(step, view) : [step.op === 'hnumbers' ? inText(step) : step];
      for (const one of absolute) view.note(one);
      resolved.push(...absolute);
    }
    return resolved;
  }

  /** Applies a record. It replaces a key of another kind, which can only occur while a snapshot's journal is read. */
  accept(record: StateRecord): void {
    for (const [from, to] of record.moves ?? []) this.#move(from, to);
    for (const step of record.steps ?? []) this.#run(step);
    for (const sink of record.forgotten ?? []) this.positions.delete(sink);
    if (record.sink !== undefined && record.position !== undefined) this.positions.set(record.sink, record.position);
  }

  clear(): void {
    this.values.clear();
    this.positions.clear();
  }

  #move(from: string, to: string): void {
    const value = this.values.get(from);
    if (value === undefined) return;
    this.values.delete(from);
    this.values.set(to, value);
  }

  #run(step: AbsoluteStep): void {
    switch (step.op) {
      case 'zadd': {
        const set = this.#sortedSet(step.key);
        for (let i = 0; i < step.members.length; i++) set.add(step.members[i]!, step.scores[i]!);
        return;
      }
      case 'zrem': {
        const value = this.values.get(step.key);
        if (value?.kind !== 'zset') return;
        for (const member of step.members) value.set.remove(member);
        if (value.set.size === 0) this.values.delete(step.key);
        return;
      }
      case 'hset':
        setFields(this.#hash(step.key), step.fields, step.values);
        return;
      case 'hdel': {
        const value = this.values.get(step.key);
        if (value?.kind !== 'hash') return;
        for (const field of step.fields) value.fields.delete(field);
        if (value.fields.size === 0) this.values.delete(step.key);
        return;
      }
      case 'hreplace':
        this.values.delete(step.key);
        if (step.fields.length > 0) setFields(this.#hash(step.key), step.fields, step.values);
        return;
      case 'set':
        this.values.set(step.key, { kind: 'string', text: step.value });
        return;
      case 'del':
        this.values.delete(step.key);
    }
  }

  #sortedSet(key: string): RankedSet {
    const value = this.values.get(key);
    if (value?.kind === 'zset') return value.set;
    const set = new RankedSet();
    this.values.set(key, { kind: 'zset', set });
    return set;
  }

  #hash(key: string): Map<string, string> {
    const value = this.values.get(key);
    if (value?.kind === 'hash') return value.fields;
    const fields = new Map<string, string>();
    this.values.set(key, { kind: 'hash', fields });
    return fields;
  }

  /**
   * The whole contents, in records of about 1,000 values. The positions are taken at the call, the values while the
   * caller iterates, between batches. The blurred result becomes exact when all records accepted since the call are
   * applied after it: they are absolute, so values that they touch end as they say, and all others are in the result
   * unchanged. Moves are not absolute: none may be accepted meanwhile.
   */
  capture(): IterableIterator<StateRecord> {
    return captureFrom([...this.positions], this.values);
  }
}

function inText({ key, fields, values }: NumbersStep): AbsoluteStep {
  return { op: 'hreplace', key, fields: [...fields], values: values.map(String) };
}

function setFields(hash: Map<string, string>, fields: readonly string[], values: readonly string[]): void {
  for (let i = 0; i < fields.length; i++) hash.set(fields[i]!, values[i]!);
}

function* captureFrom(
  positions: readonly [string, SinkPosition][],
  values: ReadonlyMap<string, Value>,
): IterableIterator<StateRecord> {
  for (const [sink, position] of positions) yield { sink, position };
  let steps: AbsoluteStep[] = [];
  let room = CAPTURE_VALUES_MAX;
  for (const [key, value] of values) {
    for (const step of stepsOf(key, value)) {
      steps.push(step);
      room -= 'members' in step ? step.members.length : 'fields' in step ? step.fields.length : 1;
      if (room > 0) continue;
      yield { steps };
      steps = [];
      room = CAPTURE_VALUES_MAX;
    }
  }
  if (steps.length > 0) yield { steps };
}

function* stepsOf(key: string, value: Value): IterableIterator<AbsoluteStep> {
  if (value.kind === 'string') {
    yield { op: 'set', key, value: value.text };
  } else if (value.kind === 'hash') {
    for (const slice of slicesOf(value.fields))
      yield { op: 'hset', key, fields: slice.map(([field]) => field), values: slice.map(([, text]) => text) };
  } else {
    for (const slice of slicesOf(value.set.scores))
      yield { op: 'zadd', key, members: slice.map(([member]) => member), scores: slice.map(([, score]) => score) };
  }
}

function* slicesOf<V>(map: ReadonlyMap<string, V>): IterableIterator<[string, V][]> {
  let slice: [string, V][] = [];
  for (const entry of map) {
    slice.push(entry);
    if (slice.length < CAPTURE_VALUES_MAX) continue;
    yield slice;
    slice = [];
  }
  if (slice.length > 0) yield slice;
}

/** The groups of members during a batch: those in the store, overlaid with the changes of earlier steps. */
class GroupsView {
  readonly #state: LocalState;
  readonly #hashes = new Map<
    string,
    { below: ReadonlyMap<string, string> | null; changes: Map<string, string | null> }
  >();

  constructor(state: LocalState) {
    this.#state = state;
  }

  watch(key: string): void {
    if (this.#hashes.has(key)) return;
    const value = this.#state.values.get(key);
    this.#hashes.set(key, { below: value?.kind === 'hash' ? value.fields : null, changes: new Map() });
  }

  groupOf(key: string, member: string): string | null {
    const hash = this.#hashes.get(key);
    const changed = hash?.changes.get(member);
    return changed !== undefined ? changed : (hash?.below?.get(member) ?? null);
  }

  note(step: AbsoluteStep): void {
    const hash = this.#hashes.get(step.key);
    if (hash === undefined) return;
    if (step.op === 'hreplace' || step.op === 'del' || step.op === 'set') {
      hash.below = null;
      hash.changes.clear();
    }
    if (step.op === 'hset' || step.op === 'hreplace')
      setFields(hash.changes as Map<string, string>, step.fields, step.values);
    else if (step.op === 'hdel') for (const field of step.fields) hash.changes.set(field, null);
  }
}

function resolveRegroup(step: RegroupStep, view: GroupsView): AbsoluteStep[] {
  const removed = new Map<string, string[]>();
  const added = new Map<string, { members: string[]; scores: number[] }>();
  const moved = { members: [] as string[], groups: [] as string[] };
  const gone: string[] = [];
  for (const [i, member] of step.members.entries()) {
    const from = view.groupOf(step.key, member);
    const to = step.groups[i] ?? null;
    if (from !== null && from !== to) {
      const members = removed.get(from);
      if (members === undefined) removed.set(from, [member]);
      else members.push(member);
    }
    if (to !== null) {
      let list = added.get(to);
      if (list === undefined) {
        list = { members: [], scores: [] };
        added.set(to, list);
      }
      list.members.push(member);
      list.scores.push(step.scores[i]!);
      if (from !== to) {
        moved.members.push(member);
        moved.groups.push(to);
      }
    } else if (from !== null) gone.push(member);
  }
  const steps: AbsoluteStep[] = [];
  for (const [group, members] of removed) steps.push({ op: 'zrem', key: step.prefix + group, members });
  for (const [group, list] of added) steps.push({ op: 'zadd', key: step.prefix + group, ...list });
  if (moved.members.length > 0) steps.push({ op: 'hset', key: step.key, fields: moved.members, values: moved.groups });
  if (gone.length > 0) steps.push({ op: 'hdel', key: step.key, fields: gone });
  return steps;
}
