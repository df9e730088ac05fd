/** Documents counted into records of the topic `terms`, for tests and benches that need no processor for it. */
import { fnv1a, shardOf } from '../../processors/corpus/shards.js';
import { OTHER_SOURCE, SOURCES_MAX } from '../../processors/corpus/terms-record.js';
import { termsOf } from '../../processors/corpus/words.js';
import type { RecordColumns } from '../../runtime/log/log.js';
import type { Codec } from '../../schemas/codec.js';
import type { Terms } from '../../schemas/records.js';
import { columnsOf } from './columns.js';

/** Documents of one language by term and source. */
export class TermCounts {
  readonly language: string;
  /** Documents by source. */
  readonly totals = new Map<string, number>();
  readonly terms = new Map<string, Map<string, number>>();
  /** Distinct words of every document, added up. */
  words = 0;

  constructor(language: string) {
    this.language = language;
  }

  get documents(): number {
    return sumOf(this.totals.values());
  }

  /** Counts a document, unless it has no words. */
  add(source: string, text: string): void {
    this.addTerms(source, termsOf(text));
  }

  addTerms(source: string, terms: ReadonlySet<string>): void {
    if (terms.size === 0) return;
    this.words += terms.size;
    this.totals.set(source, (this.totals.get(source) ?? 0) + 1);
    for (const term of terms) this.set(term, source, (this.terms.get(term)?.get(source) ?? 0) + 1);
  }

  set(term: string, source: string, documents: number): void {
    const counts = this.terms.get(term);
    if (counts === undefined) this.terms.set(term, new Map([[source, documents]]));
    else counts.set(source, documents);
  }

  /** By document frequency only, most frequent first. */
  mostFrequent(count: number): string[] {
    const frequencies = [...this.terms].map(([term, counts]) => ({ term, documents: sumOf(counts.values()) }));
    frequencies.sort((a, b) => b.documents - a.documents || (a.term < b.term ? -1 : 1));
    return frequencies.slice(0, count).map(({ term }) => term);
  }

  /** In the form the corpus writes: 256 shards, the totals in shard 0, the smallest of too many sources merged. */
  records(): Terms[] {
    const bySize = [...this.totals].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1)).map(([source]) => source);
    const named = bySize.length <= SOURCES_MAX ? bySize : bySize.slice(0, SOURCES_MAX - 1);
    const sources = named.sort();
    if (bySize.length > named.length) sources.push(OTHER_SOURCE);
    const place = new Map(sources.map((source, column) => [source, column]));
    const row = (counts: ReadonlyMap<string, number>): number[] => {
      const documents = new Array<number>(sources.length).fill(0);
      for (const [source, count] of counts) documents[place.get(source) ?? sources.length - 1]! += count;
      return documents;
    };
    const shards = new Map<number, Terms>();
    const shardAt = (number: number): Terms => {
      const shard = shards.get(number) ?? {
        language: this.language,
        shard: number,
        as_of: 0,
        sources,
        totals: [],
        terms: [],
        omitted: 0,
        omitted_documents_max: 0,
      };
      shards.set(number, shard);
      return shard;
    };
    shardAt(0).totals = row(this.totals);
    for (const [term, counts] of this.terms) {
      const bytes = Buffer.from(term);
      shardAt(shardOf(fnv1a(bytes, 0, bytes.length))).terms.push({ term, documents: row(counts) });
    }
    for (const { terms } of shards.values())
      terms.sort((a, b) => sumOf(b.documents) - sumOf(a.documents) || (a.term < b.term ? -1 : 1));
    return [...shards.values()];
  }
}

/** Records in the form the log returns. */
export function termColumns(codec: Codec, records: readonly Terms[]): RecordColumns {
  const rows = records.map((record, offset) => ({
    key: `${record.language}/${record.shard}`,
    value: codec.encode('Terms', record),
    timestamp: 0,
    offset,
  }));
  return columnsOf('terms', 0, rows);
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
