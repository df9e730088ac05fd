/**
 * The index files of a model (described in layout.ts), built here, where no request waits: serving only opens them.
 * From HNSW_FROM products on they are graphs, if FAISS is installed and a graph finds enough.
 */
import { join } from 'node:path';
import type { FactorSource } from '../../publishing/versions/artefacts/factor-file.js';
import { FlatWriter } from '../../runtime/models/faiss/flat-writer.js';
import { howToGetFaiss } from '../../runtime/models/faiss/how-to-get.js';
import { HNSW_FROM } from '../../runtime/models/faiss/kind.js';
import { type Sample, samplePositions } from '../../runtime/models/faiss/recall.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { type Graph, type GraphOptions, tryGraph } from './graph.js';
import { directionOf, lengthOf, NEIGHBOURS_INDEX, PRODUCTS_INDEX, productVector, userVector } from './layout.js';

/** Queries that measure a graph's recall. */
const SAMPLE = 400;

export interface IndexesOptions extends GraphOptions {
  /** Target folder of the files. */
  readonly folder: string;
  readonly users: FactorSource;
  readonly products: FactorSource;
  /** From this many products on, a graph is tried; for tests. */
  readonly graphFrom?: number;
  readonly progress?: (done: number, total: number) => void;
}

export interface MadeIndexes {
  readonly files: readonly string[];
  /**
   * For the manifest. `length_max` is M of layout.ts, which serving needs; a null graph: few enough to search exactly.
   */
  readonly figures: {
    readonly length_max: number;
    readonly products: Graph | null;
    readonly neighbours: Graph | null;
    readonly sample: number;
    readonly seconds: number;
  };
  /** A line for the summary. */
  readonly summary: string;
}

/**
 * The same factors give the same files, byte for byte. Errors: 'invalid_data' if all products' factors are 0, or one is
 * not finite; 'unavailable' if a process of FAISS ended; those of the disk.
 */
export async function makeIndexes(options: IndexesOptions): Promise<MadeIndexes> {
  const { folder, users, products, graphFrom = HNSW_FROM, progress } = options;
  const started = performance.now();
  const { rows, factors } = products;
  let lengthMax = 0;
  for (let row = 0; row < rows; row++) lengthMax = Math.max(lengthMax, lengthOf(factorsOf(products, row)));
  if (lengthMax === 0)
    throw new FreshetError('invalid_data', 'All factors of the products are 0: there is nothing to search.');

  const graphOf = (name: string, sample: Sample) =>
    rows < graphFrom ? null : tryGraph(join(folder, name), sample, options);
  progress?.(0, 2);
  const productAt = (row: number) => productVector(factorsOf(products, row), lengthMax);
  await writeFlat(join(folder, PRODUCTS_INDEX), rows, factors + 1, productAt);
  // Recommendations query with users, which are not rows of the index.
  const asked = samplePositions(users.rows, SAMPLE);
  const ofUsers = vectorsAt(asked, factors + 1, (row) => userVector(factorsOf(users, row)));
  const found = await graphOf(PRODUCTS_INDEX, { positions: asked.map(() => -1), vectors: ofUsers });

  progress?.(1, 2);
  const directionAt = (row: number) => directionOf(factorsOf(products, row));
  await writeFlat(join(folder, NEIGHBOURS_INDEX), rows, factors, directionAt);
  const positions = samplePositions(rows, SAMPLE);
  const near = await graphOf(NEIGHBOURS_INDEX, { positions, vectors: vectorsAt(positions, factors, directionAt) });
  progress?.(2, 2);

  const seconds = (performance.now() - started) / 1000;
  return {
    files: [PRODUCTS_INDEX, NEIGHBOURS_INDEX],
    figures: { length_max: lengthMax, products: found, neighbours: near, sample: positions.length, seconds },
    summary: summaryOf(found, near, seconds),
  };
}

function factorsOf(source: FactorSource, row: number): Float32Array {
  const factors = new Float32Array(source.factors);
  source.copyFactors(row, factors, 0);
  return factors;
}

async function writeFlat(
  path: string,
  rows: number,
  dimension: number,
  vectorAt: (row: number) => Float32Array,
): Promise<void> {
  const writer = await FlatWriter.create(path, 'inner_product', dimension);
  try {
    for (let row = 0; row < rows; row++) await writer.add(vectorAt(row));
  } catch (error) {
    await writer.abandon();
    throw error;
  }
  await writer.finish();
}

function vectorsAt(rows: Int32Array, dimension: number, vectorAt: (row: number) => Float32Array): Float32Array {
  const vectors = new Float32Array(rows.length * dimension);
  for (const [i, row] of rows.entries()) vectors.set(vectorAt(row), i * dimension);
  return vectors;
}

function summaryOf(products: Graph | null, neighbours: Graph | null, seconds: number): string {
  const inWords = (graph: Graph | null) => {
    if (graph === null) return 'searched exactly';
    if (graph.tried.length === 0)
      return `searched exactly, as FAISS’s native module is not installed ("${howToGetFaiss()}")`;
    const { ef_search, recall_at_10: recall } = graph.tried.at(-1)!;
    const reached = `recall@10 ${recall.toFixed(4)} with efSearch ${ef_search}`;
    return graph.ef_search === null ? `searched exactly (a graph had ${reached})` : `a graph, ${reached}`;
  };
  return `Indexes in ${seconds.toFixed(1)} s: recommendations ${inWords(products)}; similar products ${inWords(neighbours)}.`;
}
