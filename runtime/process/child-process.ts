/**
 * A module in a node process of its own: bounded memory, a few variables of our environment, messages both ways, an end
 * in time. A heap that grows past its bound, a bug in native code or a kill -9 ends the child and nothing else.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export interface ChildOptions<FromChild> {
  /** The compiled module that it runs. */
  readonly entry: URL;
  /** Names of the variables of our environment that it gets. */
  readonly inherited: readonly string[];
  /** Variables that it gets besides. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Bound on its own heap, MB; it may then collect garbage when it wants to (`globalThis.gc`). */
  readonly memoryMb?: number;
  /** Further arguments of node. */
  readonly execArgv?: readonly string[];
  readonly onMessage: (message: FromChild) => void;
  /** Gets its standard error as it comes. */
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

/** Of its standard error the last characters are kept: they say what a fatal error was. */
const KEPT_CHARACTERS = 16_384;
const LINE_CHARACTERS_MAX = 500;
const OUT_OF_MEMORY = /heap out of memory|Allocation failed|ERR_WORKER_OUT_OF_MEMORY/;

export class Child<ToChild, FromChild> {
  /** Resolves once the process is gone; never rejects. */
  readonly ended: Promise<ChildEnd>;
  readonly #process: ChildProcess;
  #killing: NodeJS.Timeout | undefined;

  constructor(options: ChildOptions<FromChild>) {
    this.#process = start(options);
    this.#process.on('message', (message) => options.onMessage(message as FromChild));
    this.ended = this.#end(options).finally(() => clearTimeout(this.#killing));
  }

  /** Undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** A child that is gone gets nothing; that it is gone is said by `ended`. */
  send(message: ToChild): void {
    if (this.#process.connected) this.#process.send(message as object, () => undefined);
  }

  /** Asks it to end (SIGTERM), and kills it when it has not within `ms`. */
  stop(ms: number): void {
    this.#process.kill('SIGTERM');
    this.killAfter(ms);
  }

  /** It should end by itself; after `ms` it is killed. */
  killAfter(ms: number): void {
    this.#killing ??= setTimeout(() => this.#process.kill('SIGKILL'), ms).unref();
  }

  /** Resolves once it is gone. */
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

/** By which signal or code it ended, or why it did not begin. */
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
    // Columns of numbers and buffers cross as they are.
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}
