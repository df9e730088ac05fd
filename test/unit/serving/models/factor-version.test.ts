import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import {
  type FactorSource,
  ITEM_FACTORS_FILE,
  writeFactors,
} from '../../../../publishing/versions/artefacts/factor-file.js';
import { MANIFEST_FILE } from '../../../../publishing/versions/manifest.js';
import type { EngineChoice } from '../../../../runtime/models/faiss/messages.js';
import { loadNative } from '../../../../runtime/models/faiss/native.js';
import { hasCode } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { openFactorVersion } from '../../../../serving/models/factor-version.js';
import { makeIndexes } from '../../../../snapshotters/als/indexes.js';
import { NEIGHBOURS_INDEX, PRODUCTS_INDEX } from '../../../../snapshotters/als/layout.js';

const base = mkdtempSync(join(tmpdir(), 'freshet-factors-'));
after(() => rmSync(base, { recursive: true, force: true }));

const FACTORS = 8;
let folders = 0;

/** Products p000…, with factors of different length, as popular and rare products have. */
function factorsOf(count: number): Float32Array[] {
  let state = 7;
  const random = () => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return state / 2 ** 31 - 0.5;
  };
  return Array.from({ length: count }, (_, i) =>
    Float32Array.from({ length: FACTORS }, () => random() * (1 + (i % 9))),
  );
}

const idOf = (i: number) => `p${String(i).padStart(4, '0')}`;

/** A version's folder, with the files that serving reads. */
async function folderOf(rows: readonly Float32Array[], graphFrom = Number.POSITIVE_INFINITY): Promise<string> {
  const folder = mkdtempSync(join(base, `${folders++}-`));
  const products: FactorSource = {
    rows: rows.length,
    factors: FACTORS,
    idOf: (row) => Buffer.from(idOf(row)),
    copyFactors: (row, target, at) => target.set(rows[row]!, at),
  };
  await writeFactors(join(folder, ITEM_FACTORS_FILE), products);
  const { files, figures } = await makeIndexes({ folder, users: products, products, graphFrom });
  const marks = [ITEM_FACTORS_FILE, ...files].map((name) => {
    const bytes = readFileSync(join(folder, name));
    return { name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  });
  writeFileSync(
    join(folder, MANIFEST_FILE),
    JSON.stringify({ artefact: 'als', figures: { indexes: figures }, files: marks }),
  );
  return folder;
}

const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
const cosine = (a: Float32Array, b: Float32Array) => dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));

function best(rows: readonly Float32Array[], score: (row: Float32Array) => number, without: ReadonlySet<number>) {
  return rows
    .map((row, i) => ({ i, product_id: idOf(i), score: score(row) }))
    .filter(({ i }) => !without.has(i))
    .sort((a, b) => b.score - a.score);
}

const native = await loadNative();
const engines: { engine: EngineChoice; graphFrom: number; name: string }[] = [
  { engine: 'exact', graphFrom: 1e9, name: 'exact search' },
  ...('native' in native
    ? ([
        { engine: 'native', graphFrom: 1e9, name: 'FAISS' },
        { engine: 'native', graphFrom: 1, name: 'a graph of FAISS' },
        { engine: 'exact', graphFrom: 1, name: 'exact search of a graph built by FAISS' },
      ] as const)
    : []),
];

for (const { engine, graphFrom, name } of engines)
  describe(`factors of a version, by ${name}`, () => {
    const rows = factorsOf(300);
    const options = { engine, logger: silentLogger };

    it('recommends by the inner product with the user’s factors, without excluded products', async () => {
      const version = await openFactorVersion(await folderOf(rows, graphFrom), options);
      try {
        for (const user of [rows[3]!, rows[50]!, Float32Array.from({ length: FACTORS }, (_, i) => i - 3)]) {
          const all = best(rows, (row) => dot(row, user), new Set());
          const bought = new Set([0, 2].map((place) => all[place]!.i));
          const wanted = all.filter(({ i }) => !bought.has(i)).slice(0, 10);
          const found = await version.recommend(user, 10, new Set([...bought].map(idOf)));
          assert.deepEqual(
            found.map(({ product_id }) => product_id),
            wanted.map(({ product_id }) => product_id),
          );
          for (const [i, { score }] of found.entries())
            assert.ok(Math.abs(score - wanted[i]!.score) < 1e-3, `${score} ${wanted[i]!.score}`);
        }
        assert.equal((await version.recommend(rows[0]!, 1000, new Set())).length, 300);
        assert.deepEqual(await version.recommend(new Float32Array(FACTORS), 5, new Set()), []);
        await assert.rejects(version.recommend(new Float32Array(3), 5, new Set()), /3 factors, the products have 8/);
      } finally {
        await version.close();
      }
    });

    it('finds similar products by cosine, never the product itself', async () => {
      const version = await openFactorVersion(await folderOf(rows, graphFrom), options);
      try {
        for (const i of [0, 77, 299]) {
          const wanted = best(rows, (row) => cosine(row, rows[i]!), new Set([i])).slice(0, 5);
          assert.deepEqual(
            (await version.similar(idOf(i), 5))!.map(({ product_id }) => product_id),
            wanted.map(({ product_id }) => product_id),
          );
        }
        const all = (await version.similar(idOf(5), 1000))!;
        assert.equal(all.length, 299);
        assert.ok(!all.some(({ product_id }) => product_id === idOf(5)));
        assert.equal(await version.similar('unknown', 5), null);
      } finally {
        await version.close();
      }
    });
  });

describe('an invalid folder', () => {
  const options = { engine: 'exact', logger: silentLogger } as const;
  const spoilt: [what: string, spoil: (folder: string) => void, said: RegExp][] = [
    [
      'no manifest',
      (folder) => rmSync(join(folder, MANIFEST_FILE)),
      /no model with readable indexes.*"freshet snapshot als"/,
    ],
    ['a missing index', (folder) => rmSync(join(folder, PRODUCTS_INDEX)), /products\.faiss cannot be opened/],
    [
      'an index that is cut short',
      (folder) => truncateSync(join(folder, NEIGHBOURS_INDEX), 100),
      /neighbours.*cut short/,
    ],
    [
      'an index with one byte changed',
      (folder) => {
        const path = join(folder, NEIGHBOURS_INDEX);
        const bytes = readFileSync(path);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1);
        writeFileSync(path, bytes);
      },
      /neighbours\.faiss is damaged: its checksum/,
    ],
    [
      'factors with one byte changed',
      (folder) => {
        const path = join(folder, ITEM_FACTORS_FILE);
        const bytes = readFileSync(path);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 4) ^ 1, bytes.length - 4);
        writeFileSync(path, bytes);
      },
      /item_factors\.bin is damaged: its checksum/,
    ],
    ['missing factors', (folder) => rmSync(join(folder, ITEM_FACTORS_FILE)), /item_factors\.bin cannot be read/],
    [
      'factors cut short',
      (folder) => truncateSync(join(folder, ITEM_FACTORS_FILE), 90),
      /not a complete file of factors/,
    ],
  ];
  for (const [what, spoil, said] of spoilt)
    it(`${what}: refused with a reason`, async () => {
      const folder = await folderOf(factorsOf(30));
      spoil(folder);
      await assert.rejects(
        openFactorVersion(folder, options),
        (error: Error) => hasCode(error, 'invalid_data') && said.test(error.message),
      );
    });

  it('an index of another model is refused', async () => {
    const folder = await folderOf(factorsOf(30));
    const other = await folderOf(factorsOf(29));
    copyFileSync(join(other, PRODUCTS_INDEX), join(folder, PRODUCTS_INDEX));
    const manifest = readFileSync(join(folder, MANIFEST_FILE), 'utf8');
    const marks = (text: string) => (JSON.parse(text) as { files: { name: string }[] }).files;
    const [its, own] = [readFileSync(join(other, MANIFEST_FILE), 'utf8'), manifest].map((text) =>
      JSON.stringify(marks(text).find(({ name }) => name === PRODUCTS_INDEX)),
    );
    writeFileSync(join(folder, MANIFEST_FILE), manifest.replace(own!, its!));
    await assert.rejects(openFactorVersion(folder, options), /belong to different models/);
  });
});

it('ends its processes when it is closed, and writes nothing', async () => {
  const folder = await folderOf(factorsOf(3));
  const before = readdirSync(folder);
  const version = await openFactorVersion(folder, { engine: 'exact', logger: silentLogger });
  const pids = version.indexes.map(({ pid }) => pid!);
  await version.close();
  await version.close();
  if (existsSync('/proc')) for (const pid of pids) assert.ok(!existsSync(`/proc/${pid}`), 'its processes have ended');
  assert.deepEqual(readdirSync(folder), before);
});

it('finds nothing similar to a product without factors', async () => {
  const rows = factorsOf(5);
  rows[2]!.fill(0);
  const version = await openFactorVersion(await folderOf(rows), { engine: 'exact', logger: silentLogger });
  try {
    assert.equal(await version.similar(idOf(2), 3), null);
    assert.equal((await version.recommend(rows[0]!, 10, new Set())).length, 5);
  } finally {
    await version.close();
  }
});
