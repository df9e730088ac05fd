/** The page in a real browser, if one is installed: what it draws, what a click does, how it fits a phone. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Event } from '../../schemas/records.js';
import { showPage, WAIT_MS_MAX } from '../support/browser.js';
import { type Fixture, NOW_MS, OVERVIEW, tokenEntry, withTokens } from '../support/serving.js';

const PRODUCTS = ['garden', 'kitchen', 'coffee'].flatMap((category) =>
  Array.from({ length: 10 }, (_, index) => ({ productId: `${category}-plain-thing-${index + 1}`, category })),
);

function stock({ readers }: Fixture): void {
  for (const [index, { productId, category }] of PRODUCTS.entries()) {
    const counts = { views: 90 - index, addToCarts: 20, purchases: 10 };
    readers.products.set(productId, {
      productId,
      category,
      score: 300 - 7 * index,
      asOf: NOW_MS,
      version: 1,
      ...counts,
    });
  }
  readers.words.set('en', { the: 1, of: 0.98, and: 0.5 });
  readers.words.set('de', { und: 1 });
  const scores = { garden: 0.61, kitchen: 0.2, coffee: 0.19 };
  readers.users.set('u-000042', { userId: 'u-000042', asOf: NOW_MS, version: 1, scores });
}

/** The page with a demo shop; null without a browser. */
async function show(context: TestContext, width = 1280, height = 900) {
  const shown = await showPage(context, { width, height, stock });
  await shown?.open();
  return shown;
}

/** The next event that reaches the log. */
async function nextEvent({ log, codec }: Fixture): Promise<Event> {
  const reader = log.reader([0, 1, 2, 3].map((partition) => ({ topic: 'events', partition, offset: 0 })));
  try {
    for (const end = Date.now() + WAIT_MS_MAX; Date.now() < end; ) {
      for (const { bytes, count, valueStart, valueEnd } of await reader.poll())
        if (count > 0) return codec.decode('Event', bytes, valueStart[0]!, valueEnd[0]!) as Event;
    }
    throw new Error('no event came');
  } finally {
    await reader.close();
  }
}

test('the page draws the ranking, a taste, the figures and the state, without errors', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab } = shown;
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
  await tab.until(`document.getElementById('state-text').textContent === 'Live'`);
  await tab.until(`document.querySelectorAll('#taste-bars li').length === 3`);
  assert.equal(await tab.value(`document.querySelector('#ranking-rows .score').textContent`), '300.0');
  assert.equal(await tab.value(`document.querySelector('#ranking-rows .name').textContent`), 'garden-plain-thing-1');
  assert.equal(await tab.value(`document.getElementById('rate').textContent`), '20.5');
  assert.equal(await tab.value(`document.getElementById('intake-duplicate').textContent`), '5');
  assert.equal(await tab.value(`document.getElementById('mode-log').textContent`), 'embedded log');
  const percents = await tab.value<string[]>(
    `[...document.querySelectorAll('#taste-bars .value')].map((v) => v.textContent)`,
  );
  assert.deepEqual(percents, ['61.0 %', '20.0 %', '19.0 %']);
  for (const chart of ['flow', 'watched', 'freshness', 'lag'])
    assert.ok(await tab.value(`document.querySelector('#${chart}-chart canvas').width > 50`), chart);
  assert.deepEqual(await tab.value(`[...document.getElementById('category').options].map((o) => o.value)`), [
    '',
    'coffee',
    'garden',
    'kitchen',
  ]);
  assert.deepEqual(tab.complaints, []);
});

test('a click on Buy sends an event and shows when it can be read', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
  await tab.value(`document.querySelectorAll('#ranking-rows .buy')[4].click()`);
  const event = await nextEvent(fixture);
  assert.equal(event.product_id, 'garden-plain-thing-5');
  assert.equal(event.user_id, 'u-000042');
  assert.equal(event.event_type, 'purchase');
  assert.ok(!(await tab.value<string>(`document.getElementById('outcome').textContent`)).startsWith('Bought'));
  const product = fixture.readers.products.get(event.product_id)!;
  fixture.readers.products.set(event.product_id, { ...product, score: 400, purchases: product.purchases + 1 });
  await tab.until(
    `/^Bought by u-000042, counted, and in the database after/.test(document.getElementById('outcome').textContent)`,
  );
  await tab.until(`document.querySelector('#ranking-rows tr').textContent.includes('garden-plain-thing-5')`);
  await tab.until(`document.getElementById('outcome').textContent.endsWith('It moved from place 5 to 1.')`);
  assert.deepEqual(tab.complaints, []);
});

test('titles are shown where the catalogue has them, and the charts begin with the past', async (context) => {
  const shown = await showPage(context, {
    stock: (fixture) => {
      stock(fixture);
      const lamp = { title: 'A reading lamp', description: '', category: 'garden', price: 1, updatedAt: NOW_MS };
      fixture.readers.listed.set('garden-plain-thing-1', { productId: 'garden-plain-thing-1', ...lamp });
    },
    options: { overviewHistory: () => [...pastMinute()] },
  });
  if (shown === null) return;
  await shown.open();
  const { tab } = shown;
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
  const names = `[...document.querySelectorAll('#ranking-rows .name')].slice(0, 2).map((one) => one.textContent)`;
  assert.deepEqual(await tab.value(names), ['A reading lamp', 'garden-plain-thing-2']);
  // The line of the past minute crosses the left half, where nothing could be yet.
  await tab.until(`(() => {
    const canvas = document.querySelector('#flow-chart canvas');
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width / 2, canvas.height);
    return data.some((value, i) => i % 4 === 3 && value > 0);
  })()`);
  assert.deepEqual(tab.complaints, []);
});

function* pastMinute() {
  for (let i = 12; i > 0; i--) {
    const lag = { activity: 0, popularity: 0, corpus: 0, embeddings: 0, redis: 0, postgres: 0 };
    yield { at: Date.now() - 5_000 * i, rate_per_second: 20, lag, freshness_ms: null };
  }
}

for (const [who, tokens, demo] of [
  ['a reader of the demo shop', true, true],
  ['anybody without the demo', false, false],
] as const)
  test(`${who} can look and not act`, async (context) => {
    const access = tokens ? withTokens([tokenEntry('t', 'reader')]) : {};
    const overview = () => Promise.resolve({ ...OVERVIEW, demo });
    const shown = await showPage(context, { stock, options: { ...access, overview } });
    if (shown === null) return;
    const { tab } = shown;
    if (tokens) await tab.authenticate('t');
    await shown.open();
    await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
    await tab.until(`document.getElementById('act-title').innerText === 'One product'`);
    const visible = (selector: string) =>
      tab.value<number>(`[...document.querySelectorAll('${selector}')].filter((one) => one.checkVisibility()).length`);
    assert.equal(await visible('.buy, .act-form button, .as-whom'), 0);
    assert.equal((await visible('[data-user]')) > 0, demo);
    if (!demo) {
      assert.equal(await tab.value(`document.getElementById('user').value`), '');
      await tab.until(`/^Enter the user_id/.test(document.getElementById('taste-note').textContent)`);
    }
    await tab.value(`(() => {
      document.getElementById('product').value = 'coffee-plain-thing-3';
      document.getElementById('act').requestSubmit();
    })()`);
    await tab.until(`document.getElementById('watched').textContent.includes('plain-thing')`);
    for (let partition = 0; partition < 4; partition++)
      assert.equal((await shown.fixture.log.offsets({ topic: 'events', partition })).highWatermark, 0);
  });

test('a category narrows the ranking; a guest without events gets a note', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab } = shown;
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
  await tab.value(`(() => {
    const select = document.getElementById('category');
    select.value = 'coffee';
    select.dispatchEvent(new Event('change', { bubbles: true }));
    document.querySelector('[data-user=""]').click();
  })()`);
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 10`);
  assert.equal(await tab.value(`document.querySelector('#ranking-rows .name').textContent`), 'coffee-plain-thing-1');
  await tab.until(`/^Nothing is known about guest-/.test(document.getElementById('taste-note').textContent)`);
});

test('on a phone nothing is cut off and every field can be reached', async (context) => {
  const shown = await show(context, 360, 740);
  if (shown === null) return;
  const { tab } = shown;
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
  await tab.until(`document.querySelectorAll('#version-rows tr').length === 3`);
  await tab.until(`document.querySelectorAll('#words li').length === 3`);
  assert.equal(await tab.value(`document.documentElement.scrollWidth`), 360);
  const outside = await tab.value<string[]>(`[...document.querySelectorAll('input, button, select, td, h2')]
    .filter((one) => one.checkVisibility() && (one.getBoundingClientRect().left < 0 || one.getBoundingClientRect().right > 360))
    .map((one) => one.outerHTML)`);
  assert.deepEqual(outside, []);
  const small = await tab.value<string[]>(`[...document.querySelectorAll('input, button, select')]
    .filter((one) => one.checkVisibility() && one.getBoundingClientRect().height < 24)
    .map((one) => one.outerHTML)`);
  assert.deepEqual(small, [], 'targets are at least 24 pixels high (WCAG 2.5.8)');
});

test('the page shows when the server is unreachable, and when it is back', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  await tab.until(`document.getElementById('state').dataset.state === 'live'`);
  fixture.readiness = { ready: false, waiting: ['the stores'] };
  fixture.app.server.closeAllConnections();
  await tab.value(
    `(() => { window.realFetch = window.fetch; window.fetch = () => Promise.reject(new TypeError('gone')); })()`,
  );
  await tab.until(`document.getElementById('state').dataset.state === 'unreachable'`);
  await tab.value(`(() => { window.fetch = window.realFetch; })()`);
  await tab.until(`document.getElementById('state-text').textContent === 'Starting: the stores'`);
  fixture.readiness = { ready: true, waiting: [] };
  await tab.until(`document.getElementById('state-text').textContent === 'Live'`);
});
