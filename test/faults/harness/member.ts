/** One process of `freshet up` in a fault test, and its log output. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Role } from '../../../assembly/roles/all.js';
import { bareEnvironment } from '../../support/processes.js';
import { type FaultPlan, NO_FAULTS } from './plan.js';

const WORKER = fileURLToPath(new URL('worker.js', import.meta.url));
/** The application under test, which is the group of its members. */
export const APPLICATION = 'features.v1';
const WAIT_MS_MAX = 90_000;
const STOP_MS_MAX = 15_000;
const WORDS_KEPT = 40;
/** FAULT_TRACE=1 shows all output of members. */
const TRACE = process.env['FAULT_TRACE'] === '1';

/** A line of the product's log, or one of ours. */
export interface LogLine {
  readonly event?: string;
  readonly task?: string;
  readonly code?: string;
  readonly error?: string;
  readonly duration_seconds?: number;
  readonly tasks?: readonly number[];
  readonly group?: string;
  readonly point?: string;
  readonly where?: string;
  /** Of task_restored: nothing, checkpoint or changelog. */
  readonly from?: string;
}

export interface MemberOptions {
  readonly name: string;
  readonly settings: Readonly<Record<string, string>>;
  readonly roles: readonly Role[];
  /** Tasks of the application, in the order of their numbers. */
  readonly taskNames: readonly string[];
  readonly plan?: FaultPlan;
}

export class Member {
  readonly name: string;
  readonly lines: LogLine[] = [];
  readonly #taskNames: readonly string[];
  readonly #held = new Set<string>();
  readonly #child: ChildProcess;
  readonly #exit: Promise<void>;
  /** Its latest output, for failures. */
  readonly #words: string[] = [];
  readonly #waiting = new Set<() => void>();
  #ended = false;

  constructor({ name, settings, roles, taskNames, plan = NO_FAULTS }: MemberOptions) {
    this.name = name;
    this.#taskNames = taskNames;
    const args = [WORKER, JSON.stringify(plan), 'up', '--no-demo', '--json', '--roles', roles.join(',')];
    // Its standard input ends when this process does, however that happens, and then it ends too.
    this.#child = spawn(process.execPath, args, {
      env: { ...bareEnvironment(), PORT: '0', LOG_LEVEL: 'info', ...settings },
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    createInterface({ input: this.#child.stderr! }).on('line', (line) => this.#hear(line));
    this.#exit = once(this.#child, 'close').then(() => {
      this.#ended = true;
      this.#changed();
    });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Tasks it was assigned and has restored, as far as it knows. */
  get held(): string[] {
    return [...this.#held].sort();
  }

  get restores(): number {
    return this.lines.filter(({ event }) => event === 'task_restored').length;
  }

  get restoreSeconds(): number[] {
    return this.lines.filter(({ event }) => event === 'task_restored').map((line) => line.duration_seconds!);
  }

  /** Tasks that ended with this code, once per occurrence. */
  failed(code: string): string[] {
    return this.lines.filter((line) => line.event === 'task_failed' && line.code === code).map(({ task }) => task!);
  }

  /** Number of times a task ended with this code. */
  failures(code: string): number {
    return this.failed(code).length;
  }

  /** Waits for a line; with `from`, for one at or after that line number. */
  async said(what: string, matches: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
    const found = () => this.lines.slice(from).find(matches);
    await this.until(what, () => found() !== undefined);
    return found()!;
  }

  /** Waits until it has met the first fault of its plan. */
  faultMet(): Promise<LogLine> {
    return this.said('meet its fault', ({ event }) => event === 'fault_met');
  }

  /** Waits until it holds exactly this many tasks. */
  async holds(tasks: number): Promise<void> {
    await this.until(`hold ${tasks} tasks`, () => this.#held.size === tasks);
  }

  /** Checks again at every line. Throws with its latest output if it ends first, or after a minute and a half. */
  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = setTimeout(() => this.#changed(), WAIT_MS_MAX);
    const started = performance.now();
    try {
      while (!holds()) {
        assert.ok(!this.#ended, `${this.name} ended, and did not ${what}:\n${this.#words.join('\n')}`);
        const isLate = performance.now() - started >= WAIT_MS_MAX;
        assert.ok(!isLate, `${this.name} did not ${what} within ${WAIT_MS_MAX} ms:\n${this.#words.join('\n')}`);
        await new Promise<void>((resolve) => this.#waiting.add(resolve));
      }
    } finally {
      clearTimeout(deadline);
    }
  }

  /** Waits for its end, whatever caused it. */
  async end(): Promise<void> {
    await this.#exit;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#exit;
  }

  /** SIGSTOP: the process freezes in the middle of its work. */
  freeze(): void {
    this.#child.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child.kill('SIGCONT');
  }

  /** SIGTERM, as an operator would send it. */
  async stop(): Promise<void> {
    if (this.#ended) return;
    this.#child.kill('SIGCONT');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#exit;
    clearTimeout(timer);
  }

  /** Lines of other applications in the same process are ignored. */
  #take(line: LogLine): void {
    if (line.task !== undefined && !this.#taskNames.includes(line.task)) return;
    if (line.event === 'tasks_assigned' && line.group !== APPLICATION) return;
    this.lines.push(line);
    if (line.event === 'task_restored') this.#held.add(line.task!);
    if (line.event === 'task_failed') this.#held.delete(line.task!);
    if (line.event !== 'tasks_assigned') return;
    const given = new Set(line.tasks!.map((task) => this.#taskNames[task]!));
    for (const task of this.#held) if (!given.has(task)) this.#held.delete(task);
  }

  #changed(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  #hear(line: string): void {
    if (TRACE) process.stderr.write(`${this.name}: ${line}\n`);
    this.#words.push(line);
    if (this.#words.length > WORDS_KEPT) this.#words.shift();
    if (line.startsWith('{')) this.#take(JSON.parse(line) as LogLine);
    this.#changed();
  }
}
