/**
 * I22, I23, for words and for a model's factors: a publisher is cut off between every two steps of a publication, one
 * place at a time, and returns, or never does. The previous version is served until the new one is, and nothing of the
 * interrupted publication remains.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { Layout } from '../../publishing/layout.js';
import { createModelReader } from '../../publishing/reading/models.js';
import type { Build } from '../../publishing/versions/versions.js';
import { systemClock } from '../../runtime/process/clock.js';
import { takeFaultPoints } from '../../runtime/process/fault-points.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import { modelBuild, readingFactors } from '../support/model-versions.js';
import { Events } from '../support/publishing.js';
import { heldToken, lastRelease, type Scene, scene } from '../support/stopword-versions.js';
import { realStores } from '../support/stores/real-stores.js';
import {
  Crash,
  crashAt,
  History,
  PUBLISH_POINTS,
  REAP_POINTS,
  readingWords,
  Witness,
  type WitnessedRead,
} from '../support/version-chaos.js';
import type { FaultPoint } from './harness/fault-points.js';

const WEEK_MS = 7 * 86_400_000;
const { database, online } = await realStores();
const isCrash = (error: unknown) => error instanceof Crash;
/** More than a page of rows, and of keys. */
const USERS = Array.from({ length: 1_200 }, (_, i) => `u${String(i).padStart(4, '0')}`);

interface Kind {
  readonly artefact: 'stopwords' | 'als';
  build(made: Scene, number: number, runId?: string): Promise<Build>;
  reading(made: Scene, keyPrefix: string): WitnessedRead;
  readonly tables: readonly string[];
  /** Prefixes of data in the online store, of all versions that are not current. */
  keyPrefixes(layout: Layout, version: number): readonly string[];
}

const KINDS: readonly Kind[] = [
  {
    artefact: 'stopwords',
    build: (made, number, runId) => made.build(number, runId),
    reading: (made) => readingWords(made.reader()),
    tables: ['stopwords'],
    keyPrefixes: () => [],
  },
  {
    artefact: 'als',
    build: (made, number, runId) => modelBuild(made.work, { number, users: USERS, ...(runId && { runId }) }),
    reading: ({ store }, keyPrefix) => readingFactors(createModelReader({ store, database, keyPrefix }), USERS),
    tables: ['als_user_factors', 'als_item_factors'],
    keyPrefixes: (layout, version) => [layout.factorsUserPrefix(version)],
  },
];

for (const [store, openStore, kind] of [...online].flatMap(([name, open]) =>
  KINDS.map((kind) => [name, open, kind] as const),
))
  describe(`a publisher of ${kind.artefact} with ${store} cut off at`, () => {
    const { artefact } = kind;
    const events = new Events();
    const ahead = { ms: 0 };
    const clock = { ...systemClock, now: () => Date.now() + ahead.ms };

    const open = async (t: TestContext) => {
      ahead.ms = 0;
      const keyPrefix = `steps${Math.random().toString(36).slice(2)}:`;
      const store = await openStore(t, keyPrefix);
      t.after(() => takeFaultPoints(null));
      const made = await scene(t, database, store, { clock, keyPrefix });
      const history = await History.record(database);
      const quiet = made.machine();
      await quiet.publish(await kind.build(made, 1), { epoch: 1 });
      const read = kind.reading(made, keyPrefix);
      return { made, quiet, read, witness: new Witness(read), history };
    };
    const everybodyFollows = async (made: Scene) => {
      const head = async () => {
        const [row] = await database.query<{ timeline: number; seq: number; current: number }>(
          'SELECT timeline, seq, current FROM version_heads',
        );
        return row!;
      };
      await events.until('followed', async () => compareTokens(await heldToken(made, artefact), await head()) === 0);
      await events.until('told', async () => compareTokens(await lastRelease(made.log, artefact), await head()) === 0);
      return (await head()).current;
    };
    const leftOf = async (made: Scene) => ({
      folders: (await readdir(join(made.root, 'artifacts', artefact))).sort(),
      keys: [...(await made.store.hgetall(made.layout.versionIndex(artefact))).keys()].sort(),
      rows: await Promise.all(
        kind.tables.map(async (table) => {
          const rows = await database.query<{ v: number }>(`SELECT DISTINCT version AS v FROM ${table} ORDER BY 1`);
          return rows.map(({ v }) => v);
        }),
      ),
      data: (
        await Promise.all(
          [1, 2, 3].map(async (version) => {
            const keys = kind.keyPrefixes(made.layout, version).map((prefix) => made.store.keys(prefix));
            return (await Promise.all(keys)).some((found) => found.length > 0) ? [version] : [];
          }),
        )
      ).flat(),
    });
    const only = (...versions: number[]) => ({
      folders: versions.map((version) => `v${version}`),
      keys: versions.map(String),
      rows: kind.tables.map(() => versions),
      data: versions.filter((version) => kind.keyPrefixes(new Layout(''), version).length > 0),
    });

    for (const point of PUBLISH_POINTS) {
      test(`${point} returns and continues with the same version`, async (t) => {
        const { made, read, witness, history } = await open(t);
        const build = await kind.build(made, 2, 'cut');
        takeFaultPoints(crashAt(point));
        await assert.rejects(made.machine().publish(build, { epoch: 2 }), isCrash);
        assert.deepEqual(await made.machine().publish(build, { epoch: 3 }), { version: 2, state: 'current' });
        assert.equal((await read(0)).version, 2);
        assert.equal(await everybodyFollows(made), 2);
        assert.deepEqual(await leftOf(made), only(1, 2));
        await witness.stop(await history.versions());
      });

      test(`${point} never returns`, async (t) => {
        const { made, quiet, read, witness, history } = await open(t);
        const build = await kind.build(made, 2, 'cut');
        takeFaultPoints(crashAt(point));
        await assert.rejects(made.machine().publish(build, { epoch: 2 }), isCrash);
        const isDecided = PUBLISH_POINTS.indexOf(point) >= PUBLISH_POINTS.indexOf('version.decided');
        const reconcilers = [made.machine(), made.machine()];
        for (const reconciler of reconcilers) await reconciler.start();
        assert.equal(await everybodyFollows(made), isDecided ? 2 : 1);
        assert.equal((await read(0)).version, isDecided ? 2 : 1);
        assert.deepEqual(await quiet.publish(await kind.build(made, 3), { epoch: 3 }), {
          version: 3,
          state: 'current',
        });
        ahead.ms = 61_000;
        await events.until('cleared up', async () => {
          const [row] = await database.query(
            "SELECT 1 AS one FROM versions WHERE state = 'staged' OR (state = 'failed' AND removed_at IS NULL)",
          );
          return row === undefined;
        });
        const isKept = PUBLISH_POINTS.indexOf(point) >= PUBLISH_POINTS.indexOf('version.verified');
        assert.deepEqual(await leftOf(made), isKept ? only(1, 2, 3) : only(1, 3));
        await witness.stop(await history.versions());
      });
    }

    for (const point of REAP_POINTS)
      test(`${point} is followed by another publisher that continues`, async (t) => {
        const { made, quiet, witness, history } = await open(t);
        for (const number of [2, 3]) await quiet.publish(await kind.build(made, number), { epoch: 1 });
        ahead.ms = WEEK_MS + 1_000;
        const met: unknown[] = [];
        const crash = crashAt(point);
        takeFaultPoints<FaultPoint>((passed, where) => {
          try {
            return crash(passed, where);
          } catch (error) {
            met.push(error);
            throw error;
          }
        });
        const machines = [made.machine(), made.machine()];
        for (const machine of machines) await machine.start();
        await events.until('removed', async () => {
          const [row] = await database.query(
            'SELECT 1 AS one FROM versions WHERE version = 1 AND removed_at IS NOT NULL',
          );
          return row !== undefined;
        });
        assert.equal(met.length, 1);
        assert.deepEqual(await leftOf(made), only(2, 3));
        await assert.rejects(quiet.rollback(artefact, { to: 1 }), /no longer kept/);
        assert.equal((await quiet.rollback(artefact)).current, 2);
        await witness.stop(await history.versions());
      });
  });
