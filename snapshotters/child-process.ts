/**
 * The parent's side of a snapshot's process: starts it, passes it the job and, if it cannot open the log itself, access
 * to the log, and turns every way in which it can end into an answer or a sentence.
 */
import { Interrupted } from '../jobs/job.js';
import type { RunProgress } from '../jobs/runs.js';
import { Child, type ChildEnd, howItEnded } from '../runtime/process/child-process.js';
import { FreshetError } from '../runtime/process/errors.js';
import type { Built } from './build-folder.js';
import type { CaptureLog } from './capture.js';
import type { ChildJob, FromChild, ToChild } from './child-messages.js';
import { tooLittleMemory } from './memory.js';
import { LogHost, refusalOf } from './remote-log.js';

interface ChildOptions {
  readonly job: ChildJob;
  /** The parent's log, for a child that cannot open it itself. */
  readonly log: CaptureLog;
  /** Topics of it that the child may read. */
  readonly topics: readonly string[];
  readonly onProgress: (progress: RunProgress) => void;
  /** Ends it: SIGTERM, then SIGKILL after `stopMs`. */
  readonly signal: AbortSignal;
  readonly stopMs: number;
  /** Additional arguments for Node. */
  readonly execArgv?: readonly string[];
}

/** Its final answer; null if it ended without one. */
type Outcome = Exclude<FromChild, { kind: 'ask' | 'progress' }> | null;

/** Environment variables that a process needs besides its settings, which it receives as a message. */
const INHERITED = ['PATH', 'HOME', 'TMPDIR', 'TZ', 'NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SYSTEMROOT'];

/**
 * Resolves when the process has ended, with what it has built; null when the signal ended it. Errors: Interrupted;
 * 'settings' when SNAPSHOT_MEMORY_MB is too small; the error of the child; 'internal'.
 */
export async function runChild(o: ChildOptions): Promise<Built | null> {
  if (o.signal.aborted) return null;
  const host = new LogHost(o.log, o.topics);
  let outcome: Outcome = null;
  const child: Child<ToChild, FromChild> = new Child({
    entry: new URL('./child.js', import.meta.url),
    inherited: INHERITED,
    memoryMb: o.job.settings.SNAPSHOT_MEMORY_MB,
    ...(o.execArgv === undefined ? {} : { execArgv: o.execArgv }),
    onMessage: (message) => {
      if (message.kind === 'progress') o.onProgress(message.progress);
      else if (message.kind === 'ask') {
        const { id, ask } = message;
        host.answer(ask).then(
          (value) => child.send({ kind: 'answer', id, value }),
          (error: unknown) => child.send({ kind: 'refusal', id, refusal: refusalOf(error) }),
        );
      } else {
        outcome = message;
        // Even if it does not stop by itself, its work is done.
        child.killAfter(o.stopMs);
      }
    },
    onErrorOutput: (text) => process.stderr.write(text),
  });
  const stop = () => child.stop(o.stopMs);
  o.signal.addEventListener('abort', stop, { once: true });
  child.send({ kind: 'job', job: o.job });
  const end = await child.ended;
  o.signal.removeEventListener('abort', stop);
  await host.close();
  return answerOf(o, outcome, end);
}

function answerOf({ job, signal: stopped }: ChildOptions, outcome: Outcome, end: ChildEnd): Built | null {
  if (outcome?.kind === 'finished') return outcome.built;
  if (outcome?.kind === 'failed') throw new FreshetError(outcome.refusal.code, outcome.refusal.message);
  if (stopped.aborted) return null;
  if (end.ranOutOfMemory) throw tooLittleMemory(job.settings.SNAPSHOT_MEMORY_MB);
  if (end.signal === 'SIGKILL' || end.signal === 'SIGTERM' || outcome?.kind === 'stopped')
    throw new Interrupted(
      `the snapshot's process was killed from outside (${end.signal ?? 'SIGTERM'}): most often the system has run out of memory`,
    );
  const how = howItEnded(end);
  if (end.startError !== null)
    throw new FreshetError('unavailable', `the snapshot's process cannot be started: ${how}`);
  const words = end.lastLine && `: ${end.lastLine}`;
  throw new FreshetError('internal', `the snapshot's process ended without an answer (${how})${words}`);
}
