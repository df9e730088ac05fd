import assert from 'node:assert/strict';
import { test } from 'node:test';
import { languages } from '../../../../cli/demo/languages/all.js';
import { SOURCES } from '../../../../cli/demo/languages/language.js';
import { createShop, documents } from '../../../../cli/demo/shop.js';
import { categories } from '../../../../cli/demo/vocabulary/all.js';
import { Codec } from '../../../../schemas/codec.js';

const NOW_MS = Date.UTC(2026, 4, 20, 15, 30);
const shop = createShop(1, NOW_MS);
const texts = documents(shop);
const codec = new Codec();
const distinct = (values: readonly string[]) => new Set(values).size;
/** Traces of a template that was not filled in, or of two pieces that do not fit together. */
const LEFTOVER = /[{}|]|undefined|\bnull\b|NaN|\s\s|\s[.,]|\.\.|^\s|\s$/;

test('the same seed and moment give the same shop; another seed gives another one', () => {
  assert.deepEqual(createShop(1, NOW_MS), shop);
  assert.deepEqual(documents(createShop(1, NOW_MS)), texts);
  const other = createShop(2, NOW_MS);
  assert.notDeepEqual(other.products, shop.products);
  assert.notDeepEqual(other.demand, shop.demand);
});

test('the shop has the promised size', () => {
  assert.ok(shop.products.length >= 520, String(shop.products.length));
  assert.equal(shop.categories.length, 14);
  assert.ok(shop.shoppers.length >= 2_000);
  assert.ok(texts.length >= 2_000);
  for (const category of shop.categories)
    assert.ok(shop.products.filter((product) => product.category === category).length >= 30, category);
});

test('products: ids are slugs of category and title, texts are complete and no two descriptions are the same', () => {
  assert.equal(distinct(shop.products.map(({ product_id }) => product_id)), shop.products.length);
  assert.equal(distinct(shop.products.map(({ description }) => description)), shop.products.length);
  for (const { product_id, title, description, category, price, updated_at } of shop.products) {
    assert.match(product_id, /^[a-z]+(-[a-z0-9]+)+-\d+$/);
    assert.ok(product_id.startsWith(`${category}-`), product_id);
    assert.match(title, /^[A-Z]\S*( [A-Z]\S*)+$/, title);
    assert.doesNotMatch(description, LEFTOVER, product_id);
    const sentences = description.match(/[^.!?]+[.!?](?=\s|$)/g) ?? [];
    assert.ok(sentences.length >= 2 && sentences.length <= 4, description);
    assert.ok(price !== null && price >= 5 && price <= 500, `${product_id} ${price}`);
    assert.ok(updated_at <= NOW_MS);
  }
});

test('every sentence of the vocabularies occurs once, ends properly and names no missing size', () => {
  const seen = new Set<string>();
  for (const { id, items, styles, closings } of categories) {
    for (const item of items) {
      for (const opening of item.openings)
        assert.equal(opening.includes('{size}') && item.sizes === undefined, false, opening);
      assert.equal(distinct([...item.styles]), item.styles.length, `${id} ${item.name}`);
    }
    for (const sentence of [
      ...items.flatMap(({ openings }) => openings),
      ...Object.values(styles).flat(),
      ...closings,
    ]) {
      assert.match(sentence, /^[A-Z].*[.!?]$/, sentence);
      assert.ok(!seen.has(sentence), `twice: ${sentence}`);
      seen.add(sentence);
    }
  }
});

test('documents: ten languages and all sources, every text complete and different from all others', () => {
  assert.equal(distinct(texts.map(({ doc_id }) => doc_id)), texts.length);
  assert.equal(distinct(texts.map(({ text }) => text)), texts.length);
  const codes = languages.map(({ code }) => code);
  assert.equal(codes.length, 10);
  for (const code of ['en', 'de', 'es', 'fr']) assert.ok(codes.includes(code), code);
  for (const code of codes) {
    const own = texts.filter(({ language }) => language === code);
    assert.ok(own.length >= 200, `${code}: ${own.length}`);
    for (const source of SOURCES)
      assert.ok(own.filter((document) => document.source === source).length >= 25, `${code} ${source}`);
  }
  for (const { doc_id, text } of texts) {
    // French has a space before question marks.
    assert.doesNotMatch(text, LEFTOVER, doc_id);
    assert.match(text, /^[\p{Lu}¿].*[.?]$/u, doc_id);
    assert.ok(text.length > 200 && text.length < 1_500, `${doc_id}: ${text.length}`);
  }
});

test('languages differ from each other by the letters they should have', () => {
  const letters: Readonly<Record<string, RegExp>> = {
    de: /[äöüß]/,
    es: /[ñ¿]/,
    fr: /[çêœà]/,
    it: /[èòù]/,
    pt: /[ãõç]/,
    sv: /[åäö]/,
    pl: /[łżść]/,
    fi: /[äö]/,
  };
  for (const [code, pattern] of Object.entries(letters)) {
    const all = texts.filter(({ language }) => language === code).map(({ text }) => text);
    assert.match(all.join(' '), pattern, code);
  }
});

test('shoppers have ids, tenants and tastes; deactivated accounts do not shop', () => {
  assert.equal(distinct(shop.shoppers.map(({ user }) => user.user_id)), shop.shoppers.length);
  for (const { user, taste, activity } of shop.shoppers) {
    assert.match(user.user_id, /^u-\d{6}$/);
    assert.ok(shop.tenants.includes(user.tenant_id));
    assert.equal(activity > 0, user.active);
    const sum = taste.reduce((total, share) => total + share, 0);
    assert.ok(Math.abs(sum - 1) < 1e-9);
    assert.ok(Math.max(...taste) > 2 / shop.categories.length, 'nobody likes everything equally');
  }
  for (const tenant of shop.tenants) assert.ok(shop.shoppers.some(({ user }) => user.tenant_id === tenant));
});

test('every record matches its schema', () => {
  for (const product of shop.products)
    assert.deepEqual({ ...(codec.decode('Product', codec.encode('Product', product)) as object) }, product);
  for (const { user } of shop.shoppers) codec.encode('User', user);
  for (const document of texts) codec.encode('Document', document);
});
