/**
 * A module in a separate Node process: bounded memory, selected environment variables, messages in both directions, and
 * a bounded time to stop. A heap that exceeds its bound, a bug in native code or a kill -9 ends only the child.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ChildOptions<FromChild> {
  /** The compiled module that it runs. */
  readonly entry: URL;
  /** Names of environment variables that it inherits. */
  readonly inherited: readonly string[];
  /** Additional environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Limit of its heap, MB; it may trigger garbage collection itself (`globalThis.gc`). */
  readonly memoryMb?: number;
  /** Additional arguments for Node. */
  readonly execArgv?: readonly string[];
  readonly onMessage: (message: FromChild) => void;
  /** Receives its standard error. */
  readonly onErrorOutput?: (text: string) => void;
}

/** How a child ended. Both `code` and `signal` are null when it could not be started. */
export interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it could not be started; null: it was. */
  readonly startError: Error | null;
  /** The last line it wrote to standard error, at most 500 characters. */
  readonly lastLine: string;
  readonly ranOutOfMemory: boolean;
}

/** The last characters of its standard error are kept: they describe a fatal error. */
const KEPT_CHARACTERS = 16_384;
const LINE_CHARACTERS_MAX = 500;
const OUT_OF_MEMORY = /heap out of memory|Allocation failed|ERR_WORKER_OUT_OF_MEMORY/;

export class Child<ToChild, FromChild> {
  /** Resolves when the process has ended; never rejects. */
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  #killing: NodeJS.Timeout | undefined;

  constructor(options: ChildOptions<FromChild>) {
    this.#process = start(options);
    this.#process.on('message', (message) => options.onMessage(message as FromChild));
    this.ended = this.#end(options).finally(() => clearTimeout(this.#killing));
  }

  /** Undefined if it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** Sends nothing to a child that has ended; `ended` reports that. */
  send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message as object, () => undefined);
  }

  /** Asks it to stop (SIGTERM), and kills it if it has not stopped within `ms`. */
  stop(ms: number): void {
    this.#process.kill('SIGTERM');
    this.killAfter(ms);
  }

  /** It should stop by itself; after `ms` it is killed. */
  killAfter(ms: number): void {
    this.#killing ??= setTimeout(() => this.#process.kill('SIGKILL'), ms).unref();
  }

  /** Resolves when it has ended. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.ended;
  }

  #end({ onErrorOutput }: ChildOptions<FromChild>): Promise<ChildEnd> {
    let output = '';
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEPT_CHARACTERS);
      onErrorOutput?.(text);
    });
    return new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null, startError: Error | null) =>
        resolve({
          code,
          signal,
          startError,
          lastLine: output.trim().split('\n').at(-1)!.slice(0, LINE_CHARACTERS_MAX),
          ranOutOfMemory: OUT_OF_MEMORY.test(output),
        });
      this.#process.once('close', (code, signal) => end(code, signal, null));
      // A process that could not be started has no pid and never closes.
      this.#process.on('error', (error) => this.#process.pid === undefined && end(null, null, error));
    });
  }
}

/** The signal or exit code with which it ended, or why it did not start. */
export function howItEnded({ code, signal, startError }: ChildEnd): string {
  return startError?.message ?? signal ?? `exit code ${code}`;
}

function start<T>({ entry, inherited, environment, memoryMb, execArgv = [] }: ChildOptions<T>): ChildProcess {
  const env: Record<string, string> = {};
  for (const name of inherited) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  const bounds = memoryMb === undefined ? [] : [`--max-old-space-size=${memoryMb}`, '--expose-gc'];
  return fork(fileURLToPath(entry), [], {
    execArgv: [...bounds, ...execArgv],
    env: { ...env, ...environment },
    // Typed arrays and buffers are transferred as they are.
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}
