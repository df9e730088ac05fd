/**
 * How many terms of a shard to keep. The K most frequent terms of a language are considered: four per word that may be
 * published, because frequency alone does not determine the order, and at least 12,000, because a word's share is
 * relative to all considered terms: a shorter list has the same confidences. A hash distributes terms over the 256
 * shards, so the number of the K in one shard is binomial, and its upper tail is below that of a Poisson distribution
 * of mean λ = K/256. The bound b is the smallest with 256·P(Poisson(λ) > b) ≤ 10⁻⁶ (union bound over the shards): in
 * one of a million languages a shard has more of the K, and the least frequent few of them are missed. For K = 12,000,
 * λ is 46.9 and b is 91: at most 23,296 terms per language, however many it has.
 */
import { SHARDS } from '../../processors/corpus/shards.js';

const CANDIDATES_PER_WORD = 4;
const CANDIDATES_MIN = 12_000;
const MISSED_MAX = 1e-6;

/** Terms of a language to consider if at most this many words are published. */
export function candidatesMax(wordsMax: number): number {
  return Math.max(CANDIDATES_MIN, CANDIDATES_PER_WORD * wordsMax);
}

/** Terms to keep of every shard so that the language's `candidates` most frequent ones are among them. */
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
