/** Changes of the live features for tests of sinks, and what the topics say in the end: the newest value of every key. */
import type { Log } from '../../../runtime/log/log.js';
import type { Affinity, Popularity } from '../../../schemas/records.js';
import { featureSet } from '../../../topics/feature-set.js';
import { affinity, codec, endsOf, popularity, write } from '../publishing.js';
import { Random } from '../random.js';

export const POPULARITY = featureSet(1).topics.popularity.name;
export const AFFINITY = featureSet(1).topics.affinity.name;
export const FEATURE_TOPICS = [POPULARITY, AFFINITY] as const;

const KEYS = 120;
const CATEGORIES = 6;
const DELETED = 0.15;
const DAY_MS = 86_400_000;

/** Writes changes over few keys, so that every key changes often, its category too, and comes and goes. */
export class FeatureWriter {
  readonly #log: Log;
  readonly #random: Random;

  constructor(log: Log, seed: number) {
    this.#log = log;
    this.#random = new Random(seed);
  }

  /** `count` changes of each topic. */
  async write(count: number): Promise<void> {
    const random = this.#random;
    const gone = () => random.unit() < DELETED;
    const asOf = () => Date.now() - random.below(3) * DAY_MS;
    await write(
      this.#log,
      POPULARITY,
      'Popularity',
      Array.from({ length: count }, () => {
        const id = `p:${random.below(KEYS)}`;
        const rest = { score: random.unit() * 10, category: `c/${random.below(CATEGORIES)}`, as_of: asOf() };
        return [id, gone() ? null : popularity(id, rest)];
      }),
    );
    await write(
      this.#log,
      AFFINITY,
      'Affinity',
      Array.from({ length: count }, () => {
        const id = `u ${random.below(KEYS)}`;
        const scores: Record<string, number> = {};
        for (let i = random.below(CATEGORIES); i >= 0; i--) scores[`c "${i}"`] = random.unit() ** 3;
        return [id, gone() ? null : affinity(id, scores, asOf())];
      }),
    );
  }
}

export interface NewestRows {
  readonly popularity: ReadonlyMap<string, Popularity>;
  readonly affinity: ReadonlyMap<string, Affinity>;
  /** How many records say so. */
  readonly records: number;
}

/** First offset that does not count. */
export type Before = (topic: string, partition: number) => number;

/** Reads both topics from their starts. Their values are decoded by the schema, not as the sinks do. */
export async function newestRows(log: Log, before: Before = () => Number.POSITIVE_INFINITY): Promise<NewestRows> {
  const popularity = new Map<string, Popularity>();
  const affinity = new Map<string, Affinity>();
  let records = 0;
  for (const [topic, schema, rows] of [
    [POPULARITY, 'Popularity', popularity as Map<string, unknown>],
    [AFFINITY, 'Affinity', affinity as Map<string, unknown>],
  ] as const) {
    const ends = await endsOf(log, topic);
    const start = [];
    for (const { partition } of ends)
      start.push({ topic, partition, offset: (await log.offsets({ topic, partition })).earliest });
    const reader = log.reader(start, { isolation: 'read_committed', maxWaitMs: 10 });
    while (ends.some(({ partition, offset }) => reader.position({ topic, partition }) < offset)) {
      for (const { partition, count, offsets, bytes, ...at } of await reader.poll()) {
        for (let row = 0; row < count; row++) {
          if (offsets[row]! >= before(topic, partition)) continue;
          records++;
          const key = bytes.toString('utf8', at.keyStart[row], at.keyEnd[row]);
          if (at.valueStart[row]! < 0) rows.delete(key);
          else rows.set(key, codec.decode(schema, bytes, at.valueStart[row], at.valueEnd[row]));
        }
      }
    }
    await reader.close();
  }
  return { popularity, affinity, records };
}
