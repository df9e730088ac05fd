/** The catalogue's categories, looked up once per product until it changes. Presentation only: no fold uses them. */
import { capacityFor, enlarged } from '../../../runtime/tasks/state/columns.js';
import type { Interner } from '../../../runtime/tasks/state/interner.js';
import { UNKNOWN_CATEGORY } from '../../../topics/limits.js';
import type { Catalogue } from '../catalogue/catalogue.js';

const NOT_LOOKED_UP = -2;
const DELETED = -3;

/** Products and categories are ids of the given interners. */
export class ProductCategories {
  readonly #catalogue: Catalogue;
  readonly #products: Interner;
  readonly #categories: Interner;
  #known = new Int32Array(1024).fill(NOT_LOOKED_UP);

  constructor(catalogue: Catalogue, products: Interner, categories: Interner) {
    this.#catalogue = catalogue;
    this.#products = products;
    this.#categories = categories;
  }

  /** The category to show for a product whose events had none. */
  of(product: number): number {
    const known = this.#lookUp(product);
    return known === DELETED ? this.#categories.intern(UNKNOWN) : known;
  }

  isDeleted(product: number): boolean {
    return this.#lookUp(product) === DELETED;
  }

  /** The catalogue has a new record of this product. */
  changed(productId: string): void {
    const product = this.#products.find(Buffer.from(productId));
    if (product >= 0 && product < this.#known.length) this.#known[product] = NOT_LOOKED_UP;
  }

  #lookUp(product: number): number {
    if (product >= this.#known.length) {
      const from = this.#known.length;
      this.#known = enlarged(this.#known, capacityFor(product + 1, from));
      this.#known.fill(NOT_LOOKED_UP, from);
    }
    const known = this.#known[product]!;
    if (known !== NOT_LOOKED_UP) return known;
    const category = this.#catalogue.categoryOf(this.#products.stringOf(product));
    const id = category === null ? DELETED : this.#categories.intern(Buffer.from(category));
    this.#known[product] = id;
    return id;
  }
}

const UNKNOWN = Buffer.from(UNKNOWN_CATEGORY);
