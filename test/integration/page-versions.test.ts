/** Versions, runs and stopwords on the page, in a real browser: what is drawn, what a click does, what it reports. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { showPage, type Tab } from '../support/browser.js';
import { type Fixture, NOW_MS, tokenEntry, withTokens } from '../support/serving.js';
import { SUMMARY, succeeded } from '../support/versions.js';

function stock({ readers }: Fixture): void {
  readers.users.set('u-000042', { userId: 'u-000042', asOf: NOW_MS, version: 1, scores: { garden: 1 } });
  const words = Array.from({ length: 70 }, (_, n) => [`word${n}`, 1 - n / 100] as const);
  readers.words.set('en', Object.fromEntries(words));
  readers.words.set('de', { und: 1, der: 0.5 });
}

/** The page with its versions drawn; null without a browser. */
async function show(context: TestContext) {
  const shown = await showPage(context, { stock });
  if (shown === null) return null;
  await shown.open();
  await shown.tab.until(`document.querySelectorAll('#version-rows tr').length === 3`);
  return shown;
}

const textOf = (tab: Tab, selector: string) =>
  tab.value<string>(`document.querySelector(${JSON.stringify(selector)}).textContent.trim()`);
const textsOf = (tab: Tab, selector: string) =>
  tab.value<string[]>(
    `[...document.querySelectorAll(${JSON.stringify(selector)})].map((one) => one.textContent.trim())`,
  );

/** Clicks a button of a version, and answers the question that appears. */
async function act(tab: Tab, what: string, version: number, answer: 'yes' | 'cancel'): Promise<string> {
  await tab.value(`document.querySelector('[data-act="${what}"][data-version="${version}"]').click()`);
  await tab.until(`document.getElementById('confirm-dialog').open`);
  const question = await textOf(tab, '#confirm-title');
  await tab.value(
    answer === 'yes'
      ? `document.getElementById('confirm-yes').click()`
      : `document.querySelector('#confirm-dialog button:not(#confirm-yes)').click()`,
  );
  await tab.until(`!document.getElementById('confirm-dialog').open`);
  return question;
}

test('versions are listed with their state, and the current one is marked', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab } = shown;
  assert.deepEqual(await textsOf(tab, '#artefacts .name'), ['popularity', 'stopwords']);
  assert.deepEqual(await textsOf(tab, '#artefacts [aria-pressed="true"] .now'), ['version 3']);
  assert.deepEqual(await textsOf(tab, '#version-rows .chips'), ['current', 'retired', 'retireddata gone']);
  assert.match(
    await textOf(tab, '#version-rows .counts'),
    /^1,234 words, 2 languages, 2,200 documents\s+2 checks passed/,
  );
  assert.deepEqual(
    await textsOf(tab, '#version-rows tr:nth-child(3) button'),
    [],
    'a deleted version cannot be chosen',
  );
  await tab.value(`document.querySelector('[data-artefact="popularity"]').click()`);
  await tab.until(`document.querySelectorAll('#version-rows tr').length === 1`);
  const back = `document.querySelector('[data-act="rollback"]')`;
  assert.equal(await tab.value(`${back}.disabled`), true);
  assert.equal(await tab.value(`${back}.title`), 'There is no earlier version to go back to.');
  assert.equal(await tab.value(`document.getElementById('run-buttons').hidden`), true, 'no job makes these versions');
  assert.deepEqual(tab.complaints, []);
});

test('a rollback is confirmed, done, and reported; a declined question changes nothing', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  assert.equal(await act(tab, 'rollback', 3, 'cancel'), 'Roll stopwords back?');
  assert.deepEqual(fixture.versions.asked, []);
  await act(tab, 'rollback', 3, 'yes');
  await tab.until(
    `/^Version 2 of stopwords is current, \\d+ ms after the click\\.$/.test(document.getElementById('versions-outcome').textContent)`,
  );
  assert.deepEqual(fixture.versions.asked, ['rollback stopwords previous: from the page']);
  assert.deepEqual(await textsOf(tab, '#version-rows .chips'), ['retired', 'current', 'retireddata gone']);
  assert.equal(await act(tab, 'promote', 3, 'yes'), 'Make version 3 of stopwords current?');
  await tab.until(`document.querySelector('#version-rows .chips').textContent === 'current'`);
  await act(tab, 'pin', 3, 'yes');
  await tab.until(`document.querySelector('#version-rows .chips').textContent === 'currentpinned'`);
  assert.equal(await act(tab, 'unpin', 3, 'yes'), 'Unpin version 3 of stopwords?');
  await tab.until(`document.querySelector('#version-rows .chips').textContent === 'current'`);
});

test('a run shows its progress, and what it would change', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  await tab.until(`!document.getElementById('run-dry').disabled`);
  await tab.value(`document.getElementById('run-dry').click()`);
  await tab.until(`document.getElementById('run-text').textContent === 'Waiting for its turn …'`);
  assert.equal(await tab.value(`document.getElementById('run-make').disabled`), true, 'one at a time');
  fixture.runs.advance({ status: 'running', progress: { phase: 'capture', done: 500, total: 2_000 } });
  await tab.until(`document.getElementById('run-text').textContent === 'Reading topics: 500 of 2,000'`);
  assert.equal(await tab.value(`document.getElementById('run-progress').position`), 0.25);
  fixture.runs.advance({ ...succeeded(), dry_run: true });
  await tab.until(`document.getElementById('run-text').textContent.startsWith('Nothing was published after')`);
  assert.deepEqual(await textsOf(tab, '#run-summary li'), SUMMARY);
  await tab.until(`!document.getElementById('run-make').disabled`);
  assert.deepEqual(fixture.runs.asked, [{ job: 'stopwords', dryRun: true, by: 'api' }]);
});

test('a new version appears by itself, with its words; a failed run says why', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab, fixture } = shown;
  await tab.until(`document.querySelectorAll('#words li').length === 50`);
  await tab.until(`!document.getElementById('run-make').disabled`);
  await tab.value(`document.getElementById('run-make').click()`);
  await tab.until(`document.getElementById('run-text').textContent === 'Waiting for its turn …'`);
  fixture.versions.publish('stopwords', 4);
  fixture.readers.words.set('en', { only: 0.75 });
  fixture.readers.wordsVersion = 4;
  fixture.runs.advance(succeeded());
  await tab.until(`document.getElementById('run-text').textContent.startsWith('Version 4 is published')`);
  await tab.until(`document.querySelectorAll('#version-rows tr').length === 4`);
  await tab.until(`document.querySelector('#words li').textContent === 'only75 %'`);
  assert.match(await textOf(tab, '#words-note'), /^The 1 surest of 1 words, from version 4\./);
  await tab.value(`document.getElementById('run-make').click()`);
  await tab.until(`document.getElementById('run-text').textContent === 'Waiting for its turn …'`);
  fixture.runs.advance({ ...succeeded(), status: 'failed', result: { errors: ['There is no document to count.'] } });
  await tab.until(
    `document.getElementById('run-text').textContent === 'The run failed: There is no document to count.'`,
  );
});

test('stopwords are shown per language, fifty at most', async (context) => {
  const shown = await show(context);
  if (shown === null) return;
  const { tab } = shown;
  await tab.until(`document.querySelectorAll('#words li').length === 50`);
  assert.deepEqual(await textsOf(tab, '#language option'), ['English', 'German']);
  assert.equal(await tab.value(`document.getElementById('words').lang`), 'en');
  await tab.value(`(() => {
    const select = document.getElementById('language');
    select.value = 'de';
    select.dispatchEvent(new Event('change', { bubbles: true }));
  })()`);
  await tab.until(`document.querySelectorAll('#words li').length === 2`);
  assert.deepEqual(await textsOf(tab, '#words li'), ['und100 %', 'der50 %']);
  const widths = await tab.value<number[]>(
    `[...document.querySelectorAll('#words .bar')].map((one) => Number(getComputedStyle(one).getPropertyValue('--share')))`,
  );
  assert.deepEqual(widths, [1, 0.5]);
  assert.equal(await tab.value(`document.getElementById('words').lang`), 'de');
});

test('before the first version the page says what to do', async (context) => {
  const shown = await showPage(context, { stock: () => undefined });
  if (shown === null) return;
  await shown.open();
  await shown.tab.until(`!document.getElementById('words-empty').hidden`);
  assert.equal(await shown.tab.value(`document.getElementById('language').disabled`), true);
});

test('a token that may only read sees the versions, and why it cannot switch them', async (context) => {
  const shown = await showPage(context, { stock, options: withTokens([tokenEntry('looks', 'reader')]) });
  if (shown === null) return;
  const { tab } = shown;
  await tab.authenticate('looks');
  await shown.open();
  await tab.until(`document.querySelectorAll('#version-rows tr').length === 3`);
  assert.match(await textOf(tab, '#versions-why'), /Your token has the role reader: .* needs operator\./);
  const buttons = '#version-rows button, #run-buttons button';
  assert.deepEqual(
    await tab.value(`[...document.querySelectorAll('${buttons}')].map((one) => one.disabled && one.title !== '')`),
    [true, true, true, true, true, true],
  );
});
