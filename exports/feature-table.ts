/** A feature's newest value per key: one version's topic read completely, replaced by the next once that is current. */
import type { Log } from '../runtime/log/log.js';
import { systemClock } from '../runtime/process/clock.js';
import { FreshetError } from '../runtime/process/errors.js';
import type { Affinity, Interactions, Popularity } from '../schemas/records.js';
import type { ValueCodec } from '../schemas/value-codec.js';
import type { TypedTopic } from '../topics/typed.js';
import { decoded, type Following, follow } from './records.js';

/** Interval of checks whether another version has become current, ms. */
export const VERSION_CHECK_MS = 1_000;

/** The value of each feature's topic. */
export interface FeatureRecords {
  popularity: Popularity;
  affinity: Affinity;
  interactions: Interactions;
}

export type Feature = keyof FeatureRecords;

/** A feature's newest value per key, kept current. */
export interface FeatureTable<T> {
  readonly feature: Feature;
  /** Changes for all keys at once: before that, the next version is read completely alongside this one. */
  readonly version: number;
  readonly size: number;
  get(key: string): T | undefined;
  entries(): IterableIterator<[string, T]>;
  /** Resolves with the error that stopped the table; null after close(). */
  readonly ended: Promise<Error | null>;
  close(): Promise<void>;
}

/** One version's topic, read to its end at the start, then continuously. */
export class Loading<T> {
  readonly version: number;
  readonly values = new Map<string, T>();
  readonly #topic: TypedTopic<T>;
  readonly #codec: ValueCodec<T>;
  readonly #following: Following;

  private constructor(version: number, topic: TypedTopic<T>, codec: ValueCodec<T>, following: Following) {
    this.version = version;
    this.#topic = topic;
    this.#codec = codec;
    this.#following = following;
  }

  static async start<T>(
    log: Log,
    topic: TypedTopic<T>,
    codec: ValueCodec<T>,
    version: number,
    ending: AbortSignal,
  ): Promise<Loading<T>> {
    const loading = new Loading(version, topic, codec, await follow(log, topic.name, 'earliest'));
    while (!loading.#isWhole() && !ending.aborted) await loading.step();
    return loading;
  }

  async step(): Promise<void> {
    for (const batch of await this.#following.reader.poll())
      for (const { key, value } of await decoded(batch, this.#codec, this.#topic))
        if (value === null) this.values.delete(key);
        else this.values.set(key, value);
  }

  close(): Promise<void> {
    return this.#following.reader.close();
  }

  #isWhole(): boolean {
    const { ends, reader } = this.#following;
    return ends.every((end) => reader.position(end) >= end.offset);
  }
}

export class FollowedTable<T> implements FeatureTable<T> {
  readonly feature: Feature;
  readonly ended: Promise<Error | null>;
  readonly #load: (version: number) => Promise<Loading<T>>;
  readonly #currentVersion: () => Promise<number>;
  readonly #onEnd: (table: FollowedTable<unknown>) => void;
  readonly #ending = new AbortController();
  #end: (error: Error | null) => void = () => undefined;
  #loaded: Loading<T> | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(
    feature: Feature,
    load: (version: number) => Promise<Loading<T>>,
    currentVersion: () => Promise<number>,
    onEnd: (table: FollowedTable<unknown>) => void,
  ) {
    this.feature = feature;
    this.#load = load;
    this.#currentVersion = currentVersion;
    this.#onEnd = onEnd;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  get version(): number {
    return this.#loaded!.version;
  }

  get size(): number {
    return this.#loaded!.values.size;
  }

  get(key: string): T | undefined {
    return this.#loaded!.values.get(key);
  }

  entries(): IterableIterator<[string, T]> {
    return this.#loaded!.values.entries();
  }

  async start(): Promise<void> {
    this.#loaded = await this.#load(await this.#currentVersion());
    this.#running = this.#follow();
  }

  async close(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #follow(): Promise<void> {
    const watching = this.#watch();
    try {
      while (!this.#ending.signal.aborted) await this.#step();
      this.#end(null);
    } catch (error) {
      this.#end(this.#ending.signal.aborted ? null : asFreshet(error));
    } finally {
      this.#ending.abort();
      await watching;
      await this.#loaded!.close();
      this.#onEnd(this as FollowedTable<unknown>);
    }
  }

  async #step(): Promise<void> {
    const loaded = this.#loaded!;
    try {
      await loaded.step();
    } catch (error) {
      // Its reader was closed because the next version has replaced it.
      if (loaded === this.#loaded) throw error;
    }
  }

  /** Reads the next version completely before it replaces this one. A store that does not answer changes nothing. */
  async #watch(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await systemClock.sleep(VERSION_CHECK_MS, signal);
      if (signal.aborted) return;
      try {
        const version = await this.#currentVersion();
        if (version === this.#loaded!.version) continue;
        const next = await this.#load(version);
        const former = this.#loaded!;
        this.#loaded = next;
        await former.close();
      } catch (error) {
        if (!(error instanceof FreshetError)) throw error;
      }
    }
  }
}

function asFreshet(error: unknown): Error {
  return error instanceof Error ? error : new FreshetError('internal', String(error));
}
