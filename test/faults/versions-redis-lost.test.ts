/**
 * I22, I23: Redis is emptied, and restored from an older copy of its disk, while versions are read and published.
 * Readers continue with the state of Postgres and never go back, and Redis ends with the current version and the
 * previous one.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { isTransient } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { compareTokens } from '../../runtime/stores/switch-token.js';
import { checksumKey } from '../../runtime/stores/versioned-keys.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import { buildOf, heldToken, LANGUAGES, scene } from '../support/stopword-versions.js';
import { OwnRedis } from '../support/stores/own-redis.js';
import { History, readingWords, Witness } from '../support/version-chaos.js';

for (const fault of ['emptied', 'restored from an older copy'] as const)
  test(`a Redis that is ${fault}`, { timeout: 60_000 }, async (t) => {
    const redis = await OwnRedis.open();
    if (redis === null) return t.skip('no redis-server');
    t.after(() => redis.close());
    const service = await startPostgres();
    t.after(() => service.stop());
    const database = await openPostgres({ url: service.url, connectionsMax: 16 }, silentLogger);
    t.after(() => database.close());
    const store = await openRedis({ ...redis.options, keyPrefix: 'lost:' }, silentLogger);
    t.after(() => store.close());
    const made = await scene(t, database, store, { keyPrefix: 'lost:' });
    const history = await History.record(database);
    const versions = made.machine();
    await versions.publish(await made.build(1), { epoch: 1 });
    await versions.publish(await made.build(2), { epoch: 1 });
    const copy = fault === 'emptied' ? null : await redis.copyData();
    await versions.publish(await made.build(3), { epoch: 1 });
    await versions.publish(await made.build(4), { epoch: 1 });
    const witnesses = [1, 2, 3].map(() => new Witness(readingWords(made.reader())));
    const events = new Events();
    await events.until('everyone reads', () => witnesses.every(({ reads }) => reads > 5));
    for (const machine of [made.machine(), made.machine()]) await machine.start();

    if (copy === null) await redis.command('FLUSHALL');
    else {
      await redis.kill();
      await redis.putBack(copy);
      await redis.start();
    }
    const before = witnesses.map(({ reads }) => reads);
    const build = await made.build(5);
    const published = (async () => {
      // The same run, as often as it hits the time without Redis.
      for (;;) {
        try {
          return await versions.publish(build, { epoch: 1 });
        } catch (error) {
          if (!isTransient(error)) throw error;
          await pause(20);
        }
      }
    })();
    await events.until('reads go on', () => witnesses.every(({ reads }, i) => reads > before[i]! + 20));
    assert.deepEqual(await published, { version: 5, state: 'current' });
    const keys = made.layout.versioned('stopwords');
    await events.until('followed', async () => {
      const [head] = await database.query<{ timeline: number; seq: number }>('SELECT timeline, seq FROM version_heads');
      return compareTokens(await heldToken(made).catch(() => null), head!) === 0;
    });
    assert.equal((await store.heldVersion(keys)).version, 5);
    await events.until('the previous one too', async () => (await store.get(checksumKey(keys, 4))) !== null);
    for (const language of LANGUAGES) {
      const part = await store.readPart(keys, null, language);
      assert.equal(part.found, 'whole');
      const words = [...part.fields].map(([word, text]) => [word, Number(text)]);
      assert.equal(buildOf(Object.fromEntries(words)), 5);
    }
    assert.equal((await heldToken(made))?.timeline, 1, 'Postgres has lost nothing');
    const decided = await history.versions();
    for (const witness of witnesses) await witness.stop(decided);
  });
