/**
 * Stopwords for readers: version and words in one atomic step, from the online store or, if it lacks them, from
 * Postgres in one statement. A reader never goes back to an older switch than one it has seen: a store restored from an
 * older copy is skipped until it has caught up.
 */
import { FreshetError, isTransient } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { compareTokens, type SwitchToken } from '../../runtime/stores/switch-token.js';
import type { PartRead } from '../../runtime/stores/versioned-keys.js';
import { encodeId, type Layout } from '../layout.js';
import { PIN_SETTINGS, type Pinned } from '../versions/pins.js';

/** All words of one language in one version; confidence 0..1. */
export interface StopwordList {
  readonly version: number;
  readonly language: string;
  /** Highest confidence first. */
  readonly words: Readonly<Record<string, number>>;
}

interface StopwordReaderOptions {
  readonly store: OnlineStore;
  readonly database: Queryable;
  readonly pinned?: Pinned;
}

export class StopwordReader {
  readonly #store: OnlineStore;
  readonly #database: Queryable;
  readonly #pinned: number | null;
  readonly #keys: ReturnType<Layout['versioned']>;
  /** Token of the newest switch that an answer came from. */
  #seen: SwitchToken | null = null;

  constructor(options: StopwordReaderOptions, layout: Layout) {
    this.#store = options.store;
    this.#database = options.database;
    this.#pinned = options.pinned?.stopwords ?? null;
    this.#keys = layout.versioned('stopwords');
  }

  /**
   * Null: the version has no such language. Errors: FreshetError 'unavailable' if nothing is published or the pinned
   * version does not exist; those of Postgres if it has to answer.
   */
  async read(language: string): Promise<StopwordList | null> {
    const online = await this.#online(language);
    if (online !== null) return online.found === 'no_part' ? null : listOf(online.version!, language, online.fields);
    const rows = await this.#query(language);
    const version = rows[0]!.version;
    const words = rows.flatMap(({ word, confidence }): [string, number][] =>
      word === null ? [] : [[word, confidence!]],
    );
    return words.length === 0 ? null : listOf(version, language, words);
  }

  /** In order; empty if nothing is published. */
  async languages(): Promise<string[]> {
    const rows = await this.#database.query<{ language: string }>(LANGUAGES, [this.#pinned]);
    return rows.map(({ language }) => language).sort();
  }

  /** Null if the online store cannot answer, or not yet. */
  async #online(language: string): Promise<PartRead | null> {
    let read: PartRead;
    try {
      read = await this.#store.readPart(this.#keys, this.#pinned, encodeId(language));
    } catch (error) {
      if (!isTransient(error)) throw error;
      return null;
    }
    if (read.found === 'absent') return null;
    if (this.#pinned !== null) return read;
    if (compareTokens(read.token, this.#seen) < 0) return null;
    this.#seen = read.token;
    return read;
  }

  async #query(language: string): Promise<Row[]> {
    const seen = this.#seen;
    const rows = await this.#database.query<Row>(READ, [language, this.#pinned]);
    const [first] = rows;
    if (first === undefined) throw this.#missing();
    // Older than what was seen before this read: only a Postgres restored from an older copy, until its timeline is
    // raised; then Postgres decides.
    const isOlder = compareTokens(first, seen) < 0;
    if (this.#pinned === null && (isOlder || compareTokens(first, this.#seen) > 0))
      this.#seen = { timeline: first.timeline, seq: first.seq };
    return rows;
  }

  #missing(): FreshetError {
    if (this.#pinned === null)
      return new FreshetError(
        'unavailable',
        'No stopwords are published yet: "freshet snapshot stopwords" builds them.',
      );
    return new FreshetError(
      'unavailable',
      `${PIN_SETTINGS.stopwords} is ${this.#pinned}: there is no such version, or it is no longer kept. ` +
        '"freshet versions list stopwords" lists the available ones.',
    );
  }
}

interface Row {
  readonly version: number;
  readonly timeline: number;
  readonly seq: number;
  readonly word: string | null;
  readonly confidence: number | null;
}

function listOf(version: number, language: string, fields: Iterable<readonly [string, string | number]>): StopwordList {
  const words = [...fields].map(([word, confidence]): [string, number] => [word, Number(confidence)]);
  words.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return { version, language, words: Object.fromEntries(words) };
}

/** The requested version: the pinned one if it can be read, otherwise the current one. */
const CHOSEN = (parameter: number) => `
SELECT v.version, h.timeline, h.seq FROM version_heads h
JOIN versions v ON v.artefact = h.artefact AND v.version = coalesce($${parameter}::integer, h.current)
WHERE h.artefact = 'stopwords' AND v.state IN ('verified', 'current', 'retired') AND v.reaped_at IS NULL`;

/** One statement sees one point in time. */
const READ = `
WITH chosen AS (${CHOSEN(2)})
SELECT c.version, c.timeline, c.seq, s.word, s.confidence FROM chosen c
LEFT JOIN stopwords s ON s.version = c.version AND s.language = $1`;

/** From one language to the next by the index: a version has many more words than languages. */
const LANGUAGES = `
WITH RECURSIVE chosen AS (${CHOSEN(1)}), found AS (
  (SELECT language FROM stopwords WHERE version = (SELECT version FROM chosen) ORDER BY language LIMIT 1)
  UNION ALL
  SELECT (SELECT s.language FROM stopwords s WHERE s.version = (SELECT version FROM chosen)
          AND s.language > found.language ORDER BY s.language LIMIT 1)
  FROM found WHERE found.language IS NOT NULL
)
SELECT language FROM found WHERE language IS NOT NULL`;
