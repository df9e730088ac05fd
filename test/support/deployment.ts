/** `freshet up`, or `npm start`, in a separate process group. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { projectRoot } from '../../schemas/project-root.js';
import type { Event } from '../../schemas/records.js';
import { bareEnvironment, killFamily } from './processes.js';

const READY_MS_MAX = 60_000;
const RECORDS_PER_PAGE = 1_000;

/** A record in the form of `/v1/topics/{name}/records`. */
export interface ShownRecord<T> {
  readonly partition: number;
  readonly offset: number;
  /** Log time, ISO 8601. */
  readonly timestamp: string;
  readonly key: string | null;
  readonly value: T | null;
}

/** `up` runs the same compiled code as the test; `npm start` runs what its script runs, including the demo. */
export type StartedAs = 'up' | 'npm start';

/** Includes everything it starts; settings of the test's own environment do not reach it. */
export class Deployment {
  readonly #settings: Readonly<Record<string, string>>;
  readonly #startedAs: StartedAs;
  #child: ChildProcess | null = null;
  #errors = '';
  address = '';

  constructor(settings: Readonly<Record<string, string>>, startedAs: StartedAs = 'up') {
    this.#settings = settings;
    this.#startedAs = startedAs;
  }

  /**
   * Resolves when it is ready, at most 60 s after its start; with `until` listening, once it has an address. `options`:
   * further ones of the command.
   */
  async start(
    over: Readonly<Record<string, string>> = {},
    until: 'ready' | 'listening' = 'ready',
    options: readonly string[] = [],
  ): Promise<void> {
    const main = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
    const env = { ...bareEnvironment(), ...this.#settings, ...over };
    const script = join(projectRoot, 'scripts', 'start.mjs');
    const args =
      this.#startedAs === 'up' ? [main, 'up', '--no-demo', '--json', ...options] : [script, '--json', ...options];
    const deadline = Date.now() + READY_MS_MAX;
    const child = spawn(process.execPath, args, {
      env,
      cwd: projectRoot,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-20_000);
    });
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`freshet up ended:\n${this.#errors}`)));
    ended.catch(() => undefined);
    const [line] = (await Promise.race([once(createInterface({ input: child.stdout }), 'line'), ended])) as [string];
    this.address = (JSON.parse(line) as { address: string }).address;
    if (until === 'ready')
      await this.until(async () => (await fetch(`${this.address}/health/ready`)).status === 200, 'ready', deadline);
  }

  /** Of the running process. */
  get pid(): number {
    return this.#child!.pid!;
  }

  /** kill -9 of the process group. Private stores are not part of it: their watcher shuts them down. */
  async killGroup(): Promise<void> {
    const child = this.#child!;
    const ended = once(child, 'exit');
    process.kill(-child.pid!, 'SIGKILL');
    await ended;
  }

  /** kill -9 of everything at once, including private stores and their watchers. Returns what was killed. */
  async killEverything(): Promise<string[]> {
    const child = this.#child!;
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : null;
    const killed = await killFamily(child.pid!);
    await ended;
    return killed;
  }

  async stop(): Promise<void> {
    const child = this.#child;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    await ended;
  }

  async until(
    holds: () => Promise<boolean>,
    what: string,
    deadline: number = Date.now() + READY_MS_MAX,
  ): Promise<void> {
    for (;;) {
      if (await holds().catch(() => false)) return;
      assert.ok(Date.now() < deadline, `not ${what} within ${READY_MS_MAX / 1000} s:\n${this.#errors}`);
      await pause(50);
    }
  }

  async get<T>(path: string): Promise<T> {
    const response = await fetch(this.address + path);
    assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
    return (await response.json()) as T;
  }

  /** Every record currently in a topic. */
  async records<T>(topic: string): Promise<ShownRecord<T>[]> {
    type Answer = { records: ShownRecord<T>[]; next: { partition: number; offset: number }[] };
    const all: ShownRecord<T>[] = [];
    let from = 'from=beginning';
    for (;;) {
      const { records, next } = await this.get<Answer>(`/v1/topics/${topic}/records?${from}&limit=${RECORDS_PER_PAGE}`);
      if (records.length === 0) return all;
      all.push(...records);
      from = `positions=${next.map(({ partition, offset }) => `${partition}:${offset}`).join(',')}`;
    }
  }

  /** Values of a topic from its beginning; waits until there are at least `count`. */
  async read<T>(topic: string, count: number): Promise<T[]> {
    type Answer = { records: { value: T }[] };
    let values: T[] = [];
    await this.until(async () => {
      const { records } = await this.get<Answer>(`/v1/topics/${topic}/records?from=beginning&limit=1000`);
      values = records.map(({ value }) => value);
      return values.length >= count;
    }, `holding ${count} records of ${topic}`);
    return values;
  }

  /** True if the answer says that all were accepted; false if there was none. */
  async send(events: readonly Event[]): Promise<boolean> {
    try {
      const body = events.map((event) => JSON.stringify(event)).join('\n');
      const headers = { 'content-type': 'application/x-ndjson' };
      const response = await fetch(`${this.address}/v1/events`, { method: 'POST', headers, body });
      assert.equal(response.status, 202, await response.clone().text());
      assert.equal(((await response.json()) as { accepted: number }).accepted, events.length);
      return true;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      return false;
    }
  }
}
