/**
 * The version that answers requests. The next one replaces it between two requests, and the old one is closed when the
 * last request that uses it has released it. No request waits for either.
 */
export interface Closable {
  close(): Promise<void>;
}

interface Held<T> {
  readonly version: number;
  readonly model: T;
}

/** Taken for one request; must be released once, whatever happens to the request. */
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

  /** `onError`: called when a version that is no longer used could not be closed. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  get version(): number | null {
    return this.#entry?.version ?? null;
  }

  /** Null if there is none yet. */
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

  /** From now on requests get this version. */
  put(version: number, model: T): void {
    this.#retire();
    this.#entry = { version, model, users: 0 };
  }

  /** Closes all versions, including those in use. */
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
