/**
 * Compares one key of one store with the reference: pure. A row reflects the log up to some cut: at least `next`, which
 * has passed every stage, and at most the offset the fold has read since. The events in between may or may not be in
 * the row, each partition up to some record, and every such cut is tried.
 */
import { CATEGORIES_MAX, UNKNOWN_CATEGORY, WINDOW_DAYS } from '../../topics/limits.js';
import { partitionOf } from '../../topics/partition.js';
import { DAY_MS } from '../../topics/time.js';
import { popularityAt } from '../layout.js';
import { withinDay } from '../utc-day.js';
import type { CatalogueEntry, CatalogueView } from './catalogue.js';
import type { Artefact, Passed, StoreName } from './passage.js';
import {
  affinityOf,
  type CountedEvent,
  inWindow,
  type PopularitySums,
  popularityOf,
  relativeError,
  utcDay,
} from './reference.js';
import type { AffinityShares, PopularityRank, PopularityRow } from './served.js';

export interface Difference {
  readonly store: StoreName;
  readonly artefact: Artefact;
  readonly key: string;
  /** What differs: row, score, views, category, share of <category>, count of <product>, … */
  readonly what: string;
  readonly served: string | number | null;
  readonly expected: string | number | null;
  /** ms; the row's own time, null if there is no row. */
  readonly asOf: number | null;
  /** Infinity unless both sides are numbers. */
  readonly relativeError: number;
}

/**
 * same: compared and equal (`relativeError`: how far from exactly equal). left_out: cannot be decided, for a reason
 * that the formulas allow (a changed catalogue). pending: a midnight sweep or a catalogue change is still in progress.
 * undecided: the key changed too much in the meantime.
 */
export type Outcome =
  | { readonly kind: 'same'; readonly relativeError: number }
  | { readonly kind: 'left_out' | 'pending' | 'undecided' }
  | { readonly kind: 'different'; readonly differences: readonly Difference[] };

/** What is known about one key at one moment. */
export interface Known {
  readonly key: string;
  /** The counted events that were kept. */
  readonly events: readonly CountedEvent[];
  /** Offset of the newest erasure; -1 if none. */
  readonly erasedAt: number;
  /** Per partition of `events`: everything below this offset is visible. */
  readonly next: readonly number[];
  /** The first day whose events are all known. */
  readonly firstDay: number;
  /** ms. */
  readonly now: number;
  readonly halfLifeMs: number;
  readonly catalogue: CatalogueView;
  readonly passed: Pick<Passed, 'sweptDayOf' | 'interactionsWrittenTo' | 'hasSeen'>;
}

/** Two values this close are unchanged, or equal. */
export const TOLERANCE = 1e-9;
/** Sums this small have already lost digits. */
const NEGLIGIBLE = 1e-290;
const CUTS_MAX = 5_000;
export const CLOCKS_APART_MS = 10 * 60_000;
/** Catalogue records carry their producers' time. */
const CATALOGUE_CLOCKS_APART_MS = 60 * 60_000;
/** Not the category of any event: no category contains a NUL. */
const LOOSE = '\0';

export const SAME: Outcome = { kind: 'same', relativeError: 0 };

/** The row in Postgres. */
export function comparePopularityRow(known: Known, row: PopularityRow | null): Outcome {
  const different = differencesOf(known, 'postgres', 'popularity', row?.asOf ?? null);
  const presence = comparePresence(
    known,
    row !== null,
    row === null ? null : utcDay(row.asOf),
    'popularity',
    different,
  );
  if (row === null || presence !== null) return presence ?? SAME;
  const { asOf } = row;
  const cuts = popularityCuts(known, asOf);
  if (cuts === null) return { kind: 'undecided' };
  const errors = cuts.map((sums) => popularityError(row, sums));
  const least = Math.min(...errors);
  const category = compareCategory(known, row.category, different);
  if (category !== null && category.kind !== 'different') return category;
  if (least <= TOLERANCE) return category ?? { kind: 'same', relativeError: least };
  if (isUnknowable(known, utcDay(asOf), 'popularity')) return { kind: 'pending' };
  const right = cuts.at(-1)!;
  const wrong = (['score', 'views', 'add_to_carts', 'purchases'] as const).filter(
    (what) => errorOf(row[what], right?.[what] ?? 0) > TOLERANCE,
  );
  return different.all([
    ...(wrong.length === 0 ? (['score'] as const) : wrong).map((what) =>
      different.one(what, row[what], right?.[what] ?? null),
    ),
    ...(category?.differences ?? []),
  ]);
}

/** The rankings in the online store, and the hashes that belong to them. */
export function comparePopularityRank(known: Known, held: PopularityRank | 'changing'): Outcome {
  if (held === 'changing') return { kind: 'undecided' };
  const { rank, day, category, categoryRank, elsewhere } = held;
  const parts = {
    'ranking of all': rank,
    'hash day': day,
    'hash category': category,
    'ranking of its category': categoryRank,
  };
  const there = Object.values(parts).filter((part) => part !== null).length;
  const at = day === null ? null : withinDay(day, known.now);
  const different = differencesOf(known, 'redis', 'popularity', at);
  if (elsewhere.length > 0)
    return different.all(elsewhere.map((one) => different.one(`ranking of ${one}`, 'listed', 'not listed')));
  if (there > 0 && there < 4)
    return different.all(
      Object.entries(parts)
        .filter(([, part]) => part === null)
        .map(([name]) => different.one(name, null, 'an entry, as in the others')),
    );
  const presence = comparePresence(known, there > 0, day, 'popularity', different);
  if (at === null || presence !== null) return presence ?? SAME;
  const score = popularityAt(rank!, at, known.halfLifeMs);
  const cuts = popularityCuts(known, at);
  if (cuts === null) return { kind: 'undecided' };
  const least = Math.min(...cuts.map((sums) => errorOf(score, sums?.score ?? 0)));
  const compared = compareCategory(known, category!, different);
  if (compared !== null && compared.kind !== 'different') return compared;
  const differences = [...(compared?.differences ?? [])];
  if (categoryRank !== rank) differences.push(different.one('rank in its category', categoryRank, rank));
  if (least > TOLERANCE) {
    if (isUnknowable(known, day!, 'popularity')) return { kind: 'pending' };
    differences.push(different.one('score', score, cuts.at(-1)?.score ?? null));
  }
  return differences.length > 0 ? different.all(differences) : { kind: 'same', relativeError: least };
}

/** A user's shares in either store. */
export function compareAffinity(
  known: Known,
  store: StoreName,
  row: AffinityShares | null | 'changing' | 'ragged',
): Outcome {
  if (row === 'changing') return { kind: 'undecided' };
  const different = differencesOf(known, store, 'affinity', row === null || row === 'ragged' ? null : row.asOf);
  if (row === 'ragged') return different.all([different.one('row', 'one of as_of and scores', 'both or neither')]);
  // Data removed by a later erasure may still be served.
  const partition = partitionOf(known.next.length, Buffer.from(known.key));
  if (known.erasedAt >= known.next[partition]!) return { kind: 'undecided' };
  const presence = comparePresence(known, row !== null, row === null ? null : utcDay(row.asOf), 'affinity', different);
  if (row === null || presence !== null) return presence ?? SAME;
  const { asOf, scores } = row;
  const categoryOf = (product: string) => known.catalogue.get(product)?.category ?? UNKNOWN_CATEGORY;
  const { before, after } = splitAt(known);
  const later = [...after.values()].flat().sort((a, b) => a.offset - b.offset);
  if (later.length * known.events.length > CUTS_MAX * 100) return { kind: 'undecided' };
  let least = Number.POSITIVE_INFINITY;
  let right: ReadonlyMap<string, number> = new Map();
  for (let taken = 0; taken <= later.length; taken++) {
    right = affinityOf([...before, ...later.slice(0, taken)], asOf, known.halfLifeMs, categoryOf) ?? new Map();
    least = Math.min(least, sharesError(scores, right));
  }
  if (least <= TOLERANCE) return { kind: 'same', relativeError: least };
  if (isExplainedByCatalogue(known, asOf, scores, before, later)) return { kind: 'left_out' };
  if (isUnknowable(known, utcDay(asOf), 'affinity')) return { kind: 'pending' };
  const names = [...new Set([...scores.keys(), ...right.keys()])];
  const wrong = names.filter((name) => errorOf(scores.get(name) ?? 0, right.get(name) ?? 0) > TOLERANCE);
  return different.all(
    wrong.map((name) => different.one(`share of ${name}`, scores.get(name) ?? null, right.get(name) ?? null)),
  );
}

/** Null if there is a row, whose numbers must decide. */
function comparePresence(
  known: Known,
  isThere: boolean,
  day: number | null,
  artefact: Artefact,
  different: Differences,
): Outcome | null {
  const { key, catalogue, passed, now } = known;
  const entry = artefact === 'popularity' ? catalogue.get(key) : undefined;
  const isOnItsWay = entry !== undefined && !passed.hasSeen(artefact, key, entry);
  const isDeleted = entry?.category === null;
  const { before } = splitAt(known);
  if (!isThere) {
    const isExpected =
      !isDeleted && inWindow(before, now).length > 0 && inWindow(before, now + CLOCKS_APART_MS).length > 0;
    if (!isExpected) return SAME;
    if (isOnItsWay) return { kind: 'pending' };
    // It may have been deleted so long ago that the catalogue no longer holds its deletion.
    if (artefact === 'popularity' && entry === undefined && !catalogue.isWhole) return { kind: 'left_out' };
    return different.all([different.one('row', null, `${inWindow(before, now).length} counted events`)]);
  }
  if (isDeleted) {
    if (isOnItsWay) return { kind: 'pending' };
    return different.all([different.one('row', 'a row', null)]);
  }
  const swept = passed.sweptDayOf(artefact, key);
  const left = before.some(({ ts }) => utcDay(ts) > day! - WINDOW_DAYS && utcDay(ts) <= swept - WINDOW_DAYS);
  if (left && day! < swept) return different.all([different.one('day', isoDay(day!), `swept to ${isoDay(swept)}`)]);
  if (inWindow(known.events, withinDay(day!, now)).length > 0) return null;
  if (isUnknowable(known, day!, artefact)) return { kind: 'pending' };
  return different.all([different.one('row', 'a row', null)]);
}

/**
 * True if the row may contain events that are no longer known here, or never were, and the sweep that removes them from
 * the row has not finished.
 */
function isUnknowable({ firstDay, key, passed }: Known, day: number, artefact: Artefact): boolean {
  const firstOf = (last: number) => last - WINDOW_DAYS + 1;
  return firstOf(day) < firstDay && firstOf(passed.sweptDayOf(artefact, key)) < firstDay;
}

function compareCategory(
  { key, catalogue, passed }: Known,
  served: string,
  different: Differences,
): Exclude<Outcome, { kind: 'same' }> | null {
  const entry = catalogue.get(key);
  const right = entry?.category ?? UNKNOWN_CATEGORY;
  if (served === right) return null;
  if (entry !== undefined && !passed.hasSeen('popularity', key, entry)) return { kind: 'pending' };
  return different.all([different.one('category', served, right)]);
}

/**
 * Events whose category came from a product that may have changed since can count under any category. All others
 * cannot, and any excess in a category must equal the weight of the changed ones.
 */
function isExplainedByCatalogue(
  known: Known,
  asOf: number,
  scores: ReadonlyMap<string, number>,
  before: readonly CountedEvent[],
  later: readonly CountedEvent[],
): boolean {
  const isLoose = ({ category, product }: CountedEvent) => category === null && mayHaveChanged(known, product, asOf);
  if (!inWindow(known.events, asOf).some(isLoose)) return false;
  const total = [...scores.values()].reduce((sum, share) => sum + share, 0);
  if (errorOf(total, 1) > TOLERANCE) return false;
  if (scores.size >= CATEGORIES_MAX) return true;
  const categoryOf = (product: string) => known.catalogue.get(product)?.category ?? UNKNOWN_CATEGORY;
  for (let taken = 0; taken <= later.length; taken++) {
    const events = [...before, ...later.slice(0, taken)].map((event) =>
      isLoose(event) ? { ...event, category: LOOSE } : event,
    );
    const fixed = affinityOf(events, asOf, known.halfLifeMs, categoryOf) ?? new Map<string, number>();
    const holds = ([category, share]: [string, number]) =>
      category === LOOSE || (scores.get(category) ?? 0) >= share * (1 - TOLERANCE);
    if ([...fixed].every(holds)) return true;
  }
  return false;
}

/**
 * Whether the catalogue may have had another state of the product at `asOf`: a user's rows keep the state it had when
 * the user was last active.
 */
export function mayHaveChanged({ key, catalogue, passed }: Known, product: string, asOf: number): boolean {
  const entry: CatalogueEntry | undefined = catalogue.get(product);
  if (entry === undefined) return !catalogue.isWhole;
  return entry.changedAt >= asOf - CATALOGUE_CLOCKS_APART_MS || !passed.hasSeen('affinity', key, entry);
}

/** Events that are certainly visible, and per partition those that may be. */
function splitAt({ events, next }: Known): { before: CountedEvent[]; after: Map<number, CountedEvent[]> } {
  const before: CountedEvent[] = [];
  const after = new Map<number, CountedEvent[]>();
  for (const event of events) {
    if (event.offset < next[event.partition]!) before.push(event);
    else after.set(event.partition, [...(after.get(event.partition) ?? []), event]);
  }
  return { before, after };
}

/** Sums of every cut, all events last; null if there are too many cuts. A null sum: nothing in the window. */
function popularityCuts(known: Known, asOf: number): (PopularitySums | null)[] | null {
  const { before, after } = splitAt(known);
  let cuts = [popularityOf(before, asOf, known.halfLifeMs)];
  for (const events of after.values()) {
    if (cuts.length * (events.length + 1) > CUTS_MAX) return null;
    let added: PopularitySums | null = null;
    const longer = [...cuts];
    for (const event of events) {
      added = sum(added, popularityOf([event], asOf, known.halfLifeMs));
      for (const cut of cuts) longer.push(sum(cut, added));
    }
    cuts = longer;
  }
  return cuts;
}

function sum(a: PopularitySums | null, b: PopularitySums | null): PopularitySums | null {
  if (a === null || b === null) return a ?? b;
  return {
    score: a.score + b.score,
    views: a.views + b.views,
    add_to_carts: a.add_to_carts + b.add_to_carts,
    purchases: a.purchases + b.purchases,
  };
}

function popularityError(row: PopularityRow, sums: PopularitySums | null): number {
  if (sums === null) return Number.POSITIVE_INFINITY;
  for (const count of ['views', 'add_to_carts', 'purchases'] as const)
    if (row[count] !== sums[count]) return Number.POSITIVE_INFINITY;
  return errorOf(row.score, sums.score);
}

/**
 * The largest error of a share. Beyond a maximum number of categories the lightest are merged into one, and which of
 * two equal weights keeps its name depends on the last bit, so there the weights are compared without their names.
 */
function sharesError(served: ReadonlyMap<string, number>, right: ReadonlyMap<string, number>): number {
  if (served.size !== right.size) return Number.POSITIVE_INFINITY;
  if (right.size >= CATEGORIES_MAX) {
    const ordered = (shares: ReadonlyMap<string, number>) => [...shares.values()].sort((a, b) => a - b);
    const others = ordered(right);
    return Math.max(...ordered(served).map((share, i) => errorOf(share, others[i]!)));
  }
  let most = 0;
  for (const [category, share] of right) most = Math.max(most, errorOf(served.get(category) ?? Number.NaN, share));
  return most;
}

/** Relative error, 0 to 1; Infinity if either is not a finite number. */
export function errorOf(served: number, right: number): number {
  if (Math.abs(served) < NEGLIGIBLE && Math.abs(right) < NEGLIGIBLE) return 0;
  return relativeError(served, right);
}

export interface Differences {
  one(what: string, served: string | number | null, expected: string | number | null): Difference;
  all(differences: readonly Difference[]): Extract<Outcome, { kind: 'different' }>;
}

export function differencesOf(known: Known, store: StoreName, artefact: Artefact, asOf: number | null): Differences {
  return {
    one: (what, served, expected) => ({
      store,
      artefact,
      key: known.key,
      what,
      served,
      expected,
      asOf,
      relativeError:
        typeof served === 'number' && typeof expected === 'number'
          ? errorOf(served, expected)
          : Number.POSITIVE_INFINITY,
    }),
    all: (differences) => ({ kind: 'different', differences }),
  };
}

export function isoDay(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
