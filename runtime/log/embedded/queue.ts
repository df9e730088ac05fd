/** One thing at a time, in the order of asking. */
export class SerialQueue {
  #last: Promise<unknown> = Promise.resolve();

  /** Runs `work` once everything asked for before has settled. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const running = this.#last.then(work, work);
    this.#last = running.catch(() => undefined);
    return running;
  }

  /** Resolves when everything asked for so far has settled. */
  async idle(): Promise<void> {
    await this.#last;
  }
}
