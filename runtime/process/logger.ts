/** JSON lines with timestamp, level as text and a named event (section 10 of the operators' guide); secrets redacted. */
import { writeSync } from 'node:fs';
import { pino } from 'pino';

export type Logger = pino.Logger;

/**
 * A logger that writes to standard error, so that commands can use standard output for their results. `secrets`: names of
 * settings whose values are never written. `shown`: turns a line of JSON into what a person at a terminal reads.
 */
export function createLogger(
  level: string,
  secrets: readonly string[] = [],
  shown: ((line: string) => string) | null = null,
): Logger {
  return pino(
    {
      level,
      base: null,
      messageKey: 'message',
      timestamp: () => `,"timestamp":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label.toUpperCase() }) },
      redact: ['password', 'authorization', ...secrets].flatMap((name) => [name, `*.${name}`]),
    },
    shown === null ? standardError : { write: (line: string) => standardError.write(shown(line)) },
  );
}

/** How long a line waits for a reader that is slower than the log, ms; then it is dropped. */
const FULL_MS_MAX = 100;
const RETRY_MS = 5;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Standard error, for log lines only. A line that cannot be written (a full disk, a reader that is gone) is dropped and
 * counted: a log must not end the process that it reports on. The next line that can be written is preceded by one that
 * says how many are missing.
 */
class StandardError {
  #dropped = 0;
  #missing = 0;

  /** Lines dropped since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  write(line: string): void {
    const missing = this.#missing === 0 ? '' : missingLine(this.#missing);
    try {
      writeWhole(Buffer.from(missing + line));
      this.#missing = 0;
    } catch {
      this.#dropped++;
      this.#missing++;
    }
  }
}

const standardError = new StandardError();

function missingLine(lines: number): string {
  const timestamp = new Date().toISOString();
  return `${JSON.stringify({ level: 'WARN', timestamp, event: 'log_lines_dropped', lines })}\n`;
}

function writeWhole(bytes: Buffer): void {
  const deadline = performance.now() + FULL_MS_MAX;
  for (let at = 0; at < bytes.length; )
    try {
      at += writeSync(2, bytes, at);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > deadline) throw error;
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
}

/** Log lines of this process that could not be written. */
export const droppedLogLines = (): number => standardError.dropped;

export const silentLogger: Logger = pino({ level: 'silent' });
