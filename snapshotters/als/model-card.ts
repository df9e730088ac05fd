/** What people need to know about a model before trusting it: model_card.json, and the figures of the manifest. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PreviousFigures } from './checks.js';
import type { Distribution } from './distribution.js';
import { ASKED_MAX, type Evaluation, type Quality } from './evaluation.js';
import type { Selection } from './selection.js';
import { SOURCE } from './source.js';
import { STEPS } from './train.js';

export const MODEL_CARD_FILE = 'model_card.json';

interface CardContents {
  readonly settings: Readonly<Record<string, number>>;
  readonly selection: Selection;
  readonly evaluation: Evaluation;
  readonly users: Distribution;
  readonly products: Distribution;
  readonly previous: PreviousFigures | null;
}

/** The same data and settings give the same text. */
export function modelCard(contents: CardContents) {
  const { selection, settings } = contents;
  return {
    model: 'Implicit-feedback alternating least squares: a vector per user and per product, whose product is a score.',
    sources: [
      'Hu, Koren, Volinsky: Collaborative Filtering for Implicit Feedback Datasets, ICDM 2008',
      'Takács, Pilászy, Tikk: Applications of the Conjugate Gradient Method for Implicit Feedback Collaborative Filtering, RecSys 2011',
    ],
    use: 'Recommendations: products in order of the product of their factors with the user’s. Similar products: cosine of two products’ factors. Scores are not probabilities and are comparable only within one user.',
    data: {
      preference: '1 for every product a user has interacted with',
      confidence: `1 + ALS_ALPHA · weight, weight as in ${SOURCE} (decayed, see its as_of)`,
      pairs_captured: selection.pairsCaptured,
      pairs: selection.pairs,
      users: { taken: selection.users.count, left_out: selection.users.leftOut },
      products: { taken: selection.products.count, left_out: selection.products.leftOut },
      left_out: `users with fewer than ${settings['ALS_INTERACTIONS_MIN']} interactions (raw counts), then products with fewer over the remaining users; one pass each`,
    },
    training: {
      settings,
      solver: `conjugate gradient, ${STEPS} steps per row and half iteration, preconditioned with YᵀY + λI, float32`,
      reproducible: 'the same pairs, settings and seed give the same bytes, whatever the number of threads',
    },
    evaluation: evaluationFigures(contents),
    factors: { users: contents.users, products: contents.products },
    limits: [
      'Users and products that were left out or are new have no factors: they get popular products.',
      'The published factors are trained on all pairs, the figures are those of a model trained without the held-out ones.',
      'Held-out interactions are each user’s last ones: a user’s first purchase of a season is harder to predict than the figures suggest.',
    ],
  };
}

export function evaluationFigures({ evaluation, previous }: Pick<CardContents, 'evaluation' | 'previous'>) {
  return {
    split:
      'per user the pair with the latest last_ts is held out, on a tie that of the last product_id; users with one pair are not evaluated',
    asked: `all such users, or if more than ${ASKED_MAX} an evenly spaced subset in order of user_id`,
    candidates: 'all products of the model except those of the user’s other pairs; ties count against the model',
    users_held_out: evaluation.heldOut,
    users_asked: evaluation.asked,
    products_ranked: evaluation.candidates,
    model: { ...qualityFigures(evaluation.model), ndcg_standard_error: evaluation.ndcgError },
    popularity: {
      by: 'sum of a product’s training weights',
      ...qualityFigures(evaluation.popularity),
      lead_standard_error: evaluation.leadError,
    },
    current_version:
      previous === null
        ? null
        : {
            version: previous.version,
            ndcg_at_10: previous.ndcg,
            recall_at_20: previous.recall,
            users_asked: previous.asked,
          },
  };
}

export async function writeModelCard(folder: string, card: ReturnType<typeof modelCard>): Promise<void> {
  await writeFile(join(folder, MODEL_CARD_FILE), `${JSON.stringify(card, null, 2)}\n`, { flag: 'wx' });
}

function qualityFigures({ ndcg, recall }: Quality) {
  return { ndcg_at_10: ndcg, recall_at_20: recall };
}
