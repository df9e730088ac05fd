/** Starts a FAISS process and reports how it ended. */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FreshetError } from '../../process/errors.js';
import type { FromIndexChild, ToIndexChild } from './messages.js';

const ENTRY = fileURLToPath(new URL('./child.js', import.meta.url));
const ENVIRONMENT = ['PATH', 'LD_LIBRARY_PATH', 'OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE', 'SYSTEMROOT'] as const;
/** Tail of its standard error: the message of FAISS before it ends the process. */
const LAST_WORDS_MAX = 4_096;

interface FaissProcessOptions {
  /** Threads of one call. */
  readonly threads: number;
  readonly onMessage: (message: FromIndexChild) => void;
  /** Called once; `how` ends a sentence: the signal or code, and the last output. */
  readonly onEnd: (how: string) => void;
}

export class FaissProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  constructor({ threads, onMessage, onEnd }: FaissProcessOptions) {
    const own = ENVIRONMENT.flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value] as const];
    });
    this.#child = fork(ENTRY, [], {
      execArgv: [],
      env: {
        ...Object.fromEntries(own),
        OMP_NUM_THREADS: String(threads),
        OPENBLAS_NUM_THREADS: String(threads),
        // Waiting threads sleep: the machine has other work.
        OMP_WAIT_POLICY: 'passive',
      },
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let lastWords = '';
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-LAST_WORDS_MAX);
    });
    this.#child.on('message', onMessage);
    this.#ended = new Promise((resolve) => {
      const end = (how: string) => {
        const words = lastWords.trim().split('\n').at(-1) ?? '';
        onEnd(words === '' ? how : `${how}: ${words}`);
        resolve();
      };
      this.#child.once('close', (code, signal) => end(signal ?? `exit code ${code}`));
      // A process that could not be started has no pid and never closes.
      this.#child.on('error', (error) => this.#child.pid === undefined && end(error.message));
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  send(message: ToIndexChild): void {
    // Its end is reported by onEnd.
    if (this.#child.connected) this.#child.send(message, () => undefined);
  }

  /** It has nothing to finish: all its work is lost. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}

/** The error of calls that waited for a process that ended; the next process may answer the same call. */
export function lost(how: string): FreshetError {
  return new FreshetError('unavailable', `The process of the index ended (${how}); it is being restarted.`);
}
