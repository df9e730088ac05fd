/** The definition of a keyed fold: its topics, its state and three functions. */
import type { AvroSchema } from '../../schemas/value-codec.js';
import type { TypedTopic } from '../../topics/typed.js';

/** A record of the input as a fold sees it. */
export interface KeyedRecord<T> {
  readonly key: string;
  readonly value: T;
  /** Log time, ms since 1970 UTC. */
  readonly timestamp: number;
  readonly partition: number;
  readonly offset: number;
}

export interface KeyedFoldOptions<In, State, Out> {
  /** Lower case, digits, dash; part of topic names and transactional ids. */
  readonly name: string;
  /** Increase it whenever the fold changes: a task refuses state from another version. */
  readonly version?: number;
  /** Its key is the state's key. A null value deletes the key's state. */
  readonly input: TypedTopic<In>;
  readonly output: TypedTopic<Out>;
  readonly state: AvroSchema<State>;
  /** The state before a key's first record. */
  init(key: string): State;
  /**
   * The state after a record; null deletes it. Must depend on its arguments alone: no clock, no random numbers, no
   * lookups. An error that it throws stops the task.
   */
  fold(state: State, record: KeyedRecord<In>): State | null;
  /** What readers see of a changed state; null deletes the key. `asOf`: time of the commit, ms. */
  emit(key: string, state: State, asOf: number): Out | null;
}
