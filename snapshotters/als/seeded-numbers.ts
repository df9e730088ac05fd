/** Seeded numbers: sfc32 (Chris Doty-Humphrey's small fast counter), the same on every machine. */
export class SeededNumbers {
  #a: number;
  #b = 0;
  #c = 0;
  #counter = 1;

  /** `seed`: 0 to 2^32 − 1. */
  constructor(seed: number) {
    this.#a = seed | 0;
    for (let i = 0; i < 15; i++) this.unit();
  }

  /** 0 ≤ x < 1, 32 bits of it. */
  unit(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (this.#c << 21) | (this.#c >>> 11);
    this.#c = (this.#c + sum) | 0;
    return (sum >>> 0) / 2 ** 32;
  }
}
