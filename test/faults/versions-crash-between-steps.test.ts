/**
 * I22, I23: a publisher is cut off between every two steps of a publication, one place after the other, and comes back,
 * or never does. The version before is served until the new one is, and nothing of what was cut off stays.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { systemClock } from '../../runtime/clock.js';
import { takeFaultPoints } from '../../runtime/fault-points.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import { Events } from '../support/publishing.js';
import { heldToken, lastRelease, type Scene, scene } from '../support/stopword-versions.js';
import { realStores } from '../support/stores/real-stores.js';
import { Crash, crashAt, History, PUBLISH_POINTS, REAP_POINTS, Witness } from '../support/version-chaos.js';

const WEEK_MS = 7 * 86_400_000;
const { database, online } = await realStores();
const isCrash = (error: unknown) => error instanceof Crash;

for (const [kind, openStore] of online)
  describe(`a publisher with ${kind} cut off at`, () => {
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
      await quiet.publish(await made.build(1), { epoch: 1 });
      return { made, quiet, witness: new Witness(made.reader()), history };
    };
    const everybodyFollows = async (made: Scene) => {
      const head = async () => {
        const [row] = await database.query<{ timeline: number; seq: number; current: number }>(
          'SELECT timeline, seq, current FROM version_heads',
        );
        return row!;
      };
      await events.until('followed', async () => compareTokens(await heldToken(made), await head()) === 0);
      await events.until('told', async () => compareTokens(await lastRelease(made.log), await head()) === 0);
      return (await head()).current;
    };
    const leftOf = async (made: Scene) => ({
      folders: (await readdir(join(made.root, 'artifacts', 'stopwords'))).sort(),
      keys: [...(await made.store.hgetall(made.layout.versionIndex('stopwords'))).keys()].sort(),
      rows: (await database.query<{ v: number }>('SELECT DISTINCT version AS v FROM stopwords ORDER BY 1')).map(
        ({ v }) => v,
      ),
    });

    for (const point of PUBLISH_POINTS) {
      test(`${point} comes back and goes on with the same version`, async (t) => {
        const { made, witness, history } = await open(t);
        const build = await made.build(2, 'cut');
        takeFaultPoints(crashAt(point));
        await assert.rejects(made.machine().publish(build, { epoch: 2 }), isCrash);
        assert.deepEqual(await made.machine().publish(build, { epoch: 3 }), { version: 2, state: 'current' });
        assert.equal((await made.reader().stopwords('de'))?.version, 2);
        assert.equal(await everybodyFollows(made), 2);
        assert.deepEqual(await leftOf(made), { folders: ['v1', 'v2'], keys: ['1', '2'], rows: [1, 2] });
        await witness.stop(await history.versions());
      });

      test(`${point} never comes back`, async (t) => {
        const { made, quiet, witness, history } = await open(t);
        takeFaultPoints(crashAt(point));
        await assert.rejects(made.machine().publish(await made.build(2, 'cut'), { epoch: 2 }), isCrash);
        const isDecided = PUBLISH_POINTS.indexOf(point) >= PUBLISH_POINTS.indexOf('version.decided');
        const reconcilers = [made.machine(), made.machine()];
        for (const reconciler of reconcilers) await reconciler.start();
        assert.equal(await everybodyFollows(made), isDecided ? 2 : 1);
        assert.equal((await made.reader().stopwords('de'))?.version, isDecided ? 2 : 1);
        assert.deepEqual(await quiet.publish(await made.build(3), { epoch: 3 }), { version: 3, state: 'current' });
        ahead.ms = 61_000;
        await events.until('cleared up', async () => {
          const [row] = await database.query(
            "SELECT 1 AS one FROM versions WHERE state = 'staged' OR (state = 'failed' AND removed_at IS NULL)",
          );
          return row === undefined;
        });
        const isKept = PUBLISH_POINTS.indexOf(point) >= PUBLISH_POINTS.indexOf('version.verified');
        const kept = isKept ? [1, 2, 3] : [1, 3];
        assert.deepEqual(await leftOf(made), {
          folders: kept.map((version) => `v${version}`),
          keys: kept.map(String),
          rows: kept,
        });
        await witness.stop(await history.versions());
      });
    }

    for (const point of REAP_POINTS)
      test(`${point} is followed by somebody who goes on`, async (t) => {
        const { made, quiet, witness, history } = await open(t);
        for (const number of [2, 3]) await quiet.publish(await made.build(number), { epoch: 1 });
        ahead.ms = WEEK_MS + 1_000;
        const met: unknown[] = [];
        const crash = crashAt(point);
        takeFaultPoints((passed, where) => {
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
        assert.deepEqual(await leftOf(made), { folders: ['v2', 'v3'], keys: ['2', '3'], rows: [2, 3] });
        await assert.rejects(quiet.rollback('stopwords', { to: 1 }), /kept no longer/);
        assert.equal((await quiet.rollback('stopwords')).current, 2);
        await witness.stop(await history.versions());
      });
  });
