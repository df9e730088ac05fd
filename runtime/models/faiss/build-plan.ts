/** What an index is built of, checked before FAISS sees any of it. */
import { FreshetError } from '../../process/errors.js';
import { COUNT_MAX, DIMENSION_MAX, type IndexKind } from './vector-index.js';

export interface BuildPlan {
  readonly kind: Exclude<IndexKind, 'flat'>;
  /** A flat index file: its rows are what is built from. */
  readonly vectors: string;
  /** The file to be written; replaced when it is there. */
  readonly out: string;
  readonly dimension: number;
  readonly count: number;
  /** hnsw: links of a node; twice as many at the bottom. */
  readonly links: number;
  /** ivf: number of lists, and of rows that their centres are found from. */
  readonly lists: number;
  readonly trainedOn: number;
}

/** Links of a node in every graph that is published. */
const HNSW_LINKS = 32;
const TRAINED_PER_LIST = 64;
/** FAISS warns below so many rows per list, and finds poor centres. */
const TRAINED_PER_LIST_MIN = 39;

/** Sensible sizes for so many rows: four lists per square root, a power of two (FAISS's own advice up to a million). */
export function planBuild(
  kind: BuildPlan['kind'],
  { vectors, out, dimension, count }: Pick<BuildPlan, 'vectors' | 'out' | 'dimension' | 'count'>,
): BuildPlan {
  let lists = 1;
  while (lists * 2 <= 4 * Math.sqrt(count) && lists * 2 * TRAINED_PER_LIST_MIN <= count) lists *= 2;
  const trainedOn = Math.min(count, lists * TRAINED_PER_LIST);
  return { kind, vectors, out, dimension, count, links: HNSW_LINKS, lists, trainedOn };
}

/** Errors: 'invalid_data' for a plan that FAISS would end its process on. */
export function checkPlan({ kind, dimension, count, links, lists, trainedOn }: BuildPlan): void {
  const whole = (name: string, value: number, least: number, most: number) => {
    if (!Number.isInteger(value) || value < least || value > most)
      throw new FreshetError('invalid_data', `An index cannot be built: ${name} is ${value}, not ${least} to ${most}.`);
  };
  if (kind !== 'hnsw' && kind !== 'ivf')
    throw new FreshetError('invalid_data', `An index cannot be built: ${String(kind)} is no kind that is built.`);
  whole('the dimension', dimension, 1, DIMENSION_MAX);
  whole('the number of vectors', count, 1, COUNT_MAX);
  if (kind === 'hnsw') whole('the number of links', links, 2, 256);
  if (kind === 'ivf') {
    whole('the number of lists', lists, 1, count);
    whole('the number of rows to train on', trainedOn, lists, count);
  }
}
