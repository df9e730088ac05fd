/** Replaces a flat index file with a graph, if the graph finds enough of what exact search finds. */
import { rename, rm } from 'node:fs/promises';
import { buildIndex } from '../../runtime/models/faiss/build-index.js';
import { planBuild } from '../../runtime/models/faiss/build-plan.js';
import { writeBreadth } from '../../runtime/models/faiss/index-file.js';
import type { EngineChoice } from '../../runtime/models/faiss/messages.js';
import { openIndex } from '../../runtime/models/faiss/open-index.js';
import { exactAnswers, measure, type Sample } from '../../runtime/models/faiss/recall.js';
import type { VectorIndex } from '../../runtime/models/faiss/vector-index.js';
import { silentLogger } from '../../runtime/process/logger.js';

/**
 * Links per node, twice as many as in an index of texts: users' queries are far from most products, and with 32 the
 * best ones were not found at any width (0.91 at 1536, with 64 0.96 at 768), at the cost of a tenth more build time.
 */
const LINKS = 64;
/** Mean share of each query's ten nearest that a graph must find. */
export const RECALL_MIN = 0.95;
/** Search widths: the first that reaches RECALL_MIN is used. */
const EF_SEARCH = [96, 192, 384, 768, 1536] as const;
const SEARCH_MS_MAX = 300_000;

export interface Graph {
  /** Null: none was enough, or FAISS is not installed; the flat file is unchanged. */
  readonly ef_search: number | null;
  /** Recall@10 by efSearch, in order; empty: FAISS is not installed. */
  readonly tried: readonly { readonly ef_search: number; readonly recall_at_10: number }[];
}

export interface GraphOptions {
  readonly engine?: EngineChoice;
  /** For tests, like recallMin. */
  readonly efSearch?: readonly number[];
  readonly recallMin?: number;
}

/** Errors: 'invalid_data' for a file that is not flat or not complete; 'unavailable' if a process of FAISS ended. */
export async function tryGraph(flat: string, sample: Sample, options: GraphOptions): Promise<Graph> {
  const { engine = 'auto', efSearch = EF_SEARCH, recallMin = RECALL_MIN } = options;
  const exact = await using(flat, engine, async (index) =>
    index.engine === 'native'
      ? { dimension: index.dimension, count: index.count, truth: await exactAnswers(index, sample) }
      : null,
  );
  if (exact === null) return { ef_search: null, tried: [] };
  const { dimension, count, truth } = exact;
  const graph = `${flat}.graph`;
  // With one thread, the graph is the same every time.
  const plan = { ...planBuild('hnsw', { vectors: flat, out: graph, dimension, count }), links: LINKS };
  await buildIndex({ plan, threads: 1 });
  const tried: { ef_search: number; recall_at_10: number }[] = [];
  for (const width of efSearch) {
    await writeBreadth(graph, width);
    const { recall } = await using(graph, 'native', (index) => measure(index, truth));
    tried.push({ ef_search: width, recall_at_10: recall });
    if (recall < recallMin) continue;
    await rename(graph, flat);
    return { ef_search: width, tried };
  }
  await rm(graph);
  return { ef_search: null, tried };
}

async function using<T>(path: string, engine: EngineChoice, use: (index: VectorIndex) => Promise<T>): Promise<T> {
  const index = await openIndex({
    ...{ path, engine, logger: silentLogger, timeoutMs: SEARCH_MS_MAX, stuckMs: SEARCH_MS_MAX },
  });
  try {
    return await use(index);
  } finally {
    await index.close();
  }
}
