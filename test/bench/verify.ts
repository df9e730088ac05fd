/** Holds what stands in the feature topics against the reference, every key at its own as_of. */
import type { Log } from '../../runtime/log.js';
import { Codec } from '../../schemas/codec.js';
import type { Affinity, Popularity } from '../../schemas/records.js';
import { featureTopics } from '../../topics/features.js';
import { Reference, relativeError } from '../support/reference.js';
import { rawEvents, readAll } from './feed.js';

export interface Verdict {
  readonly products: number;
  readonly users: number;
  /** Largest relative error of a score or a share; Infinity where something is missing or too much. */
  readonly worst: number;
  /** The first few differences in words. */
  readonly wrong: readonly string[];
}

const WRONG_SHOWN = 5;
const TOLERANCE = 1e-9;

export async function verify(log: Log, version = 1): Promise<Verdict> {
  const codec = new Codec();
  const reference = new Reference(await rawEvents(log, 'events', codec));
  const topics = featureTopics(version);
  const popularity = await newest<Popularity>(log, topics.popularity.name, 'Popularity', codec);
  const affinity = await newest<Affinity>(log, topics.affinity.name, 'Affinity', codec);
  let worst = 0;
  const wrong: string[] = [];
  const note = (what: string, error: number) => {
    worst = Math.max(worst, error);
    if (error > TOLERANCE && wrong.length < WRONG_SHOWN) wrong.push(`${what}: off by ${error}`);
  };
  const now = Date.now();
  for (const product of union(reference.products, popularity.keys())) {
    const found = popularity.get(product);
    const right = reference.popularity(product, found?.as_of ?? now);
    if (found === undefined || right === null) {
      if ((found === undefined) !== (right === null)) note(`product ${product} missing or too much`, Infinity);
      continue;
    }
    note(`score of ${product}`, relativeError(found.score, right.score));
    for (const count of ['views', 'add_to_carts', 'purchases'] as const)
      if (found[count] !== right[count]) note(`${count} of ${product}, ${found[count]} for ${right[count]}`, Infinity);
  }
  for (const user of union(reference.users, affinity.keys())) {
    const found = affinity.get(user);
    const right = reference.affinity(user, found?.as_of ?? now);
    if (found === undefined || right === null) {
      if ((found === undefined) !== (right === null)) note(`user ${user} missing or too much`, Infinity);
      continue;
    }
    const shares = new Map(Object.entries(found.scores));
    for (const category of union(shares.keys(), right.keys()))
      note(`share of ${user} in ${category}`, relativeError(shares.get(category) ?? 0, right.get(category) ?? 0));
  }
  return { products: popularity.size, users: affinity.size, worst, wrong };
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

function union<T>(a: Iterable<T>, b: Iterable<T>): Set<T> {
  return new Set([...a, ...b]);
}
