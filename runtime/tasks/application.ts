/**
 * An application: a fixed number of tasks, assigned to the members of its group; each task runs where it is assigned.
 * Fencing makes every overlap harmless; this file only decides when to start, stop and restart tasks.
 */
import type { Assignment, Membership } from '../log/log.js';
import { asError, FreshetError, isTransient } from '../process/errors.js';
import type { EventBus } from '../process/events.js';
import type { Service } from '../process/service.js';
import { membershipEnded, taskFailed, taskStopped } from './events.js';
import { taskMetrics } from './metrics.js';
import type { Part } from './processor.js';
import { ReachedOffsets } from './reached-offsets.js';
import { type AnyDeclaration, Task } from './task.js';
import type { TaskOptions } from './task-options.js';

/** More tasks cost more transactions than they gain. */
export const TASKS_MAX = 12;
const SHOW_OFFSETS_MS = 5_000;
const LAG_MS = 2_000;
const RESTART_MS_MIN = 500;
const RESTART_MS_MAX = 15_000;
/** Time limit for the last commit of a task that was assigned to another member; the group may wait for it. */
const REVOKE_LIMIT_MS = 5_000;
/** The same when the process stops, including a last checkpoint. */
const STOP_LIMIT_MS = 20_000;

export interface ApplicationOptions
  extends Omit<TaskOptions, 'declaration' | 'index' | 'inputs' | 'partitions' | 'isOurs' | 'onCommitted'> {
  /** Names the group and, together with processor and task, every transactional id. */
  readonly name: string;
  readonly processors: readonly AnyDeclaration[];
  readonly events: EventBus;
}

/** `index`: within its processor. */
type Planned = Pick<TaskOptions<AnyDeclaration>, 'declaration' | 'index' | 'inputs' | 'partitions'>;

interface Running {
  readonly stop: AbortController;
  readonly done: Promise<void>;
  /** The task that is being restored or run. */
  attempt: Task | null;
  /** The task once it is restored. */
  task: Task | null;
}

interface TaskFailure {
  readonly task: string;
  readonly error: Error;
}

export class Application implements Service {
  readonly #o: ApplicationOptions;
  readonly reached = new ReachedOffsets();
  #plan: Planned[] = [];
  #membership: Membership | null = null;
  readonly #running = new Map<number, Running>();
  readonly #failures = new Map<string, Error>();
  /** The tasks of the newest assignment, and the number of assignments so far. */
  #mine: ReadonlySet<number> = new Set();
  #assignments = 0;
  readonly #ending = new AbortController();
  #background: Promise<void>[] = [];
  #retry = new AbortController();

  constructor(options: ApplicationOptions) {
    this.#o = options;
  }

  get name(): string {
    return this.#o.name;
  }

  /** Tasks that stopped for good and need an operator. */
  get failures(): TaskFailure[] {
    return [...this.#failures].map(([task, error]) => ({ task, error }));
  }

  /** Starts the tasks that stopped for good again: what stopped them may be gone. */
  retryStopped(): void {
    this.#retry.abort();
    this.#retry = new AbortController();
  }

  /** Tasks of this member that are not restored yet; `/health/ready` waits for them. */
  get waiting(): string[] {
    if (this.#assignments === 0) return [`an assignment in group ${this.#o.name}`];
    const names = [...this.#running]
      .filter(([, { task }]) => task === null)
      .map(([number]) => `${this.#plan[number]!.declaration.name}-${this.#plan[number]!.index}`);
    return names.length === 0 ? [] : [`the state of ${names.join(', ')}`];
  }

  /** The parts this member owns and has restored; for state hashes. */
  parts(): Part[] {
    return [...this.#running.values()].flatMap(({ task }) => task?.parts ?? []);
  }

  /** Joins the group; tasks start as they are assigned. */
  async start(): Promise<void> {
    for (const declaration of this.#o.processors) this.#plan.push(...(await this.#planOf(declaration)));
    this.#membership = await this.#o.log.join({
      group: this.#o.name,
      tasks: this.#plan.length,
      partitionsOf: (task) => this.#plan[task]!.inputs,
      onRevoked: async () => undefined,
      onAssigned: (assignment) => this.#onAssigned(assignment),
      onFailed: (error) => {
        this.#failures.set(this.#o.name, error);
        this.#o.events.emit(membershipEnded, { application: this.#o.name, error });
      },
    });
    this.#background = [
      this.#every(SHOW_OFFSETS_MS, () => this.#showOffsets()),
      this.#every(LAG_MS, () => this.#measureLag()),
    ];
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.#running.keys()].map((task) => this.#stopTask(task, STOP_LIMIT_MS)));
    await this.#o.checkpoints?.idle();
    await Promise.all(this.#background);
    await this.#membership?.leave();
    this.#membership = null;
  }

  async #planOf(declaration: AnyDeclaration): Promise<Planned[]> {
    const partitions = await this.#o.log.partitionCount(declaration.input);
    const tasks = Math.min(partitions, TASKS_MAX);
    const changelog = await this.#o.log.partitionCount(declaration.changelog);
    if (changelog < tasks)
      throw new FreshetError(
        'state',
        `${declaration.changelog} has ${changelog} partitions, its ${tasks} tasks need one each. ` +
          `${declaration.input} has grown: start the next version by replay.`,
      );
    return Array.from({ length: tasks }, (_, index) => ({
      declaration,
      index,
      partitions,
      inputs: Array.from({ length: partitions }, (__, partition) => ({ topic: declaration.input, partition })).filter(
        ({ partition }) => partition % tasks === index,
      ),
    }));
  }

  /** Tasks that stay continue undisturbed; tasks that left are stopped with a last commit; new ones are restored. */
  async #onAssigned(assignment: Assignment): Promise<void> {
    this.#assignments++;
    this.#mine = new Set(assignment.tasks);
    if (this.#ending.signal.aborted) return;
    const left = [...this.#running.keys()].filter((task) => !this.#mine.has(task));
    for (const task of this.#mine) if (!this.#running.has(task)) this.#startTask(task);
    await Promise.all(left.map((task) => this.#stopTask(task, REVOKE_LIMIT_MS)));
  }

  /**
   * Whether the group still assigns this task to us: asked after an error, and answered by a heartbeat or by a later
   * assignment. Until then the task must not be restored; otherwise a process that was suspended for long and its
   * successor would fence each other for ever.
   */
  async #isOurs(number: number): Promise<boolean> {
    const before = this.#assignments;
    const confirmed = (await this.#membership?.confirmed()) ?? false;
    return (confirmed || this.#assignments > before) && this.#mine.has(number);
  }

  #startTask(number: number): void {
    const stop = new AbortController();
    const running: Running = { stop, attempt: null, task: null, done: Promise.resolve() };
    this.#running.set(number, running);
    Object.assign(running, { done: this.#keepRunning(number, running) });
  }

  /** Waits for a task to end, up to the limit; what it writes after that is fenced by its successor. */
  async #stopTask(number: number, limitMs: number): Promise<void> {
    const running = this.#running.get(number);
    if (running === undefined) return;
    running.stop.abort();
    const ended = new AbortController();
    const tooLate = this.#o.clock.sleep(limitMs, ended.signal).then(() => running.attempt);
    const late = await Promise.race([running.done.then(() => null), tooLate]);
    ended.abort();
    if (late !== null) {
      this.#o.logger.warn({ event: 'task_given_up', task: late.name, limit_ms: limitMs });
      await late.close();
    }
    this.#forget(running);
    // Another member has it now.
    const { declaration, index } = this.#plan[number]!;
    this.#failures.delete(`${declaration.application}.${declaration.name}-${index}`);
  }

  /** A task that was assigned to another member; if it returns, it is started again. */
  #forget(running: Running): void {
    for (const [number, one] of this.#running) if (one === running) this.#running.delete(number);
  }

  /** Runs a task until it is stopped; restarts it after transient errors, and after others once an operator wants it. */
  async #keepRunning(number: number, running: Running): Promise<void> {
    const { declaration, index } = this.#plan[number]!;
    const { logger, events, clock } = this.#o;
    const { signal } = running.stop;
    let pause = RESTART_MS_MIN;
    while (!signal.aborted) {
      const task = this.#createTask(number);
      running.attempt = task;
      const retry = this.#retry.signal;
      let isStopped = false;
      try {
        await task.restore(signal);
        running.task = task;
        this.#failures.delete(task.name);
        pause = RESTART_MS_MIN;
        await task.run(signal);
        if (this.#ending.signal.aborted) await task.checkpointAtStop();
      } catch (error) {
        const code = error instanceof FreshetError ? error.code : 'internal';
        if (signal.aborted) {
          logger.info({ event: 'task_ended', task: task.name, code, error: asError(error).message });
          return;
        }
        events.emit(taskFailed, { processor: declaration.name, task: task.name, code, error: asError(error) });
        if (!isTransient(error) && code !== 'fenced' && code !== 'indefinite_commit') {
          this.#failures.set(task.name, asError(error));
          events.emit(taskStopped, { task: task.name, index, error: asError(error) });
          isStopped = true;
        }
      } finally {
        running.task = null;
        running.attempt = null;
        await task
          .close()
          .catch((error: unknown) => logger.warn({ event: 'task_close_failed', error: asError(error).message }));
      }
      if (isStopped) await eitherAborts(signal, retry);
      else await clock.sleep(pause, signal);
      pause = Math.min(pause * 2, RESTART_MS_MAX);
      if (signal.aborted) return;
      if (!(await this.#isOurs(number))) {
        this.#forget(running);
        return;
      }
    }
  }

  #createTask(number: number): Task {
    return new Task({
      ...this.#o,
      ...this.#plan[number]!,
      isOurs: () => this.#isOurs(number),
      onCommitted: (positions) => this.reached.advance(positions),
    });
  }

  async #every(ms: number, work: () => Promise<void>): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      await this.#o.clock.sleep(ms, signal);
      if (signal.aborted) return;
      try {
        await work();
      } catch (error) {
        this.#o.logger.debug({ event: 'display_failed', application: this.#o.name, error: asError(error).message });
      }
    }
  }

  async #showOffsets(): Promise<void> {
    await this.#membership?.showOffsets([...this.#running.values()].flatMap(({ task }) => task?.positions() ?? []));
  }

  async #measureLag(): Promise<void> {
    for (const [number, { task }] of this.#running) {
      if (task === null) continue;
      const processor = this.#plan[number]!.declaration.name;
      for (const { topic, partition, offset } of task.positions()) {
        const { lastStable } = await this.#o.log.offsets({ topic, partition });
        taskMetrics(this.#o.metrics).lag.set(
          { processor, partition: String(partition) },
          Math.max(0, lastStable - offset),
        );
      }
    }
  }
}

/** Resolves when one of the signals is aborted. */
function eitherAborts(one: AbortSignal, other: AbortSignal): Promise<void> {
  const either = AbortSignal.any([one, other]);
  if (either.aborted) return Promise.resolve();
  return new Promise((resolve) => either.addEventListener('abort', () => resolve(), { once: true }));
}
