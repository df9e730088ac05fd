/** Builds an index file in a separate process. */
import { FreshetError } from '../../process/errors.js';
import { type BuildPlan, checkPlan } from './build-plan.js';
import { type FaissProcess, startFaissProcess } from './faiss-process.js';

interface BuildOptions {
  readonly plan: BuildPlan;
  /** With one thread, the same rows give the same graph, byte for byte. */
  readonly threads: number;
  readonly progress?: (phase: string, done: number, total: number) => void;
}

/**
 * Resolves once the file has been written and its structure read again. Throws 'invalid_data' for an impossible plan or
 * rows; 'settings' without a native module; 'unavailable' when the process ended (memory, a full disk).
 */
export async function buildIndex({ plan, threads, progress }: BuildOptions): Promise<void> {
  checkPlan(plan);
  let child: FaissProcess | null = null;
  try {
    await new Promise<void>((resolve, reject) => {
      child = startFaissProcess({
        threads,
        onMessage: (message) => {
          if (message.kind === 'progress') progress?.(message.phase, message.done, message.total);
          else if (message.kind === 'built') resolve();
          else if (message.kind === 'failed') reject(new FreshetError(message.code, message.message));
        },
        onEnd: (how) => reject(new FreshetError('unavailable', `The process that builds the index ended (${how}).`)),
      });
      child.send({ kind: 'build', plan });
    });
  } finally {
    await (child as FaissProcess | null)?.kill();
  }
}
