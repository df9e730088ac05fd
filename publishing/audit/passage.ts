/**
 * How far the pipeline has progressed, according to what it writes itself: its tasks' markers, its topics' ends, its
 * sinks' positions. So any process can find out, and a stalled part shows.
 */
import type { Log } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import { decodeMarker, isMarker, type Marker } from '../../runtime/tasks/marker.js';
import type { Codec } from '../../schemas/codec.js';
import { events, products } from '../../topics/events.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { partitionOf } from '../../topics/partition.js';
import { isWhole } from '../live/position-plan.js';
import type { CatalogueEntry } from './catalogue.js';
import type { ReferenceSettings } from './reference.js';
import { newestPerPartition } from './tail.js';

const STORES = ['redis', 'postgres'] as const;
export type StoreName = (typeof STORES)[number];

export type Artefact = 'popularity' | 'affinity' | 'interactions';

/** A sink's position in its store; null if it has none. */
export type SinkPositions = Readonly<Record<StoreName, (id: SinkId) => Promise<SinkPosition | null>>>;

interface PassageOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly set: FeatureSet;
  readonly positions: SinkPositions;
  /** How long to wait without any progress before giving up, ms. */
  readonly patienceMs: number;
}

/** What had passed when the last of the waits ended. */
export interface Passed {
  /** Ends of the feature topics that both stores have reached. */
  readonly ends: readonly (SinkId & { readonly store: StoreName; readonly offset: number })[];
  /** The earliest of the days up to which tasks have swept; Infinity before any commit. */
  readonly sweptDayLeast: number;
  /** Last UTC day whose midnight sweep is finished and visible for the key. */
  sweptDayOf(artefact: Artefact, id: string): number;
  /**
   * Offset of `events`: all changes to a user from records below it are in the user's interactions. Interactions are
   * written only now and then, so later changes may still be pending.
   */
  interactionsWrittenTo(user: string): number;
  /** Whether the tasks had read this catalogue record, and emitted its effect, before what is visible now. */
  hasSeen(artefact: Artefact, id: string, entry: CatalogueEntry): boolean;
}

type Newest = ReadonlyMap<number, Marker>;

const LOOK_MS = 200;

/** Nothing moves any more; the message says what is behind. */
export class Standstill extends Error {
  constructor(what: string) {
    super(what);
    this.name = 'Standstill';
  }
}

export class Passage {
  readonly #o: PassageOptions;

  constructor(options: PassageOptions) {
    this.#o = options;
  }

  /** The earliest of the days up to which tasks have swept; Infinity before any commit. */
  async sweptDayLeast(): Promise<number> {
    const { activityChangelog, popularityChangelog } = this.#o.set.topics;
    return leastSwept([await this.#markers(activityChangelog.name), await this.#markers(popularityChangelog.name)]);
  }

  /** The settings that the running state was folded with; null before the first commit. */
  async foldSettings(): Promise<Omit<ReferenceSettings, 'partitions'> | null> {
    const [marker] = (await this.#markers(this.#o.set.topics.activityChangelog.name)).values();
    if (marker === undefined) return null;
    const settings = JSON.parse(marker.fingerprint) as Partial<Record<keyof ReferenceSettings, unknown>>;
    const read = (name: keyof ReferenceSettings): number => {
      const value = settings[name];
      if (typeof value === 'number') return value;
      throw new FreshetError('state', `The marker of the activity tasks does not state ${name}: ${marker.fingerprint}`);
    };
    return {
      popularityHalfLifeMs: read('popularityHalfLifeMs'),
      affinityHalfLifeMs: read('affinityHalfLifeMs'),
      duplicateHorizonMs: read('duplicateHorizonMs'),
    };
  }

  /**
   * Resolves when everything that `events` held below the offsets `next` (one per partition) is visible in both stores;
   * for interactions, whatever was written by then. Throws Standstill if nothing moves for too long, and errors of the
   * log and the stores.
   */
  async passed(next: readonly number[], signal?: AbortSignal): Promise<Passed> {
    const { log, set } = this.#o;
    const { topics } = set;
    const activity = await this.#tasksPassed('activity', topics.activityChangelog.name, events.name, next, signal);
    const hop = await this.#visibleEnds(topics.productActivity.name);
    const popularity = await this.#tasksPassed(
      'popularity',
      topics.popularityChangelog.name,
      topics.productActivity.name,
      hop,
      signal,
    );
    const ends: (SinkId & { store: StoreName; offset: number })[] = [];
    for (const [topic, stores] of [
      [topics.popularity.name, STORES],
      [topics.affinity.name, STORES],
      [topics.interactions.name, ['redis']],
    ] as const) {
      for (const [partition, offset] of (await this.#visibleEnds(topic)).entries())
        for (const store of stores) {
          const { sink } = set.sinks[store];
          if (offset > 0) ends.push({ store, sink, topic, partition, offset });
        }
    }
    await this.#until(() => this.#sinksBehind(ends), signal);
    const [eventPartitions, hopPartitions, tablePartitions] = [
      next.length,
      hop.length,
      await log.partitionCount(products.name),
    ];
    const partOf = (artefact: Artefact, id: string) => {
      const key = Buffer.from(id);
      return artefact === 'popularity'
        ? { markers: popularity, topic: topics.productActivity.name, partition: partitionOf(hopPartitions, key) }
        : { markers: activity, topic: events.name, partition: partitionOf(eventPartitions, key) };
    };
    return {
      ends,
      sweptDayLeast: leastSwept([activity, popularity]),
      sweptDayOf: (artefact, id) => {
        const { markers, topic, partition } = partOf(artefact, id);
        // A task that has never committed has nothing to sweep.
        return partIn(markers, topic, partition)?.swept_day ?? Number.MAX_SAFE_INTEGER;
      },
      interactionsWrittenTo: (user) => {
        const { markers, topic, partition } = partOf('interactions', user);
        return partIn(markers, topic, partition)?.oldest_due ?? 0;
      },
      hasSeen: (artefact, id, entry) => {
        const { markers, topic, partition } = partOf(artefact, id);
        const marker = markerFor(markers, topic, partition);
        const table = marker?.tables.find((one) => one.topic === products.name);
        return entry.partition < tablePartitions && (table?.offsets[entry.partition] ?? 0) > entry.offset;
      },
    };
  }

  /** Whether both stores still hold what they held: they may have been emptied since. */
  async stillHeld(passed: Passed): Promise<boolean> {
    return (await this.#sinksBehind(passed.ends)) === null;
  }

  /** Waits until the tasks' markers have reached the given offsets of their input; returns the markers. */
  async #tasksPassed(
    name: string,
    changelog: string,
    input: string,
    ends: readonly number[],
    signal: AbortSignal | undefined,
  ): Promise<Newest> {
    let markers: Newest = new Map();
    await this.#until(async () => {
      markers = await this.#markers(changelog);
      const reached = (partition: number) => partIn(markers, input, partition)?.offset ?? 0;
      const behind = ends.flatMap((end, partition) => (reached(partition) < end ? [partition] : []));
      if (behind.length === 0) return null;
      const missing = behind.reduce((sum, partition) => sum + ends[partition]! - reached(partition), 0);
      return { what: `the ${name} tasks have ${missing} records of ${input} to read`, missing };
    }, signal);
    return markers;
  }

  async #sinksBehind(ends: Passed['ends']): Promise<Behind | null> {
    const { positions } = this.#o;
    const held = await Promise.all(ends.map(({ store, ...id }) => positions[store](id)));
    let missing = 0;
    let what = '';
    for (const [i, { store, topic, offset }] of ends.entries()) {
      const position = held[i] ?? null;
      const reached = position !== null && isWhole(position) ? position.nextOffset : 0;
      if (reached >= offset) continue;
      missing += offset - reached;
      what = `${store} has ${offset - reached} records of ${topic} to apply`;
    }
    return what === '' ? null : { what, missing };
  }

  async #markers(changelog: string): Promise<Newest> {
    const { log, codec } = this.#o;
    const newest = await newestPerPartition(log, changelog, (columns, row) =>
      isMarker(columns, row) ? decodeMarker(columns, row, codec) : null,
    );
    return new Map([...newest].map(([partition, { value }]) => [partition, value]));
  }

  /** Per partition, the offset after the last visible record; 0 if there is none. */
  async #visibleEnds(topic: string): Promise<number[]> {
    const newest = await newestPerPartition(this.#o.log, topic, () => true);
    const partitions = await this.#o.log.partitionCount(topic);
    return Array.from({ length: partitions }, (_, partition) => (newest.get(partition)?.offset ?? -1) + 1);
  }

  async #until(behind: () => Promise<Behind | null>, signal: AbortSignal | undefined): Promise<void> {
    const { clock, patienceMs } = this.#o;
    let least = Number.POSITIVE_INFINITY;
    let movedAt = clock.elapsed();
    for (;;) {
      const now = await behind();
      signal?.throwIfAborted();
      if (now === null) return;
      if (now.missing < least) {
        least = now.missing;
        movedAt = clock.elapsed();
      } else if (clock.elapsed() - movedAt >= patienceMs) {
        throw new Standstill(`Nothing moves: ${now.what}.`);
      }
      await clock.sleep(LOOK_MS, signal);
    }
  }
}

interface Behind {
  readonly what: string;
  readonly missing: number;
}

function leastSwept(all: readonly Newest[]): number {
  const days = all.flatMap((markers) =>
    [...markers.values()].flatMap(({ parts }) => parts.map((part) => part.swept_day)),
  );
  return Math.min(...days.filter((day) => day >= 0));
}

function markerFor(markers: Newest, topic: string, partition: number): Marker | undefined {
  for (const marker of markers.values())
    if (marker.parts.some((part) => part.topic === topic && part.partition === partition)) return marker;
  return undefined;
}

function partIn(markers: Newest, topic: string, partition: number): Marker['parts'][number] | undefined {
  return markerFor(markers, topic, partition)?.parts.find(
    (part) => part.topic === topic && part.partition === partition,
  );
}
