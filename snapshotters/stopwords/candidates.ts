/**
 * How many terms of a shard are worth keeping. Of a language, the K most frequent terms are looked at: four for every
 * word that may be published, because frequency alone does not make the order, and 12,000 at least, because a word's
 * share is one of all that are looked at: a shorter list has the same confidences. Terms fall into the 256 shards by a hash,
 * so how many of the K lie in one shard is binomial, and its upper tail lies below that of a Poisson distribution of mean
 * λ = K/256. The bound b is the smallest with 256·P(Poisson(λ) > b) ≤ 10⁻⁶ (union bound over the shards): in one of a
 * million languages a shard holds more of the K, and then the least frequent few of them are missed. For K = 12,000
 * λ is 46.9 and b 91: 23,296 terms at the most per language, however many it has.
 */
import { SHARDS } from '../../processors/corpus/shards.js';

const CANDIDATES_PER_WORD = 4;
const CANDIDATES_MIN = 12_000;
const MISSED_MAX = 1e-6;

/** Terms of a language that are looked at, for so many words published at the most. */
export function candidatesMax(wordsMax: number): number {
  return Math.max(CANDIDATES_MIN, CANDIDATES_PER_WORD * wordsMax);
}

/** Terms to keep of every shard so that the `candidates` most frequent ones of the language are among them. */
export function candidatesPerShard(candidates: number): number {
  const mean = candidates / SHARDS;
  let probability = Math.exp(-mean);
  let tail = 1 - probability;
  let bound = 0;
  while (SHARDS * tail > MISSED_MAX) {
    bound++;
    probability *= mean / bound;
    tail -= probability;
  }
  return bound;
}
