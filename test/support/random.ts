/** Seeded random numbers for generators: the same seed gives the same run on every machine. */

/** sfc32 (Chris Doty-Humphrey's small fast counter), 32 bits at a time. */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed: number) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / 4_294_967_296) | 0;
    for (let i = 0; i < 15; i++) this.uint32();
  }

  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return sum >>> 0;
  }

  /** 0 ≤ x < 1, 32 bits of it. */
  unit(): number {
    return this.uint32() / 4_294_967_296;
  }

  /** An integer 0 ≤ i < below; `below` ≤ 2^32. */
  below(below: number): number {
    return Math.floor(this.unit() * below);
  }
}

/**
 * Draws 0 .. n−1 with probability ∝ 1/(i+1)^exponent in constant time.
 * Source: M. D. Vose, "A linear algorithm for generating random numbers with a given distribution", 1991.
 */
export class Zipf {
  readonly #threshold: Float64Array;
  readonly #alias: Uint32Array;

  constructor(n: number, exponent: number) {
    const scaled = new Float64Array(n);
    let total = 0;
    for (let i = 0; i < n; i++) total += scaled[i] = (i + 1) ** -exponent;
    const small: number[] = [];
    const large: number[] = [];
    for (let i = 0; i < n; i++) {
      scaled[i] = (scaled[i]! * n) / total;
      (scaled[i]! < 1 ? small : large).push(i);
    }
    this.#threshold = new Float64Array(n).fill(1);
    this.#alias = Uint32Array.from({ length: n }, (_, i) => i);
    while (small.length > 0 && large.length > 0) {
      const less = small.pop()!;
      const more = large.pop()!;
      this.#threshold[less] = scaled[less]!;
      this.#alias[less] = more;
      scaled[more] = scaled[more]! - (1 - scaled[less]!);
      (scaled[more]! < 1 ? small : large).push(more);
    }
  }

  draw(random: Random): number {
    const i = random.below(this.#threshold.length);
    return random.unit() < this.#threshold[i]! ? i : this.#alias[i]!;
  }
}
