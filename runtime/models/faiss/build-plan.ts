/** The inputs of an index build, checked before they reach FAISS. */
import { FreshetError } from '../../process/errors.js';
import { COUNT_MAX, DIMENSION_MAX, type IndexKind } from './vector-index.js';

export interface BuildPlan {
  readonly kind: Exclude<IndexKind, 'flat'>;
  /** A flat index file: the index is built from its rows. */
  readonly vectors: string;
  /** The file to write; an existing one is replaced. */
  readonly out: string;
  readonly dimension: number;
  readonly count: number;
  /** hnsw: links of a node; twice as many in the bottom layer. */
  readonly links: number;
  /** ivf: number of lists, and number of rows to compute their centres from. */
  readonly lists: number;
  readonly trainedOn: number;
}

/** Links of a node in every published graph. */
const HNSW_LINKS = 32;
const TRAINED_PER_LIST = 64;
/** With fewer rows per list FAISS warns, and finds poor centres. */
const TRAINED_PER_LIST_MIN = 39;

/** Suitable sizes for this many rows: four lists per square root, a power of two (FAISS's advice up to a million). */
export function planBuild(
  kind: BuildPlan['kind'],
  { vectors, out, dimension, count }: Pick<BuildPlan, 'vectors' | 'out' | 'dimension' | 'count'>,
): BuildPlan {
  let lists = 1;
  while (lists * 2 <= 4 * Math.sqrt(count) && lists * 2 * TRAINED_PER_LIST_MIN <= count) lists *= 2;
  const trainedOn = Math.min(count, lists * TRAINED_PER_LIST);
  return { kind, vectors, out, dimension, count, links: HNSW_LINKS, lists, trainedOn };
}

/** Throws 'invalid_data' for a plan on which FAISS would end the process. */
export function checkPlan({ kind, dimension, count, links, lists, trainedOn }: BuildPlan): void {
  const whole = (name: string, value: number, least: number, most: number) => {
    if (!Number.isInteger(value) || value < least || value > most)
      throw new FreshetError('invalid_data', `An index cannot be built: ${name} is ${value}, not ${least} to ${most}.`);
  };
  if (kind !== 'hnsw' && kind !== 'ivf')
    throw new FreshetError('invalid_data', `An index cannot be built: ${String(kind)} is an unknown kind.`);
  whole('the dimension', dimension, 1, DIMENSION_MAX);
  whole('the number of vectors', count, 1, COUNT_MAX);
  if (kind === 'hnsw') whole('the number of links', links, 2, 256);
  if (kind === 'ivf') {
    whole('the number of lists', lists, 1, count);
    whole('the number of rows to train on', trainedOn, lists, count);
  }
}
