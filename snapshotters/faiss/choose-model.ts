/** Vectors of different models cannot be compared, so one index holds one model. */
import type { ModelGroup } from './embeddings-capture.js';

export interface ChosenModel {
  readonly group: ModelGroup;
  /** Products whose newest vector is from another model. */
  readonly otherModels: number;
  /** Products with a vector from this model, but with another number of dimensions. */
  readonly otherDimensions: number;
}

/**
 * The model that most products have; on a tie the one with the newest vector, then by name. So while a new model is
 * rolled out, the old one is indexed until half of the products have been embedded again.
 */
export function chooseModel(groups: readonly ModelGroup[]): ChosenModel | null {
  const total = groups.reduce((sum, { products }) => sum + products, 0);
  const models = new Map<string, { products: number; newestMs: number }>();
  for (const { model, products, newestMs } of groups) {
    const sum = models.get(model) ?? { products: 0, newestMs: 0 };
    models.set(model, { products: sum.products + products, newestMs: Math.max(sum.newestMs, newestMs) });
  }
  const [best] = [...models].sort(
    ([a, x], [b, y]) => y.products - x.products || y.newestMs - x.newestMs || (a < b ? -1 : 1),
  );
  if (best === undefined) return null;
  const [model, { products }] = best;
  const [group] = groups
    .filter((one) => one.model === model)
    .sort((a, b) => b.products - a.products || b.newestMs - a.newestMs || a.dimension - b.dimension);
  return { group: group!, otherModels: total - products, otherDimensions: products - group!.products };
}
