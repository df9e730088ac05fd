/**
 * The demo has similar products, recommendations and search a few seconds after it is ready: the first index and the
 * first model are built while the shop is already open, once the products' vectors and the users' interactions are in
 * their topics.
 */
import type { Log } from '../../runtime/log/log.js';
import type { Part } from '../../runtime/tasks/processor.js';
import type { EmbeddingsSet } from '../../topics/embeddings.js';
import { events, products } from '../../topics/events.js';
import { awaitFirstVersion, type FirstVersionOptions } from './first-version.js';

interface FirstModelsOptions extends Omit<FirstVersionOptions, 'job'> {
  readonly log: Log;
  readonly embeddings: EmbeddingsSet;
  /** Parts of the features application that run in this process. */
  readonly parts: () => readonly Pick<Part, 'input' | 'oldestDue'>[];
  /** End offsets of the demo's history. */
  readonly endOffsets: readonly { readonly partition: number; readonly offset: number }[];
}

const LOOK_MS = 200;

/** Resolves when both are current, have failed (which is logged), or the signal ends it. Errors: the log's, the database's. */
export async function makeFirstModels(options: FirstModelsOptions): Promise<void> {
  const { log, embeddings, parts, endOffsets, ...making } = options;
  const { clock, signal } = making;
  const until = async (holds: () => Promise<boolean>) => {
    while (!signal.aborted && !(await holds())) await clock.sleep(LOOK_MS, signal);
  };
  const catalogue = await endsOf(log, products.name);
  await until(async () => {
    const shown = await log.shownOffsets(embeddings.application, catalogue);
    return catalogue.every(({ offset }, i) => (shown[i] ?? 0) >= offset);
  });
  await awaitFirstVersion({ ...making, job: 'faiss' });
  const ends = new Map(endOffsets.map(({ partition, offset }) => [partition, offset]));
  await until(async () =>
    parts()
      .filter(({ input }) => input.topic === events.name)
      .every((part) => part.oldestDue(Number.POSITIVE_INFINITY) >= (ends.get(part.input.partition) ?? 0)),
  );
  await awaitFirstVersion({ ...making, job: 'als' });
}

export async function endsOf(log: Log, topic: string): Promise<{ topic: string; partition: number; offset: number }[]> {
  const partitions = await log.partitionCount(topic);
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { lastStable } = await log.offsets({ topic, partition });
      return { topic, partition, offset: lastStable };
    }),
  );
}
