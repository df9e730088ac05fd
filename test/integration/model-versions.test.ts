/** Versions of models on a real Postgres, with Redis if available and with the local store, and their readers. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { CurrentFolders } from '../../publishing/reading/current-folder.js';
import { createModelReader, type ModelReader } from '../../publishing/reading/models.js';
import { indexRow } from '../../publishing/versions/artefacts/faiss.js';
import type { Manifest } from '../../publishing/versions/manifest.js';
import type { Pinned } from '../../publishing/versions/pins.js';
import type { Build } from '../../publishing/versions/versions.js';
import { systemClock } from '../../runtime/process/clock.js';
import { FreshetError, hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { checksumKey } from '../../runtime/stores/versioned-keys.js';
import { factorOf, indexBuild, type ModelBuild, modelBuild } from '../support/model-versions.js';
import { Events } from '../support/publishing.js';
import { scene } from '../support/stopword-versions.js';
import { realStores } from '../support/stores/real-stores.js';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 0, 3);
const { database, online } = await realStores();

const withCode = (code: FreshetError['code'], sentence: RegExp) => (error: unknown) => {
  assert.ok(hasCode(error, code), String(error));
  assert.match((error as FreshetError).message, sentence);
  return true;
};
const factorsOf = async (reader: ModelReader, user: string, version?: number) => {
  const found = await reader.userFactors(user, version);
  return { version: found.version, factors: found.factors === null ? null : [...found.factors] };
};
const sorted = (ids: readonly string[]) => [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
const USERS = sorted(['ada', 'a:b', 'a%3Ab', '用户', '👩‍🚀', 'z z']);

for (const [kind, openStore] of online)
  describe(`versions of models in Postgres and ${kind}`, () => {
    async function set(t: TestContext) {
      const keyPrefix = `m${randomBytes(4).toString('hex')}:`;
      const store = await openStore(t, keyPrefix);
      const made = await scene(t, database, store, { keyPrefix });
      const settings = loadSettings({ REDIS_KEY_PREFIX: keyPrefix, ARTIFACTS_DIR: join(made.root, 'artifacts') });
      const reader = (pinned: Pinned = {}, from = store) =>
        createModelReader({ store: from, database, keyPrefix, pinned });
      const model = (build: ModelBuild) => modelBuild(made.work, build);
      return { ...made, settings, reader, model };
    }

    test('factors of every user are read together with their version', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const reader = made.reader();
      await assert.rejects(reader.userFactors('ada'), withCode('unavailable', /No model is published yet/));
      const first = await versions.publish(await made.model({ number: 1, users: USERS }), { epoch: 1 });
      assert.deepEqual(first, { version: 1, state: 'current' });
      for (const [i, user] of USERS.entries())
        assert.deepEqual(await factorsOf(reader, user), { version: 1, factors: Array(3).fill(factorOf(1, i)) });
      assert.deepEqual(await factorsOf(reader, 'nobody'), { version: 1, factors: null });
      await versions.publish(await made.model({ number: 2, users: ['ada'], factors: 5 }), { epoch: 1 });
      assert.deepEqual(await factorsOf(reader, 'ada'), { version: 2, factors: Array(5).fill(factorOf(2, 0)) });
      assert.deepEqual(await factorsOf(reader, 'z z'), { version: 2, factors: null });
      // A reader that still has the index of version 1 loaded asks for that version.
      const ada = Array(3).fill(factorOf(1, USERS.indexOf('ada')));
      assert.deepEqual(await factorsOf(reader, 'ada', 1), { version: 1, factors: ada });
      assert.deepEqual(await factorsOf(made.reader({ als: 1 }), 'ada'), { version: 1, factors: ada });
      await assert.rejects(made.reader({ als: 9 }).userFactors('ada'), withCode('unavailable', /FEATURE_VERSION_ALS/));
      await versions.rollback('als');
      assert.deepEqual(await factorsOf(reader, 'ada'), { version: 1, factors: ada });
      const rows = await database.query<{ id: string; factors: number[] }>(
        'SELECT id, factors FROM als_item_factors WHERE version = 1 ORDER BY id',
      );
      assert.deepEqual(rows[1], { id: 'p2', factors: Array(3).fill(1.01) });
    });

    test('more rows than a page, with ids of any length, are staged completely and read back', async (t) => {
      const made = await set(t);
      const users = sorted(Array.from({ length: 2_500 }, (_, i) => `u${i}${'é'.repeat(i % 60)}`));
      const versions = made.machine();
      await versions.publish(await made.model({ number: 7, users, products: users.slice(0, 1_000) }), { epoch: 1 });
      const [count] = await database.query('SELECT count(*)::integer AS users FROM als_user_factors WHERE version = 1');
      assert.deepEqual(count, { users: 2_500 });
      for (const i of [0, 999, 1_000, 2_499])
        assert.deepEqual((await factorsOf(made.reader(), users[i]!)).factors, Array(3).fill(factorOf(7, i)));
    });

    test('wrong content in Postgres is detected, and the version fails', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await versions.publish(await made.model({ number: 1, users: USERS }), { epoch: 1 });
      const other = async (build: Build) => {
        await database.execute(`
          CREATE OR REPLACE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN NEW.factors[2] := NEW.factors[2] + 0.5; RETURN NEW; END $$`);
        await database.execute(`CREATE TRIGGER spoilt BEFORE INSERT ON als_item_factors
          FOR EACH ROW WHEN (NEW.id = 'p2') EXECUTE FUNCTION spoil()`);
        try {
          await versions.publish(build, { epoch: 1 });
        } finally {
          await database.execute('DROP TRIGGER spoilt ON als_item_factors');
        }
      };
      const build = await made.model({ number: 2, users: USERS });
      await assert.rejects(other(build), withCode('invalid_data', /als_item_factors in Postgres holds different rows/));
      assert.equal((await factorsOf(made.reader(), 'ada')).version, 1);
      const [left] = await database.query('SELECT count(*)::integer AS rows FROM als_user_factors WHERE version = 2');
      assert.deepEqual(left, { rows: 0 }, 'a failed version leaves nothing');
      assert.deepEqual(await made.store.keys(made.layout.factorsUserPrefix(2)), []);
    });

    test('wrong content in the online store is detected too, and the version fails', async (t) => {
      const made = await set(t);
      const one = made.layout.factorsUser(1, 'a:b');
      const forgetful: OnlineStore = new Proxy(made.store, {
        get(store, name) {
          if (name === 'get') return async (key: string) => (key === one ? 'AAAA' : store.get(key));
          const value: unknown = Reflect.get(store, name);
          return typeof value === 'function' ? value.bind(store) : value;
        },
      });
      const publish = made
        .machine({ store: forgetful })
        .publish(await made.model({ number: 1, users: USERS }), { epoch: 1 });
      await assert.rejects(
        publish,
        withCode('invalid_data', /the online store and Postgres hold different factors of user "a:b"/),
      );
      assert.deepEqual(await made.store.keys(made.layout.factorsUserPrefix(1)), []);
      assert.equal((await made.machine().list('als')).versions[0]?.state, 'failed');
    });

    test('a damaged or missing file of factors makes the version fail', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const build = await made.model({ number: 1, users: USERS });
      const files = build.manifest.files.filter(({ name }) => name !== 'item_factors.bin');
      const without = await rewritten(build, { files });
      await assert.rejects(
        versions.publish(without, { epoch: 1 }),
        withCode('invalid_data', /names no item_factors.bin/),
      );
      const [head] = (await versions.list('als')).versions;
      assert.equal(head?.state, 'failed');
    });

    test('content lost by the online store is restored from Postgres, and read from there meanwhile', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      await versions.publish(await made.model({ number: 1, users: USERS }), { epoch: 1 });
      const reader = made.reader();
      const prefix = made.layout.factorsUserPrefix(1);
      const checksum = checksumKey(made.layout.versioned('als'), 1);
      const expected = { version: 1, factors: Array(3).fill(factorOf(1, 1)) };
      await made.store.discard([checksum, ...(await made.store.keys(prefix))]);
      assert.deepEqual(await factorsOf(reader, USERS[1]!), expected, 'from Postgres');
      await versions.start();
      await new Events().until('restored', async () => (await made.store.get(checksum)) !== null);
      assert.equal((await made.store.keys(prefix)).length, USERS.length);
      assert.deepEqual(await factorsOf(reader, USERS[1]!), expected);
      await versions.stop();
    });

    test('a version that is no longer kept leaves neither rows nor keys nor folder', async (t) => {
      const made = await set(t);
      const now = { ms: NOW };
      const versions = made.machine({ clock: { ...systemClock, now: () => now.ms } });
      for (const number of [1, 2, 3]) await versions.publish(await made.model({ number, users: USERS }), { epoch: 1 });
      now.ms += 25 * HOUR_MS;
      await versions.start();
      await new Events().until('reaped', async () => {
        const { versions: known } = await versions.list('als');
        const [rows] = await database.query<{ n: number }>(
          `SELECT (SELECT count(*) FROM als_user_factors WHERE version = 1)::integer
                + (SELECT count(*) FROM als_item_factors WHERE version = 1)::integer AS n`,
        );
        const keys = await made.store.keys(made.layout.factorsUserPrefix(1));
        return known.find(({ version }) => version === 1)!.reaped && rows!.n === 0 && keys.length === 0;
      });
      await versions.stop();
      assert.equal((await factorsOf(made.reader(), 'ada', 2)).factors?.[0], factorOf(2, USERS.indexOf('ada')));
      const reader = made.reader();
      await assert.rejects(reader.userFactors('ada', 1), withCode('unavailable', /no such version of als \(1\)/));
    });

    test('I15: an erased user is skipped in every version built before, in both stores', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const { layout, store } = made;
      const [before, after] = [NOW - HOUR_MS, NOW + 2 * HOUR_MS];
      await versions.publish(await made.model({ number: 1, users: USERS, capturedMs: before }), { epoch: 1 });
      const mark = { op: 'set', key: layout.erased('user:ada'), value: String(NOW) } as const;
      const id = { sink: 'test', topic: randomBytes(4).toString('hex'), partition: 0 };
      const { epoch } = await store.open(id);
      await store.apply({ id, epoch, expectedOffset: 0, nextOffset: 1, incarnation: '', at: 0 }, [mark]);
      await database.execute("INSERT INTO erased_subjects VALUES ('user:ada', to_timestamp($1::float8 / 1000))", [NOW]);
      const reader = made.reader();
      assert.equal((await reader.userFactors('ada')).factors, null);
      assert.notEqual((await reader.userFactors('z z')).factors, null);
      await store.discard([
        checksumKey(layout.versioned('als'), 1),
        ...(await store.keys(layout.factorsUserPrefix(1))),
      ]);
      await store.discard([layout.erased('user:ada')]);
      assert.equal((await made.reader().userFactors('ada')).factors, null, 'in Postgres');
      assert.notEqual((await made.reader().userFactors('z z')).factors, null, 'in Postgres');
      await versions.publish(await made.model({ number: 2, users: USERS, capturedMs: after }), { epoch: 1 });
      assert.notEqual(
        (await reader.userFactors('ada')).factors,
        null,
        'a model built from later events knows the user again',
      );
    });

    test('an index is a single row, checked against its manifest', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const build = await indexBuild(made.work, 1);
      await versions.publish(build, { epoch: 1 });
      const { sha256 } = build.manifest.files[0]!;
      const row = { model: 'hashed', dimension: 384, count: 10, kind: 'flat', sha256 };
      assert.deepEqual(await indexRow(database, 1), row);
      const vague = await indexBuild(made.work, 2, { settings: { model: 'hashed', kind: 'flat' } });
      await assert.rejects(
        versions.publish(vague, { epoch: 1 }),
        withCode('invalid_data', /settings.dimension is missing/),
      );
      assert.equal((await versions.list('faiss')).current, 1);
      assert.equal(await indexRow(database, 2), null);
    });

    test('readers of files are notified of each switch, and repeatedly of one that cannot be loaded yet', async (t) => {
      const made = await set(t);
      const versions = made.machine();
      const options = {
        store: made.store,
        database,
        settings: made.settings,
        clock: systemClock,
        logger: silentLogger,
      };
      const folders = new CurrentFolders({ ...options, checkMs: 10 });
      t.after(() => folders.stop());
      const told: [number, Manifest['counts']][] = [];
      let refuse = 0;
      folders.follow('faiss', async ({ version, manifest }) => {
        if (refuse-- > 0) throw new FreshetError('invalid_data', 'cannot be loaded');
        told.push([version, manifest.counts]);
      });
      await folders.start();
      assert.equal(folders.currentFolder('faiss'), null);
      await versions.publish(await indexBuild(made.work, 1), { epoch: 1 });
      const events = new Events();
      await events.until('notified of 1', () => folders.currentFolder('faiss')?.version === 1);
      refuse = 1;
      await versions.publish(await indexBuild(made.work, 2), { epoch: 1 });
      await events.until('notified of 2', () => folders.currentFolder('faiss')?.version === 2);
      assert.ok(folders.currentFolder('faiss')!.folder.endsWith(join('faiss', 'v2')));
      await versions.rollback('faiss');
      await events.until('notified of 1 again', () => folders.currentFolder('faiss')?.version === 1);
      assert.deepEqual(told, [
        [1, { products: 10 }],
        [2, { products: 20 }],
        [1, { products: 10 }],
      ]);
    });
  });

async function rewritten(build: Build, over: Partial<Manifest>): Promise<Build> {
  const manifest = { ...build.manifest, ...over };
  await writeFile(join(build.folder, 'manifest.json'), JSON.stringify(manifest));
  return { ...build, manifest };
}
