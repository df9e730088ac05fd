/**
 * Merges the shards of a language: its most frequent terms in columns that all shards share. The records are not one
 * cut: a term may have been counted a moment later than the totals, so a source has at least as many documents as its
 * most frequent term.
 */
import { TOTALS_SHARD } from '../../processors/corpus/shards.js';
import { OTHER_SOURCE, SOURCES_MAX } from '../../processors/corpus/terms-record.js';
import type { Terms } from '../../schemas/records.js';
import type { LanguageTerms } from './confidence.js';

export interface LanguageCandidates extends LanguageTerms {
  /** Documents of the language. */
  readonly count: number;
}

/** The `candidates` most frequent terms of all shards, equal ones by name. */
export function languageCandidates(shards: readonly Terms[], candidates: number): LanguageCandidates {
  const sources = columnsOf(shards);
  const columns = new Map(sources.map((name, column) => [name, column]));
  // A source that a shard does not name belongs to the last column, in the shard or here.
  const columnOf = (name: string) => columns.get(name) ?? columns.get(OTHER_SOURCE)!;

  const totals = new Float64Array(sources.length);
  const found: { term: string; frequency: number; shard: Terms; documents: readonly number[] }[] = [];
  for (const shard of shards) {
    if (shard.shard === TOTALS_SHARD)
      for (const [place, documents] of shard.totals.entries()) totals[columnOf(shard.sources[place]!)]! += documents;
    for (const { term, documents } of shard.terms)
      found.push({ term, documents, shard, frequency: documents.reduce((sum, one) => sum + one, 0) });
  }
  const count = totals.reduce((sum, documents) => sum + documents, 0);
  found.sort((a, b) => b.frequency - a.frequency || (a.term < b.term ? -1 : 1));
  found.length = Math.min(found.length, candidates);

  const width = sources.length;
  const documents = new Float64Array(found.length * width);
  for (const [row, { shard, documents: counts }] of found.entries())
    for (const [place, count] of counts.entries()) documents[row * width + columnOf(shard.sources[place]!)]! += count;
  for (let at = 0; at < documents.length; at++) totals[at % width] = Math.max(totals[at % width]!, documents[at]!);
  return { sources, totals, terms: found.map(({ term }) => term), documents, count };
}

/**
 * Names that mean the same in every shard. A shard with the maximum number of columns has merged its smaller sources
 * into the last one, and these differ from shard to shard: only names that all such shards have are kept.
 */
function columnsOf(shards: readonly Terms[]): string[] {
  const folding = shards.filter(({ sources }) => sources.length === SOURCES_MAX && sources.at(-1) === OTHER_SOURCE);
  const named = new Set(shards.flatMap(({ sources }) => sources));
  for (const { sources } of folding) {
    const own = new Set(sources);
    for (const name of named) if (!own.has(name)) named.delete(name);
  }
  if (folding.length > 0) named.add(OTHER_SOURCE);
  return [...named].sort();
}
