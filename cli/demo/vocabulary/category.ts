/** Building blocks of a category's products: things, their materials, and sentences written to fit together. */

export interface Item<Style extends string> {
  /** As in a title: `Raised Planter`. */
  readonly name: string;
  /** Lowest and highest price, euros. */
  readonly price: readonly [number, number];
  readonly styles: readonly Style[];
  /** First sentences: the purpose of the thing. `{size}` stands for one of `sizes`. They never name a style. */
  readonly openings: readonly string[];
  readonly sizes?: readonly string[];
}

export interface CategoryVocabulary {
  readonly id: string;
  /** Demand over the year: where it peaks (day of the year, 1..365) and its swing (0 none, 1 down to nothing). */
  readonly season: { readonly peakDay: number; readonly swing: number };
  /** Second sentences, true of anything made in that style. */
  readonly styles: Readonly<Record<string, readonly string[]>>;
  readonly items: readonly Item<string>[];
  /** Last sentences, true of anything in the category. */
  readonly closings: readonly string[];
}

/** Lets the compiler check that every item names styles of its own category. */
export function category<Style extends string>(
  vocabulary: Omit<CategoryVocabulary, 'styles' | 'items'> & {
    readonly styles: Readonly<Record<Style, readonly string[]>>;
    readonly items: readonly Item<NoInfer<Style>>[];
  },
): CategoryVocabulary {
  return vocabulary;
}
