/** Compares the contents of the feature topics with the reference, every key at its own as_of. */
import type { Log } from '../../runtime/log/log.js';
import { Codec } from '../../schemas/codec.js';
import type { Affinity, Popularity } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { compareAffinity, comparePopularity, Differences } from '../faults/harness/differences.js';
import { Reference } from '../support/reference.js';
import { rawEvents, readAll } from './feed.js';

export interface Verdict {
  readonly products: number;
  readonly users: number;
  /** Largest relative error of a score or a share; Infinity if something is missing or superfluous. */
  readonly worst: number;
  /** The first few differences in words. */
  readonly wrong: readonly string[];
}

export async function verify(log: Log, version = 1): Promise<Verdict> {
  const codec = new Codec();
  const reference = new Reference(await rawEvents(log, 'events', codec));
  const topics = featureSet(version).topics;
  const popularity = await newest<Popularity>(log, topics.popularity.name, 'Popularity', codec);
  const affinity = await newest<Affinity>(log, topics.affinity.name, 'Affinity', codec);
  const differences = new Differences();
  comparePopularity(differences, topics.popularity.name, reference, popularity);
  compareAffinity(differences, topics.affinity.name, reference, affinity);
  const { words } = differences.result();
  return { products: popularity.size, users: affinity.size, worst: differences.worst, wrong: words };
}

async function newest<T>(
  log: Log,
  topic: string,
  schema: 'Popularity' | 'Affinity',
  codec: Codec,
): Promise<Map<string, T>> {
  const rows = new Map<string, Buffer>();
  await readAll(log, topic, ({ key, value }) => {
    if (value === null) rows.delete(key!);
    else rows.set(key!, Buffer.from(value));
  });
  return new Map([...rows].map(([key, bytes]) => [key, codec.decode(schema, bytes) as T]));
}
