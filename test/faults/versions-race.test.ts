/**
 * I22, I23: eight publishers that crash and pause between every two steps, an operator who rolls back, pins and
 * promotes, two reconcilers, and connections to Redis that lose requests and answers. No reader ever sees a mixture,
 * nothing, or a decision older than one it has seen; in the end all have followed the last decision, and nothing
 * remains.
 */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Versions } from '../../publishing/versions/versions.js';
import { systemClock } from '../../runtime/process/clock.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { takeFaultPoints } from '../../runtime/process/fault-points.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import { Events } from '../support/publishing.js';
import { Random } from '../support/random.js';
import { startPostgres } from '../support/services/postgres.js';
import { startRedis } from '../support/services/redis.js';
import { buildOf, heldToken, LANGUAGES, lastRelease, scene } from '../support/stopword-versions.js';
import { Crash, History, lossy, readingWords, storm, Witness, watchTokens } from '../support/version-chaos.js';
import { isFull, report, seed } from './harness/report.js';

const PUBLISHERS = 8;
const PUBLICATIONS = isFull ? 600 : 120;
const READERS = 3;
const SHARES = { crash: 0.06, hold: 0.2 };
const LOST = 0.01;

test('a race of publishers, rollbacks and reconcilers', { timeout: 280_000 }, async (t) => {
  const redis = await startRedis();
  if (redis === null) return t.skip('no redis-server');
  t.after(() => redis.stop());
  const service = await startPostgres();
  t.after(() => service.stop());
  const database = await openPostgres({ url: service.url, connectionsMax: 24 }, silentLogger);
  t.after(() => database.close());
  const keyPrefix = `race${seed}:`;
  const store = await openRedis({ url: redis.url, keyPrefix }, silentLogger);
  t.after(() => store.close());
  const ahead = { ms: 0 };
  const clock = { ...systemClock, now: () => Date.now() + ahead.ms };
  const made = await scene(t, database, store, { clock, keyPrefix });
  const random = new Random(seed);
  const history = await History.record(database);

  // Never affected by a crash: the first version, and the readers' access to it.
  const quiet = made.machine();
  await quiet.publish(await made.build(1), { epoch: 1 });
  const buildOfRow = async (version: number) => {
    const rows = await database.query<{ run_id: string }>('SELECT run_id FROM versions WHERE version = $1', [version]);
    return Number(/^run-(\d+)-/.exec(rows[0]!.run_id)![1]);
  };

  const met = { crashes: 0 };
  takeFaultPoints(storm(random, SHARES, met));
  t.after(() => takeFaultPoints(null));
  const witnesses = Array.from({ length: READERS }, () => new Witness(readingWords(made.reader())));
  let isOver = false;
  const tokens = watchTokens(made, () => isOver);
  tokens.catch(() => undefined);
  const reconcilers = [made.machine({ store: lossy(store, random, LOST) }), made.machine()];
  for (const reconciler of reconcilers) await reconciler.start();

  let number = 1;
  let epoch = 1;
  const outcomes = new Map<string, number>();
  const count = (outcome: string) => outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  const attempt = async (work: () => Promise<unknown>): Promise<string> => {
    try {
      await work();
      return 'done';
    } catch (error) {
      if (error instanceof Crash) return 'crash';
      if (error instanceof FreshetError) return error.code;
      throw error;
    }
  };
  const publisher = async () => {
    while (number < PUBLICATIONS) {
      const mine = ++number;
      const build = await made.build(mine);
      const machine: Versions = made.machine({ store: lossy(store, random, LOST) });
      // A publisher that returns has a new lease; one in four does not return, and some are late with their old lease.
      for (let tries = 0, right = ++epoch; tries < 4; tries++) {
        const outcome = await attempt(() => machine.publish(build, { epoch: right }));
        count(outcome);
        if (outcome === 'done' || outcome === 'invalid_data' || random.unit() < 0.25) break;
        if (random.unit() < 0.7) right = ++epoch;
      }
      await machine.stop();
    }
  };
  const operator = async () => {
    const machine = made.machine({ store: lossy(store, random, LOST) });
    while (number < PUBLICATIONS) {
      await pause(10 + random.below(30));
      const dice = random.below(5);
      const outcome = await attempt(async () => {
        if (dice < 2) await machine.rollback('stopwords');
        else if (dice === 2) await machine.promote('stopwords');
        else if (dice === 3) await machine.pin('stopwords', (await machine.list('stopwords')).current);
        else await machine.pin('stopwords', null);
      });
      count(`operator ${outcome}`);
    }
    takeFaultPoints(null);
    await quiet.pin('stopwords', null);
  };
  await Promise.all([...Array.from({ length: PUBLISHERS }, publisher), operator()]);
  takeFaultPoints(null);

  const events = new Events();
  const headOf = async () => {
    const rows = await database.query<{ timeline: number; seq: number; current: number }>(
      'SELECT * FROM version_heads',
    );
    return rows[0]!;
  };
  await events.until('the store has followed', async () => compareTokens(await heldToken(made), await headOf()) === 0);
  await events.until('the topic has it', async () => compareTokens(await lastRelease(made.log), await headOf()) === 0);
  const { current, timeline } = await headOf();
  assert.equal(timeline, 1, 'a switch in progress must not be mistaken for a restored database');
  const reader = made.reader();
  for (const language of LANGUAGES) {
    const found = await reader.stopwords(language);
    assert.equal(found?.version, current);
    assert.equal(buildOf(found!.words), await buildOfRow(current));
  }

  // A last publication with the highest lease: whatever died before it is abandoned, and leaves nothing behind.
  await quiet.publish(await made.build(number + 1, `run-${number + 1}-last`), { epoch: ++epoch });
  ahead.ms = 61_000;
  await events.until('nothing is staged', async () => {
    const left = await database.query(
      "SELECT 1 AS one FROM versions WHERE state = 'staged' OR (state = 'failed' AND removed_at IS NULL)",
    );
    return left.length === 0;
  });
  const good = new Set(
    (await quiet.list('stopwords')).versions.filter(({ state }) => state !== 'failed').map(({ version }) => version),
  );
  const isGood = (version: number) => good.has(version);
  await events.until('nothing is left', async () => {
    const folders = await readdir(join(made.root, 'artifacts', 'stopwords'));
    const index = await store.hgetall(made.layout.versionIndex('stopwords'));
    return folders.every((name) => isGood(Number(name.slice(1)))) && [...index.keys()].map(Number).every(isGood);
  });
  const rows = await database.query<{ version: number }>('SELECT DISTINCT version FROM stopwords');
  assert.ok(rows.every(({ version }) => isGood(version)));

  isOver = true;
  const switches = await tokens;
  const decided = await history.versions();
  for (const witness of witnesses) {
    await witness.stop(decided);
    for (const [version, build] of witness.builds) assert.equal(build, await buildOfRow(version));
  }
  const reads = witnesses.reduce((sum, witness) => sum + witness.reads, 0);
  assert.ok(met.crashes > PUBLICATIONS / 4 && decided.length > PUBLICATIONS / 4 && reads > 100);
  console.log(
    JSON.stringify({ publications: number, decided: decided.length, switches, reads, ...Object.fromEntries(outcomes) }),
  );
  report('versions-race', {
    faults: met.crashes,
    kills: 0,
    verdict: { events: reads, counted: reads, lost: 0, double: 0, wrong: 0, words: [] },
  });
});
