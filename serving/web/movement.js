/** Changes since a minute ago: places, scores, and the recent scores of each product. Pure. */

const MINUTE_MS = 60_000;
const KEEP_MS = 125_000;
const SPARK_MS_MIN = 20_000;

/** Keeps the rankings of one list (one category) as they were polled. */
export class RankingMemory {
  #snapshots = [];

  /** `items` best first. Drops rankings older than two minutes. */
  add(atMs, items) {
    const places = new Map(items.map(({ product_id, score }, index) => [product_id, { place: index + 1, score }]));
    this.#snapshots.push({ atMs, places });
    while (this.#snapshots[0].atMs < atMs - KEEP_MS) this.#snapshots.shift();
  }

  /** The snapshot a minute before the newest, or the oldest there is. */
  #minuteAgo() {
    const newest = this.#snapshots.at(-1);
    return this.#snapshots.findLast(({ atMs }) => atMs <= newest.atMs - MINUTE_MS) ?? this.#snapshots[0];
  }

  /** Seconds that `moves` looks back: 60 once the page has been open that long. */
  get spanSeconds() {
    if (this.#snapshots.length === 0) return 0;
    return Math.round((this.#snapshots.at(-1).atMs - this.#minuteAgo().atMs) / 1000);
  }

  /**
   * The newest ranking with its changes: `move` in places (up is positive; null if the product was not in the list) and
   * `gain` in score (null likewise).
   */
  moves() {
    const newest = this.#snapshots.at(-1);
    if (newest === undefined) return new Map();
    const before = this.#minuteAgo().places;
    return new Map(
      [...newest.places].map(([id, { place, score }]) => {
        const then = before.get(id);
        return [id, { place, score, move: then ? then.place - place : null, gain: then ? score - then.score : null }];
      }),
    );
  }

  /** Times and scores of one product, oldest first. */
  course(id) {
    return this.#snapshots.flatMap(({ atMs, places }) => {
      const at = places.get(id);
      return at === undefined ? [] : [[atMs, at.score]];
    });
  }
}

/**
 * A small line over the stored time, as the `points` of a polyline; '' while there is nothing to draw. Each line has
 * its own scale, but never finer than a twentieth of its score: noise must not look like a rise.
 */
export function sparkline(course, nowMs, width, height) {
  if (course.length < 2) return '';
  const scores = course.map(([, score]) => score);
  const low = Math.min(...scores);
  const span = Math.max(Math.max(...scores) - low, Math.max(...scores) * 0.05, 1e-9);
  const inset = 2;
  const spanMs = Math.max(SPARK_MS_MIN, nowMs - course[0][0]);
  return course
    .map(([atMs, score]) => {
      const x = width * (1 - (nowMs - atMs) / spanMs);
      const y = height - inset - ((score - low) / span) * (height - 2 * inset);
      return `${Math.max(0, x).toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}
