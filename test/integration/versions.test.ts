/** Publishing versions of stopwords on a real Postgres, with Redis if available and with the local store. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { appendFile, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { systemClock } from '../../runtime/process/clock.js';
import { FreshetError, hasCode } from '../../runtime/process/errors.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { Events } from '../support/publishing.js';
import {
  buildOf,
  emptyStore,
  heldToken,
  LANGUAGES,
  lastRelease,
  type Scene,
  SOMETIMES,
  scene,
  writeBuild,
  writeRelease,
} from '../support/stopword-versions.js';
import { realStores } from '../support/stores/real-stores.js';

const DAY_MS = 86_400_000;
const { database, online } = await realStores();

const read = async (made: Scene, language: string = LANGUAGES[0]) => {
  const found = await made.reader().stopwords(language);
  return found === null ? null : { version: found.version, build: buildOf(found.words) };
};
const withCode = (code: FreshetError['code'], sentence: RegExp) => (error: unknown) => {
  assert.ok(hasCode(error, code), String(error));
  assert.match((error as FreshetError).message, sentence);
  return true;
};

for (const [kind, openStore] of online)
  describe(`versions of stopwords in Postgres and ${kind}`, () => {
    const events = new Events();
    const now = { ms: Date.UTC(2026, 0, 2) };
    const clock = { ...systemClock, now: () => now.ms };
    const set = async (t: TestContext) => {
      const keyPrefix = `v${randomBytes(4).toString('hex')}:`;
      return scene(t, database, await openStore(t, keyPrefix), { clock, keyPrefix });
    };

    test('I22: the first is current at once; a later one replaces it, with all its languages and no others', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await assert.rejects(made.reader().stopwords('de'), withCode('unavailable', /No stopwords are published yet/));
      assert.deepEqual(await made.reader().stopwordLanguages(), []);
      assert.deepEqual(await versions.publish(await made.build(1), { epoch: 1 }), { version: 1, state: 'current' });
      for (const language of [...LANGUAGES, SOMETIMES])
        assert.deepEqual(await read(made, language), { version: 1, build: 1 });
      assert.equal(await read(made, 'xx'), null);
      assert.deepEqual(await versions.publish(await made.build(2), { epoch: 1 }), { version: 2, state: 'current' });
      for (const language of LANGUAGES) assert.deepEqual(await read(made, language), { version: 2, build: 2 });
      assert.equal(await read(made, SOMETIMES), null);
      assert.deepEqual(await made.reader().stopwordLanguages(), [...LANGUAGES]);
      // Under the names that others use, without a word of the previous version.
      const { layout, store } = made;
      const prefix = layout.versioned('stopwords').plain!.prefix;
      assert.equal(buildOf(numbers(await store.hgetall(`${prefix}de`))), 2);
      assert.equal((await store.hgetall(`${prefix}${SOMETIMES}`)).size, 0);
      assert.equal(buildOf(numbers(await store.hgetall(`${prefix}v1:${SOMETIMES}`))), 1);
      const list = await versions.list('stopwords');
      assert.deepEqual([list.current, list.pinned, list.candidate, list.share], [2, null, null, 0]);
      assert.deepEqual(
        list.versions.map(({ version, state, reaped }) => [version, state, reaped]),
        [
          [2, 'current', false],
          [1, 'retired', false],
        ],
      );
      assert.equal(list.versions[0]?.manifest.artefact, 'stopwords');
      const release = await lastRelease(made.log);
      assert.deepEqual([release?.timeline, release?.seq, release?.current, release?.topics], [1, 2, 2, []]);
      assert.deepEqual(await heldToken(made), { timeline: 1, seq: 2 });
    });

    test('a run published again returns the same version', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const build = await made.build(1, 'again');
      const first = await versions.publish(build, { epoch: 1 });
      assert.deepEqual(await versions.publish(build, { epoch: 2 }), first);
      assert.equal((await versions.list('stopwords')).versions.length, 1);
      await versions.publish(await made.build(2), { epoch: 2 });
      assert.deepEqual(await versions.publish(build, { epoch: 2 }), { version: first.version, state: 'retired' });
      assert.equal((await read(made))?.build, 2, 'it is not current again');
    });

    test('a rollback, a promotion and a rollback again move no data', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await assert.rejects(versions.rollback('stopwords'), withCode('state', /no earlier version/));
      await versions.publish(await made.build(1), { epoch: 1 });
      await assert.rejects(versions.rollback('stopwords'), withCode('state', /no earlier version/));
      await versions.publish(await made.build(2), { epoch: 1 });
      const back = await versions.rollback('stopwords', { reason: 'too few words' });
      assert.equal(back.current, 1);
      assert.equal(back.versions[0]?.reason, 'too few words');
      for (const language of [...LANGUAGES, SOMETIMES]) assert.equal((await read(made, language))?.build, 1);
      assert.equal((await versions.rollback('stopwords')).current, 2, 'the previous one is the one that was replaced');
      assert.equal((await versions.rollback('stopwords', { to: 1 })).current, 1);
      assert.equal((await versions.promote('stopwords', 2)).current, 2);
      assert.equal(await read(made, SOMETIMES), null);
      assert.equal((await read(made))?.build, 2);
      assert.deepEqual(await heldToken(made), { timeline: 1, seq: 6 });
      assert.equal((await lastRelease(made.log))?.seq, 6);
      await assert.rejects(versions.rollback('stopwords', { to: 7 }), withCode('state', /Version 7 .* does not exist/));
      await assert.rejects(versions.promote('stopwords'), withCode('state', /no verified version/));
    });

    test('a pin keeps its version; versions published meanwhile wait', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await versions.publish(await made.build(1), { epoch: 1 });
      await versions.publish(await made.build(2), { epoch: 1 });
      const pinned = await versions.pin('stopwords', 1);
      assert.deepEqual([pinned.current, pinned.pinned], [1, 1]);
      assert.deepEqual(await versions.publish(await made.build(3), { epoch: 1 }), { version: 3, state: 'verified' });
      assert.equal((await read(made))?.build, 1);
      await assert.rejects(versions.promote('stopwords'), withCode('state', /pinned to version 1/));
      assert.deepEqual((await versions.pin('stopwords', null)).pinned, null);
      assert.equal((await versions.promote('stopwords')).current, 3);
      assert.equal((await read(made))?.build, 3);
    });

    test('I23: files that do not match their manifest make the version fail, and the current one stays', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await versions.publish(await made.build(1), { epoch: 1 });
      const spoilt = async (how: (path: string) => Promise<void>, sentence: RegExp) => {
        const build = await made.build(2);
        await how(join(build.folder, 'stopwords.jsonl'));
        await assert.rejects(versions.publish(build, { epoch: 1 }), withCode('invalid_data', sentence));
        const [newest] = (await versions.list('stopwords')).versions;
        assert.equal(newest?.state, 'failed');
        assert.match(newest?.reason ?? '', sentence);
        await assert.rejects(versions.publish(build, { epoch: 1 }), withCode('invalid_data', /has failed/));
        await assert.rejects(versions.promote('stopwords', newest!.version), withCode('state', /has failed/));
        assert.deepEqual(await read(made), { version: 1, build: 1 });
        assert.deepEqual(await readdir(join(made.root, 'artifacts', 'stopwords')), ['v1']);
      };
      await spoilt((path) => truncate(path, 100), /100 bytes/);
      await spoilt(async (path) => {
        const text = await readFile(path, 'utf8');
        await writeFile(path, text.replace('w0.2', 'w0.3'));
      }, /not have the SHA-256/);
      await spoilt((path) => rm(path), /missing/);
      await spoilt((path) => appendFile(join(path, '..', 'manifest.json'), ' x'), /not valid JSON/);
      await spoilt((path) => writeFile(join(path, '..', 'manifest.json'), '{}'), /does not match the run/);
      const line = '{"language":"de","word":"a","confidence":0.5,"idf":1,"document_frequency":1}\n';
      for (const [text, sentence] of [
        ['', /no words/],
        [`${line}{}\n`, /line 2 is not a stopword: language/],
        [`${line}${line}`, /line 2 .* second time/],
        [line.replace('0.5', '1.5'), /confidence/],
        [`${line}${line.replace('de', 'en')}${line.replace('"a"', '"b"')}`, /language de appears a second time/],
        ['not json\n', /not valid JSON/],
      ] as const) {
        const runId = randomBytes(4).toString('hex');
        const build = await writeBuild(join(made.root, 'artifacts', '.work', runId), runId, text);
        await assert.rejects(versions.publish(build, { epoch: 1 }), withCode('invalid_data', sentence));
      }
      const refused = await made.build(2);
      const check = { name: 'range', passed: false, figure: 2, sentence: 'above 1' };
      const unchecked = { ...refused, manifest: { ...refused.manifest, checks: [check] } };
      await assert.rejects(versions.publish(unchecked, { epoch: 1 }), withCode('invalid_data', /range .* above 1/));
      const [rows] = await database.query<{ n: number }>('SELECT count(*) AS n FROM stopwords WHERE version <> 1');
      assert.equal(rows?.n, 0);
      assert.deepEqual([...(await made.store.hgetall(made.layout.versionIndex('stopwords'))).keys()], ['1']);
      assert.deepEqual(await read(made), { version: 1, build: 1 });
    });

    test('folders and files are accessible only to their owner', async (t) => {
      const made = await set(t);
      await made.machine().publish(await made.build(1), { epoch: 1 });
      const folder = join(made.root, 'artifacts', 'stopwords', 'v1');
      const mode = async (path: string) => ((await stat(path)).mode & 0o777).toString(8);
      assert.equal(await mode(folder), '700');
      for (const name of await readdir(folder)) assert.equal(await mode(join(folder, name)), '600');
    });

    test('a stale epoch publishes nothing', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await versions.publish(await made.build(1), { epoch: 5 });
      await assert.rejects(versions.publish(await made.build(2), { epoch: 4 }), withCode('fenced', /epoch 5/));
      assert.equal((await versions.list('stopwords')).versions.length, 1);
    });

    test('versions kept long enough are removed; current, previous and pinned stay; a removed one cannot be rolled back to', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      for (const number of [1, 2, 3, 4, 5]) await versions.publish(await made.build(number), { epoch: 1 });
      await database.execute(`INSERT INTO version_pins VALUES ('stopwords', 2, 'a process', $1)`, [
        new Date(now.ms + 7 * DAY_MS),
      ]);
      await versions.start();
      await versions.pin('stopwords', 5);
      now.ms += 7 * DAY_MS;
      await events.until('reaped', async () => {
        const [row] = await database.query(
          `SELECT 1 AS one FROM versions WHERE version = 3 AND removed_at IS NOT NULL`,
        );
        return row !== undefined;
      });
      const list = await versions.list('stopwords');
      assert.deepEqual(
        list.versions.map(({ version, reaped }) => [version, reaped]),
        [
          [5, false],
          [4, false],
          [3, true],
          [2, false],
          [1, true],
        ],
      );
      await assert.rejects(versions.rollback('stopwords', { to: 3 }), withCode('state', /pinned|no longer kept/));
      await versions.pin('stopwords', null);
      await assert.rejects(versions.rollback('stopwords', { to: 3 }), withCode('state', /no longer kept/));
      await assert.rejects(
        made.reader({ stopwords: 3 }).stopwords('de'),
        withCode('unavailable', /FEATURE_VERSION_STOPWORDS is 3/),
      );
      const kept = (await readdir(join(made.root, 'artifacts', 'stopwords'))).sort();
      assert.deepEqual(kept, ['v2', 'v4', 'v5']);
      const rows = await database.query<{ version: number }>('SELECT DISTINCT version FROM stopwords ORDER BY 1');
      assert.deepEqual(
        rows.map(({ version }) => version),
        [2, 4, 5],
      );
      const prefix = made.layout.versioned('stopwords').plain!.prefix;
      assert.deepEqual(await made.store.keys(`${prefix}v3:`), []);
      assert.deepEqual(await made.store.keys(`${made.layout.versioned('stopwords').noted}3:`), []);
      assert.equal((await versions.rollback('stopwords', { to: 2 })).current, 2);
      assert.equal((await read(made))?.build, 2);
    });

    test('a reader pinned by configuration reads its version from either store, and keeps it from being reaped', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      for (const number of [1, 2]) await versions.publish(await made.build(number), { epoch: 1 });
      for (const version of [1, 2]) {
        const reader = made.reader({ stopwords: version });
        for (let i = 0; i < 2; i++) {
          assert.equal(buildOf((await reader.stopwords('de'))!.words), version);
          assert.equal((await reader.stopwords(SOMETIMES))?.version ?? null, version === 1 ? 1 : null);
          await versions.rollback('stopwords');
        }
      }
      await emptyStore(made);
      assert.equal(buildOf((await made.reader({ stopwords: 1 }).stopwords('de'))!.words), 1, 'from Postgres');
      await assert.rejects(
        made.reader({ stopwords: 9 }).stopwords('de'),
        withCode('unavailable', /FEATURE_VERSION_STOPWORDS is 9/),
      );
    });

    test('I23: an emptied store is filled again while Postgres answers; a lost pointer is restored', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      for (const number of [1, 2, 3]) await versions.publish(await made.build(number), { epoch: 1 });
      await emptyStore(made);
      assert.deepEqual(await read(made), { version: 3, build: 3 }, 'from Postgres');
      await versions.start();
      const { store, layout } = made;
      await events.until('filled again', async () => (await store.get(layout.currentVersion('stopwords'))) === '3');
      await events.until(
        'the previous one too',
        async () => (await store.get(`${layout.versioned('stopwords').noted}2:checksum`)) !== null,
      );
      assert.deepEqual(await heldToken(made), { timeline: 1, seq: 3 });
      const plain = layout.versioned('stopwords').plain!.prefix;
      assert.equal(buildOf(numbers(await store.hgetall(`${plain}de`))), 3);
      await store.discard([layout.currentVersion('stopwords'), layout.versionSequence('stopwords')]);
      await events.until('pointer back', async () => (await store.get(layout.currentVersion('stopwords'))) === '3');
      await store.discard([`${layout.versioned('stopwords').noted}3:checksum`]);
      await events.until(
        'checksum back',
        async () => (await store.get(`${layout.versioned('stopwords').noted}3:checksum`)) !== null,
      );
      assert.deepEqual(await read(made), { version: 3, build: 3 });
    });

    test('a record of releases that is missing, or followed by an older one, is written again', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      for (const number of [1, 2]) await versions.publish(await made.build(number), { epoch: 1 });
      await writeRelease(made.log, { timeline: 1, seq: 1, current: 1 });
      assert.equal((await lastRelease(made.log))?.seq, 1);
      await versions.start();
      await events.until('the newest is the last', async () => (await lastRelease(made.log))?.seq === 2);
      await made.log.recreate('releases');
      await events.until('written again', async () => (await lastRelease(made.log))?.current === 2);
    });

    test('I22, I23: a Postgres restored from an older copy decides, under a new timeline', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      for (const number of [1, 2]) await versions.publish(await made.build(number), { epoch: 1 });
      const tables = ['versions', 'version_heads', 'stopwords'];
      for (const table of tables) await database.execute(`CREATE TABLE backup_${table} AS TABLE ${table}`);
      t.after(() => database.execute(tables.map((table) => `DROP TABLE backup_${table}`).join(';')));
      for (const number of [3, 4]) await versions.publish(await made.build(number), { epoch: 1 });
      const reader = made.reader();
      assert.equal((await reader.stopwords('de'))?.version, 4);
      await database.execute(
        tables.map((table) => `TRUNCATE ${table}; INSERT INTO ${table} TABLE backup_${table}`).join(';'),
      );
      await versions.start();
      await events.until('followed', async () => ((await heldToken(made))?.timeline ?? 0) > 1);
      await events.until('read', async () => (await reader.stopwords('de'))?.version === 2);
      assert.equal(buildOf((await reader.stopwords('de'))!.words), 2);
      await events.until('told', async () => (await lastRelease(made.log))?.timeline === 2);
      assert.equal((await versions.publish(await made.build(5), { epoch: 1 })).version, 5, 'no number is used twice');
      assert.equal(buildOf((await reader.stopwords('de'))!.words), 5);
      // Versions that Postgres no longer knows are removed from the online store.
      const index = () => made.store.hgetall(made.layout.versionIndex('stopwords'));
      await events.until('cleared', async () => !(await index()).has('4') && !(await index()).has('3'));
    });

    test('I23: a switch that the online store cannot follow yet is reported, and followed later', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      for (const number of [1, 2]) await versions.publish(await made.build(number), { epoch: 1 });
      const down = new Proxy(made.store, {
        get: (target, property) =>
          property === 'heldVersion'
            ? () => Promise.reject(new FreshetError('connection', 'the store is down'))
            : bound(target, property),
      });
      const cut = made.machine({ store: down, pace: { followMsMax: 50, retryMs: 10 } });
      await assert.rejects(
        cut.rollback('stopwords'),
        withCode('unavailable', /to version 1 \(1\.3\) is decided and will be followed/),
      );
      assert.equal((await read(made))?.build, 2, 'the previous version is served meanwhile');
      await versions.start();
      await events.until('followed', async () => (await read(made))?.build === 1);
    });

    test('I23: a staged version of a dead run is removed once a later run has published', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const cut = made.machine({ store: failing(made.store, 'apply') });
      await assert.rejects(cut.publish(await made.build(1), { epoch: 1 }), withCode('connection', /cut/));
      assert.equal((await versions.list('stopwords')).versions[0]?.state, 'staged');
      await versions.publish(await made.build(2), { epoch: 2 });
      await versions.start();
      now.ms += 61_000;
      await events.until('abandoned', async () => (await versions.list('stopwords')).versions[1]?.state === 'failed');
      await events.until(
        'folder gone',
        async () => !(await readdir(join(made.root, 'artifacts', 'stopwords'))).includes('v1'),
      );
      assert.deepEqual(await read(made), { version: 2, build: 2 });
    });
  });

function numbers(fields: ReadonlyMap<string, string>): Record<string, number> {
  return Object.fromEntries([...fields].map(([word, text]) => [word, Number(text)]));
}

function bound(target: OnlineStore, property: string | symbol): unknown {
  const value = Reflect.get(target, property, target) as unknown;
  return typeof value === 'function' ? value.bind(target) : value;
}

/** The store, except that one call always fails. */
function failing(store: OnlineStore, call: keyof OnlineStore): OnlineStore {
  return new Proxy(store, {
    get: (target, property) =>
      property === call ? () => Promise.reject(new FreshetError('connection', 'cut')) : bound(target, property),
  });
}
