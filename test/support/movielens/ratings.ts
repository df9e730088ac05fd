/** MovieLens 100 K as a shop: ratings become events of the last 90 days, films become products. */
import type { Event, EventType, Product } from '../../../schemas/records.js';

export interface Rating {
  readonly user: string;
  readonly item: string;
  readonly stars: number;
  /** Seconds since 1970. */
  readonly at: number;
}

export interface Film {
  readonly item: string;
  readonly title: string;
  readonly genres: readonly string[];
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

/** One rating in this many is sent twice, as by a producer that got no answer. */
export const REPEAT_EVERY = 200;

/** Reads tab-separated `user_id item_id rating timestamp` after a header line. */
export function parseRatings(text: string): Rating[] {
  return rowsOf(text).map(([user, item, stars, at]) => ({
    user: user!,
    item: item!,
    stars: Number(stars),
    at: Number(at),
  }));
}

/** Reads tab-separated `item_id title year genres` after a header line; genres are separated by blanks. */
export function parseFilms(text: string): Film[] {
  return rowsOf(text).map(([item, title, , genres]) => ({
    item: item!,
    title: title!,
    genres: (genres ?? '').split(' ').filter((genre) => genre !== ''),
  }));
}

function rowsOf(text: string): string[][] {
  return text
    .split(/\r?\n/)
    .slice(1)
    .filter((line) => line !== '')
    .map((line) => line.split('\t'));
}

/**
 * The events of all ratings, oldest first: 5 stars buy, 4 stars add to the cart, fewer view. Times are scaled linearly
 * to the time from two days after the start of the window to an hour ago, so that a midnight that passes while the
 * events are being sent makes none of them late. Films with odd numbers have their last genre as the event's own
 * category; the others leave it to the catalogue. Every 200th event occurs twice.
 */
export function eventsOf(ratings: readonly Rating[], films: readonly Film[], nowMs: number): Event[] {
  const genres = new Map(films.map((film) => [film.item, film.genres]));
  const sorted = [...ratings].sort((a, b) => a.at - b.at);
  const first = sorted[0]!.at;
  const span = Math.max(1, sorted.at(-1)!.at - first);
  const startMs = (Math.floor(nowMs / DAY_MS) - 87) * DAY_MS;
  const endMs = nowMs - HOUR_MS;
  const events: Event[] = [];
  for (const [index, { user, item, stars, at }] of sorted.entries()) {
    const event: Event = {
      event_id: `rating-${user}-${item}`,
      user_id: `user-${user}`,
      product_id: productOf(item),
      category: Number(item) % 2 === 1 ? (genres.get(item)?.at(-1) ?? null) : null,
      event_type: typeOf(stars),
      ts: startMs + Math.floor(((at - first) / span) * (endMs - startMs)),
    };
    events.push(event);
    if (index % REPEAT_EVERY === 0) events.push(event);
  }
  return events;
}

function typeOf(stars: number): EventType {
  if (stars === 5) return 'purchase';
  return stars === 4 ? 'add_to_cart' : 'view';
}

export function productOf(item: string): string {
  return `film-${item}`;
}

/** The catalogue: the first genre is the category; films of unknown genre are left out. */
export function productsOf(films: readonly Film[], nowMs: number): Product[] {
  return films
    .filter(({ genres }) => genres.length > 0 && genres[0] !== 'unknown')
    .map(({ item, title, genres }) => ({
      product_id: productOf(item),
      title,
      description: `${title}: ${genres.join(', ')}`,
      category: genres[0]!,
      price: null,
      updated_at: nowMs,
    }));
}

export function jsonLines(values: readonly object[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join('');
}
