/**
 * Documents per (language, term, source) in columns: a number per (language, term), a chain of its counts by source,
 * and a chain of terms per (language, shard) for emission. The documents of a language are counted under the empty
 * term.
 *
 * A term that no document contains any more keeps its number until the task restarts. In the changelog it first leaves
 * a row without counts: without it, a restore would fold earlier records into a new count and subtract from it what was
 * never added. Once none of those records can be read again, the row is deleted too (see `emptied`).
 */
import { FreshetError } from '../../runtime/process/errors.js';
import { capacityFor, enlarged } from '../../runtime/tasks/state/columns.js';
import { Interner } from '../../runtime/tasks/state/interner.js';
import type { ColumnSink, ColumnSource } from '../../runtime/tasks/state/saved-columns.js';
import { FNV_OFFSET, FNV_PRIME, fnv1a, shardOf, TOTALS_SHARD } from './shards.js';
import { Vocabulary } from './vocabulary.js';

const NONE = -1;
/** Positions within a count, after the source. */
const DOCUMENTS = 1;
const NEXT = 2;
const SLASH = 0x2f;
/** A language, a slash and a term or a shard. */
const NAME_BYTES_MAX = 256;

export class TermTable {
  /** `<language>/<term>`. */
  readonly names = new Vocabulary();
  /** `<language>/<shard>`: the keys of both topics. */
  readonly groups = new Interner(256);
  readonly sources = new Interner(16);
  readonly #name = Buffer.alloc(NAME_BYTES_MAX);
  /** Per term: its group, the next term of that group, its first count. */
  #groupOf = new Int32Array(1024);
  #nextInGroup = new Int32Array(1024);
  #head = new Int32Array(1024);
  /** Per group: its first term. */
  #firstOf = new Int32Array(256).fill(NONE);
  /** Per group: the number of the empty term, or -1. */
  #totalsOf = new Int32Array(256).fill(NONE);
  /** Number of terms that have columns. */
  #placed = 0;
  #counts = 0;
  /** Four per count, so that they lie in one cache line: source, documents, the next count of the term, nothing. */
  #cells = new Int32Array(4 * 1024);

  /** The number of a group by its key. */
  obtainGroup(bytes: Uint8Array, start: number, end: number): number {
    const group = this.groups.intern(bytes, start, end);
    if (group >= this.#firstOf.length) {
      const before = this.#firstOf.length;
      const capacity = capacityFor(group + 1, before);
      this.#firstOf = enlarged(this.#firstOf, capacity).fill(NONE, before);
      this.#totalsOf = enlarged(this.#totalsOf, capacity).fill(NONE, before);
    }
    return group;
  }

  /** The number of a term of the group's language; of the empty term if start = end. */
  obtain(group: number, bytes: Buffer, start: number, end: number): number {
    const name = this.#name;
    const { arena } = this.groups;
    let length = 0;
    let hash = FNV_OFFSET;
    for (let at = this.groups.startOf(group); length === 0 || name[length - 1] !== SLASH; at++) {
      const byte = arena[at]!;
      name[length++] = byte;
      hash = Math.imul(hash ^ byte, FNV_PRIME);
    }
    for (let at = start; at < end; at++) {
      const byte = bytes[at]!;
      name[length++] = byte;
      hash = Math.imul(hash ^ byte, FNV_PRIME);
    }
    return this.#place(this.names.intern(name, 0, length, hash), group, start === end);
  }

  /** The number of a term by its name, `<language>/<term>`, with its group. */
  obtainByName(bytes: Buffer, start: number, end: number): number {
    const slash = bytes.indexOf(SLASH, start);
    const isTotals = slash + 1 === end;
    const shard = isTotals ? TOTALS_SHARD : shardOf(fnv1a(bytes, slash + 1, end));
    const key = Buffer.from(`${bytes.toString('latin1', start, slash)}/${shard}`);
    const term = this.names.intern(bytes, start, end - start, fnv1a(bytes, start, end));
    return this.#place(term, this.obtainGroup(key, 0, key.length), isTotals);
  }

  #place(term: number, group: number, isTotals: boolean): number {
    if (term < this.#placed) return term;
    this.#placed = term + 1;
    if (term >= this.#head.length) {
      const capacity = capacityFor(term + 1, this.#head.length);
      this.#groupOf = enlarged(this.#groupOf, capacity);
      this.#nextInGroup = enlarged(this.#nextInGroup, capacity);
      this.#head = enlarged(this.#head, capacity);
    }
    this.#groupOf[term] = group;
    this.#head[term] = NONE;
    this.#nextInGroup[term] = NONE;
    if (isTotals) this.#totalsOf[group] = term;
    else {
      this.#nextInGroup[term] = this.#firstOf[group]!;
      this.#firstOf[group] = term;
    }
    return term;
  }

  groupOf(term: number): number {
    return this.#groupOf[term]!;
  }

  /** First term of a group, or -1; nextInGroup continues. */
  firstOf(group: number): number {
    return this.#firstOf[group]!;
  }

  nextInGroup(term: number): number {
    return this.#nextInGroup[term]!;
  }

  /** The empty term of a group, or -1. */
  totalsOf(group: number): number {
    return this.#totalsOf[group]!;
  }

  /** Where the bytes of a term without its language begin in the arena of `names`. */
  termStart(term: number): number {
    const { arena } = this.names;
    let at = this.names.startOf(term);
    while (arena[at] !== SLASH) at++;
    return at + 1;
  }

  /**
   * Adds to a count, at this input offset; returns the count. Throws FreshetError('internal') when it would fall below
   * zero.
   */
  add(term: number, source: number, documents: number, offset: number): number {
    let cell = this.#head[term]!;
    while (cell !== NONE && this.#cells[cell] !== source) cell = this.#cells[cell + NEXT]!;
    if (cell === NONE) cell = this.#append(term, source);
    const sum = this.#cells[cell + DOCUMENTS]! + documents;
    if (sum < 0 || sum > 2 ** 31 - 1)
      throw new FreshetError(
        'internal',
        `${this.names.stringOf(term)} would be in ${sum} documents of source ` +
          `"${this.sources.stringOf(source)}" at offset ${offset} of the hop`,
      );
    this.#cells[cell + DOCUMENTS] = sum;
    return sum;
  }

  /** Clears the counts of a term. */
  clear(term: number): void {
    for (let cell = this.#head[term]!; cell !== NONE; cell = this.#cells[cell + NEXT]!)
      this.#cells[cell + DOCUMENTS] = 0;
  }

  isEmpty(term: number): boolean {
    for (let cell = this.#head[term]!; cell !== NONE; cell = this.#cells[cell + NEXT]!)
      if (this.#cells[cell + DOCUMENTS] !== 0) return false;
    return true;
  }

  /** Visits the nonzero counts of a term. */
  visit(term: number, visit: (source: number, documents: number) => void): void {
    const cells = this.#cells;
    for (let cell = this.#head[term]!; cell !== NONE; cell = cells[cell + NEXT]!)
      if (cells[cell + DOCUMENTS] !== 0) visit(cells[cell]!, cells[cell + DOCUMENTS]!);
  }

  save(into: ColumnSink): void {
    this.names.save(into.within('names'));
    this.groups.save(into.within('groups'));
    this.sources.save(into.within('sources'));
    into.copy('group-of', this.#groupOf, this.#placed);
    into.copy('next-in-group', this.#nextInGroup, this.#placed);
    into.copy('head', this.#head, this.#placed);
    into.copy('first-of', this.#firstOf);
    into.copy('totals-of', this.#totalsOf);
    into.copy('cells', this.#cells, 4 * this.#counts);
  }

  load(from: ColumnSource): void {
    this.names.load(from.within('names'));
    this.groups.load(from.within('groups'));
    this.sources.load(from.within('sources'));
    this.#groupOf = from.take('group-of', Int32Array);
    this.#nextInGroup = from.take('next-in-group', Int32Array);
    this.#head = from.take('head', Int32Array);
    this.#firstOf = from.take('first-of', Int32Array);
    this.#totalsOf = from.take('totals-of', Int32Array);
    this.#cells = from.take('cells', Int32Array);
    this.#placed = this.#head.length;
    this.#counts = this.#cells.length >> 2;
  }

  #append(term: number, source: number): number {
    const cell = 4 * this.#counts++;
    if (cell === this.#cells.length) this.#cells = enlarged(this.#cells, 4 * capacityFor(this.#counts, cell >> 2));
    this.#cells[cell] = source;
    this.#cells[cell + DOCUMENTS] = 0;
    this.#cells[cell + NEXT] = this.#head[term]!;
    this.#head[term] = cell;
    return cell;
  }
}
