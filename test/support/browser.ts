/**
 * A real browser, if one is installed, driven through its own debugging pipe (Chrome DevTools Protocol), which needs
 * only Node.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { TestContext } from 'node:test';
import type { AppOptions } from '../../serving/app.js';
import { WEB_FOLDER } from '../../serving/routes/page.js';
import { type Fixture, servingFixture } from './serving.js';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
/** How long a test waits for a condition. */
export const WAIT_MS_MAX = 20_000;

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
export class Tab {
  /** Everything the browser complained about: errors on the console, refused or failed requests, exceptions. */
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
      // Closing lets the browser end its children first: if killed, they would continue writing into the folder.
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

  /** The token for every request of the page from now on, as a user would type it. */
  async authenticate(token: string): Promise<void> {
    const headers = { authorization: `Bearer ${token}` };
    await this.#send('Network.setExtraHTTPHeaders', { headers });
    const source = `sessionStorage.setItem('freshet-token', ${JSON.stringify(token)})`;
    await this.#send('Page.addScriptToEvaluateOnNewDocument', { source });
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

  /** Checks at every frame until the expression is true; an exception counts as not yet true. */
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

/** What the page shows, before a test changes it, and how large it is shown. */
export interface Shown {
  readonly width?: number;
  readonly height?: number;
  readonly options?: Partial<AppOptions>;
  readonly stock: (fixture: Fixture) => void;
}

/** An empty tab, closed with the test; null, and the test is skipped, without a browser. */
export async function openTab(context: TestContext): Promise<Tab | null> {
  const browser = findBrowser();
  if (browser !== null) return await Tab.open(context, browser);
  context.skip('no Chromium or Chrome in PATH (nor in CHROME_BIN): the page was not tested');
  return null;
}

/** A server with a page, and a tab that shows it; null without a browser. */
export async function showPage(context: TestContext, { width = 1280, height = 900, options, stock }: Shown) {
  const tab = await openTab(context);
  if (tab === null) return null;
  const fixture = await servingFixture(context, { webFolder: WEB_FOLDER, ...options });
  stock(fixture);
  const address = await fixture.app.listen({ host: '127.0.0.1', port: 0 });
  await tab.size(width, height);
  return { fixture, tab, open: () => tab.go(`${address}/`) };
}
