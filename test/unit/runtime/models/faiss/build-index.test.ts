/** Indexes built by FAISS in a separate process; input on which it would end the process is refused first. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildIndex } from '../../../../../runtime/models/faiss/build-index.js';
import { type BuildPlan, planBuild } from '../../../../../runtime/models/faiss/build-plan.js';
import { FLAT_DATA_AT, writeBreadth } from '../../../../../runtime/models/faiss/index-file.js';
import { openIndex } from '../../../../../runtime/models/faiss/open-index.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { withoutNative } from './native.js';
import { clusteredVectors, nearest, writeFlat } from './vectors.js';

const DIMENSION = 24;
const COUNT = 4_000;
const vectors = clusteredVectors({ seed: 31, count: COUNT, dimension: DIMENSION, clusters: 400 });
const queries = clusteredVectors({ seed: 32, count: 100, dimension: DIMENSION, clusters: 400 });
let folder: string;
let flat: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faiss-build-'));
  flat = join(folder, 'flat.faiss');
  await writeFlat(flat, vectors, DIMENSION);
});
after(() => rm(folder, { recursive: true }));

function plan(kind: BuildPlan['kind'], change: Partial<BuildPlan> = {}): BuildPlan {
  const out = join(folder, `${kind}.faiss`);
  return { ...planBuild(kind, { vectors: flat, out, dimension: DIMENSION, count: COUNT }), ...change };
}

async function recall(path: string): Promise<number> {
  const index = await openIndex({ path, logger: silentLogger, engine: 'native' });
  try {
    const { positions } = await index.search(queries, 100, 10);
    let hits = 0;
    for (let i = 0; i < 100; i++) {
      const truth = new Set(nearest(vectors, queries.subarray(i * DIMENSION, (i + 1) * DIMENSION), 10));
      for (const position of positions.subarray(i * 10, i * 10 + 10)) if (truth.has(position)) hits++;
    }
    return hits / 1000;
  } finally {
    await index.close();
  }
}

for (const kind of ['hnsw', 'ivf'] as const)
  test(`${kind}: a greater breadth finds more`, { skip: withoutNative }, async () => {
    const phases = new Set<string>();
    await buildIndex({ plan: plan(kind), threads: 1, progress: (phase) => phases.add(phase) });
    assert.deepEqual([...phases], kind === 'ivf' ? ['train', 'add'] : ['add']);
    const { out } = plan(kind);
    await writeBreadth(out, 1);
    const narrow = await recall(out);
    await writeBreadth(out, kind === 'ivf' ? 64 : 400);
    const wide = await recall(out);
    assert.ok(narrow < wide, `${narrow} < ${wide}`);
    assert.ok(wide >= 0.99, `${wide}`);
  });

test('without FAISS a graph is searched exactly, using the vectors in it', {
  skip: withoutNative,
}, async () => {
  const { out } = plan('hnsw');
  await buildIndex({ plan: plan('hnsw'), threads: 1 });
  const index = await openIndex({ path: out, logger: silentLogger, engine: 'exact' });
  try {
    assert.deepEqual([index.kind, index.engine], ['hnsw', 'exact']);
    const { positions } = await index.search(queries, 100, 10);
    for (let i = 0; i < 100; i++) {
      const query = queries.subarray(i * DIMENSION, (i + 1) * DIMENSION);
      assert.deepEqual([...positions.subarray(i * 10, i * 10 + 10)], nearest(vectors, query, 10));
    }
  } finally {
    await index.close();
  }
});

test('one thread builds the same graph every time', { skip: withoutNative }, async () => {
  const built: Buffer[] = [];
  for (const name of ['one.faiss', 'two.faiss']) {
    const out = join(folder, name);
    await buildIndex({ plan: plan('hnsw', { out }), threads: 1 });
    built.push(await readFile(out));
  }
  assert.ok(built[0]!.equals(built[1]!));
});

test('the exact engine refuses an index that it cannot read', { skip: withoutNative }, async () => {
  await buildIndex({ plan: plan('ivf'), threads: 1 });
  await assert.rejects(
    openIndex({ path: plan('ivf').out, logger: silentLogger, engine: 'exact' }),
    (error: Error) => hasCode(error, 'settings') && /kind ivf/.test(error.message),
  );
});

test('impossible plans are refused in this process', async () => {
  const refused = (change: Partial<BuildPlan>, what: RegExp, kind: BuildPlan['kind'] = 'ivf') =>
    assert.rejects(
      buildIndex({ plan: plan(kind, change), threads: 1 }),
      (error: Error) => hasCode(error, 'invalid_data') && what.test(error.message),
    );
  await refused({ dimension: 0 }, /the dimension is 0/);
  await refused({ dimension: Number.NaN }, /the dimension is NaN/);
  await refused({ count: 0 }, /number of vectors is 0/);
  await refused({ lists: COUNT + 1 }, /number of lists is 4001/);
  await refused({ lists: 64, trainedOn: 63 }, /rows to train on is 63/);
  await refused({ links: 1 }, /number of links is 1/, 'hnsw');
});

test('vectors that differ from the plan, or are NaN, are refused; nothing is left behind', async () => {
  const out = join(folder, 'refused.faiss');
  const refused = (change: Partial<BuildPlan>, what: RegExp) =>
    assert.rejects(buildIndex({ plan: plan('hnsw', { out, ...change }), threads: 1 }), what);
  await refused({ count: COUNT - 1 }, /4000 × 24/);
  await refused({ vectors: join(folder, 'nowhere') }, /cannot be opened/);
  assert.equal(existsSync(out), false);
});

test('a NaN among the rows fails the build and names its row', { skip: withoutNative }, async () => {
  const wrong = join(folder, 'nan.faiss');
  await writeFlat(wrong, vectors, DIMENSION);
  const file = await open(wrong, 'r+');
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(Number.NaN);
  await file.write(bytes, 0, 4, FLAT_DATA_AT + (1234 * DIMENSION + 5) * 4);
  await file.close();
  await assert.rejects(
    buildIndex({ plan: plan('hnsw', { vectors: wrong }), threads: 1 }),
    (error: Error) => hasCode(error, 'invalid_data') && /row 1234 contains NaN/.test(error.message),
  );
});
