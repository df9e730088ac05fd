/** Runs one piece of work at a time, in the order of the calls. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` after all earlier work has settled. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#last.then(work, work);
    this.#last = running.catch(() => undefined);
    return running;
  }

  /** Resolves when all work so far has settled. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
