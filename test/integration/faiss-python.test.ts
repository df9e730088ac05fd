/** I30: Python's faiss opens what we publish and finds the same, and we open what it writes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { readIndexFile, writeBreadth } from '../../runtime/models/faiss/index-file.js';
import { openIndex } from '../../runtime/models/faiss/open-index.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { projectRoot } from '../../schemas/project-root.js';
import { PYTHON_SETTINGS, pythonPackages } from '../support/python.js';
import { ENGINES, withoutNative } from '../unit/runtime/models/faiss/native.js';
import { clusteredVectors, writeFlat } from '../unit/runtime/models/faiss/vectors.js';
import { products, Workshop } from '../unit/snapshotters/faiss/build.js';

const COUNT = 2_000;
const DIMENSION = 16;
const QUERIES = 50;
const SCRIPT = `
import json, sys
import faiss, numpy as np
command, path, other = sys.argv[1:4]
queries = np.fromfile(other, dtype="float32").reshape(-1, ${DIMENSION})
if command == "search":
    index = faiss.read_index(path)
    scores, labels = index.search(queries, 10)
    graph = getattr(index, "hnsw", None)
    breadth = graph.efSearch if graph is not None else getattr(index, "nprobe", None)
    print(json.dumps({"kind": type(index).__name__, "count": index.ntotal, "breadth": breadth,
                      "metric": index.metric_type, "labels": labels.tolist(), "scores": scores.tolist()}))
else:
    index = faiss.index_factory(${DIMENSION}, command, int(sys.argv[4]))
    index.train(queries)
    index.add(queries)
    faiss.write_index(index, path)
    print(json.dumps({}))
`;

const packages = await pythonPackages(join(projectRoot, 'test', 'bench', 'faiss-requirements.txt'));
const withoutPython = 'missing' in packages ? packages.missing : false;
let shop: Workshop;
let folder: string;
let queriesFile: string;
const queries = clusteredVectors({ seed: 5, count: QUERIES, dimension: DIMENSION });

before(async () => {
  shop = await Workshop.open();
  folder = await mkdtemp(join(tmpdir(), 'faiss-python-'));
  queriesFile = join(folder, 'queries.f32');
  await writeFile(queriesFile, new Uint8Array(queries.buffer));
});
after(async () => {
  await shop.remove();
  await rm(folder, { recursive: true });
});

interface Answer {
  readonly kind: string;
  readonly count: number;
  readonly breadth: number | null;
  readonly metric: number;
  readonly labels: number[][];
  readonly scores: number[][];
}

async function python(...args: string[]): Promise<Answer> {
  const path = 'path' in packages ? packages.path : '';
  const env = { ...process.env, ...PYTHON_SETTINGS, PYTHONPATH: path };
  const { stdout } = await promisify(execFile)('python3', ['-c', SCRIPT, ...args], { env });
  return JSON.parse(stdout) as Answer;
}

async function ours(path: string, engine: 'exact' | 'native'): Promise<{ labels: number[][]; scores: number[][] }> {
  const index = await openIndex({ path, engine, logger: silentLogger });
  try {
    const { positions, scores } = await index.search(queries, QUERIES, 10);
    const rows = (all: Int32Array | Float32Array) =>
      Array.from({ length: QUERIES }, (_, query) => [...all.subarray(query * 10, query * 10 + 10)]);
    return { labels: rows(positions), scores: rows(scores) };
  } finally {
    await index.close();
  }
}

function assertSame(own: { labels: number[][]; scores: number[][] }, theirs: Answer): void {
  assert.deepEqual(own.labels, theirs.labels);
  for (const [query, scores] of own.scores.entries())
    for (const [i, score] of scores.entries()) assert.ok(Math.abs(score - theirs.scores[query]![i]!) < 1e-4);
}

for (const engine of ENGINES) {
  test(`a published flat index, searched by ${engine} and by Python`, { skip: withoutPython }, async () => {
    const built = await shop.build(products(COUNT, { dimension: DIMENSION }), { engine });
    const path = join(built.folder, 'index.faiss');
    const theirs = await python('search', path, queriesFile);
    assert.deepEqual([theirs.kind, theirs.count, theirs.metric], ['IndexFlatIP', COUNT, 0]);
    assertSame(await ours(path, engine), theirs);
  });

  test(`flat indexes of both metrics, written by us and by Python, searched by ${engine}`, {
    skip: withoutPython,
  }, async () => {
    for (const [metric, number, kind] of [
      ['inner_product', 0, 'IndexFlatIP'],
      ['l2', 1, 'IndexFlatL2'],
    ] as const) {
      const mine = join(folder, `${engine}-${metric}.faiss`);
      await writeFlat(mine, queries, DIMENSION, metric);
      const theirs = await python('search', mine, queriesFile);
      assert.deepEqual([theirs.kind, theirs.count], [kind, QUERIES]);
      assertSame(await ours(mine, engine), theirs);
      const other = join(folder, `${engine}-${metric}-python.faiss`);
      await python('Flat', other, queriesFile, String(number));
      assert.deepEqual(await readIndexFile(other), await readIndexFile(mine));
      assertSame(await ours(other, engine), theirs);
    }
  });
}

for (const [kind, name] of [
  ['hnsw', 'IndexHNSWFlat'],
  ['ivf', 'IndexIVFFlat'],
] as const)
  test(`a published ${kind} index: Python reads it, with the breadth that was set`, {
    skip: withoutPython || withoutNative,
  }, async () => {
    const built = await shop.build(products(COUNT, { dimension: DIMENSION }), {
      engine: 'native',
      settings: { FAISS_INDEX: kind },
    });
    const path = join(built.folder, 'index.faiss');
    const { breadth } = await readIndexFile(path);
    const usual = await python('search', path, queriesFile);
    assert.deepEqual([usual.kind, usual.count, usual.breadth, usual.metric], [name, COUNT, breadth, 0]);
    // So widely that both find everything, whatever the order in which they look.
    await writeBreadth(path, kind === 'ivf' ? (await readIndexFile(path)).lists! : COUNT);
    assertSame(await ours(path, 'native'), await python('search', path, queriesFile));
  });

test('ivf and hnsw files of a newer FAISS are understood', { skip: withoutPython }, async () => {
  for (const [description, kind] of [
    ['IVF4,Flat', 'ivf'],
    ['HNSW16', 'hnsw'],
  ] as const) {
    const path = join(folder, `${kind}-python.faiss`);
    await python(description, path, queriesFile, '0');
    const file = await readIndexFile(path);
    assert.deepEqual([file.kind, file.count, file.dimension], [kind, QUERIES, DIMENSION]);
  }
});
