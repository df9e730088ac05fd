declare module 'snowball-stemmers' {
  /** Throws for an unknown algorithm. */
  export function newStemmer(algorithm: string): { stem(word: string): string };
}
