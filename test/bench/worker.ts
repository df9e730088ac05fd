/** A part of a bench in a separate process, so that its processor time and memory can be measured separately. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = dirname(fileURLToPath(import.meta.url));

/** Messages are plain objects with a `kind`; a worker that ends early fails every wait. */
export class Worker {
  readonly #child: ChildProcess;
  readonly #messages: { kind: string }[] = [];
  readonly #ended: Promise<never>;
  #arrived: () => void = () => undefined;

  /** Starts `<script>.js` in this folder with `input` as its first message. */
  constructor(script: string, input: object) {
    this.#child = fork(join(HERE, `${script}.js`), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.#child.on('message', (message) => {
      this.#messages.push(message as { kind: string });
      this.#arrived();
    });
    this.#ended = once(this.#child, 'exit').then(([code, signal]) => {
      throw new Error(`${script} ended early (${signal ?? `code ${code}`})`);
    });
    this.#ended.catch(() => undefined);
    this.#child.send(input);
  }

  get pid(): number {
    return this.#child.pid!;
  }

  send(message: object): void {
    this.#child.send(message);
  }

  /** The next message of a kind; others are kept. */
  async next<T>(kind: string): Promise<T> {
    for (;;) {
      const found = this.#messages.findIndex((message) => message.kind === kind);
      if (found >= 0) return this.#messages.splice(found, 1)[0] as T;
      await Promise.race([new Promise<void>((resolve) => (this.#arrived = resolve)), this.#ended]);
    }
  }

  /** Asks it to end and waits until it has; kills it after the limit. */
  async stop(limitMs = 10_000): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), limitMs);
    await gone;
    clearTimeout(timer);
  }
}

/** In the worker: the first message. */
export async function input<T>(): Promise<T> {
  const [message] = (await once(process, 'message')) as [T];
  return message;
}

/** In the worker: sends a message to the starter. */
export function tell<T extends { readonly kind: string }>(message: T): void {
  process.send!(message);
}
