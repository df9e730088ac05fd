/**
 * Repeated checks of the same erasure request. Whatever was found once is not searched for again, so that the wait ends
 * even for a user who keeps buying.
 */
import type { Log, TopicPartition } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import type { MarkerPart } from '../../runtime/tasks/marker.js';
import {
  deletionOf,
  type History,
  historyOf,
  type KeyRecord,
  newestMarker,
  type Place,
} from '../../runtime/tasks/scan.js';
import type { Codec } from '../../schemas/codec.js';
import type { Erasure } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import type { FeatureSet } from '../../topics/feature-set.js';
import { partitionOf } from '../../topics/partition.js';
import { deletedIn, featuresOf, type Subject } from '../../topics/subject.js';
import {
  type Certificate,
  coordinates,
  type ErasureStatus,
  expiring,
  iso,
  staying,
  type Verified,
} from './certificate.js';
import { type HeldRow, heldRows, lettersOf } from './stored-rows.js';

export interface LookOptions {
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
  /** Null if this process does not know it: the certificate then says that it was not checked. */
  readonly store: OnlineStore | null;
  readonly database: Queryable | null;
  /** The setting REDIS_KEY_PREFIX. */
  readonly keyPrefix: string;
  /** The running versions of the features application. */
  readonly sets: readonly FeatureSet[];
  readonly duplicateHorizonMs: number;
  readonly changelogIntervalMs: number;
}

/** A transaction becomes visible in all its partitions within this time. */
const VISIBLE_MS_MAX = 60_000;

/** The record that shows the outcome for the subject in one topic. */
interface Found {
  /** Null if compaction or retention has removed it since. */
  readonly place: Place | null;
  readonly at: TopicPartition;
  /** A reader that has applied everything below this offset has applied it. */
  readonly to: number;
  /** Nothing has followed it, as far as was read. */
  readonly deletes: boolean;
}

export class Look {
  readonly #o: LookOptions;
  readonly #subject: Subject;
  readonly #request: Erasure;
  readonly #id: Buffer;
  readonly #rows: readonly HeldRow[];
  /** The newest marker of the task that has folded the cut. */
  readonly #markers = new Map<FeatureSet, MarkerPart>();
  readonly #found = new Map<string, Found>();
  readonly #applied = new Map<HeldRow, Verified>();

  constructor(options: LookOptions, subject: Subject, request: Erasure) {
    this.#o = options;
    this.#subject = subject;
    this.#request = request;
    this.#id = Buffer.from(subject.id);
    this.#rows = heldRows(subject, options);
  }

  async again(): Promise<ErasureStatus> {
    const waitsFor = await this.#advance();
    const cut = this.#cut?.place ?? null;
    const done = waitsFor.length === 0;
    return {
      subject: this.#request.subject,
      state: done ? 'done' : 'waiting',
      requested_at: iso(this.#request.requested_at),
      reason: this.#request.reason,
      cut: cut === null ? null : coordinates(cut),
      waits_for: waitsFor,
      certificate: done ? await this.#certificate() : null,
    };
  }

  get #cut(): Found | undefined {
    return this.#found.get(deletedIn(this.#subject.kind)[0]);
  }

  /** Advances as far as it can; returns what it is waiting for. */
  async #advance(): Promise<string[]> {
    const { kind } = this.#subject;
    const invisible: string[] = [];
    for (const topic of deletedIn(kind)) if (!(await this.#findDeletion(topic))) invisible.push(topic);
    if (invisible.length > 0) return invisible.map((topic) => `topic ${topic} to show the deletion`);
    const waitsFor: string[] = [];
    for (const set of this.#o.sets) {
      const open = featuresOf(kind, set).filter((topic) => !this.#found.has(topic));
      if (open.length > 0 && kind === 'user' && !(await this.#isFolded(set)))
        waitsFor.push(`a task of version ${set.version} to erase the user`);
      else
        for (const topic of open)
          if (!(await this.#findFeature(topic, set))) waitsFor.push(`topic ${topic} to show the deletion`);
    }
    for (const row of this.#rows) {
      const found = this.#found.get(row.topic);
      if (found !== undefined && !(await this.#isApplied(row, found)))
        waitsFor.push(`the ${row.where} to apply topic ${row.topic}`);
    }
    return waitsFor;
  }

  /** The null value of the request's transaction: the first one after its partition's end at the request. */
  async #findDeletion(topic: string): Promise<boolean> {
    if (this.#found.has(topic)) return true;
    const floor = await this.#floor(topic);
    const place = await deletionOf(this.#o.log, floor, this.#id);
    if (place === null && !(await this.#mayBeGone(floor))) return false;
    const to = (place?.offset ?? floor.offset) + 1;
    // For raw events the cut alone decides: what follows it may be a hundred days of everyone's events.
    const newest =
      topic === events.name ? null : (await historyOf(this.#o.log, { ...floor, offset: to }, this.#id)).newest;
    this.#found.set(topic, { place, at: floor, to, deletes: newest?.deletes ?? true });
    return true;
  }

  /** Retention has passed it or compaction may have removed it; else its transaction will be visible in a moment. */
  async #mayBeGone(floor: TopicPartition & { offset: number }): Promise<boolean> {
    if ((await this.#o.log.offsets(floor)).earliest > floor.offset) return true;
    return floor.topic !== events.name && this.#o.clock.now() - this.#request.requested_at > VISIBLE_MS_MAX;
  }

  /** The commit that folds the cut also writes the user's affinity; the interactions come with it or soon after. */
  async #isFolded(set: FeatureSet): Promise<boolean> {
    const { log, codec } = this.#o;
    const cut = this.#cut!;
    const topic = set.topics.activityChangelog.name;
    const partitions = await log.partitionCount(topic);
    for (let i = 0; i < partitions; i++) {
      const changelog = { topic, partition: (cut.at.partition + i) % partitions };
      const marker = (await newestMarker(log, codec, changelog))?.parts.find(
        (part) => part.topic === cut.at.topic && part.partition === cut.at.partition,
      );
      if (marker === undefined) continue;
      if (marker.offset < cut.to) return false;
      this.#markers.set(set, marker);
      return true;
    }
    return false;
  }

  /**
   * The deletion, or else the newest record once it holds nothing from before the cut. A user who keeps buying always
   * has newer records, and the state of the request does not wait for those.
   */
  async #findFeature(topic: string, set: FeatureSet): Promise<boolean> {
    const floor = await this.#floor(topic);
    const history = await historyOf(this.#o.log, floor, this.#id);
    const { newest, deletion } = history;
    if (newest === null && this.#subject.kind === 'product') return await this.#findNothingSince(floor);
    const isReady =
      this.#subject.kind === 'user' ? this.#isOfAfter(topic, set, newest) : this.#isWithoutProduct(history);
    if (!isReady) return false;
    const place = deletion ?? newest?.place ?? null;
    const to = (place?.offset ?? floor.offset - 1) + 1;
    this.#found.set(topic, { at: floor, place, to, deletes: newest?.deletes ?? true });
    return true;
  }

  /**
   * Evaluated after the cut was folded. A deletion always counts, whenever it was written: nothing from before the cut
   * follows it. Affinity was written with the fold. Interactions may wait behind other users': a user who keeps buying
   * then has a record that is younger than the cut, all others get their deletion.
   */
  #isOfAfter(topic: string, set: FeatureSet, record: KeyRecord | null): boolean {
    const { affinity } = set.topics;
    if (topic === affinity.name || record?.deletes === true) return true;
    const cut = this.#cut!;
    if (this.#markers.get(set)!.oldest_due >= cut.to) return true;
    const cutMs = cut.place?.timestamp ?? this.#request.requested_at;
    return record !== null && this.#found.get(affinity.name)?.deletes === false && record.place.timestamp >= cutMs;
  }

  /** A deletion; or a new row, because the product was restored. */
  #isWithoutProduct({ deletion }: History): boolean {
    return deletion !== null || !this.#cut!.deletes;
  }

  /** The request changed nothing because there was no row, or no longer one. */
  async #findNothingSince(floor: TopicPartition & { offset: number }): Promise<boolean> {
    const { newest } = await historyOf(this.#o.log, { ...floor, offset: 0 }, this.#id);
    // It may have arrived since the previous read.
    const isOld = newest === null || newest.place.offset < floor.offset;
    const deletes = newest?.deletes ?? true;
    if (!isOld || (!deletes && this.#cut!.deletes)) return false;
    this.#found.set(floor.topic, { at: floor, place: null, to: floor.offset, deletes });
    return true;
  }

  async #isApplied(row: HeldRow, { at, to }: Found): Promise<boolean> {
    if (this.#applied.has(row)) return true;
    const position = await row.position(at.partition);
    if (position === null || position < to) return false;
    const { topic, partition } = at;
    const isGone = !(await row.isThere());
    this.#applied.set(row, {
      what: row.what,
      where: row.where,
      topic,
      partition,
      offset: position,
      left: left(isGone),
    });
    return true;
  }

  async #floor(topic: string): Promise<TopicPartition & { offset: number }> {
    const noted = this.#request.after.find((floor) => floor.topic === topic);
    if (noted !== undefined) return noted;
    // A version started after the request began with what the log held then.
    return { topic, partition: partitionOf(await this.#o.log.partitionCount(topic), this.#id), offset: 0 };
  }

  async #certificate(): Promise<Certificate> {
    const { log, clock, store, database, sets, duplicateHorizonMs, changelogIntervalMs } = this.#o;
    const { kind } = this.#subject;
    const cut = this.#cut!;
    const markers = [...this.#markers.values()];
    return {
      verified_at: iso(clock.now()),
      gone: [
        ...[...this.#markers].map(([set, marker]) => this.#inTask(set, marker)),
        ...[...this.#found].flatMap(([topic, { at, to, deletes }]): Verified[] => {
          if (topic === events.name) return [];
          return [
            { what: 'newest value', where: 'log', topic, partition: at.partition, offset: to, left: left(deletes) },
          ];
        }),
        ...this.#applied.values(),
      ],
      not_checked: [
        ...(store === null ? ['the online store: REDIS_URL is not set for this command'] : []),
        ...(database === null ? ['the database: DATABASE_URL is not set for this command'] : []),
      ],
      expires: await expiring(log.admin, {
        kind,
        cutMs: cut.place?.timestamp ?? this.#request.requested_at,
        sets,
        duplicateHorizonMs,
        changelogIntervalMs,
        changelogDeleted: markers.every((marker) => marker.restore_from >= cut.to),
        letters: database === null || kind === 'product' ? null : await lettersOf(database, this.#id),
      }),
      stays: staying(kind),
    };
  }

  #inTask({ topics }: FeatureSet, { topic, partition, offset }: MarkerPart): Verified {
    const isGone = this.#found.get(topics.affinity.name)?.deletes ?? true;
    return { what: 'state per user and day', where: 'task', topic, partition, offset, left: left(isGone) };
  }
}

function left(isGone: boolean): Verified['left'] {
  return isGone ? 'nothing' : 'only what came after the cut';
}
