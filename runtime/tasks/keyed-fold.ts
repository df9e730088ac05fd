/**
 * A custom feature in a few lines: one state per key of the input topic, folded record by record, and one output record
 * per changed key. It runs in the same task as the built-in features: a commit writes its output, the rows of the
 * changelog and the marker in one transaction, and after any failure the next owner arrives at the same bits.
 *
 * State is kept as the bytes of its Avro schema. So the result of a fold is checked at the record that produced it, a
 * restored state is what it was, and a fold may change its argument in place.
 */
import { CHANGELOG_SETTINGS } from '../../topics/topic.js';
import { deadLetterTopic, ownTopic } from '../../topics/typed.js';
import type { FeatureDefinition } from './feature.js';
import type { KeyedFoldOptions } from './keyed-fold-options.js';
import { KeyedPart, type KeyedRow, keyedRows } from './keyed-part.js';
import type { Part, ProcessorDeclaration } from './processor.js';

/** The result of `defineKeyedFold`: to be run by an application or by the test driver. */
export interface KeyedFold<State> extends FeatureDefinition {
  /** The states that these parts hold, by key; for tests. */
  states(parts: readonly Part[]): Map<string, State>;
}

/** Declares a keyed fold. Throws with a sentence when its name cannot be part of a topic name. */
export function defineKeyedFold<In, State, Out>(options: KeyedFoldOptions<In, State, Out>): KeyedFold<State> {
  const { name, input, output, state, version = 1 } = options;
  if (!/^[a-z][a-z0-9-]*$/.test(name)) throw new Error(`fold name "${name}": lower case, digits, dash`);
  const changelogOf = (application: string, tasks: number) =>
    ownTopic<KeyedRow>({
      name: `${application}.${name}-changelog`,
      doc: `State of ${name} per key, and the marker of each task.`,
      key: 'k/<key> or !marker',
      schema: keyedRows.schema,
      cleanup: 'compact',
      partitions: tasks,
      owner: name,
      feedsKeyedState: true,
      settings: CHANGELOG_SETTINGS,
    });
  return {
    name,
    input,
    topics: (application, tasks) => [output, changelogOf(application, tasks), deadLetterTopic],
    processor: (context): ProcessorDeclaration => {
      const changelog = changelogOf(context.application, 1).name;
      return {
        name,
        application: context.application,
        fingerprint: JSON.stringify({ fold: name, version, input: input.name, state: state.fingerprint }),
        rowPrefix: keyedRows.prefix,
        input: input.name,
        changelog,
        writes: [output.name, changelog, deadLetterTopic.name],
        tables: [],
        createPart: (part) => new KeyedPart(options, context, changelog, part),
      };
    },
    states: (parts) => {
      const found = new Map<string, State>();
      for (const part of parts)
        if (part instanceof KeyedPart && part.folds(options))
          for (const [key, body] of part.bodies()) found.set(key, state.fromBody(body));
      return found;
    },
  };
}
