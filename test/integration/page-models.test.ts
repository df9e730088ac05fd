/** Results of models on the page, in a real browser. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FreshetError } from '../../runtime/process/errors.js';
import { showPage, type Tab } from '../support/browser.js';
import { type Fixture, NOW_MS } from '../support/serving.js';

function stock({ readers, models }: Fixture): void {
  for (const [i, productId] of ['garden-cedar-planter-12', 'garden-oak-bench-3', 'bath-soap-1'].entries())
    readers.products.set(productId, {
      ...{ productId, category: productId.split('-', 1)[0]!, score: 10 - i, asOf: NOW_MS, version: 1 },
      ...{ views: 1, addToCarts: 0, purchases: 0 },
    });
  readers.users.set('u-000042', { userId: 'u-000042', asOf: NOW_MS, version: 1, scores: { garden: 1 } });
  models.answer = {
    version: 7,
    items: [
      { product_id: 'garden-cedar-planter-12', score: 0.8 },
      { product_id: 'bath-soap-1', score: 0.2 },
    ],
    reads: { faiss: 7 },
  };
}

async function show(context: Parameters<typeof showPage>[0]) {
  const shown = await showPage(context, { stock });
  if (shown === null) return null;
  await shown.open();
  await shown.tab.until(`document.querySelectorAll('#similar-items li').length === 2`);
  return shown;
}

const textOf = (tab: Tab, selector: string) =>
  tab.value<string>(`document.querySelector(${JSON.stringify(selector)}).textContent.trim()`);

test('a user’s recommendations and products like the watched one are shown, and a click continues from there', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  await tab.until(`document.querySelectorAll('#recommended-items li').length === 2`);
  assert.equal(await textOf(tab, '#recommended-whom'), 'u-000042');
  assert.match(await textOf(tab, '#recommended-note'), /without purchased products\. Model version 7\.$/);
  assert.equal(await textOf(tab, '#similar-items li:first-child .name'), 'garden-cedar-planter-12');
  assert.equal(await textOf(tab, '#similar-items li:first-child .value'), '0.80');
  await tab.value(`document.querySelector('#recommended-items [data-product="bath-soap-1"]').click()`);
  await tab.until(`document.getElementById('similar-what').textContent === 'bath-soap-1'`);
  await tab.until(`document.getElementById('product').value === 'bath-soap-1'`);
  assert.ok(fixture.models.asked.some(([what, id]) => what === 'similar' && id === 'bath-soap-1'));
});

test('a search runs while typing, and its errors are shown', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  assert.match(await textOf(tab, '#search-note'), /^Type what you are looking for/);
  await tab.value(`(() => {
    const input = document.getElementById('query');
    input.value = ' cedar planter ';
    input.dispatchEvent(new Event('input'));
  })()`);
  await tab.until(`document.querySelectorAll('#search-items li').length === 2`);
  assert.ok(fixture.models.asked.some(([what, query]) => what === 'search' && query === 'cedar planter'));
  fixture.models.search = () => Promise.reject(new FreshetError('unavailable', 'down'));
  await tab.value(`document.querySelector('#search [data-query]').click()`);
  await tab.until(`document.getElementById('search-note').textContent.includes('does not respond')`);
  assert.equal(await tab.value(`document.querySelectorAll('#search-items li').length`), 0);
});

test('popular products as a fallback are shown as such', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  fixture.models.answer = { ...fixture.models.answer!, fallback: 'popularity' };
  await tab.value(`document.querySelector('#taste [data-user="u-000777"]').click()`);
  await tab.until(`document.getElementById('recommended-note').textContent.startsWith('Popular products')`);
});

test('figures of a model are next to those of popularity, and the hashed model has a loud warning', async (context) => {
  const shown = await showPage(context, { stock });
  if (shown === null) return;
  const { tab, fixture } = shown;
  const quality = (ndcg_at_10: number, recall_at_20: number) => ({ ndcg_at_10, recall_at_20 });
  const list = fixture.versions.list.bind(fixture.versions);
  fixture.versions.list = async (artefact) => {
    const { versions, ...known } = await list('popularity');
    const manifest = {
      als: { figures: { evaluation: { model: quality(0.277, 0.55), popularity: quality(0.029, 0.109) } } },
      faiss: { settings: { model: 'hashed-ngrams-1' }, figures: { recall_at_10: 0.984 } },
    }[artefact as 'als' | 'faiss'];
    return manifest === undefined ? list(artefact) : { ...known, artefact, versions: [{ ...versions[0]!, manifest }] };
  };
  await shown.open();
  await tab.until(`!document.getElementById('found-warning').hidden`);
  assert.match(await textOf(tab, '#found-warning'), /compared by their letters, so synonyms do not match/);
  await tab.until(`document.querySelector('[data-artefact="als"]') !== null`);
  await tab.value(`document.querySelector('[data-artefact="als"]').click()`);
  await tab.until(`document.querySelectorAll('#version-rows .quality li').length === 2`);
  assert.equal(await textOf(tab, '#version-rows .quality li'), 'NDCG@10 0.277, popularity alone 0.029');
  await tab.value(`document.querySelector('[data-artefact="faiss"]').click()`);
  await tab.until(`document.querySelector('#version-rows .loud') !== null`);
  assert.equal(
    await textOf(tab, '#version-rows .quality'),
    'model hashed-ngrams-1recall@10 0.984 against exact search',
  );
});
