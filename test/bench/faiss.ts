/**
 * The index compared with Python's faiss-cpu, on the same vectors, one thread each, alternating; then searches at a
 * steady rate through the serving process, while the next version is loaded and after a kill; then a complete snapshot.
 */
import { execFile, fork } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { loadSettings } from '../../assembly/settings.js';
import { planBuild } from '../../runtime/models/faiss/build-plan.js';
import { writeBreadth } from '../../runtime/models/faiss/index-file.js';
import { openIndex } from '../../runtime/models/faiss/open-index.js';
import type { IndexKind } from '../../runtime/models/faiss/vector-index.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import { projectRoot } from '../../schemas/project-root.js';
import { snapshotter } from '../../snapshotters/faiss/snapshotter.js';
import { columnsOf } from '../support/columns.js';
import { pythonPackages } from '../support/python.js';
import { hasNative } from '../unit/runtime/models/faiss/native.js';
import { clusteredVectors, writeFlat } from '../unit/runtime/models/faiss/vectors.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import type { BuildTimes, FaissTask, SearchTimes } from './faiss-worker.js';
import { percentile } from './percentiles.js';

const run = promisify(execFile);
const PRODUCTS = 100_000;
const DIMENSION = 384;
const QUERIES = 500;
const ROUNDS = 4;
const TURNS = 3;
const NEIGHBOURS = 10;
const BREADTHS: Readonly<Record<IndexKind, readonly number[]>> = {
  flat: [],
  hnsw: [16, 32, 64, 128],
  ivf: [1, 2, 4, 8, 16, 32, 64],
};
/** The breadth that a snapshot starts with. */
const USUAL: Readonly<Record<IndexKind, number>> = { flat: 0, hnsw: 64, ivf: 32 };
/** Recall for the comparison: the minimum for a snapshot, and the usual value of a graph. */
const EQUAL_RECALL: Readonly<Record<IndexKind, number>> = { flat: 1, ivf: 0.95, hnsw: 0.98 };
const RATE = 500;
const RATE_SECONDS = 8;
const P50_RATIO_MAX = 1.2;
const BUILD_RATIO_MAX = 1.5;
const P99_MS_MAX = 10;
const MILLION = 1_000_000;

interface Point {
  readonly breadth: number;
  readonly recall: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/** Shared by the measurements. */
interface Scene {
  readonly folder: string;
  readonly flat: string;
  readonly count: number;
  readonly vectors: Float32Array;
  readonly queries: Float32Array;
  readonly queriesFile: string;
  readonly truth: Int32Array;
  readonly truthFile: string;
  readonly options: BenchOptions;
  /** Null: there is no peer. */
  readonly peer: ((args: readonly string[]) => Promise<unknown>) | null;
}

export const faiss: Bench = {
  name: 'faiss',
  what: 'building and searching the index compared with faiss-cpu, searches at a steady rate, a complete snapshot',
  async run(options: BenchOptions): Promise<Report[]> {
    if (!hasNative) throw new Error('FAISS\'s native module is not installed: "npm run setup:native" installs it.');
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
    try {
      const { scene, note } = await prepare(folder, options);
      const notes = [
        note,
        'p50 and p99 inside a process with FAISS in it; ratios at equal recall, all rounds in one run.',
      ];
      const figures: Figure[] = [];
      for (const kind of ['flat', 'ivf', 'hnsw'] as const) figures.push(...(await beside(scene, kind)));
      const title = `faiss: ${scene.count.toLocaleString('en')} × ${DIMENSION}, clustered, seed ${options.seed}, one thread`;
      return [{ title, figures, notes }, await steady(scene), await snapshot(scene)];
    } finally {
      await rm(folder, { recursive: true });
    }
  },
};

async function prepare(folder: string, options: BenchOptions): Promise<{ scene: Scene; note: string }> {
  const count = options.products ?? PRODUCTS;
  options.say(`generating ${count} vectors`);
  const all = clusteredVectors({
    seed: options.seed,
    count: count + QUERIES,
    dimension: DIMENSION,
    clusters: Math.max(1, Math.round(count / 100)),
  });
  const vectors = all.subarray(0, count * DIMENSION);
  const queries = all.slice(count * DIMENSION);
  const [flat, queriesFile, truthFile] = ['flat.faiss', 'queries.f32', 'truth.i32'].map((name) => join(folder, name));
  await writeFlat(flat!, vectors, DIMENSION);
  await writeFile(queriesFile!, new Uint8Array(queries.buffer));
  const index = await openIndex({
    path: flat!,
    logger: silentLogger,
    threads: 2,
    timeoutMs: 600_000,
    stuckMs: 600_000,
  });
  const { positions: truth } = await index.search(queries, QUERIES, NEIGHBOURS);
  await index.close();
  await writeFile(truthFile!, new Uint8Array(truth.buffer));
  const packages = await pythonPackages(join(projectRoot, 'test', 'bench', 'faiss-requirements.txt'));
  const peer = 'path' in packages ? peerIn(packages.path) : null;
  const scene = {
    folder,
    flat: flat!,
    count,
    vectors,
    queries,
    queriesFile: queriesFile!,
    truth,
    truthFile: truthFile!,
    options,
    peer,
  };
  return { scene, note: 'path' in packages ? 'peer: faiss-cpu 1.15.1' : `no peer: ${packages.missing}` };
}

function peerIn(path: string): NonNullable<Scene['peer']> {
  const script = join(projectRoot, 'test', 'bench', 'faiss-peer.py');
  // Some machines use these to choose BLAS kernels for older libraries; the peer's own library chooses by itself.
  const { OPENBLAS_CORETYPE: _, OPENBLAS_L2_SIZE: __, ...own } = process.env;
  const env = {
    ...own,
    PYTHONPATH: path,
    OMP_NUM_THREADS: '1',
    OPENBLAS_NUM_THREADS: '1',
    PYTHONDONTWRITEBYTECODE: '1',
  };
  return async (args) => JSON.parse((await run('python3', [script, ...args], { env, maxBuffer: 1 << 26 })).stdout);
}

/** One kind, ours and the peer's. */
async function beside(scene: Scene, kind: IndexKind): Promise<Figure[]> {
  const figures: Figure[] = [];
  const ours = kind === 'flat' ? scene.flat : join(scene.folder, `${kind}.faiss`);
  const theirs = kind === 'flat' ? scene.flat : join(scene.folder, `${kind}-peer.faiss`);
  if (kind === 'flat') figures.push(...(await fallback(scene)));
  else figures.push(...(await builds(scene, kind, ours, theirs)));
  const mine: Point[][] = [];
  const peers: Point[][] = [];
  for (let turn = 0; turn < (kind === 'flat' ? 1 : TURNS); turn++) {
    scene.options.say(`${kind}: searching, turn ${turn + 1}`);
    mine.push(await searchOurs(scene, kind, ours));
    if (scene.peer !== null) peers.push(await searchPeer(scene, kind, theirs, scene.peer));
  }
  const own = medians(mine);
  const usual = own.find(({ breadth }) => breadth === USUAL[kind])!;
  const at = kind === 'flat' ? kind : `${kind} at ${usual.breadth}`;
  figures.push(
    { name: `${at}, recall@10`, value: usual.recall, unit: '' },
    { name: `${at}, p50`, value: usual.p50Ms, unit: 'ms' },
    { name: `${at}, p99`, value: usual.p99Ms, unit: 'ms' },
  );
  if (peers.length === 0) return figures;
  const peer = medians(peers);
  const same = peer.find(({ breadth }) => breadth === usual.breadth)!;
  figures.push(
    { name: `${at}, peer's recall@10`, value: same.recall, unit: '' },
    { name: `${at}, peer's p50`, value: same.p50Ms, unit: 'ms' },
    { name: `${at}, peer's p99`, value: same.p99Ms, unit: 'ms' },
    { ...ratioOf(kind, own, peer, usual, same), unit: '× peer', aim: { atMost: P50_RATIO_MAX } },
  );
  return figures;
}

/** At equal recall; if both reach it with the narrowest search, at the usual breadth. */
function ratioOf(kind: IndexKind, own: readonly Point[], peer: readonly Point[], usual: Point, same: Point) {
  const target = EQUAL_RECALL[kind];
  if (own[0]!.recall >= target && peer[0]!.recall >= target)
    return { name: `${kind} at ${usual.breadth}, p50`, value: usual.p50Ms / same.p50Ms };
  return { name: `${kind}, p50 at recall ${target}`, value: timeAt(own, target) / timeAt(peer, target) };
}

/** The exact search without the native module, through its process. */
async function fallback({ flat, queries, options }: Scene): Promise<Figure[]> {
  options.say('exact fallback');
  const index = await openIndex({ path: flat, engine: 'exact', logger: silentLogger, timeoutMs: 60_000 });
  try {
    const times: number[] = [];
    for (let query = 0; query < 20; query++) {
      const began = performance.now();
      await index.search(queries.subarray(query * DIMENSION, (query + 1) * DIMENSION), 1, NEIGHBOURS);
      times.push(performance.now() - began);
    }
    const began = performance.now();
    await index.search(queries.subarray(0, 32 * DIMENSION), 32, NEIGHBOURS);
    const together = (performance.now() - began) / 32;
    return [
      { name: 'exact fallback, p50', value: percentile(times, 0.5), unit: 'ms' },
      { name: 'exact fallback, 32 queries together', value: together, unit: 'ms each' },
    ];
  } finally {
    await index.close();
  }
}

async function builds(scene: Scene, kind: 'hnsw' | 'ivf', ours: string, theirs: string): Promise<Figure[]> {
  const { flat, count, options, peer } = scene;
  options.say(`${kind}: building`);
  const plan = planBuild(kind, { vectors: flat, out: ours, dimension: DIMENSION, count });
  const own = await inWorker<BuildTimes>({ kind: 'build', plan });
  const figures: Figure[] = [
    { name: `${kind}, build`, value: own.seconds, unit: 's' },
    { name: `${kind}, build`, value: own.cpuSeconds, unit: 'CPU-s' },
  ];
  if (kind === 'ivf') {
    // Four times the training points and twice the lists; ten times the rows, each against twice the lists.
    const factor = MILLION / count;
    const million = planBuild(kind, { vectors: flat, out: ours, dimension: DIMENSION, count: MILLION });
    const lists = million.lists / plan.lists;
    const train = own.trainCpuSeconds * (million.trainedOn / plan.trainedOn) * lists;
    const add = (own.cpuSeconds - own.trainCpuSeconds) * factor * lists;
    figures.push({ name: 'ivf, build of 1 M, extrapolated', value: train + add, unit: 'CPU-s' });
  }
  if (peer === null) return figures;
  const description = kind === 'hnsw' ? `HNSW${plan.links}` : `IVF${plan.lists},Flat`;
  const result = (await peer(['build', flat, theirs, description, String(plan.trainedOn)])) as {
    seconds: number;
    cpu_seconds: number;
  };
  figures.push(
    { name: `${kind}, peer's build`, value: result.cpu_seconds, unit: 'CPU-s' },
    {
      name: `${kind}, build`,
      value: own.cpuSeconds / result.cpu_seconds,
      unit: '× peer',
      aim: { atMost: BUILD_RATIO_MAX },
    },
  );
  return figures;
}

async function searchOurs({ queries, truth }: Scene, kind: IndexKind, path: string): Promise<Point[]> {
  const points: Point[] = [];
  for (const breadth of kind === 'flat' ? [0] : BREADTHS[kind]) {
    if (kind !== 'flat') await writeBreadth(path, breadth);
    const some = kind === 'flat' ? queries.slice(0, 100 * DIMENSION) : queries;
    const rounds = kind === 'flat' ? 1 : ROUNDS;
    const { p50Ms, p99Ms, labels } = await inWorker<SearchTimes>({ kind: 'search', path, queries: some, rounds });
    points.push({ breadth, recall: recallOf(labels, truth), p50Ms, p99Ms });
  }
  return points;
}

async function searchPeer(
  scene: Scene,
  kind: IndexKind,
  path: string,
  peer: NonNullable<Scene['peer']>,
): Promise<Point[]> {
  const rounds = kind === 'flat' ? 1 : ROUNDS;
  const args = ['search', path, scene.queriesFile, scene.truthFile, String(rounds), ...BREADTHS[kind].map(String)];
  const { points } = (await peer(args)) as {
    points: { breadth: number; recall: number; p50_ms: number; p99_ms: number }[];
  };
  return points.map(({ breadth, recall, p50_ms, p99_ms }) => ({ breadth, recall, p50Ms: p50_ms, p99Ms: p99_ms }));
}

function recallOf(labels: Int32Array, truth: Int32Array): number {
  let hits = 0;
  for (let from = 0; from < labels.length; from += NEIGHBOURS) {
    const expected = new Set(truth.subarray(from, from + NEIGHBOURS));
    for (const label of labels.subarray(from, from + NEIGHBOURS)) if (expected.has(label)) hits++;
  }
  return hits / labels.length;
}

/** The median of each figure over several rounds. */
function medians(turns: readonly (readonly Point[])[]): Point[] {
  return turns[0]!.map((point, i) => ({
    ...point,
    p50Ms: percentile(
      turns.map((turn) => turn[i]!.p50Ms),
      0.5,
    ),
    p99Ms: percentile(
      turns.map((turn) => turn[i]!.p99Ms),
      0.5,
    ),
  }));
}

/** The time for a recall: interpolated between the two measured points around it, or that of the nearer end. */
function timeAt(points: readonly Point[], recall: number): number {
  const sorted = [...points].sort((a, b) => a.recall - b.recall);
  const above = sorted.findIndex((point) => point.recall >= recall);
  if (above <= 0) return sorted.at(above)!.p50Ms;
  const [low, high] = [sorted[above - 1]!, sorted[above]!];
  const share = high.recall === low.recall ? 0 : (recall - low.recall) / (high.recall - low.recall);
  return low.p50Ms + share * (high.p50Ms - low.p50Ms);
}

function inWorker<T>(task: FaissTask): Promise<T> {
  const worker = fork(fileURLToPath(new URL('./faiss-worker.js', import.meta.url)), [], {
    serialization: 'advanced',
    env: { ...process.env, OMP_NUM_THREADS: '1', OPENBLAS_NUM_THREADS: '1' },
  });
  return new Promise((resolve, reject) => {
    worker.once('message', (answer: { result: T } | { error: string }) => {
      if ('result' in answer) resolve(answer.result);
      else reject(new Error(answer.error));
    });
    worker.once('exit', (code, signal) => reject(new Error(`the worker ended (${signal ?? code})`)));
    worker.send(task);
  });
}

/** Searches through the process that serves them, on schedule, whether or not the last one has been answered. */
async function steady(scene: Scene): Promise<Report> {
  const { folder, options } = scene;
  const path = join(folder, 'hnsw.faiss');
  await writeBreadth(path, USUAL.hnsw);
  const rate = options.rate ?? RATE;
  const index = await openIndex({ path, logger: silentLogger });
  try {
    options.say(`${rate} searches/s for ${RATE_SECONDS} s`);
    const alone = await atRate(scene, rate, index);
    options.say('the same while the next index is loaded');
    let loadMs = 0;
    const began = performance.now();
    const loading = openIndex({ path, logger: silentLogger }).then((next) => {
      loadMs = performance.now() - began;
      return next.close();
    });
    const besideLoading = await atRate(scene, rate, index);
    await loading;
    options.say('the same, killed in the middle');
    const killing = setTimeout(() => process.kill(index.pid!, 'SIGKILL'), (RATE_SECONDS / 2) * 1000);
    const killed = await atRate(scene, rate, index);
    clearTimeout(killing);
    return {
      title: `faiss: hnsw at ${USUAL.hnsw}, ${rate} searches/s through its process, from when each was due`,
      figures: [
        { name: 'p50', value: percentile(alone.times, 0.5), unit: 'ms' },
        { name: 'p99', value: percentile(alone.times, 0.99), unit: 'ms', aim: { atMost: P99_MS_MAX } },
        { name: 'next index loaded alongside, in', value: loadMs, unit: 'ms' },
        {
          name: 'p99 while it is loaded',
          value: percentile(besideLoading.times, 0.99),
          unit: 'ms',
          aim: { atMost: P99_MS_MAX },
        },
        { name: 'failed in both', value: alone.failed + besideLoading.failed, unit: 'searches', aim: { atMost: 0 } },
        { name: 'killed: failed', value: killed.failed, unit: 'searches' },
        {
          name: 'killed: longest wait of the others',
          value: percentile(killed.times, 1),
          unit: 'ms',
          aim: { atMost: 1_000 },
        },
      ],
      notes: [],
    };
  } finally {
    await index.close();
  }
}

async function atRate(
  { queries }: Scene,
  rate: number,
  index: { search(vectors: Float32Array, queries: number, k: number): Promise<unknown> },
): Promise<{ times: number[]; failed: number }> {
  const times: number[] = [];
  let failed = 0;
  const began = performance.now();
  const total = rate * RATE_SECONDS;
  const under: Promise<void>[] = [];
  for (let sent = 0; sent < total; ) {
    for (; sent < total && began + (sent * 1000) / rate <= performance.now(); sent++) {
      const due = began + (sent * 1000) / rate;
      const at = (sent % QUERIES) * DIMENSION;
      const search = index.search(queries.subarray(at, at + DIMENSION), 1, NEIGHBOURS + 1);
      under.push(
        search.then(
          () => void times.push(performance.now() - due),
          () => void failed++,
        ),
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(under);
  return { times, failed };
}

/** Everything that a run does except reading from the log and publishing. */
async function snapshot({ folder, vectors, count, options }: Scene): Promise<Report> {
  options.say('a complete snapshot');
  const codec = new Codec();
  const settings = loadSettings({ ARTIFACTS_DIR: join(folder, 'artifacts') });
  const capture = snapshotter.createCapture(codec, settings);
  let addingMs = 0;
  const ROWS = 1_000;
  for (let from = 0; from < count; from += ROWS) {
    const records = Array.from({ length: Math.min(ROWS, count - from) }, (_, i) => {
      const product_id = `product-${(from + i).toString().padStart(8, '0')}`;
      const row = vectors.subarray((from + i) * DIMENSION, (from + i + 1) * DIMENSION);
      const vector = Buffer.from(row.buffer, row.byteOffset, row.byteLength);
      const value = codec.encode('Embedding', { product_id, content_hash: 'h'.repeat(64), model: 'bench', vector });
      return { key: product_id, value, timestamp: 0, offset: from + i };
    });
    const columns = columnsOf('embeddings', 0, records);
    const began = performance.now();
    for (let row = 0; row < columns.count; row++) capture.add(columns, row);
    addingMs += performance.now() - began;
  }
  const saving = performance.now();
  const saved = capture.save();
  const savingMs = performance.now() - saving;
  const target = join(folder, 'version');
  await mkdir(target);
  const began = performance.now();
  const report = await snapshotter.build(capture, {
    folder: target,
    settings,
    previous: null,
    progress: () => undefined,
  });
  const seconds = (performance.now() - began) / 1000;
  return {
    title: `faiss: a snapshot of ${count.toLocaleString('en')} products, all threads`,
    figures: [
      { name: 'capture', value: (count / addingMs) * 1000, unit: 'records/s' },
      { name: 'checkpoint of the capture', value: saved.length / 2 ** 20, unit: 'MiB' },
      { name: 'checkpoint of the capture', value: savingMs, unit: 'ms' },
      { name: 'build and checks', value: seconds, unit: 's' },
      { name: 'recall@10 in the manifest', value: report.figures['recall_at_10'] as number, unit: '' },
    ],
    notes: [
      `kind ${String(report.settings['kind'])}; ${report.checks.filter(({ passed }) => !passed).length} checks failed`,
    ],
  };
}
