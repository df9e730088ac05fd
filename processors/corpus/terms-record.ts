/**
 * The published record of a shard: its terms, most frequent first, in columns by source; bytes and columns are limited.
 */
import { AvroWriter } from '../../schemas/avro-writer.js';
import type { TermTable } from './term-table.js';

/** The most columns a record may have; the last one then holds the sum of all other sources. */
export const SOURCES_MAX = 64;
/** The name for sources that are not distinguished. */
export const OTHER_SOURCE = 'other';
/** Terms are left out above this; with names and framing, a record stays far below the maximum size. */
export const TERMS_BYTES_MAX = 400 * 1024;

export class TermsRecord {
  readonly #table: TermTable;
  readonly #header = new AvroWriter();
  readonly #body = new AvroWriter();
  /** Terms of the shard that are in at least one document, and how many they are. */
  #terms = new Int32Array(256);
  #frequency = new Float64Array(256);
  /** Per source: its documents in the shard, its column. */
  #sourceSum = new Float64Array(16);
  #columnOf = new Int32Array(16);
  #row = new Float64Array(SOURCES_MAX);
  #sum = 0;

  constructor(table: TermTable) {
    this.#table = table;
  }

  /** The value for a shard as of asOf, a view valid until the next call; null if it holds nothing any more. */
  encode(prefix: Uint8Array, group: number, asOf: number): Buffer | null {
    const count = this.#collect(group);
    const totals = this.#table.totalsOf(group);
    const hasTotals = totals >= 0 && !this.#table.isEmpty(totals);
    if (count === 0 && !hasTotals) return null;
    const order = this.#terms.subarray(0, count).sort(this.#byFrequency);
    const columns = this.#chooseColumns(hasTotals ? totals : -1);
    const body = this.#body.begin(prefix.subarray(0, 0));
    let kept = 0;
    for (; kept < count && body.size < TERMS_BYTES_MAX; kept++) {
      const term = order[kept]!;
      const { names } = this.#table;
      body.bytes(names.arena, this.#table.termStart(term), names.endOf(term));
      this.#writeRow(body, term, columns.length);
    }
    const key = this.#table.groups.stringOf(group);
    const slash = key.indexOf('/');
    const header = this.#header
      .begin(prefix)
      .string(key.slice(0, slash))
      .long(Number(key.slice(slash + 1)))
      .long(asOf);
    if (columns.length > 0) header.long(columns.length);
    for (const column of columns) header.string(column);
    header.long(0);
    if (hasTotals) this.#writeRow(header, totals, columns.length);
    else header.long(0);
    const written = body.finish();
    if (kept > 0) header.long(kept).raw(written, 0, written.length);
    const next = kept < count ? this.#frequency[order[kept]!]! : 0;
    return header
      .long(0)
      .long(count - kept)
      .long(next)
      .finish();
  }

  /** Collects terms, frequencies and sums by source; returns the number of terms. */
  #collect(group: number): number {
    const table = this.#table;
    const sources = table.sources.count;
    if (this.#sourceSum.length < sources) {
      this.#sourceSum = new Float64Array(2 * sources);
      this.#columnOf = new Int32Array(2 * sources);
    }
    this.#sourceSum.fill(0);
    if (this.#frequency.length < table.names.count) this.#frequency = new Float64Array(2 * table.names.count);
    let count = 0;
    for (let term = table.firstOf(group); term >= 0; term = table.nextInGroup(term)) {
      this.#sum = 0;
      table.visit(term, this.#add);
      if (this.#sum === 0) continue;
      this.#frequency[term] = this.#sum;
      if (count === this.#terms.length) {
        const terms = new Int32Array(2 * count);
        terms.set(this.#terms);
        this.#terms = terms;
      }
      this.#terms[count++] = term;
    }
    return count;
  }

  readonly #add = (source: number, documents: number): void => {
    this.#sum += documents;
    this.#sourceSum[source]! += documents;
  };

  /** Most frequent first, then by the bytes of the term. */
  readonly #byFrequency = (a: number, b: number): number => {
    const difference = this.#frequency[b]! - this.#frequency[a]!;
    if (difference !== 0) return difference;
    const { names } = this.#table;
    const { arena } = names;
    const end = names.endOf(a);
    const otherEnd = names.endOf(b);
    // Both begin with the language. A call into Buffer.compare costs more than the few bytes.
    for (let at = names.startOf(a), other = names.startOf(b); at < end && other < otherEnd; at++, other++)
      if (arena[at] !== arena[other]) return arena[at]! - arena[other]!;
    return end - names.startOf(a) - (otherEnd - names.startOf(b));
  };

  /** Column names, in order; sets the column of every source that occurs. */
  #chooseColumns(totals: number): string[] {
    const { sources } = this.#table;
    // If the language's totals are here, they say which sources are large.
    if (totals >= 0) {
      this.#sourceSum.fill(0);
      this.#table.visit(totals, this.#add);
    }
    const used: { source: number; name: string }[] = [];
    for (let source = 0; source < sources.count; source++)
      if (this.#sourceSum[source]! > 0) used.push({ source, name: sources.stringOf(source) });
    const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0);
    if (used.length <= SOURCES_MAX) {
      used.sort(byName);
      for (const [column, { source }] of used.entries()) this.#columnOf[source] = column;
      return used.map(({ name }) => name);
    }
    const largest = (source: number) => (sources.stringOf(source) === OTHER_SOURCE ? -1 : this.#sourceSum[source]!);
    used.sort((a, b) => largest(b.source) - largest(a.source) || byName(a, b));
    const kept = used.slice(0, SOURCES_MAX - 1).sort(byName);
    for (const { source } of used) this.#columnOf[source] = SOURCES_MAX - 1;
    for (const [column, { source }] of kept.entries()) this.#columnOf[source] = column;
    return [...kept.map(({ name }) => name), OTHER_SOURCE];
  }

  #writeRow(writer: AvroWriter, term: number, columns: number): void {
    const row = this.#row;
    row.fill(0, 0, columns);
    this.#table.visit(term, this.#addToRow);
    writer.long(columns);
    for (let column = 0; column < columns; column++) writer.long(row[column]!);
    writer.long(0);
  }

  readonly #addToRow = (source: number, documents: number): void => {
    this.#row[this.#columnOf[source]!]! += documents;
  };
}
