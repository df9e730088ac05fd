/** A progress line on the terminal for work that takes longer than a second; silent if there is no terminal. */
import type { Terminal } from './shell.js';

const FIRST_MS = 1_000;
const EVERY_MS = 200;

export class ProgressLine {
  readonly #stream: Terminal['errors'];
  readonly #what: string;
  readonly #now: () => number;
  readonly #startedAt: number;
  #nextAt: number;
  #count = 0;
  #shown = false;

  /** `what` is counted: "records". `now` returns ms. */
  constructor(stream: Terminal['errors'], what: string, now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#what = what;
    this.#now = now;
    this.#startedAt = now();
    this.#nextAt = this.#startedAt + FIRST_MS;
  }

  add(count: number): void {
    this.#count += count;
    if (!this.#stream.isTTY) return;
    const now = this.#now();
    if (now < this.#nextAt) return;
    this.#nextAt = now + EVERY_MS;
    this.#shown = true;
    const perSecond = (this.#count * 1000) / (now - this.#startedAt);
    this.#stream.write(`\r\x1b[K${format(this.#count)} ${this.#what}, ${format(perSecond)}/s`);
  }

  /** Removes the line; the summary follows. */
  end(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K');
    this.#shown = false;
  }

  /** Rate since the start, per second. */
  rate(): number {
    return (this.#count * 1000) / Math.max(1, this.#now() - this.#startedAt);
  }
}

/** Like ProgressLine, for work in several steps: shows the step and its progress. */
export class Steps {
  readonly #stream: Terminal['errors'];
  readonly #now: () => number;
  #nextAt: number;
  #shown = false;

  /** `now` returns ms. */
  constructor(stream: Terminal['errors'], now: () => number = () => performance.now()) {
    this.#stream = stream;
    this.#now = now;
    this.#nextAt = now() + FIRST_MS;
  }

  /** `total` null: unknown. */
  at(step: string, done: number, total: number | null): void {
    if (!this.#stream.isTTY) return;
    const now = this.#now();
    if (now < this.#nextAt) return;
    this.#nextAt = now + EVERY_MS;
    this.#shown = true;
    const share = total === null || total === 0 ? '' : ` (${Math.floor((100 * done) / total)} %)`;
    const of = total === null ? '' : ` of ${format(total)}`;
    this.#stream.write(`\r\x1b[K${step}${done === 0 && total === null ? '' : `: ${format(done)}${of}${share}`}`);
  }

  /** Removes the line. */
  end(): void {
    if (this.#shown) this.#stream.write('\r\x1b[K');
    this.#shown = false;
  }
}

/** Whole, with thousands separators. */
export function format(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}
