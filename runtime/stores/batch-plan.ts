/**
 * Turns operations into steps. A batch is checked and grouped here before a store sees it: operations on one key become
 * one step with many members, which is what makes a batch cheap (a multi-field command in Redis, one map look-up in
 * process). Steps on different keys commute, so an operation may join an earlier step as long as nothing else has
 * touched its key since. Everything that can be wrong in a batch by itself is refused here, so that before it writes, a
 * store only has to compare the kinds of keys that it already has.
 */
import { FreshetError } from '../process/errors.js';
import type { FencedBatch, SinkId, StoreOperation } from './online-store.js';

/** One or more operations of one kind on one key, in order. The arrays of a step have the same length. */
export type PlanStep =
  | { readonly op: 'zadd'; readonly key: string; readonly members: string[]; readonly scores: number[] }
  | { readonly op: 'zrem'; readonly key: string; readonly members: string[] }
  | {
      readonly op: 'hset' | 'hreplace';
      readonly key: string;
      readonly fields: string[];
      readonly values: string[];
    }
  | NumbersStep
  | { readonly op: 'hdel'; readonly key: string; readonly fields: string[] }
  | { readonly op: 'set'; readonly key: string; readonly value: string }
  | { readonly op: 'del'; readonly key: string }
  | RegroupStep;

/** Replaces the hash by these fields. */
export interface NumbersStep {
  readonly op: 'hnumbers';
  readonly key: string;
  readonly fields: readonly string[];
  readonly values: readonly number[];
}

/** Each member occurs once: a later regroup of a member replaces an earlier one, since both are absolute. */
export interface RegroupStep {
  readonly op: 'regroup';
  readonly key: string;
  readonly prefix: string;
  readonly members: string[];
  readonly groups: (string | null)[];
  readonly scores: number[];
}

export interface BatchPlan {
  readonly steps: readonly PlanStep[];
  /** Keys that must be a sorted set or absent when the batch starts. */
  readonly sortedSets: readonly string[];
  /** Keys that must be a hash or absent when the batch starts. */
  readonly hashes: readonly string[];
}

const OPERATIONS_MAX = 100_000;

/**
 * Checks and groups a batch. Throws FreshetError('invalid_data') for a score that is not a finite number, text that is
 * not well-formed Unicode, a key used as two kinds at once, or more than 100,000 operations.
 */
export function planBatch(operations: readonly StoreOperation[]): BatchPlan {
  if (operations.length > OPERATIONS_MAX)
    throw invalid(`A batch of ${operations.length} operations exceeds the limit of ${OPERATIONS_MAX}.`);
  const planner = new Planner(commutes(operations));
  for (const operation of operations) planner.add(operation);
  return planner;
}

/** Refuses offsets that are not whole numbers or go backwards. Throws FreshetError('invalid_data'). */
export function checkFence(batch: FencedBatch): void {
  const { id, epoch, expectedOffset, nextOffset, at } = batch;
  if (![epoch, expectedOffset, nextOffset, at].every((value) => Number.isSafeInteger(value) && value >= 0))
    throw invalid(`${sinkName(id)}: epoch, offsets and time must be whole numbers.`);
  if (nextOffset < expectedOffset)
    throw invalid(`${sinkName(id)}: the batch ends at ${nextOffset}, before its start (${expectedOffset}).`);
}

/** One text per sink and partition; its parts are percent-encoded, so no two sinks share one. */
export function sinkName(id: SinkId): string {
  return `${encodeURIComponent(id.sink)}:${encodeURIComponent(id.topic)}:${id.partition}`;
}

type Kind = 'zset' | 'hash' | 'string' | 'nothing';
interface KeyState {
  kind: Kind;
  /** The latest step on this key. */
  step: PlanStep | null;
  /** Index of each member in a regroup step. */
  places: Map<string, number> | null;
}

class Planner implements BatchPlan {
  readonly steps: PlanStep[] = [];
  readonly sortedSets: string[] = [];
  readonly hashes: string[] = [];
  readonly #keys = new Map<string, KeyState>();
  readonly #commutes: boolean;

  constructor(stepsCommute: boolean) {
    this.#commutes = stepsCommute;
  }

  add(operation: StoreOperation): void {
    switch (operation.op) {
      case 'zadd': {
        const state = this.#use(operation.key, 'zset');
        let step = this.#open(state);
        if (step?.op !== 'zadd') step = this.#push(state, { op: 'zadd', key: operation.key, members: [], scores: [] });
        step.members.push(text(operation.member));
        step.scores.push(finite(operation.score, operation.key));
        return;
      }
      case 'zrem': {
        const state = this.#use(operation.key, 'zset');
        let step = this.#open(state);
        if (step?.op !== 'zrem') step = this.#push(state, { op: 'zrem', key: operation.key, members: [] });
        step.members.push(text(operation.member));
        return;
      }
      case 'hset': {
        const state = this.#use(operation.key, 'hash');
        let step = this.#open(state);
        if (step?.op !== 'hset') step = this.#push(state, { op: 'hset', key: operation.key, fields: [], values: [] });
        step.fields.push(text(operation.field));
        step.values.push(text(operation.value));
        return;
      }
      case 'hdel': {
        const state = this.#use(operation.key, 'hash');
        let step = this.#open(state);
        if (step?.op !== 'hdel') step = this.#push(state, { op: 'hdel', key: operation.key, fields: [] });
        step.fields.push(text(operation.field));
        return;
      }
      case 'hreplace': {
        const fields: string[] = [];
        const values: string[] = [];
        for (const [field, value] of operation.fields) {
          fields.push(text(field));
          values.push(text(value));
        }
        const state = this.#replace(operation.key, fields.length > 0 ? 'hash' : 'nothing');
        this.#push(state, { op: 'hreplace', key: operation.key, fields, values });
        return;
      }
      case 'hnumbers': {
        const { key, fields, values } = operation;
        if (fields.length !== values.length)
          throw invalid(`${fields.length} fields and ${values.length} numbers for ${key}: the counts must be equal.`);
        for (const field of fields) text(field);
        for (const value of values) finite(value, key);
        this.#push(this.#replace(key, fields.length > 0 ? 'hash' : 'nothing'), { op: 'hnumbers', key, fields, values });
        return;
      }
      case 'set':
        this.#push(this.#replace(operation.key, 'string'), {
          op: 'set',
          key: operation.key,
          value: text(operation.value),
        });
        return;
      case 'del':
        this.#push(this.#replace(operation.key, 'nothing'), { op: 'del', key: operation.key });
        return;
      case 'regroup':
        this.#regroup(operation);
    }
  }

  #regroup(operation: Extract<StoreOperation, { op: 'regroup' }>): void {
    const { groups: key, prefix, member, group, score } = operation;
    const state = this.#use(key, 'hash');
    let step = this.#open(state);
    if (step?.op !== 'regroup' || step.prefix !== prefix) {
      step = this.#push(state, { op: 'regroup', key, prefix: text(prefix), members: [], groups: [], scores: [] });
      state.places = new Map();
    }
    if (group !== null) {
      this.#use(prefix + group, 'zset');
      finite(score, prefix + group);
    }
    const places = state.places ?? new Map<string, number>();
    const place = places.get(member) ?? step.members.length;
    places.set(text(member), place);
    step.members[place] = member;
    step.groups[place] = group;
    step.scores[place] = group === null ? 0 : score;
  }

  /** The state of the key, for use as this kind. */
  #use(key: string, kind: 'zset' | 'hash'): KeyState {
    const known = this.#keys.get(key);
    if (known === undefined) {
      (kind === 'zset' ? this.sortedSets : this.hashes).push(text(key));
      const state: KeyState = { kind, step: null, places: null };
      this.#keys.set(key, state);
      return state;
    }
    if (known.kind === 'nothing') known.kind = kind;
    else if (known.kind !== kind) throw invalid(`One batch uses the key ${key} as ${known.kind} and as ${kind}.`);
    return known;
  }

  /** The state of the key after an operation that replaces any earlier value. */
  #replace(key: string, kind: Kind): KeyState {
    const known = this.#keys.get(key);
    if (known !== undefined) {
      known.kind = kind;
      return known;
    }
    const state: KeyState = { kind, step: null, places: null };
    this.#keys.set(text(key), state);
    return state;
  }

  /** The step that an operation on this key may still join. */
  #open(state: KeyState): PlanStep | null {
    return this.#commutes || state.step === this.steps.at(-1) ? state.step : null;
  }

  #push<S extends PlanStep>(state: KeyState, step: S): S {
    this.steps.push(step);
    state.step = step;
    return step;
  }
}

/**
 * True when steps on different keys may be reordered. A regroup touches sets whose names only the store knows; if a
 * batch also names one of them directly, or two regroups could touch the same set, the order must be kept.
 */
function commutes(operations: readonly StoreOperation[]): boolean {
  const prefixes = new Set<string>();
  const groups = new Set<string>();
  for (const operation of operations) {
    if (operation.op !== 'regroup') continue;
    prefixes.add(operation.prefix);
    groups.add(operation.groups);
  }
  if (prefixes.size === 0) return true;
  const inOneFamily = (key: string) => {
    for (const prefix of prefixes) if (key.startsWith(prefix)) return true;
    return false;
  };
  // With several prefixes, a set could belong to two families; likewise with one prefix under two hashes.
  if (prefixes.size > 1 || groups.size > 1) return false;
  for (const operation of operations) {
    if (inOneFamily(operation.op === 'regroup' ? operation.groups : operation.key)) return false;
  }
  return true;
}

function text(value: string): string {
  // Redis, or the disk, would return half a surrogate pair as another text.
  if (!(value as unknown as { isWellFormed(): boolean }).isWellFormed())
    throw invalid(`${JSON.stringify(value)} is not well-formed Unicode.`);
  return value;
}

function finite(score: number, key: string): number {
  if (typeof score !== 'number' || !Number.isFinite(score)) throw invalid(`A number for ${key} is ${score}.`);
  return score;
}

function invalid(message: string): FreshetError {
  return new FreshetError('invalid_data', message);
}
