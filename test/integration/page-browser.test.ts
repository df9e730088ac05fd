/**
 * The page in a real browser, where one is installed: what it draws, what a click does, how it fits a phone. Driven
 * through the browser's own debugging pipe (Chrome DevTools Protocol), which needs nothing but Node.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { type TestContext, test } from 'node:test';
import type { Event } from '../../schemas/records.js';
import { WEB_FOLDER } from '../../serving/routes/page.js';
import { type Fixture, NOW_MS, servingFixture } from '../support/serving.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
const WAIT_MS_MAX = 20_000;

function findBrowser(): string | null {
  const folders = (process.env['PATH'] ?? '').split(delimiter);
  const candidates = [
    process.env['CHROME_BIN'],
    ...NAMES.flatMap((name) => folders.map((folder) => join(folder, name))),
  ];
  return candidates.find((path) => path !== undefined && isExecutable(path)) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

/** One tab of one browser. */
class Tab {
  /** What the browser complained about: errors on the console, refused or failed requests, exceptions. */
  readonly complaints: string[] = [];
  readonly #process: ChildProcess;
  readonly #to: Writable;
  readonly #waiting = new Map<
    number,
    { resolve: (value: Record<string, unknown>) => void; reject: (error: Error) => void }
  >();
  #session: string | undefined;
  #lastId = 0;

  private constructor(browser: string, profile: string) {
    // The sandbox needs a kernel setting that containers lack; the page is our own, from this machine.
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'];
    const args = [...flags, '--remote-debugging-pipe', `--user-data-dir=${profile}`];
    this.#process = spawn(browser, args, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
    this.#to = this.#process.stdio[3] as Writable;
    this.#listen(this.#process.stdio[4] as Readable);
  }

  static async open(context: TestContext, browser: string): Promise<Tab> {
    const profile = mkdtempSync(join(tmpdir(), 'freshet-browser-'));
    const tab = new Tab(browser, profile);
    context.after(async () => {
      // Closing lets the browser end its children first: killed, they would go on writing into the folder.
      const ended = once(tab.#process, 'exit');
      tab.#session = undefined;
      tab.#to.on('error', () => undefined);
      tab.#send('Browser.close').catch(() => undefined);
      const timer = setTimeout(() => tab.#process.kill('SIGKILL'), 5_000);
      await ended;
      clearTimeout(timer);
      rmSync(profile, { recursive: true, force: true, maxRetries: 20 });
    });
    const { targetId } = await tab.#send('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await tab.#send('Target.attachToTarget', { targetId, flatten: true });
    tab.#session = sessionId as string;
    for (const domain of ['Page', 'Runtime', 'Log', 'Network']) await tab.#send(`${domain}.enable`);
    return tab;
  }

  async size(width: number, height: number): Promise<void> {
    await this.#send('Emulation.setDeviceMetricsOverride', {
      width,
      height,
      deviceScaleFactor: 1,
      mobile: width < 600,
    });
  }

  async go(url: string): Promise<void> {
    await this.#send('Page.navigate', { url });
  }

  /** The value of an expression in the page. */
  async value<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.#send('Runtime.evaluate', { expression, returnByValue: true });
    if (exceptionDetails !== undefined) throw new Error(`${expression}: ${JSON.stringify(exceptionDetails)}`);
    return (result as { value: T }).value;
  }

  /** Looks at every frame until the expression is true; what throws is not true yet. */
  async until(expression: string): Promise<void> {
    const frames = `new Promise((resolve, reject) => {
      const end = performance.now() + ${WAIT_MS_MAX};
      const isTrue = () => { try { return ${expression}; } catch { return false; } };
      const look = () => isTrue() ? resolve() : performance.now() > end ? reject(new Error('waited in vain')) : requestAnimationFrame(look);
      look();
    })`;
    const { exceptionDetails } = await this.#send('Runtime.evaluate', { expression: frames, awaitPromise: true });
    if (exceptionDetails === undefined) return;
    const text = await this.value<string>('document.body.innerText');
    assert.fail(`never true: ${expression}\n${text}\n${this.complaints.join('\n')}`);
  }

  #send(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    const id = ++this.#lastId;
    const sessionId = this.#session;
    this.#to.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }

  #listen(from: Readable): void {
    let rest = '';
    from.setEncoding('utf8').on('data', (text: string) => {
      const messages = (rest + text).split('\0');
      rest = messages.pop()!;
      for (const message of messages) this.#take(JSON.parse(message) as Message);
    });
  }

  #take({ id, method, params = {}, result = {}, error }: Message): void {
    const waiting = id === undefined ? undefined : this.#waiting.get(id);
    if (waiting !== undefined) {
      this.#waiting.delete(id!);
      if (error === undefined) waiting.resolve(result);
      else waiting.reject(new Error(error.message));
      return;
    }
    const entry = params['entry'] as { level?: string } | undefined;
    if (method === 'Log.entryAdded' && entry?.level === 'error') this.complaints.push(JSON.stringify(entry));
    if (method === 'Runtime.exceptionThrown') this.complaints.push(JSON.stringify(params));
    if (method === 'Network.loadingFailed' && params['canceled'] !== true) this.complaints.push(JSON.stringify(params));
  }
}

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
  const scores = { garden: 0.61, kitchen: 0.2, coffee: 0.19 };
  readers.users.set('u-000042', { userId: 'u-000042', asOf: NOW_MS, version: 1, scores });
}

/** A server with a page, and a tab that shows it; null without a browser. */
async function show(context: TestContext, width = 1280, height = 900) {
  const browser = findBrowser();
  if (browser === null) {
    context.skip('no Chromium or Chrome in PATH (nor in CHROME_BIN): the page was not looked at');
    return null;
  }
  const fixture = await servingFixture(context, { webFolder: WEB_FOLDER });
  stock(fixture);
  const address = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  const tab = await Tab.open(context, browser);
  await tab.size(width, height);
  await tab.go(`${address}/`);
  return { fixture, tab };
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

test('the page draws the ranking, a taste, the figures and the state, without a complaint', async (context) => {
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

test('a click on Buy sends an event and tells when it can be read', async (context) => {
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
    `/^Bought by u-000042, counted, and readable after/.test(document.getElementById('outcome').textContent)`,
  );
  await tab.until(`document.querySelector('#ranking-rows tr').textContent.includes('garden-plain-thing-5')`);
  await tab.until(`document.getElementById('outcome').textContent.endsWith('It went from place 5 to 1.')`);
  assert.deepEqual(tab.complaints, []);
});

test('a category narrows the ranking; a guest without a past is told so', async (context) => {
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
  await tab.until(`/^Nothing is known of guest-/.test(document.getElementById('taste-note').textContent)`);
});

test('on a phone nothing is cut off and every field can be reached', async (context) => {
  const shown = await show(context, 360, 740);
  if (shown === null) return;
  const { tab } = shown;
  await tab.until(`document.querySelectorAll('#ranking-rows tr').length === 20`);
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

test('a server that goes away is told, and its return too', async (context) => {
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
