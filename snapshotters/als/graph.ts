/** A graph in place of a flat index file, where it finds enough of what exact search finds. */
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
 * Of a node, twice as many as an index of texts has: users' queries lie far from most products, and with 32 the best ones
 * were not found at any width (0.91 at 1536, with 64 0.96 at 768), for a tenth more time to build.
 */
const LINKS = 64;
/** Of the ten nearest of every query, mean share that a graph must find. */
export const RECALL_MIN = 0.95;
/** Widths of a search: the first that reaches RECALL_MIN is taken. */
const EF_SEARCH = [96, 192, 384, 768, 1536] as const;
const SEARCH_MS_MAX = 300_000;

export interface Graph {
  /** Null: none of them was enough, or there is no FAISS here; the flat file is as it was. */
  readonly ef_search: number | null;
  /** Recall@10 by efSearch, in order; empty: there is no FAISS here. */
  readonly tried: readonly { readonly ef_search: number; readonly recall_at_10: number }[];
}

export interface GraphOptions {
  readonly engine?: EngineChoice;
  /** For tests, as is recallMin. */
  readonly efSearch?: readonly number[];
  readonly recallMin?: number;
}

/** Errors: 'invalid_data' for a file that is not flat or not whole; 'unavailable' when a process of FAISS ended. */
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
  // With one thread it is the same graph every time.
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
