/** The shop's products, composed from the vocabularies of its categories. Ids are readable slugs. */
import type { Product } from '../../schemas/records.js';
import { DAY_MS } from '../../topics/time.js';
import { Random } from './random.js';
import { categories } from './vocabulary/all.js';
import type { CategoryVocabulary, Item } from './vocabulary/category.js';

/** The oldest entry was last updated this long ago. */
const OLDEST_UPDATE_DAYS = 400;

/** Every style of every item once, in a different order for each category. */
export function createCatalogue(seed: number, nowMs: number): Product[] {
  return categories.flatMap((category) => {
    const random = new Random(seed, `catalogue/${category.id}`);
    const pairs = category.items.flatMap((item) => item.styles.map((style) => ({ item, style })));
    return random.shuffled(pairs).map(({ item, style }, index) => ({
      product_id: slug(`${category.id} ${style} ${item.name} ${index + 1}`),
      title: `${style} ${item.name}`,
      description: describe(random, category, item, style),
      category: category.id,
      price: priceOf(random, item),
      updated_at: nowMs - random.integer(OLDEST_UPDATE_DAYS * DAY_MS),
    }));
  });
}

/** Its purpose, its material and, mostly, one more sentence. */
function describe(random: Random, category: CategoryVocabulary, item: Item<string>, style: string): string {
  const opening = random.pick(item.openings).replace('{size}', () => random.pick(item.sizes ?? ['']));
  const sentences = [opening, random.pick(category.styles[style]!)];
  if (random.chance(0.85)) sentences.push(random.pick(category.closings));
  return sentences.join(' ');
}

/** Cheap products are more common than expensive ones; prices end in 90 cents or, above 100, on 9 euros. */
function priceOf(random: Random, item: Item<string>): number {
  const [low, high] = item.price;
  const euros = low + (high - low) * random.next() ** 1.6;
  return euros >= 100 ? Math.round(euros / 10) * 10 - 1 : Math.floor(euros) + 0.9;
}

function slug(text: string): string {
  return text
    .toLowerCase()
    .replaceAll("'", '')
    .replaceAll(/[^a-z0-9]+/g, '-');
}
