/**
 * A feature, as applications and the test driver use it: its input, the topics that it needs, and its processor. Keyed
 * folds (keyed-fold.ts) consist of a few functions; a hand-written Part fits too.
 */
import type { SchemaLookup } from '../../schemas/codec.js';
import { ValueCodec } from '../../schemas/value-codec.js';
import type { TypedTopic } from '../../topics/typed.js';
import type { ProcessorDeclaration } from './processor.js';

export interface FeatureContext {
  /** Names its group, transactional ids and changelogs. */
  readonly application: string;
  readonly codecs: ValueCodecs;
}

export interface FeatureDefinition {
  readonly name: string;
  readonly input: TypedTopic<unknown>;
  /** The topics that it writes, including the changelog with one partition per task. */
  topics(application: string, tasks: number): readonly TypedTopic<unknown>[];
  processor(context: FeatureContext): ProcessorDeclaration;
}

/** How the values of each topic are written and read in one process. */
export class ValueCodecs {
  readonly #lookup: SchemaLookup | null;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #codecs = new Map<string, ValueCodec<unknown>>();

  /** `ids`: registry ids of the topics' schemas; topics without one are written in single-object encoding. */
  constructor(lookup: SchemaLookup | null = null, ids: ReadonlyMap<string, number> = new Map()) {
    this.#lookup = lookup;
    this.#ids = ids;
  }

  of<T>(topic: TypedTopic<T>): ValueCodec<T> {
    let codec = this.#codecs.get(topic.name);
    if (codec === undefined) {
      codec = new ValueCodec<unknown>(topic.schema, this.#lookup, this.#ids.get(topic.name) ?? null);
      this.#codecs.set(topic.name, codec);
    }
    return codec as ValueCodec<T>;
  }
}
