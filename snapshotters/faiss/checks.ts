/**
 * Checks that an index must pass before it is published.
 *
 *   recall      of the ten nearest neighbours, at least the share FAISS_RECALL_MIN is found
 *   neighbours  at least the same share of products come first in a search with their own vector
 *   records     at most one in a hundred was unreadable
 *   vectors     at most one in a hundred is left out for NaN, infinity, only zeros, or another dimension
 *   models      at least half of the products have vectors of the indexed model
 *   dimension   one that serving can query with: that of the last version, unless the model has changed
 *   count       at least half of the last version's products
 *
 * FAISS_CHANGE_ALLOWED lets the last three pass, for a run that is meant to make such a change.
 */
import type { Check } from '../../publishing/versions/manifest.js';
import type { Measured } from '../../runtime/models/faiss/recall.js';
import { counted, thousands } from '../counted.js';
import type { FaissSettings } from './settings.js';

const LOST_SHARE_MAX = 0.01;
const COUNT_KEPT_MIN = 0.5;

type CheckSettings = Pick<FaissSettings, 'FAISS_RECALL_MIN' | 'FAISS_CHANGE_ALLOWED'>;

export interface Indexed {
  readonly count: number;
  readonly model: string;
  readonly dimension: number;
}

export function checkRecall({ recall, selfFirst }: Measured, sample: number, settings: CheckSettings): Check[] {
  const least = settings.FAISS_RECALL_MIN;
  return [
    {
      name: 'recall',
      passed: recall >= least,
      figure: recall,
      sentence:
        `recall@10 is ${recall.toFixed(4)} on ${counted(sample, 'product')}, at least ${least} is required.` +
        (recall >= least ? '' : ' Raise FAISS_EF_SEARCH or FAISS_NPROBE, or set FAISS_INDEX=flat.'),
    },
    {
      name: 'neighbours',
      passed: selfFirst >= least,
      figure: selfFirst,
      sentence: `${percent(selfFirst)} of ${counted(sample, 'product')} come first in a search with their own vector.`,
    },
  ];
}

export function checkRecords(refused: { readonly count: number; readonly first: string | null }, read: number): Check {
  const { count, first } = refused;
  const passed = count <= LOST_SHARE_MAX * read;
  const sentence =
    count === 0
      ? 'All records of embeddings could be read.'
      : `${counted(count, 'record')} of embeddings could not be read (the first: ${first}); their products are missing or out of date.`;
  return { name: 'records', passed, figure: count, sentence };
}

export function checkVectors(
  lost: { readonly unusable: number; readonly first: string | null; readonly otherDimensions: number },
  count: number,
): Check {
  const { unusable, first, otherDimensions } = lost;
  const total = unusable + otherDimensions;
  const parts = [
    ...(unusable > 0 ? [`${thousands(unusable)} with NaN, infinity or only zeros (the first: ${first})`] : []),
    ...(otherDimensions > 0 ? [`${thousands(otherDimensions)} of another dimension`] : []),
  ];
  return {
    name: 'vectors',
    passed: total <= LOST_SHARE_MAX * (count + total),
    figure: total,
    sentence:
      total === 0
        ? `All ${counted(count, 'vector')} are finite and of one dimension.`
        : `${counted(total, 'vector')} left out: ${parts.join(', ')}; at most ${percent(LOST_SHARE_MAX)} is allowed.`,
  };
}

/** `others`: products with vectors from other models; they are not in the index. */
export function checkModels(model: string, products: number, others: number, settings: CheckSettings): Check {
  return {
    name: 'models',
    passed: settings.FAISS_CHANGE_ALLOWED || others <= products / 2,
    figure: others,
    sentence:
      others === 0
        ? `All vectors are from ${model}.`
        : `${counted(others, 'product')} of ${thousands(products)} left out: embedded by a model other than ${model}. They are included once they are embedded again.`,
  };
}

/** `before`: the last version; null if there is none. */
export function checkChanges(now: Indexed, before: Indexed | null, settings: CheckSettings): Check[] {
  if (before === null) return [];
  const allowed = settings.FAISS_CHANGE_ALLOWED;
  const least = Math.ceil(before.count * COUNT_KEPT_MIN);
  const sameModel = now.model === before.model;
  const hint = ' If this is intended, run it once with FAISS_CHANGE_ALLOWED=true.';
  const fewer = now.count < least;
  const other = sameModel && now.dimension !== before.dimension;
  return [
    {
      name: 'count',
      passed: allowed || !fewer,
      figure: now.count,
      sentence: `${counted(now.count, 'product')}, ${thousands(before.count)} in the last version; at least ${thousands(least)} are required.${fewer && !allowed ? hint : ''}`,
    },
    {
      name: 'dimension',
      passed: allowed || !other,
      figure: now.dimension,
      sentence: `${now.dimension} dimensions, ${before.dimension} in the last version${sameModel ? '' : ', of another model'}.${other && !allowed ? hint : ''}`,
    },
  ];
}

function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))} %`;
}
