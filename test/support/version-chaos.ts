/** Publishing under fire: crashes and pauses at fault points, a store that loses questions and answers, witnesses. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import type { FeatureReader } from '../../publishing/reading/reader.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { compareTokens, type SwitchToken } from '../../runtime/stores/switch-token.js';
import type { FaultHook, FaultPoint } from '../faults/harness/fault-points.js';
import type { Random } from './random.js';
import { buildOf, LANGUAGES, type Scene } from './stopword-versions.js';

/** Every place between two steps of a publication, in order. */
export const PUBLISH_POINTS = [
  ...['version.allocated', 'version.moved', 'version.rows_staged', 'version.keys_staged', 'version.verified'],
  ...['version.decided', 'version.store_asked', 'version.following', 'version.followed', 'version.released'],
] as const satisfies readonly FaultPoint[];
/** The same of a version that is kept no longer. */
export const REAP_POINTS = [
  ...['version.reaping', 'version.keys_removed', 'version.folder_removed'],
] as const satisfies readonly FaultPoint[];

/** The process is gone: no code of its own runs after this. */
export class Crash extends Error {}

/** Crashes once at a point, wherever it is passed. */
export function crashAt(point: FaultPoint): FaultHook {
  let left = 1;
  return (passed) => {
    if (passed === point && left-- > 0) throw new Crash(point);
  };
}

/** Crashes and holds up at random. */
export function storm(random: Random, shares: { crash: number; hold: number }, met: { crashes: number }): FaultHook {
  return async (point) => {
    if (!point.startsWith('version.')) return;
    const chance = random.unit();
    if (chance < shares.crash) {
      met.crashes++;
      throw new Crash(point);
    }
    if (chance < shares.crash + shares.hold) await pause(random.below(25));
  };
}

const LOSABLE = new Set<string | symbol>(['apply', 'switchVersion', 'heldVersion', 'open', 'discard', 'hgetall']);

/** The store behind a bad line: now and then a question is lost, or the answer to one that was carried out. */
export function lossy(store: OnlineStore, random: Random, share: number): OnlineStore {
  return new Proxy(store, {
    get(target, property) {
      const value = Reflect.get(target, property, target) as unknown;
      if (typeof value !== 'function') return value;
      if (!LOSABLE.has(property)) return value.bind(target) as unknown;
      return async (...parameters: unknown[]) => {
        const chance = random.unit();
        if (chance < share / 2) throw new FreshetError('connection', 'the question was lost');
        const answer = (await value.apply(target, parameters)) as unknown;
        if (chance < share) throw new FreshetError('connection', 'the answer was lost');
        return answer;
      };
    },
  });
}

/** Every decision there ever was, noted by Postgres itself. */
export class History {
  readonly #database: Database;

  private constructor(database: Database) {
    this.#database = database;
  }

  static async record(database: Database): Promise<History> {
    await database.execute(`
      CREATE TABLE IF NOT EXISTS decisions (id serial PRIMARY KEY, timeline bigint, seq bigint, current integer);
      TRUNCATE decisions;
      CREATE OR REPLACE FUNCTION note_decision() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO decisions (timeline, seq, current) VALUES (NEW.timeline, NEW.seq, NEW.current);
        RETURN NULL;
      END $$;
      DROP TRIGGER IF EXISTS note_decision ON version_heads;
      CREATE TRIGGER note_decision AFTER UPDATE ON version_heads FOR EACH ROW
        WHEN ((OLD.timeline, OLD.seq) IS DISTINCT FROM (NEW.timeline, NEW.seq)) EXECUTE FUNCTION note_decision()`);
    return new History(database);
  }

  async versions(): Promise<number[]> {
    const rows = await this.#database.query<{ current: number }>(
      'SELECT current FROM decisions ORDER BY timeline, seq',
    );
    return rows.map(({ current }) => current);
  }
}

/** One read: its version, and the build that all of it is of. Throws when it is of two, or only a part. */
export type WitnessedRead = (turn: number) => Promise<{ readonly version: number; readonly build: number }>;

/** The words of one language after the other. */
export function readingWords(reader: FeatureReader): WitnessedRead {
  return async (turn) => {
    const language = LANGUAGES[turn % LANGUAGES.length]!;
    const found = await reader.stopwords(language);
    assert.ok(found !== null, `${language} was not there`);
    return { version: found.version, build: buildOf(found.words) };
  };
}

/** Reads all the time until told to stop; whatever is wrong is thrown by `stop`. */
export class Witness {
  readonly #next: WitnessedRead;
  readonly #versions: number[] = [];
  readonly #running: Promise<void>;
  #isOver = false;
  /** The build that each version was seen with. */
  readonly builds = new Map<number, number>();
  reads = 0;

  constructor(read: WitnessedRead) {
    this.#next = read;
    this.#running = this.#read();
    this.#running.catch(() => undefined);
  }

  /** Fails when a read was mixed, found nothing, or went back behind a decision that it had seen. */
  async stop(history: readonly number[]): Promise<void> {
    this.#isOver = true;
    await this.#running;
    let at = 0;
    for (const version of this.#versions) {
      while (at < history.length && history[at] !== version) at++;
      assert.ok(at < history.length, `a reader went back to version ${version}: ${this.#versions.join(' ')}`);
    }
  }

  async #read(): Promise<void> {
    while (!this.#isOver) {
      const { version, build } = await this.#next(this.reads);
      assert.equal(this.builds.get(version) ?? build, build, `version ${version} was read as of another build`);
      this.builds.set(version, build);
      if (this.#versions.at(-1) !== version) this.#versions.push(version);
      this.reads++;
      await pause(1);
    }
  }
}

/** Watches pointer and token of the store itself. */
export async function watchTokens({ store, layout }: Scene, isOver: () => boolean): Promise<number> {
  let seen: SwitchToken | null = null;
  let switches = 0;
  while (!isOver()) {
    const { token } = await store.heldVersion(layout.versioned('stopwords'));
    assert.ok(compareTokens(token, seen) >= 0, `the token went back from ${seen?.seq} to ${token?.seq}`);
    if (compareTokens(token, seen) > 0) switches++;
    seen = token;
    await pause(1);
  }
  return switches;
}
