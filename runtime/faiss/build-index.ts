/** Builds an index file in a process of its own. */
import { setPriority } from 'node:os';
import { FreshetError } from '../errors.js';
import { type BuildPlan, checkPlan } from './build-plan.js';
import { FaissProcess } from './faiss-process.js';

export interface BuildOptions {
  readonly plan: BuildPlan;
  readonly threads: number;
  /** Niceness of the process (os.constants.priority), where others must not be slowed down. */
  readonly priority?: number;
  readonly progress?: (phase: string, done: number, total: number) => void;
  /** Ends the build. */
  readonly signal?: AbortSignal;
}

/**
 * Resolves once the file is written and its structure was read again. Errors: 'invalid_data' for a plan or rows that cannot
 * be; 'settings' when there is no native module; 'unavailable' when the process ended (memory, a full disk) or the signal
 * ended it.
 */
export async function buildIndex({ plan, threads, priority, progress, signal }: BuildOptions): Promise<void> {
  checkPlan(plan);
  let child: FaissProcess | null = null;
  const kill = () => void child?.kill();
  try {
    await new Promise<void>((resolve, reject) => {
      child = new FaissProcess({
        threads,
        onMessage: (message) => {
          if (message.kind === 'progress') progress?.(message.phase, message.done, message.total);
          else if (message.kind === 'built') resolve();
          else if (message.kind === 'failed') reject(new FreshetError(message.code, message.message));
        },
        onEnd: (how) => reject(new FreshetError('unavailable', `The process that builds the index ended (${how}).`)),
      });
      if (priority !== undefined && child.pid !== undefined) setPriority(child.pid, priority);
      signal?.addEventListener('abort', kill, { once: true });
      if (signal?.aborted) kill();
      child.send({ kind: 'build', plan });
    });
  } finally {
    signal?.removeEventListener('abort', kill);
    await (child as FaissProcess | null)?.kill();
  }
}
