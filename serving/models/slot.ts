/**
 * The version that requests are answered from, and its end: the next one takes its place between two requests, and the
 * one before is closed when the last request that took it has let it go. No request waits for either.
 */
export interface Closable {
  close(): Promise<void>;
}

interface Held<T> {
  readonly version: number;
  readonly model: T;
}

/** Taken for one request; to be released once, whatever becomes of it. */
export interface Lease<T> extends Held<T> {
  release(): void;
}

interface Entry<T> extends Held<T> {
  users: number;
}

export class Slot<T extends Closable> {
  #entry: Entry<T> | null = null;
  readonly #retired = new Set<Entry<T>>();
  readonly #closing = new Set<Promise<void>>();
  readonly #onError: (error: unknown) => void;

  /** `onError`: told when a version that nobody needs any more could not be closed. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get version(): number | null {
    return this.#entry?.version ?? null;
  }

  /** Null: there is none yet. */
  take(): Lease<T> | null {
    const entry = this.#entry;
    if (entry === null) return null;
    entry.users++;
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      entry.users--;
      if (this.#retired.has(entry) && entry.users === 0) this.#end(entry);
    };
    return { version: entry.version, model: entry.model, release };
  }

  /** From now on requests get this one. */
  put(version: number, model: T): void {
    this.#retire();
    this.#entry = { version, model, users: 0 };
  }

  /** Ends all of them, also those that are in use. */
  async close(): Promise<void> {
    this.#retire();
    for (const entry of [...this.#retired]) this.#end(entry);
    await Promise.all(this.#closing);
  }

  #retire(): void {
    const entry = this.#entry;
    this.#entry = null;
    if (entry === null) return;
    this.#retired.add(entry);
    if (entry.users === 0) this.#end(entry);
  }

  #end(entry: Entry<T>): void {
    this.#retired.delete(entry);
    const closing = entry.model.close().catch(this.#onError);
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }
}
