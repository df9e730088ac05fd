/**
 * The only door to FAISS's native module. Only a dedicated process may load it: an error inside FAISS ends the process,
 * it crashes when loaded in two threads, and every call blocks.
 */
import type { Index } from 'faiss-node';
import { importOptional } from '../../../schemas/optional-package.js';
import { messageOf } from '../../process/errors.js';
import { howToGetFaiss } from './how-to-get.js';

/** One index inside FAISS. Arguments must be valid: a wrong one may end the process. */
export interface NativeIndex {
  readonly dimension: number;
  readonly count: number;
  train(rows: Float32Array): void;
  add(rows: Float32Array): void;
  /** The k nearest of every row, nearest first; a label of -1: fewer were found. */
  search(rows: Float32Array, k: number): { readonly distances: Float32Array; readonly labels: Int32Array };
  write(path: string): void;
}

interface NativeFaiss {
  read(path: string): NativeIndex;
  /** An empty index of inner products, e.g. `HNSW32` or `IVF256,Flat`. */
  create(dimension: number, description: string): NativeIndex;
}

type Loaded = { readonly native: NativeFaiss } | { readonly missing: string };

/** Added to the classes of faiss-node by scripts/setup-native.mjs; a prebuilt module does not have it. */
type TypedIndex = Omit<NativeIndex, 'dimension' | 'count'> & Pick<Index, 'ntotal' | 'getDimension'>;
type FaissModule = typeof import('faiss-node') & {
  readonly TypedIndex?: new (...about: readonly [path: string] | readonly [number, string, number]) => TypedIndex;
};

const INNER_PRODUCT = 0;
/** FAISS passes more queries than this to BLAS, and fewer to its own code: both are checked. */
const TRIED_QUERIES = 32;
const TRIED_DIMENSION = 24;

/** The native module, or a sentence that says why there is none. */
export async function loadNative(): Promise<Loaded> {
  let native: NativeFaiss;
  try {
    const { default: faiss } = (await importOptional('faiss-node', () => import('faiss-node'))) as unknown as {
      default: FaissModule;
    };
    const { TypedIndex, Index } = faiss;
    native = {
      read: (path) => (TypedIndex === undefined ? plain(Index.read(path)) : named(new TypedIndex(path))),
      create: (dimension, description) =>
        TypedIndex === undefined
          ? plain(Index.fromFactory(dimension, description, INNER_PRODUCT))
          : named(new TypedIndex(dimension, description, INNER_PRODUCT)),
    };
  } catch (error) {
    const why = messageOf(error).split('\n')[0]!.replace(/\.$/, '');
    return { missing: `FAISS's native module is not available (${why}): run "${howToGetFaiss()}"` };
  }
  // Old versions of OpenBLAS compute wrong results on processors newer than themselves.
  if (countsRight(native, TRIED_QUERIES) && countsRight(native, 1)) return { native };
  return {
    missing:
      "FAISS's native module computes wrong results on this processor; with OpenBLAS, OPENBLAS_CORETYPE may help",
  };
}

function named(index: TypedIndex): NativeIndex {
  return {
    dimension: index.getDimension(),
    get count() {
      return index.ntotal();
    },
    train: (rows) => index.train(rows),
    add: (rows) => index.add(rows),
    search: (rows, k) => index.search(rows, k),
    write: (path) => index.write(path),
  };
}

/** The classes of faiss-node accept only plain arrays, and check every number. */
function plain(index: Index): NativeIndex {
  return {
    dimension: index.getDimension(),
    get count() {
      return index.ntotal();
    },
    train: (rows) => index.train(plainNumbers(rows)),
    add: (rows) => index.add(plainNumbers(rows)),
    search: (rows, k) => {
      const { distances, labels } = index.search(plainNumbers(rows), k);
      return { distances: Float32Array.from(distances), labels: Int32Array.from(labels) };
    },
    write: (path) => index.write(path),
  };
}

function plainNumbers(numbers: Float32Array): number[] {
  const plainOnes = new Array<number>(numbers.length);
  for (let i = 0; i < numbers.length; i++) plainOnes[i] = numbers[i]!;
  return plainOnes;
}

/** Whether rows find themselves, with the right score. */
function countsRight(native: NativeFaiss, queries: number): boolean {
  const rows = Float32Array.from({ length: TRIED_QUERIES * TRIED_DIMENSION }, (_, i) => Math.sin(i + 1));
  const index = native.create(TRIED_DIMENSION, 'Flat');
  index.add(rows);
  const { distances, labels } = index.search(rows.subarray(0, queries * TRIED_DIMENSION), 1);
  for (let query = 0; query < queries; query++) {
    const from = query * TRIED_DIMENSION;
    let best = Number.NEGATIVE_INFINITY;
    for (let row = 0; row < TRIED_QUERIES; row++) {
      let sum = 0;
      for (let i = 0; i < TRIED_DIMENSION; i++) sum += rows[from + i]! * rows[row * TRIED_DIMENSION + i]!;
      best = Math.max(best, sum);
    }
    if (!(Math.abs(distances[query]! - best) < 1e-3) || labels[query]! < 0) return false;
  }
  return true;
}
