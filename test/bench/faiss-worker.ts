/** One measurement inside a process with FAISS in it, without messages between the searches. */
import type { BuildPlan } from '../../runtime/models/faiss/build-plan.js';
import { buildWithFaiss } from '../../runtime/models/faiss/index-builder.js';
import { loadNative } from '../../runtime/models/faiss/native.js';
import { percentile } from './percentiles.js';

export type FaissTask =
  | { readonly kind: 'build'; readonly plan: BuildPlan }
  | { readonly kind: 'search'; readonly path: string; readonly queries: Float32Array; readonly rounds: number };

export interface BuildTimes {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly trainCpuSeconds: number;
}

export interface SearchTimes {
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Ten per query. */
  readonly labels: Int32Array;
}

const NEIGHBOURS = 10;

process.on('message', (task: FaissTask) => {
  const measured = task.kind === 'build' ? build(task.plan) : search(task);
  measured.then(
    (result) => process.send!({ result }, () => process.exit(0)),
    (error: unknown) => process.send!({ error: String(error) }, () => process.exit(1)),
  );
});

/** Only training and adding, as the peer measures it; includes reading the rows, but not writing the file. */
async function build(plan: BuildPlan): Promise<BuildTimes> {
  const began = performance.now();
  let first: number | null = null;
  let trained = 0;
  let added = 0;
  await buildWithFaiss(plan, (phase, done, total) => {
    first ??= cpuSeconds();
    if (phase === 'add' && done === 0) trained = cpuSeconds();
    if (phase === 'add' && done === total) added = cpuSeconds();
  });
  const before = first ?? 0;
  const seconds = (performance.now() - began) / 1000;
  return { seconds, cpuSeconds: added - before, trainCpuSeconds: trained - before };
}

/** CPU time since the process began. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

async function search({ path, queries, rounds }: FaissTask & { kind: 'search' }): Promise<SearchTimes> {
  const loaded = await loadNative();
  if ('missing' in loaded) throw new Error(loaded.missing);
  const index = loaded.native.read(path);
  const count = queries.length / index.dimension;
  const labels = new Int32Array(count * NEIGHBOURS);
  const times: number[] = [];
  for (let round = 0; round < rounds; round++)
    for (let query = 0; query < count; query++) {
      const vector = queries.subarray(query * index.dimension, (query + 1) * index.dimension);
      const began = performance.now();
      const found = index.search(vector, NEIGHBOURS);
      times.push(performance.now() - began);
      labels.set(found.labels, query * NEIGHBOURS);
    }
  return { p50Ms: percentile(times, 0.5), p99Ms: percentile(times, 0.99), labels };
}
