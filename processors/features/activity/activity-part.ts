/**
 * One partition of `events`, folded: intake decides what counts, one (user, day) state serves affinity and
 * interactions, and the changes of each commit go to products over the re-key hop.
 */
import { createHash } from 'node:crypto';
import type { RecordColumns, TopicPartition } from '../../../runtime/log/log.js';
import { wrongId } from '../../../runtime/log/record-problem.js';
import type { MarkerPart } from '../../../runtime/tasks/marker.js';
import type { FoldMode, Output, Part } from '../../../runtime/tasks/processor.js';
import { Rejects } from '../../../runtime/tasks/rejects.js';
import { Interner } from '../../../runtime/tasks/state/interner.js';
import type { ColumnSink, ColumnSource } from '../../../runtime/tasks/state/saved-columns.js';
import type { Codec } from '../../../schemas/codec.js';
import type { FeatureTopics } from '../../../topics/features.js';
import { EVENT_AHEAD_MS_MAX, WINDOW_DAYS } from '../../../topics/limits.js';
import { DuplicateSet } from '../../intake/duplicates.js';
import { EventView, PURCHASE } from '../../intake/event-view.js';
import { identity } from '../../intake/identity.js';
import { lateEventOf } from '../../intake/late-event.js';
import { AffinityShares } from '../affinity/shares.js';
import type { Catalogue } from '../catalogue/catalogue.js';
import { carry, dayContribution, dayOf, lagFactors, windowStart } from '../days.js';
import { HeaviestItems } from '../interactions/heaviest.js';
import { WindowedState } from '../windowed-state.js';
import { ChangelogRows } from './changelog-rows.js';
import { ActivityEntries } from './entries.js';
import { ProductCategories } from './product-categories.js';
import { ProductDeltas } from './product-deltas.js';
import { SlowOutput } from './slow-output.js';

const WEIGHT_OF_TYPE = [1, 2, 3] as const;

export interface ActivitySettings {
  readonly popularityHalfLifeMs: number;
  readonly affinityHalfLifeMs: number;
  readonly duplicateHorizonMs: number;
  readonly interactionsIntervalMs: number;
}

export type IntakeOutcome = 'counted' | 'duplicate' | 'late' | 'dead_letter' | 'erasure';

interface ActivityPartOptions {
  readonly input: TopicPartition;
  readonly partitions: number;
  /** Partition of the changelog that only this part's task writes. */
  readonly changelogPartition: number;
  readonly topics: FeatureTopics;
  readonly settings: ActivitySettings;
  readonly codec: Codec;
  readonly catalogue: Catalogue;
  readonly onIntake: (outcome: IntakeOutcome, records: number) => void;
}

export class ActivityPart implements Part {
  readonly input: TopicPartition;
  readonly #o: ActivityPartOptions;
  readonly #settings: ActivitySettings;
  readonly #view: EventView;
  readonly #rejects: Rejects;
  readonly #duplicates: DuplicateSet;
  readonly #users = new Interner();
  readonly #products = new Interner();
  readonly #categories = new Interner(64);
  readonly #entries = new ActivityEntries();
  readonly #state = new WindowedState(this.#entries.onGrow, (row) => {
    this.#entries.truncate(row, 0);
    this.#rows.dropped(row);
  });
  readonly #rows: ChangelogRows;
  readonly #catalogue: ProductCategories;
  readonly #deltas = new ProductDeltas(this.#products);
  readonly #shares = new AffinityShares(this.#categories);
  readonly #items = new HeaviestItems(this.#products);
  readonly #lag: Float64Array;
  readonly #id = new Int32Array(4);
  readonly #counted: Record<IntakeOutcome, number> = { counted: 0, duplicate: 0, late: 0, dead_letter: 0, erasure: 0 };
  readonly #slow: SlowOutput;
  #sweptDay = -1;
  #asOf = 0;
  /** Log time of the oldest event since the last commit: feature records carry it, so sinks can measure their delay. */
  #since = Number.POSITIVE_INFINITY;

  constructor(options: ActivityPartOptions) {
    this.#o = options;
    this.input = options.input;
    this.#settings = options.settings;
    this.#view = new EventView(options.codec, options.partitions);
    this.#rejects = new Rejects({ job: 'intake', encode: (letter) => options.codec.encode('DeadLetter', letter) });
    this.#duplicates = new DuplicateSet(options.settings.duplicateHorizonMs);
    this.#lag = lagFactors(options.settings.affinityHalfLifeMs);
    this.#slow = new SlowOutput(options.settings.interactionsIntervalMs);
    this.#catalogue = new ProductCategories(options.catalogue, this.#products, this.#categories);
    this.#rows = new ChangelogRows({
      topic: options.topics.activityChangelog.name,
      partition: options.changelogPartition,
      inputPartition: options.input.partition,
      codec: options.codec,
      rows: this.#state.rows,
      unflushed: this.#state.unflushed,
      entries: this.#entries,
      users: this.#users,
      products: this.#products,
      categories: this.#categories,
    });
  }

  get clock(): number {
    return this.#state.clock;
  }

  /** A sweep is finished only when the slower output has followed too. */
  get sweptDay(): number {
    if (!this.#slow.isSweeping) this.#sweptDay = this.#state.sweptDay;
    return this.#sweptDay;
  }

  prepare(batch: RecordColumns): Promise<void> {
    return this.#o.codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
  }

  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void {
    for (let i = from; i < to; i++) this.#foldRow(batch, i, mode);
    for (const outcome of Object.keys(this.#counted) as IntakeOutcome[]) {
      if (this.#counted[outcome] > 0 && !mode.restoring) this.#o.onIntake(outcome, this.#counted[outcome]);
      this.#counted[outcome] = 0;
    }
  }

  #foldRow(batch: RecordColumns, i: number, mode: FoldMode): void {
    const logTime = batch.timestamps[i]!;
    const clock = this.#state.advance(logTime);
    if (batch.valueStart[i]! < 0) {
      this.#erase(batch, i, mode);
      return;
    }
    const view = this.#view;
    const problem = view.read(batch, i);
    if (problem !== null) {
      this.#counted.dead_letter++;
      if (!mode.restoring) this.#rejects.deadLetter(batch, i, problem);
      return;
    }
    if (view.ts > logTime + EVENT_AHEAD_MS_MAX) {
      this.#counted.dead_letter++;
      const ahead = `ts ${shownTime(view.ts)} is more than 5 minutes ahead of the log time ${shownTime(logTime)}`;
      if (!mode.restoring) this.#rejects.deadLetter(batch, i, { code: 'future', message: ahead });
      return;
    }
    const ts = Math.min(view.ts, logTime);
    const day = dayOf(ts);
    if (day < windowStart(logTime)) {
      this.#counted.late++;
      if (!mode.restoring) this.#rejects.add(lateEventOf(this.#o.codec, batch, i, view.ts));
      return;
    }
    identity(view.bytes, view.identityStart, view.identityEnd, this.#id);
    if (this.#duplicates.seen(this.#id, clock)) {
      this.#counted.duplicate++;
      return;
    }
    this.#counted.counted++;
    const offset = batch.offsets[i]!;
    if (mode.restoring && offset < mode.stateFrom && offset < mode.dueFrom) return;
    if (logTime < this.#since) this.#since = logTime;
    this.#count(offset, day, ts, mode);
  }

  #count(offset: number, day: number, ts: number, mode: FoldMode): void {
    const view = this.#view;
    const user = this.#users.intern(view.bytes, view.userStart, view.userEnd);
    if (!mode.restoring || offset >= mode.dueFrom) this.#slow.changed(user, offset);
    if (mode.restoring && offset < mode.stateFrom) return;
    const product = this.#products.intern(view.bytes, view.productStart, view.productEnd);
    const category =
      view.categoryStart < 0 ? -1 : this.#categories.intern(view.bytes, view.categoryStart, view.categoryEnd);
    const { rows, unflushed } = this.#state;
    const row = rows.obtain(user, day);
    if (rows.created) this.#entries.open(row);
    if (mode.restoring && unflushed.isCovered(row, offset)) return;
    const weight = WEIGHT_OF_TYPE[view.type as 0 | 1 | 2];
    const entries = this.#entries;
    const entry = entries.obtain(row, product, category);
    entries.sum[entry] = entries.sum[entry]! + dayContribution(weight, ts, day, this.#settings.affinityHalfLifeMs);
    entries.count[entry] = entries.count[entry]! + 1;
    if (ts > entries.lastTs[entry]!) entries.lastTs[entry] = ts;
    if (view.type === PURCHASE) entries.purchases[entry] = entries.purchases[entry]! + 1;
    unflushed.markDirty(row);
    if (mode.restoring) return;
    this.#state.due.add(user);
    const contribution = dayContribution(weight, ts, day, this.#settings.popularityHalfLifeMs);
    this.#deltas.add(product, day, contribution, view.type);
  }

  /** A null value under a user_id: the user's state ends at this offset. Popularity keeps its anonymous sums. */
  #erase(batch: RecordColumns, i: number, mode: FoldMode): void {
    const start = batch.keyStart[i]!;
    const end = batch.keyEnd[i]!;
    const problem =
      start < 0
        ? { code: 'missing_key', message: 'a null value erases a user, but the record has no key' }
        : (wrongId('key', batch.bytes, start, end) ?? this.#view.checkKey(batch, i, batch.bytes, start, end));
    if (problem !== null) {
      this.#counted.dead_letter++;
      if (!mode.restoring) this.#rejects.deadLetter(batch, i, problem);
      return;
    }
    this.#counted.erasure++;
    const offset = batch.offsets[i]!;
    if (mode.restoring && offset < mode.stateFrom && offset < mode.dueFrom) return;
    const user = this.#users.intern(batch.bytes, start, end);
    if (!mode.restoring || offset >= mode.dueFrom) {
      this.#slow.changed(user, offset);
      this.#slow.hurry(user);
    }
    if (mode.restoring && offset < mode.stateFrom) return;
    const { rows, unflushed } = this.#state;
    for (let row = rows.first(user); row >= 0; row = rows.next(row)) {
      if (mode.restoring && unflushed.isCovered(row, offset)) continue;
      if (mode.restoring) this.#rows.emptied(row);
      this.#entries.truncate(row, 0);
      unflushed.markDirty(row);
    }
    if (!mode.restoring) this.#state.due.add(user);
  }

  isDue(now: number): boolean {
    return this.#state.isDue(now) || this.#rejects.size > 0 || this.#deltas.size > 0 || this.#slow.isDue(now);
  }

  emit(asOf: number, out: Output): void {
    const { topics, codec } = this.#o;
    const since = Math.min(this.#since, asOf);
    this.#asOf = asOf;
    this.#rejects.emit(out);
    this.#deltas.emit(
      topics.productActivity.name,
      codec.prefix('ProductActivity'),
      Math.max(this.clock, 0),
      since,
      out,
    );
    const affinityPrefix = codec.prefix('Affinity');
    this.#state.visitDue(asOf, (user) => {
      this.#emitAffinity(user, asOf, affinityPrefix, since, out);
      // A day that leaves also changes the interactions; they follow at their own pace.
      this.#slow.swept(user);
    });
    const interactionsPrefix = codec.prefix('Interactions');
    for (const user of this.#slow.take(asOf)) this.#emitInteractions(user, asOf, interactionsPrefix, out);
  }

  #emitAffinity(user: number, asOf: number, prefix: Buffer, timestamp: number, out: Output): void {
    const shares = this.#shares;
    shares.clear();
    this.#visitWindow(user, asOf, this.#addShare);
    const key = this.#users.bytesOf(user);
    const value = shares.isEmpty ? null : shares.encode(prefix, key, 0, key.length, asOf);
    out.add(this.#o.topics.affinity.name, key, value, { timestamp });
  }

  readonly #addShare = (entry: number, factor: number): void => {
    const own = this.#entries.category[entry]!;
    const category = own >= 0 ? own : this.#catalogue.of(this.#entries.product[entry]!);
    this.#shares.add(category, this.#entries.sum[entry]! * factor);
  };

  #emitInteractions(user: number, asOf: number, prefix: Buffer, out: Output): void {
    const items = this.#items;
    items.clear();
    const newest = this.#visitWindow(user, asOf, this.#addItem);
    const key = this.#users.bytesOf(user);
    const toAsOf = carry(newest, asOf, this.#settings.affinityHalfLifeMs);
    const value = items.isEmpty ? null : items.encode(prefix, key, 0, key.length, asOf, toAsOf);
    out.add(this.#o.topics.interactions.name, key, value, { timestamp: asOf });
  }

  readonly #addItem = (entry: number, factor: number): void => {
    const entries = this.#entries;
    const product = entries.product[entry]!;
    if (this.#catalogue.isDeleted(product)) return;
    const weight = entries.sum[entry]! * factor;
    this.#items.add(product, weight, entries.count[entry]!, entries.lastTs[entry]!, entries.purchases[entry]!);
  };

  /**
   * Visits a user's entries in the window of asOf, newest day first, with the factor that carries their sums to the
   * start of the newest day; returns that day, or -1.
   */
  #visitWindow(user: number, asOf: number, visit: (entry: number, factor: number) => void): number {
    const { rows } = this.#state;
    const entries = this.#entries;
    const first = windowStart(asOf);
    let newest = -1;
    for (let row = rows.first(user); row >= 0; row = rows.next(row)) {
      const day = rows.day[row]!;
      if (day < first) break;
      let entry = entries.first(row);
      if (entry < 0) continue;
      if (newest < 0) newest = day;
      const factor = this.#lag[newest - day]!;
      for (; entry >= 0; entry = entries.next(entry)) visit(entry, factor);
    }
    return newest;
  }

  committed(): void {
    this.#state.committed();
    this.#rejects.committed();
    this.#deltas.committed();
    this.#since = Number.POSITIVE_INFINITY;
    this.#slow.committed(this.#asOf);
  }

  oldestDue(position: number): number {
    return this.#slow.oldestDue(position);
  }

  get dirtyRows(): number {
    return this.#state.unflushed.size;
  }

  beginFlush(restoreFrom: number): void {
    this.#state.unflushed.begin(restoreFrom);
  }

  get flushComplete(): boolean {
    return this.#state.unflushed.isComplete;
  }

  flush(max: number, covers: number, out: Output): void {
    this.#state.unflushed.visit(max, (row) => this.#rows.write(row, covers, this.#asOf, out));
  }

  beginRestore(): void {
    this.#state.unflushed.beginRestore();
  }

  restoreRow(batch: RecordColumns, row: number): void {
    this.#rows.restore(batch, row);
  }

  save(into: ColumnSink): void {
    this.#users.save(into.within('users'));
    this.#products.save(into.within('products'));
    this.#categories.save(into.within('categories'));
    this.#state.save(into.within('state'));
    this.#entries.save(into.within('entries'), this.#state.rows.used);
    this.#rows.save(into.within('changelog'));
    this.#duplicates.save(into.within('duplicates'));
    this.#slow.save(into.within('interactions'));
  }

  load(from: ColumnSource, marker: MarkerPart): void {
    this.#users.load(from.within('users'));
    this.#products.load(from.within('products'));
    this.#categories.load(from.within('categories'));
    const sweepIsOver = this.#state.load(from.within('state'), marker.swept_day);
    this.#entries.load(from.within('entries'));
    this.#rows.load(from.within('changelog'));
    this.#duplicates.load(from.within('duplicates'));
    this.#slow.load(from.within('interactions'), marker.oldest_due, sweepIsOver);
  }

  replayHorizon(restoreClock: number): number | null {
    return restoreClock < 0 ? null : restoreClock - this.#settings.duplicateHorizonMs;
  }

  endRestore(clock: number, sweptDay: number, now: number): void {
    this.#state.unflushed.endRestore();
    this.#state.start(clock, sweptDay, now);
    this.#sweptDay = this.#state.sweptDay;
    this.#since = Number.POSITIVE_INFINITY;
  }

  tableChanged(_topic: string, key: string): void {
    this.#catalogue.changed(key);
  }

  stateHash(): string {
    const { rows } = this.#state;
    const first = this.clock < 0 ? 0 : windowStart(this.clock);
    const lines: string[] = [];
    for (const day of rows.days()) {
      if (day < first || day > first + WINDOW_DAYS) continue;
      for (let row = rows.firstOfDay(day); row >= 0; row = rows.nextOfDay(row)) {
        if (this.#entries.first(row) < 0) continue;
        const parts = [this.#users.stringOf(rows.entity[row]!), String(day)];
        for (let entry = this.#entries.first(row); entry >= 0; entry = this.#entries.next(entry)) {
          const category = this.#entries.category[entry]!;
          parts.push(
            this.#products.stringOf(this.#entries.product[entry]!),
            category < 0 ? '' : this.#categories.stringOf(category),
            `${this.#entries.sum[entry]}/${this.#entries.count[entry]}/${this.#entries.lastTs[entry]}/${this.#entries.purchases[entry]}`,
          );
        }
        lines.push(parts.join('\t'));
      }
    }
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}

function shownTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
