/** The environment of every command: streams, settings and a logger; and how a command fails. */
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { createLogger, type Logger } from '../runtime/process/logger.js';
import { loadSettings, SECRET_NAMES, type Settings } from './settings.js';

export interface Terminal {
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly input: Readable & { readonly isTTY?: boolean };
  readonly output: Writable & { readonly isTTY?: boolean };
  readonly errors: Writable & { readonly isTTY?: boolean };
}

/** Ends a command with exit code 1 after it has reported the problem itself. */
export class Failed extends Error {
  constructor() {
    super('the command has reported its failure');
    this.name = 'Failed';
  }
}

/** A wrong argument that is only detected when the command runs: exit code 2. */
export class UsageError extends Error {
  constructor(sentence: string) {
    super(sentence);
    this.name = 'UsageError';
  }
}

export class Shell {
  readonly terminal: Terminal;
  #settings: Settings | null = null;
  #logger: Logger | null = null;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** Throws FreshetError('settings') if they are invalid. */
  get settings(): Settings {
    this.#settings ??= loadSettings(this.terminal.environment);
    return this.#settings;
  }

  /** Silent unless LOG_LEVEL is set: a command's own messages are enough. */
  get logger(): Logger {
    this.#logger ??= createLogger(
      this.terminal.environment['LOG_LEVEL'] ? this.settings.LOG_LEVEL : 'silent',
      SECRET_NAMES,
    );
    return this.#logger;
  }

  /** Writes to standard output; waits while the reader is slower. */
  async write(text: string): Promise<void> {
    if (!this.terminal.output.write(text)) await once(this.terminal.output, 'drain');
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`);
  }

  async json(value: unknown): Promise<void> {
    await this.line(JSON.stringify(value, null, 2));
  }

  /** Writes a line to standard error. */
  note(text: string): void {
    this.terminal.errors.write(`${text}\n`);
  }
}
