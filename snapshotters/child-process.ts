/**
 * The parent's side of a snapshot's process: starts it, gives it the job and the log where it has none of its own, and
 * turns whatever way it ends into an answer or a sentence. A heap that grows past its bound, a bug in native code or a
 * kill -9 ends the child and nothing else.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Built } from './build-folder.js';
import type { CaptureLog } from './capture.js';
import type { ChildJob, FromChild, Progress, ToChild } from './child-messages.js';
import { tooLittleMemory } from './memory.js';
import { LogHost, refusalOf } from './remote-log.js';

export interface ChildOptions {
  readonly job: ChildJob;
  /** The parent's log, lent to a child that opens none itself. */
  readonly log: CaptureLog;
  /** Topics that it may read of it. */
  readonly topics: readonly string[];
  readonly logger: Logger;
  readonly onProgress: (progress: Progress) => void;
  /** Ends it: SIGTERM, and after `stopMs` SIGKILL. */
  readonly signal: AbortSignal;
  readonly stopMs: number;
  /** Further arguments of node. */
  readonly execArgv?: readonly string[];
}

/** The child ended from outside, without a word: another attempt goes on from its checkpoint. */
export class ChildKilled extends FreshetError {
  constructor(signal: NodeJS.Signals) {
    super(
      'unavailable',
      `the snapshot's process was killed from outside (${signal}): most often the system has run out of memory`,
    );
  }
}

const ENTRY = fileURLToPath(new URL('./child.js', import.meta.url));
/** What a process needs beside its settings, which come as a message. */
const ENVIRONMENT = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SYSTEMROOT'] as const;
/** Of what it wrote to standard error, the last characters are kept: they say what a fatal error was. */
const LAST_WORDS_MAX = 16_384;

/**
 * Resolves once the process is gone, with what it has built; null when the signal ended it. Errors: ChildKilled;
 * 'settings' when SNAPSHOT_MEMORY_MB is too little; whatever the child failed with; 'internal'.
 */
export async function runChild(o: ChildOptions): Promise<Built | null> {
  if (o.signal.aborted) return null;
  const child = start(o);
  const host = new LogHost(o.log, o.topics);
  let outcome: Exclude<FromChild, { kind: 'ask' | 'progress' }> | null = null;
  let lastWords = '';
  let trouble: Error | null = null;
  let killing: NodeJS.Timeout | undefined;

  const send = (message: ToChild) => {
    // Whoever is gone needs no answer; that it is gone is told by its exit.
    if (child.connected) child.send(message, () => undefined);
  };
  const stop = () => {
    child.kill('SIGTERM');
    killing ??= setTimeout(() => child.kill('SIGKILL'), o.stopMs);
  };
  child.on('error', (error) => {
    trouble = error;
  });
  child.on('message', (message: FromChild) => {
    if (message.kind === 'progress') o.onProgress(message.progress);
    else if (message.kind === 'ask') {
      const { id, ask } = message;
      host.answer(ask).then(
        (value) => send({ kind: 'answer', id, value }),
        (error: unknown) => send({ kind: 'refusal', id, refusal: refusalOf(error) }),
      );
    } else {
      outcome = message;
      // It ends by itself; if it does not, its work is done all the same.
      killing ??= setTimeout(() => child.kill('SIGKILL'), o.stopMs);
    }
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    lastWords = (lastWords + text).slice(-LAST_WORDS_MAX);
    process.stderr.write(text);
  });
  o.signal.addEventListener('abort', stop, { once: true });
  const closed = new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('close', (code, signal) => resolve([code, signal]));
    // A process that could not be started has no pid and never closes.
    child.once('error', () => child.pid === undefined && resolve([null, null]));
  });
  send({ kind: 'job', job: o.job });
  const [code, signal] = await closed;
  clearTimeout(killing);
  o.signal.removeEventListener('abort', stop);
  await host.close();
  return answerOf(o, { outcome, lastWords, trouble, code, signal });
}

interface End {
  readonly outcome: Exclude<FromChild, { kind: 'ask' | 'progress' }> | null;
  readonly lastWords: string;
  readonly trouble: Error | null;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

function answerOf({ job, signal: stopped }: ChildOptions, end: End): Built | null {
  const { outcome, lastWords, trouble, code, signal } = end;
  if (outcome?.kind === 'finished') return outcome.built;
  if (outcome?.kind === 'failed') throw new FreshetError(outcome.refusal.code, outcome.refusal.message);
  if (stopped.aborted) return null;
  if (/heap out of memory|Allocation failed|ERR_WORKER_OUT_OF_MEMORY/.test(lastWords))
    throw tooLittleMemory(job.settings.SNAPSHOT_MEMORY_MB);
  if (signal === 'SIGKILL' || signal === 'SIGTERM' || outcome?.kind === 'stopped')
    throw new ChildKilled(signal ?? 'SIGTERM');
  if (trouble !== null)
    throw new FreshetError('unavailable', `the snapshot's process cannot be started: ${messageOf(trouble)}`);
  const how = signal === null ? `exit code ${code}` : signal;
  const words = lastLineOf(lastWords);
  throw new FreshetError('internal', `the snapshot's process ended without an answer (${how})${words && `: ${words}`}`);
}

function lastLineOf(text: string): string {
  return text.trim().split('\n').at(-1)?.slice(0, 500) ?? '';
}

function start({ job, execArgv = [] }: ChildOptions): ChildProcess {
  const own = ENVIRONMENT.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return fork(ENTRY, [], {
    execArgv: [`--max-old-space-size=${job.settings.SNAPSHOT_MEMORY_MB}`, '--expose-gc', ...execArgv],
    env: Object.fromEntries(own),
    // Columns of numbers and buffers cross as they are.
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  });
}
