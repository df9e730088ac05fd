/**
 * A sorted set in process: scores by member, and the head of the ranking once it has been requested. Every change
 * updates the head, because the products that change most are the ones in it: dropping it on every write would mean a
 * pass over all members for nearly every read.
 */

interface Ranked {
  readonly member: string;
  readonly score: number;
}

/** How much of the ranking is kept; a longer request is sorted on the spot. */
const HEAD_MAX = 1000;

export class RankedSet {
  readonly scores = new Map<string, number>();
  /** The best `#head.length` of all members, best first; null until it is requested, and after it ran empty. */
  #head: Ranked[] | null = null;

  get size(): number {
    return this.scores.size;
  }

  add(member: string, score: number): void {
    // Redis prints -0 as "-0" but ranks it as 0; one zero is enough.
    const value = score === 0 ? 0 : score;
    const old = this.scores.get(member);
    if (old === value) return;
    const head = this.#head;
    if (head !== null) {
      if (old !== undefined) drop(head, { member, score: old });
      const others = this.scores.size - (old === undefined ? 0 : 1);
      const entry = { member, score: value };
      // The order below the end of the head is unknown, unless the head contains all members.
      if (head.length === others || (head.length > 0 && compareRanks(entry, head[head.length - 1]!) < 0)) {
        head.splice(placeOf(head, entry), 0, entry);
        if (head.length > HEAD_MAX) head.pop();
      }
    }
    this.scores.set(member, value);
  }

  /** Returns false if the member was absent. */
  remove(member: string): boolean {
    const old = this.scores.get(member);
    if (old === undefined) return false;
    if (this.#head !== null) drop(this.#head, { member, score: old });
    return this.scores.delete(member);
  }

  /** The best `limit` members, highest score first, ties by member descending. */
  top(limit: number): Ranked[] {
    const count = Math.min(limit, this.scores.size);
    if (count <= 0) return [];
    if (count > HEAD_MAX) return this.#everyone().sort(compareRanks).slice(0, count);
    if (this.#head === null || this.#head.length < count) this.#head = this.#select();
    return this.#head.slice(0, count);
  }

  #everyone(): Ranked[] {
    return Array.from(this.scores, ([member, score]) => ({ member, score }));
  }

  /** One pass with a bounded list: most members are rejected by one comparison with its last entry. */
  #select(): Ranked[] {
    const head: Ranked[] = [];
    for (const [member, score] of this.scores) {
      if (head.length === HEAD_MAX && score < head[HEAD_MAX - 1]!.score) continue;
      const entry = { member, score };
      const place = placeOf(head, entry);
      if (place === HEAD_MAX) continue;
      head.splice(place, 0, entry);
      if (head.length > HEAD_MAX) head.pop();
    }
    return head;
  }
}

/** Negative when `a` ranks before `b`. */
function compareRanks(a: Ranked, b: Ranked): number {
  return b.score - a.score || compareBytes(b.member, a.member);
}

/** The index of the entry in a ranking, or the index where it would be. */
function placeOf(ranking: readonly Ranked[], entry: Ranked): number {
  let low = 0;
  let high = ranking.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareRanks(ranking[middle]!, entry) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

function drop(ranking: Ranked[], entry: Ranked): void {
  const place = placeOf(ranking, entry);
  if (ranking[place]?.member === entry.member) ranking.splice(place, 1);
}

/** The order of the texts' UTF-8 bytes, as in Redis: that of JavaScript except beyond U+FFFF. */
export function compareBytes(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x !== y) return aboveSurrogates(x) - aboveSurrogates(y);
  }
  return a.length - b.length;
}

/** Moves surrogates, which stand for U+10000 and above, after U+E000 to U+FFFF. */
function aboveSurrogates(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}
