/**
 * Which version of an artefact is current, for readers that then ask for that one only: from the online store, or from
 * Postgres where it cannot say. A reader never goes back to an older switch than one it has seen: a store that was put
 * back to an older copy is passed over until it has followed again.
 */
import { isTransient } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { compareTokens, type SwitchToken } from '../../runtime/stores/switch-token.js';
import type { VersionedKeys } from '../../runtime/stores/versioned-keys.js';
import type { Artefact, Layout } from '../layout.js';
import { readHead } from '../versions/heads.js';

export class Pointer {
  readonly #artefact: Artefact;
  readonly #store: OnlineStore;
  readonly #database: Queryable;
  readonly #pinned: number | null;
  readonly #keys: VersionedKeys;
  #seen: SwitchToken | null = null;

  /** `pinned`: the version to read instead; null: the current one. */
  constructor(artefact: Artefact, store: OnlineStore, database: Queryable, layout: Layout, pinned: number | null) {
    this.#artefact = artefact;
    this.#store = store;
    this.#database = database;
    this.#pinned = pinned;
    this.#keys = layout.versioned(artefact);
  }

  /** Null before the first publication. Errors: those of Postgres where it has to answer. */
  async version(): Promise<number | null> {
    if (this.#pinned !== null) return this.#pinned;
    const online = await this.#online();
    if (online !== null) return online;
    const head = await readHead(this.#database, this.#artefact);
    // Behind what was seen is only a Postgres put back to an older copy, until its timeline is raised; it has the last word.
    if (head !== null && head.current !== null) this.#seen = { timeline: head.timeline, seq: head.seq };
    return head?.current ?? null;
  }

  async #online(): Promise<number | null> {
    try {
      const { version, token } = await this.#store.heldVersion(this.#keys);
      if (version === null || token === null || compareTokens(token, this.#seen) < 0) return null;
      this.#seen = token;
      return version;
    } catch (error) {
      if (!isTransient(error)) throw error;
      return null;
    }
  }
}
