/**
 * Compares a user's interactions with the reference: pure. A row is written only now and then, so it may lack the
 * user's newest events. It includes the events up to some record, at least up to the offset below which, by the task's
 * marker, everything is written. Every such cut is tried, at the row's own time, by adding one event at a time and
 * counting the products that do not fit.
 *
 * Products deleted or restored since the row was written may or may not be in it; if they are, their figures must be
 * right.
 */
import { INTERACTIONS_MAX, WINDOW_DAYS } from '../../topics/limits.js';
import type { StoredInteraction, StoredInteractions } from '../sinks/interactions-row.js';
import {
  CLOCKS_APART_MS,
  type Difference,
  type Differences,
  differencesOf,
  errorOf,
  isoDay,
  type Known,
  mayHaveChanged,
  type Outcome,
  SAME,
  TOLERANCE,
} from './compare.js';
import { type CountedEvent, type InteractionItem, inWindow, itemsOf, utcDay } from './reference.js';

/** `loose`: it may or may not have been shown. */
type Standing = 'shown' | 'deleted' | 'loose';

/** How a product relates to the row: it fits, it does not, or it was left out of a full row (certainly or perhaps). */
type Fit = 'fits' | 'wrong' | 'left_out' | 'perhaps_left_out';

/** The row in the online store; Postgres serves no interactions. */
export function compareInteractions(known: Known, row: StoredInteractions | null | 'unreadable'): Outcome {
  const asOf = row === null || row === 'unreadable' ? null : row.asOf;
  const different = differencesOf(known, 'redis', 'interactions', asOf);
  if (row === 'unreadable') return different.all([different.one('row', 'not readable', 'a row')]);
  const writtenTo = known.passed.interactionsWrittenTo(known.key);
  // Data removed by a later erasure may still be served.
  if (known.erasedAt >= writtenTo) return { kind: 'undecided' };
  const before = known.events.filter(({ offset }) => offset < writtenTo);
  const later = known.events.filter(({ offset }) => offset >= writtenTo).sort((a, b) => a.offset - b.offset);
  return row === null ? compareNothing(known, before, different) : compareRow(known, row, before, later, different);
}

/** When the absence of a row was last confirmed is unknown, but it was not before the newest event. */
function compareNothing(known: Known, before: readonly CountedEvent[], different: Differences): Outcome {
  const writtenAt = before.reduce((latest, { ts }) => Math.max(latest, ts), Number.NEGATIVE_INFINITY);
  const ahead = new Set(inWindow(before, known.now + CLOCKS_APART_MS));
  const standings = new Map<string, Standing>();
  let shown = 0;
  for (const event of inWindow(before, known.now)) {
    if (!ahead.has(event)) continue;
    const standing = standings.get(event.product) ?? standingOf(known, event.product, writtenAt);
    standings.set(event.product, standing);
    if (standing === 'shown') shown++;
  }
  if (shown > 0) return different.all([different.one('row', null, `${shown} counted events`)]);
  return [...standings.values()].includes('loose') ? { kind: 'left_out' } : SAME;
}

function compareRow(
  known: Known,
  row: StoredInteractions,
  before: readonly CountedEvent[],
  later: readonly CountedEvent[],
  different: Differences,
): Outcome {
  const day = utcDay(row.asOf);
  const swept = known.passed.sweptDayOf('interactions', known.key);
  // The sweep does not wait for a user who has a change pending anyway.
  if (later.length === 0 && day < swept) {
    const left = before.some(({ ts }) => utcDay(ts) > day - WINDOW_DAYS && utcDay(ts) <= swept - WINDOW_DAYS);
    if (left) return different.all([different.one('day', isoDay(day), `swept to ${isoDay(swept)}`)]);
  }
  const shape = shapeDifferences(row, different);
  if (shape.length > 0) return different.all(shape);

  const cut = new Cut(known, row, itemsOf(before, row.asOf, known.halfLifeMs));
  let best = { wrong: cut.wrong, taken: 0 };
  for (let taken = 0; !cut.isRight && taken < later.length; ) {
    cut.add(later[taken]!);
    taken++;
    if (cut.wrong <= best.wrong) best = { wrong: cut.wrong, taken };
  }
  if (cut.isRight) return { kind: 'same', relativeError: cut.largestError() };
  if (isUnknowable(known, day, swept, later)) return { kind: 'pending' };
  const nearest = itemsOf([...before, ...later.slice(0, best.taken)], row.asOf, known.halfLifeMs);
  return different.all(new Cut(known, row, nearest).differences(different));
}

/** What is wrong with a row regardless of the log. */
function shapeDifferences({ items }: StoredInteractions, different: Differences): Difference[] {
  if (items.length === 0) return [different.one('row', 'a row without items', null)];
  if (items.length > INTERACTIONS_MAX) return [different.one('items', items.length, INTERACTIONS_MAX)];
  const seen = new Set<string>();
  for (const [i, { productId, weight }] of items.entries()) {
    if (seen.has(productId)) return [different.one(`item ${productId}`, 'twice', 'once')];
    seen.add(productId);
    if (i > 0 && weight > items[i - 1]!.weight * (1 + TOLERANCE))
      return [different.one(`item ${productId}`, 'behind a lighter one', 'heaviest first')];
  }
  return [];
}

/** As for affinity, except that a finished sweep says nothing about a user with a pending change. */
function isUnknowable({ firstDay }: Known, day: number, swept: number, later: readonly CountedEvent[]): boolean {
  const firstOf = (last: number) => last - WINDOW_DAYS + 1;
  return firstOf(day) < firstDay && (later.length > 0 || firstOf(swept) < firstDay);
}

function standingOf(known: Known, product: string, asOf: number): Standing {
  const { catalogue } = known;
  const entry = catalogue.get(product);
  if (catalogue.isWhole && entry?.wasDeleted !== true) return 'shown';
  if (mayHaveChanged(known, product, asOf)) return 'loose';
  return entry?.category === null ? 'deleted' : 'shown';
}

/** The row compared with the sums of the user's events up to some record. */
class Cut {
  readonly #known: Known;
  readonly #row: StoredInteractions;
  readonly #held: ReadonlyMap<string, StoredInteraction>;
  /** Weight of the lightest product in a full row; lighter ones may have been left out. */
  readonly #least: number;
  readonly #items: Map<string, InteractionItem>;
  readonly #standings = new Map<string, Standing>();
  readonly #fits = new Map<string, Fit>();
  readonly #counts: Record<Fit, number> = { fits: 0, wrong: 0, left_out: 0, perhaps_left_out: 0 };

  constructor(known: Known, row: StoredInteractions, items: Map<string, InteractionItem>) {
    this.#known = known;
    this.#row = row;
    this.#held = new Map(row.items.map((item) => [item.productId, item]));
    this.#least = row.items.length < INTERACTIONS_MAX ? Number.NEGATIVE_INFINITY : row.items.at(-1)!.weight;
    this.#items = items;
    for (const product of new Set([...items.keys(), ...this.#held.keys()])) this.#judge(product);
  }

  /** Number of mismatches. */
  get wrong(): number {
    return this.#counts.wrong + (this.#isTruncatedRight ? 0 : 1);
  }

  get isRight(): boolean {
    return this.wrong === 0;
  }

  get #isTruncatedRight(): boolean {
    const { left_out: certain, perhaps_left_out: perhaps } = this.#counts;
    return this.#row.truncated >= certain && this.#row.truncated <= certain + perhaps;
  }

  add(event: CountedEvent): void {
    const [added] = itemsOf([event], this.#row.asOf, this.#known.halfLifeMs).values();
    if (added === undefined) return;
    const former = this.#items.get(event.product);
    this.#items.set(event.product, former === undefined ? added : sum(former, added));
    this.#judge(event.product);
  }

  largestError(): number {
    let most = 0;
    for (const [product, { weight }] of this.#held)
      most = Math.max(most, errorOf(weight, this.#items.get(product)!.weight));
    return most;
  }

  differences(different: Differences): Difference[] {
    if (![...this.#items.keys()].some((product) => this.#standing(product) !== 'deleted'))
      return [different.one('row', 'a row', null)];
    const found: Difference[] = [];
    for (const [product, fit] of this.#fits) if (fit === 'wrong') found.push(...this.#inProduct(product, different));
    if (found.length === 0) found.push(different.one('truncated', this.#row.truncated, this.#counts.left_out));
    return found;
  }

  #inProduct(product: string, different: Differences): Difference[] {
    const held = this.#held.get(product);
    const item = this.#standing(product) === 'deleted' ? undefined : this.#items.get(product);
    if (held === undefined) return [different.one(`item ${product}`, null, `${item!.count} counted events`)];
    if (item === undefined) return [different.one(`item ${product}`, `${held.count} counted events`, null)];
    return (['count', 'purchases', 'weight'] as const)
      .filter((what) => !isEqual(what, held, item))
      .map((what) => different.one(`${what} of ${product}`, held[what], item[what]));
  }

  #judge(product: string): void {
    const former = this.#fits.get(product);
    if (former !== undefined) this.#counts[former]--;
    const fit = this.#fitOf(product);
    this.#fits.set(product, fit);
    this.#counts[fit]++;
  }

  #fitOf(product: string): Fit {
    const held = this.#held.get(product);
    const item = this.#items.get(product);
    const standing = this.#standing(product);
    if (held !== undefined) {
      if (item === undefined || standing === 'deleted') return 'wrong';
      const isRight = (['count', 'purchases', 'weight'] as const).every((what) => isEqual(what, held, item));
      return isRight ? 'fits' : 'wrong';
    }
    if (standing === 'deleted') return 'fits';
    const isLightest = item!.weight <= this.#least * (1 + TOLERANCE) || errorOf(item!.weight, this.#least) === 0;
    if (isLightest) return standing === 'loose' ? 'perhaps_left_out' : 'left_out';
    return standing === 'loose' ? 'fits' : 'wrong';
  }

  #standing(product: string): Standing {
    let standing = this.#standings.get(product);
    if (standing === undefined) {
      standing = standingOf(this.#known, product, this.#row.asOf);
      this.#standings.set(product, standing);
    }
    return standing;
  }
}

function isEqual(what: 'count' | 'purchases' | 'weight', held: StoredInteraction, item: InteractionItem): boolean {
  return what === 'weight' ? errorOf(held.weight, item.weight) <= TOLERANCE : held[what] === item[what];
}

function sum(a: InteractionItem, b: InteractionItem): InteractionItem {
  return {
    product_id: a.product_id,
    weight: a.weight + b.weight,
    count: a.count + b.count,
    last_ts: Math.max(a.last_ts, b.last_ts),
    purchases: a.purchases + b.purchases,
  };
}
