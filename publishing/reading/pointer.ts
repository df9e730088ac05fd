/**
 * Which version of an artefact is current, for readers that then read only that one: from the online store, or from
 * Postgres if it does not know. A reader never goes back to an older switch than one it has seen: a store restored from
 * an older copy is skipped until it has caught up.
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

  /** Null before the first publication. Errors: those of Postgres if it has to answer. */
  async version(): Promise<number | null> {
    if (this.#pinned !== null) return this.#pinned;
    const online = await this.#online();
    if (online !== null) return online;
    const head = await readHead(this.#database, this.#artefact);
    // Only a Postgres restored from an older copy is behind what was seen, until its timeline is raised; it decides.
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
