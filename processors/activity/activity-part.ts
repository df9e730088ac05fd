/**
 * One partition of `events`, folded: intake decides what counts, one (user, day) state serves affinity and interactions,
 * and what a commit changed goes to products over the re-key hop.
 */
import { createHash } from 'node:crypto';
import type { RecordColumns, TopicPartition } from '../../runtime/log.js';
import type { FoldMode, Output, Part } from '../../runtime/processor.js';
import { capacityFor, DueSet, enlarged } from '../../runtime/state/columns.js';
import { Interner } from '../../runtime/state/interner.js';
import { AvroCursor, AvroWriter } from '../../schemas/avro-writer.js';
import type { Codec } from '../../schemas/codec.js';
import type { FeatureTopics } from '../../topics/features.js';
import { AffinityShares } from '../affinity/shares.js';
import { type Catalogue, UNKNOWN_CATEGORY } from '../catalogue/catalogue.js';
import { carry, dayContribution, dayOf, lagFactors, WINDOW_DAYS, windowStart } from '../days.js';
import { DuplicateSet } from '../intake/duplicates.js';
import { EventView, wrongId } from '../intake/event-view.js';
import { identity } from '../intake/identity.js';
import { Rejects } from '../intake/rejects.js';
import { HeaviestItems } from '../interactions/heaviest.js';
import { WindowedState } from '../windowed-state.js';
import { ActivityEntries } from './entries.js';
import { ProductDeltas } from './product-deltas.js';

/** How far ahead of the log's clock an event may be; it then counts as happening now. */
const FUTURE_MS = 5 * 60_000;
/** Entries per changelog record: a record stays below the largest one allowed even with the longest ids. */
const CHUNK_ENTRIES = 900;
const INTERACTIONS_PER_COMMIT = 2_000;
const WEIGHT_OF_TYPE = [1, 2, 3] as const;
const NOT_LOOKED_UP = -2;
const DELETED = -3;
/** Stands for the offset of a change that no input record made. */
const SWEPT = Number.POSITIVE_INFINITY;

export interface ActivitySettings {
  readonly popularityHalfLifeMs: number;
  readonly affinityHalfLifeMs: number;
  readonly duplicateHorizonMs: number;
  readonly interactionsIntervalMs: number;
}

export type IntakeOutcome = 'counted' | 'duplicate' | 'late' | 'dead_letter' | 'erasure';

export interface ActivityPartOptions {
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
  readonly #unknown: number;
  readonly #entries = new ActivityEntries();
  /** Changelog records of rows that need more than one. */
  readonly #chunks = new Map<number, number>();
  readonly #state = new WindowedState(this.#entries.onGrow, (row) => {
    this.#entries.truncate(row, 0);
    this.#chunks.delete(row);
  });
  readonly #deltas = new ProductDeltas(this.#products);
  readonly #shares = new AffinityShares(this.#categories);
  readonly #items = new HeaviestItems(this.#products);
  readonly #lag: Float64Array;
  readonly #row = new AvroWriter();
  readonly #cursor = new AvroCursor();
  readonly #id = new Int32Array(4);
  readonly #counted: Record<IntakeOutcome, number> = { counted: 0, duplicate: 0, late: 0, dead_letter: 0, erasure: 0 };
  /** What the catalogue says of a product: a category, NOT_LOOKED_UP or DELETED. */
  #productCategory = new Int32Array(1024).fill(NOT_LOOKED_UP);
  /** Users whose interactions changed since they were last written, in order of the first change. */
  readonly #slow = new DueSet();
  #slowSince = new Float64Array(1024);
  #slowEmitted = new Float64Array(1024);
  #slowNextMs = Number.POSITIVE_INFINITY;
  #slowTaken: number[] = [];
  /** How many of them wait because a day left, not because of an input record. */
  #slowSwept = 0;
  #sweptDay = -1;
  #asOf = 0;
  /** Log time of the oldest event since the last commit: feature records carry it, so sinks can tell how late they are. */
  #since = Number.POSITIVE_INFINITY;

  constructor(options: ActivityPartOptions) {
    this.#o = options;
    this.input = options.input;
    this.#settings = options.settings;
    this.#view = new EventView(options.codec, options.partitions);
    this.#rejects = new Rejects(options.codec, 'intake');
    this.#duplicates = new DuplicateSet(options.settings.duplicateHorizonMs);
    this.#lag = lagFactors(options.settings.affinityHalfLifeMs);
    this.#unknown = this.#categories.intern(Buffer.from(UNKNOWN_CATEGORY));
  }

  get clock(): number {
    return this.#state.clock;
  }

  /** A sweep is finished when the slower output has followed too. */
  get sweptDay(): number {
    if (this.#slowSwept === 0) this.#sweptDay = this.#state.sweptDay;
    return this.#sweptDay;
  }

  prepare(batch: RecordColumns): Promise<void> {
    return this.#o.codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
  }

  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void {
    for (let i = from; i < to; i++) this.#foldRow(batch, i, mode);
    if (mode.restoring) return;
    for (const outcome of Object.keys(this.#counted) as IntakeOutcome[]) {
      if (this.#counted[outcome] > 0) this.#o.onIntake(outcome, this.#counted[outcome]);
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
    if (view.ts > logTime + FUTURE_MS) {
      this.#counted.dead_letter++;
      const ahead = `ts ${shownTime(view.ts)} is more than 5 minutes ahead of the log time ${shownTime(logTime)}`;
      if (!mode.restoring) this.#rejects.deadLetter(batch, i, { code: 'future', message: ahead });
      return;
    }
    const ts = Math.min(view.ts, logTime);
    const day = dayOf(ts);
    if (day < windowStart(logTime)) {
      this.#counted.late++;
      if (!mode.restoring) this.#rejects.late(batch, i, view.ts);
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
    if (!mode.restoring || offset >= mode.dueFrom) this.#markSlow(user, offset);
    if (mode.restoring && offset < mode.stateFrom) return;
    const product = this.#products.intern(view.bytes, view.productStart, view.productEnd);
    const category =
      view.categoryStart < 0 ? -1 : this.#categories.intern(view.bytes, view.categoryStart, view.categoryEnd);
    const rows = this.#state.rows;
    const row = rows.obtain(user, day);
    if (rows.created) this.#entries.open(row);
    if (mode.restoring && offset < rows.covers![row]!) return;
    const weight = WEIGHT_OF_TYPE[view.type as 0 | 1 | 2];
    const entries = this.#entries;
    const entry = entries.obtain(row, product, category);
    entries.sum[entry] = entries.sum[entry]! + dayContribution(weight, ts, day, this.#settings.affinityHalfLifeMs);
    entries.count[entry] = entries.count[entry]! + 1;
    if (ts > entries.lastTs[entry]!) entries.lastTs[entry] = ts;
    rows.markDirty(row);
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
        ? { code: 'missing_key', message: 'a null value asks to forget a user, but the record has no key' }
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
    if (!mode.restoring || offset >= mode.dueFrom) this.#markSlow(user, offset);
    if (mode.restoring && offset < mode.stateFrom) return;
    const rows = this.#state.rows;
    for (let row = rows.first(user); row >= 0; row = rows.next(row)) {
      if (mode.restoring && offset < rows.covers![row]!) continue;
      this.#entries.truncate(row, 0);
      rows.markDirty(row);
    }
    if (!mode.restoring) {
      this.#state.due.add(user);
      // What a forgotten user must not wait for: the removal from the slower output.
      this.#slowEmitted[user] = 0;
      this.#slowNextMs = 0;
    }
  }

  #markSlow(user: number, offset: number): void {
    if (user >= this.#slowSince.length) {
      const capacity = capacityFor(user + 1, this.#slowSince.length);
      this.#slowSince = enlarged(this.#slowSince, capacity);
      this.#slowEmitted = enlarged(this.#slowEmitted, capacity);
    }
    if (!this.#slow.add(user)) return;
    this.#slowSince[user] = offset;
    if (offset === SWEPT) this.#slowSwept++;
    const next = this.#slowEmitted[user]! + this.#settings.interactionsIntervalMs;
    if (next < this.#slowNextMs) this.#slowNextMs = next;
  }

  isDue(now: number): boolean {
    return this.#state.isDue(now) || this.#rejects.size > 0 || this.#deltas.size > 0 || now >= this.#slowNextMs;
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
      // A day that left changes the interactions too; they follow at their own pace.
      this.#markSlow(user, SWEPT);
    });
    this.#takeSlow(asOf);
    const interactionsPrefix = codec.prefix('Interactions');
    for (const user of this.#slowTaken) this.#emitInteractions(user, asOf, interactionsPrefix, out);
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
    const category = own >= 0 ? own : this.#categoryOf(this.#entries.product[entry]!);
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
    if (this.#catalogueSays(product) === DELETED) return;
    this.#items.add(product, entries.sum[entry]! * factor, entries.count[entry]!, entries.lastTs[entry]!);
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

  /** Chooses whose interactions are written now, at most once per user and interval; an uncommitted choice stands. */
  #takeSlow(asOf: number): void {
    if (this.#slowTaken.length > 0) return;
    if (asOf < this.#slowNextMs) return;
    let next = Number.POSITIVE_INFINITY;
    for (let i = 0; i < this.#slow.size; i++) {
      const user = this.#slow.at(i);
      const ready = this.#slowEmitted[user]! + this.#settings.interactionsIntervalMs;
      if (ready <= asOf && this.#slowTaken.length < INTERACTIONS_PER_COMMIT) this.#slowTaken.push(user);
      else if (ready < next) next = ready;
    }
    this.#slowNextMs = next;
  }

  committed(): void {
    this.#state.committed();
    this.#rejects.committed();
    this.#deltas.committed();
    this.#since = Number.POSITIVE_INFINITY;
    if (this.#slowTaken.length === 0) return;
    for (const user of this.#slowTaken) {
      this.#slowEmitted[user] = this.#asOf;
      if (this.#slowSince[user] === SWEPT) this.#slowSwept--;
    }
    const taken = new Set(this.#slowTaken);
    this.#slow.remove((user) => taken.has(user));
    this.#slowTaken = [];
  }

  oldestDue(position: number): number {
    // In order of the first change, so the first one counts, but for sweeps, which have no offset.
    const taken = new Set(this.#slowTaken);
    for (let i = 0; i < this.#slow.size; i++) {
      const user = this.#slow.at(i);
      if (!taken.has(user) && this.#slowSince[user] !== SWEPT) return Math.min(this.#slowSince[user]!, position);
    }
    return position;
  }

  get dirtyRows(): number {
    return this.#state.rows.dirty;
  }

  beginFlush(): void {
    this.#state.beginFlush();
  }

  get flushComplete(): boolean {
    return this.#state.flushComplete;
  }

  flush(max: number, covers: number, out: Output): void {
    const { rows } = this.#state;
    const partition = this.#o.topics.activityChangelog.name;
    this.#state.flush(max, (row) => {
      const length = this.#entries.lengthOf(row);
      const chunks = Math.max(1, Math.ceil(length / CHUNK_ENTRIES));
      const user = this.#users.stringOf(rows.entity[row]!);
      let entry = this.#entries.first(row);
      for (let chunk = 0; chunk < chunks; chunk++) {
        const inChunk = Math.min(CHUNK_ENTRIES, length - chunk * CHUNK_ENTRIES);
        const value = inChunk <= 0 ? null : this.#encodeChunk(covers, entry, inChunk);
        for (let i = 0; i < inChunk; i++) entry = this.#entries.next(entry);
        this.#addRow(out, partition, rowKey(rows.day[row]!, chunk, user), value);
      }
      const before = this.#chunks.get(row) ?? 1;
      for (let chunk = chunks; chunk < before; chunk++)
        this.#addRow(out, partition, rowKey(rows.day[row]!, chunk, user), null);
      if (chunks > before) this.#chunks.set(row, chunks);
    });
  }

  #addRow(out: Output, topic: string, key: Buffer, value: Buffer | null): void {
    out.add(topic, key, value, { partition: this.#o.changelogPartition, timestamp: this.#asOf });
  }

  #encodeChunk(covers: number, first: number, count: number): Buffer {
    const entries = this.#entries;
    const writer = this.#row
      .begin(this.#o.codec.prefix('ActivityRow'))
      .long(this.input.partition)
      .long(covers)
      .long(count);
    for (let i = 0, entry = first; i < count; i++, entry = entries.next(entry)) {
      const product = entries.product[entry]!;
      const category = entries.category[entry]!;
      writer.bytes(this.#products.arena, this.#products.startOf(product), this.#products.endOf(product));
      if (category < 0) writer.long(0);
      else
        writer
          .long(1)
          .bytes(this.#categories.arena, this.#categories.startOf(category), this.#categories.endOf(category));
      writer.double(entries.sum[entry]!).long(entries.count[entry]!).long(entries.lastTs[entry]!);
    }
    return writer.long(0).finish();
  }

  beginRestore(): void {
    this.#state.rows.trackCovers(true);
  }

  restoreRow(batch: RecordColumns, i: number): void {
    const { day, chunk, userStart } = parseRowKey(batch, i);
    const keyEnd = batch.keyEnd[i]!;
    const rows = this.#state.rows;
    const valueStart = batch.valueStart[i]!;
    if (valueStart < 0) {
      const user = this.#users.find(batch.bytes, userStart, keyEnd);
      const row = user < 0 ? -1 : rows.find(user, day);
      if (row >= 0) this.#entries.truncate(row, chunk * CHUNK_ENTRIES);
      return;
    }
    const body = this.#o.codec.bodyStart('ActivityRow', batch.bytes, valueStart, batch.valueEnd[i]!);
    const cursor = this.#cursor.reset(batch.bytes, body, batch.valueEnd[i]!);
    if (cursor.long() !== this.input.partition) return;
    const covers = cursor.long();
    const row = rows.obtain(this.#users.intern(batch.bytes, userStart, keyEnd), day);
    if (rows.created) this.#entries.open(row);
    this.#entries.truncate(row, chunk * CHUNK_ENTRIES);
    rows.covers![row] = covers;
    if (chunk > 0) this.#chunks.set(row, Math.max(chunk + 1, this.#chunks.get(row) ?? 1));
    const entries = this.#entries;
    for (let block = cursor.long(); block !== 0; block = cursor.long()) {
      for (let k = 0; k < block; k++) {
        const productStart = cursor.bytesStart();
        const product = this.#products.intern(batch.bytes, productStart, cursor.at);
        let category = -1;
        if (cursor.long() === 1) {
          const categoryStart = cursor.bytesStart();
          category = this.#categories.intern(batch.bytes, categoryStart, cursor.at);
        }
        const entry = entries.append(row, product, category);
        entries.sum[entry] = cursor.double();
        entries.count[entry] = cursor.long();
        entries.lastTs[entry] = cursor.long();
      }
    }
  }

  replayHorizon(restoreClock: number): number | null {
    return restoreClock < 0 ? null : restoreClock - this.#settings.duplicateHorizonMs;
  }

  endRestore(clock: number, sweptDay: number, now: number): void {
    this.#state.rows.trackCovers(false);
    this.#state.start(clock, sweptDay, now);
    this.#sweptDay = this.#state.sweptDay;
    this.#since = Number.POSITIVE_INFINITY;
  }

  tableChanged(_topic: string, key: string): void {
    const product = this.#products.find(Buffer.from(key));
    if (product >= 0 && product < this.#productCategory.length) this.#productCategory[product] = NOT_LOOKED_UP;
  }

  /** The category to show for a product whose events carried none. */
  #categoryOf(product: number): number {
    const known = this.#catalogueSays(product);
    return known === DELETED ? this.#unknown : known;
  }

  #catalogueSays(product: number): number {
    if (product >= this.#productCategory.length) {
      const from = this.#productCategory.length;
      this.#productCategory = enlarged(this.#productCategory, capacityFor(product + 1, from));
      this.#productCategory.fill(NOT_LOOKED_UP, from);
    }
    const known = this.#productCategory[product]!;
    if (known !== NOT_LOOKED_UP) return known;
    const category = this.#o.catalogue.categoryOf(this.#products.stringOf(product));
    const id = category === null ? DELETED : this.#categories.intern(Buffer.from(category));
    this.#productCategory[product] = id;
    return id;
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
            `${this.#entries.sum[entry]}/${this.#entries.count[entry]}/${this.#entries.lastTs[entry]}`,
          );
        }
        lines.push(parts.join('\t'));
      }
    }
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}

/** `<day>/<user>`, further chunks `<day>.<chunk>/<user>`. */
function rowKey(day: number, chunk: number, user: string): Buffer {
  return Buffer.from(chunk === 0 ? `${day}/${user}` : `${day}.${chunk}/${user}`);
}

function parseRowKey(batch: RecordColumns, i: number): { day: number; chunk: number; userStart: number } {
  const { bytes } = batch;
  let at = batch.keyStart[i]!;
  let day = 0;
  let chunk = 0;
  for (; bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at++) day = day * 10 + bytes[at]! - 0x30;
  if (bytes[at] === 0x2e)
    for (at++; bytes[at]! >= 0x30 && bytes[at]! <= 0x39; at++) chunk = chunk * 10 + bytes[at]! - 0x30;
  return { day, chunk, userStart: at + 1 };
}

function shownTime(ms: number): string {
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString();
}
