/** Watches the feature topics from outside: when the record of a key arrived, and for what time it was computed. */
import type { Log, LogReader } from '../../runtime/log/log.js';
import { AvroCursor } from '../../schemas/avro-writer.js';
import { Codec } from '../../schemas/codec.js';
import { featureSet } from '../../topics/feature-set.js';

export type WatchedFeature = 'popularity' | 'affinity' | 'interactions';
export const WATCHED: readonly WatchedFeature[] = ['popularity', 'affinity', 'interactions'];

const WAIT_MS = 100;
const SCHEMAS = { popularity: 'Popularity', affinity: 'Affinity', interactions: 'Interactions' } as const;

/** `asOf` is null for a deleted key. */
export type Seen = (feature: WatchedFeature, key: string, asOf: number | null) => void;

export class FeatureWatch {
  readonly #reader: LogReader;
  readonly #features: ReadonlyMap<string, WatchedFeature>;
  readonly #seen: Seen;
  readonly #codec = new Codec();
  readonly #cursor = new AvroCursor();
  readonly #loop: Promise<void>;
  #ended = false;

  private constructor(reader: LogReader, features: ReadonlyMap<string, WatchedFeature>, seen: Seen) {
    this.#reader = reader;
    this.#features = features;
    this.#seen = seen;
    this.#loop = this.#read();
  }

  /** Starts at the current ends. */
  static async begin(log: Log, seen: Seen): Promise<FeatureWatch> {
    const topics = featureSet(1).topics;
    const features = new Map(WATCHED.map((feature) => [topics[feature].name, feature]));
    const start: { topic: string; partition: number; offset: number }[] = [];
    for (const topic of features.keys())
      for (let partition = 0; partition < (await log.partitionCount(topic)); partition++)
        start.push({ topic, partition, offset: (await log.offsets({ topic, partition })).lastStable });
    const reader = log.reader(start, { isolation: 'read_committed', maxWaitMs: WAIT_MS });
    return new FeatureWatch(reader, features, seen);
  }

  /** Fails here if reading failed. */
  async end(): Promise<void> {
    this.#ended = true;
    await this.#loop;
    await this.#reader.close();
  }

  async #read(): Promise<void> {
    while (!this.#ended) {
      for (const batch of await this.#reader.poll()) {
        const feature = this.#features.get(batch.topic)!;
        for (let i = 0; i < batch.count; i++) {
          const key = batch.bytes.toString('latin1', batch.keyStart[i]!, batch.keyEnd[i]!);
          const start = batch.valueStart[i]!;
          this.#seen(feature, key, start < 0 ? null : this.#asOf(feature, batch.bytes, start, batch.valueEnd[i]!));
        }
      }
    }
  }

  /** Reads no further than the time: a map of scores for each of a million users would be an additional load. */
  #asOf(feature: WatchedFeature, bytes: Buffer, start: number, end: number): number {
    const cursor = this.#cursor.reset(bytes, this.#codec.bodyStart(SCHEMAS[feature], bytes, start, end), end);
    cursor.bytesStart();
    if (feature === 'popularity') {
      cursor.bytesStart();
      cursor.double();
    }
    return cursor.long();
  }
}
