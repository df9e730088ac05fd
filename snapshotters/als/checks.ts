/**
 * Checks that a model must pass before it is published. Limits:
 *
 *   finite         every factor is a number.
 *   ndcg           NDCG@10 on held-out interactions above that of plain popularity. Only checked from 200 users and 50
 *                  products on: with fewer, chance decides.
 *   distribution   at most 5 % of the users and of the products have no factor at all, and no row is longer than 1,000
 *                  times the median one.
 *   users, products   at least half as many as in the last version.
 *   ndcg_before    NDCG@10 at least half of the last version's, if both evaluated 200 users.
 */
import type { Check, Manifest } from '../../publishing/versions/manifest.js';
import type { Distribution } from './distribution.js';
import type { Evaluation } from './evaluation.js';

const ASKED_MIN = 200;
const CANDIDATES_MIN = 50;
const ZERO_SHARE_MAX = 0.05;
const NORM_RATIO_MAX = 1000;
const KEPT_MIN = 0.5;

interface Checked {
  readonly users: Distribution;
  readonly products: Distribution;
  readonly evaluation: Evaluation;
  readonly previous: PreviousFigures | null;
}

/** Figures of the current version; null if its manifest does not state them. */
export interface PreviousFigures {
  readonly version: number;
  readonly users: number | null;
  readonly products: number | null;
  readonly asked: number | null;
  readonly ndcg: number | null;
  readonly recall: number | null;
}

export function previousFigures(previous: { version: number; manifest: Manifest } | null): PreviousFigures | null {
  if (previous === null) return null;
  const { counts, figures } = previous.manifest;
  const evaluation = field(figures, 'evaluation');
  const model = field(evaluation, 'model');
  return {
    version: previous.version,
    users: numberOf(counts['users']),
    products: numberOf(counts['products']),
    asked: numberOf(field(evaluation, 'users_asked')),
    ndcg: numberOf(field(model, 'ndcg_at_10')),
    recall: numberOf(field(model, 'recall_at_20')),
  };
}

export function checkModel({ users, products, evaluation, previous }: Checked): Check[] {
  const checks = [checkFinite(users, products), checkNdcg(evaluation), checkDistribution(users, products)];
  if (previous === null) return checks;
  checks.push(checkCount('users', users.rows, previous.users, previous.version));
  checks.push(checkCount('products', products.rows, previous.products, previous.version));
  checks.push(checkNdcgBefore(evaluation, previous));
  return checks;
}

function checkFinite(users: Distribution, products: Distribution): Check {
  const figure = users.notFinite + products.notFinite;
  const sentence =
    figure === 0
      ? 'All factors are finite.'
      : `${figure} values of the factors are not numbers: raise ALS_REGULARIZATION or lower ALS_ALPHA.`;
  return { name: 'finite', passed: figure === 0, figure, sentence };
}

function checkNdcg({ asked, candidates, model, popularity, leadError }: Evaluation): Check {
  const figure = model.ndcg - popularity.ndcg;
  const figures = `NDCG@10 ${text(model.ndcg)}, popularity alone ${text(popularity.ndcg)} (${asked} users evaluated)`;
  if (asked < ASKED_MIN || candidates < CANDIDATES_MIN) {
    const sentence = `${figures}: not judged below ${ASKED_MIN} users and ${CANDIDATES_MIN} products.`;
    return { name: 'ndcg', passed: true, figure, sentence };
  }
  const passed = figure > 0;
  const lead = `${text(figure)} ± ${text(leadError)}`;
  const sentence = passed
    ? `${figures}: a lead of ${lead}.`
    : `${figures}, a lead of ${lead}: the model is no better than a list of popular products. Are the interactions of ` +
      'users mixed up, or too few? More interactions, or other values of ALS_FACTORS, ALS_ALPHA or ALS_REGULARIZATION may help.';
  return { name: 'ndcg', passed, figure, sentence };
}

function checkDistribution(users: Distribution, products: Distribution): Check {
  const zero = Math.max(...[users, products].map(({ zeroRows, rows }) => zeroRows / Math.max(1, rows)));
  const ratio = Math.max(...[users, products].map(({ norm }) => (norm.median === 0 ? 0 : norm.max / norm.median)));
  const passed = zero <= ZERO_SHARE_MAX && ratio <= NORM_RATIO_MAX;
  const sentence =
    `${percent(zero)} of the users or products have no factor (at most ${percent(ZERO_SHARE_MAX)}), the longest row is ` +
    `${ratio.toFixed(1)} times the median one (at most ${NORM_RATIO_MAX}).`;
  return { name: 'distribution', passed, figure: ratio, sentence };
}

function checkCount(name: 'users' | 'products', now: number, before: number | null, version: number): Check {
  const figure = before === null || before === 0 ? null : now / before;
  const passed = figure === null || figure >= KEPT_MIN;
  const compared = `${now} ${name}, ${before ?? 'an unknown number of'} in version ${version}`;
  const sentence = passed
    ? `${compared}.`
    : `${compared}: less than half. Were some events lost, or ALS_INTERACTIONS_MIN raised? If this is intended, ` +
      'remove the current version or lower ALS_INTERACTIONS_MIN.';
  return { name, passed, figure, sentence };
}

function checkNdcgBefore({ asked, model }: Evaluation, previous: PreviousFigures): Check {
  const { version, ndcg, asked: askedBefore } = previous;
  const comparable = ndcg !== null && ndcg > 0 && asked >= ASKED_MIN && (askedBefore ?? 0) >= ASKED_MIN;
  if (!comparable) {
    const sentence = `NDCG@10 is not compared with version ${version}: one of the two evaluated fewer than ${ASKED_MIN} users.`;
    return { name: 'ndcg_before', passed: true, figure: null, sentence };
  }
  const figure = model.ndcg / ndcg;
  const passed = figure >= KEPT_MIN;
  const sentence =
    `NDCG@10 ${text(model.ndcg)}, in version ${version} ${text(ndcg)}` +
    (passed ? '.' : ': less than half. Check what has changed in the events.');
  return { name: 'ndcg_before', passed, figure, sentence };
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

function numberOf(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

function text(value: number): string {
  return value.toFixed(4);
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
