/** A version's folder, opened for serving. */
import assert from 'node:assert/strict';
import { appendFile, cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hasCode, isTransient } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { type FaissVersion, openFaissVersion } from '../../../../snapshotters/faiss/faiss-version.js';
import { ENGINES, withoutNative } from '../../runtime/models/faiss/native.js';
import { nearest } from '../../runtime/models/faiss/vectors.js';
import { type BuiltVersion, products, Workshop } from './build.js';

const records = products(800);
const all = Float32Array.from(records.flatMap(({ vector }) => [...vector!]));
let shop: Workshop;
let built: BuiltVersion;
before(async () => {
  shop = await Workshop.open();
  built = await shop.build(records);
});
after(() => shop.remove());

async function opened<T>(
  folder: string,
  use: (version: FaissVersion) => Promise<T>,
  engine: 'exact' | 'native' = 'exact',
): Promise<T> {
  const version = await openFaissVersion(folder, { logger: silentLogger, engine });
  try {
    return await use(version);
  } finally {
    await version.close();
    await version.close();
  }
}

const similarTo = (i: number, limit: number) =>
  nearest(all, records[i]!.vector!, limit + 1)
    .filter((row) => row !== i)
    .slice(0, limit)
    .map((row) => records[row]!.id);

for (const engine of ENGINES)
  describe(`engine ${engine}`, () => {
    test('similar: the nearest others, never the product itself; null for an unknown product', () =>
      opened(
        built.folder,
        async (version) => {
          for (const i of [0, 17, 799]) {
            const found = await version.similar(records[i]!.id, 10);
            assert.deepEqual(
              found!.map(({ product_id }) => product_id),
              similarTo(i, 10),
            );
            assert.ok(found!.every(({ score }, j) => score <= 1.0001 && (j === 0 || score <= found![j - 1]!.score)));
          }
          assert.equal(await version.similar('nobody', 10), null);
        },
        engine,
      ));

    test('search: by a vector of any length', () =>
      opened(
        built.folder,
        async (version) => {
          const [first] = await version.search(
            records[5]!.vector!.map((value) => value * 250),
            3,
          );
          assert.equal(first!.product_id, records[5]!.id);
          assert.ok(Math.abs(first!.score - 1) < 1e-5);
          await assert.rejects(version.search(new Float32Array(16), 3), /only zeros/);
          await assert.rejects(version.search(new Float32Array(7).fill(1), 3), /16 numbers/);
          await assert.rejects(version.search(new Float32Array(16).fill(Number.NaN), 3), (error) =>
            hasCode(error, 'invalid_data'),
          );
          await assert.rejects(version.search(records[5]!.vector!, 0), (error) => hasCode(error, 'invalid_data'));
        },
        engine,
      ));
  });

test('a limit above the number of products returns all of them', () =>
  opened(built.folder, async (version) => {
    assert.equal((await version.similar(records[0]!.id, 1000))!.length, 799);
    assert.equal((await version.search(records[0]!.vector!, 1000)).length, 800);
  }));

test('ten products, twins among them: never the product itself', async () => {
  const twins = products(10).map(({ id, vector }, i) => ({ id, vector: i < 5 ? records[0]!.vector : vector }));
  const { folder } = await shop.build(twins);
  await opened(folder, async (version) => {
    for (const { id } of twins) {
      const found = (await version.similar(id, 9))!.map(({ product_id }) => product_id);
      assert.deepEqual([found.length, new Set(found).size, found.includes(id)], [9, 9, false]);
    }
  });
});

for (const kind of ['hnsw', 'ivf'] as const)
  test(`${kind}: a product's vector is read from the index`, { skip: withoutNative }, async () => {
    const { folder } = await shop.build(records, {
      engine: 'native',
      settings: { FAISS_INDEX: kind, FAISS_RECALL_MIN: '0.99' },
    });
    await opened(
      folder,
      async (version) => {
        let hits = 0;
        for (let i = 0; i < 100; i++) {
          const found = new Set((await version.similar(records[i]!.id, 10))!.map(({ product_id }) => product_id));
          hits += similarTo(i, 10).filter((id) => found.has(id)).length;
        }
        assert.ok(hits >= 950, `${hits} of 1000`);
      },
      'native',
    );
  });

test('after a kill, the caller gets one error, then answers again', () =>
  opened(built.folder, async (version) => {
    const { pid } = version.index;
    const waiting = version.similar(records[0]!.id, 5);
    process.kill(pid!, 'SIGKILL');
    const outcome = await waiting.catch((error: unknown) => error);
    assert.ok(Array.isArray(outcome) || isTransient(outcome));
    let found: unknown = null;
    while (found === null) found = await version.similar(records[0]!.id, 5).catch(() => null);
    assert.deepEqual(
      (found as { product_id: string }[]).map(({ product_id }) => product_id),
      similarTo(0, 5),
    );
    assert.notEqual(version.index.pid, pid);
  }));

test('a folder that does not match its manifest is refused', async () => {
  const folder = join(shop.root, 'damaged');
  const refused = async (damage: () => Promise<void>, what: RegExp) => {
    await cp(built.folder, folder, { recursive: true });
    await damage();
    await assert.rejects(
      openFaissVersion(folder, { logger: silentLogger }),
      (error: Error) => hasCode(error, 'invalid_data') && what.test(error.message),
    );
    await rm(folder, { recursive: true });
  };
  const manifest = join(folder, 'manifest.json');
  await refused(() => appendFile(join(folder, 'index.faiss'), 'x'), /index.faiss is damaged: 1 bytes follow its end/);
  const changed = async () => {
    const bytes = await readFile(join(folder, 'index.faiss'));
    bytes[bytes.length - 3]! ^= 1;
    await writeFile(join(folder, 'index.faiss'), bytes);
  };
  await refused(changed, /index.faiss is damaged: its checksum is not that of its manifest/);
  await refused(() => appendFile(join(folder, 'ids.jsonl'), '"z"\n'), /ids.jsonl has \d+ bytes, its manifest says/);
  await refused(() => rm(join(folder, 'ids.jsonl')), /ids.jsonl cannot be opened/);
  await refused(() => appendFile(join(folder, 'words.bin'), 'x'), /words.bin is not the file that its manifest names/);
  await refused(() => rm(join(folder, 'words.bin')), /words.bin cannot be read/);
  await refused(() => rm(manifest), /no readable version of the index/);
  await refused(
    async () => writeFile(manifest, (await readFile(manifest, 'utf8')).slice(5)),
    /no readable version of the index/,
  );
  const said = JSON.parse(await readFile(join(built.folder, 'manifest.json'), 'utf8')) as {
    counts: { products: number };
  };
  said.counts.products = 799;
  await refused(() => writeFile(manifest, JSON.stringify(said)), /800 × 16, its manifest says 799 × 16/);
});
