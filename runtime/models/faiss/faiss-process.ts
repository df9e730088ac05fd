/** Starts a process of FAISS and says how it ended. */
import { Child, howItEnded } from '../../process/child-process.js';
import { FreshetError } from '../../process/errors.js';
import type { FromIndexChild, ToIndexChild } from './messages.js';

export type FaissProcess = Child<ToIndexChild, FromIndexChild>;

export interface FaissProcessOptions {
  /** Threads of one call. */
  readonly threads: number;
  readonly onMessage: (message: FromIndexChild) => void;
  /** Called once; `how` is a sentence's end: by which signal or code, and the last line it wrote, which is FAISS's. */
  readonly onEnd: (how: string) => void;
}

/** It has nothing to finish: it may be killed at any time, and what it does is lost with it. */
export function startFaissProcess({ threads, onMessage, onEnd }: FaissProcessOptions): FaissProcess {
  const child: FaissProcess = new Child({
    entry: new URL('./child.js', import.meta.url),
    inherited: ['PATH', 'LD_LIBRARY_PATH', 'OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE', 'SYSTEMROOT'],
    environment: {
      OMP_NUM_THREADS: String(threads),
      OPENBLAS_NUM_THREADS: String(threads),
      // Threads that wait sleep: the machine has other things to do.
      OMP_WAIT_POLICY: 'passive',
    },
    onMessage,
  });
  void child.ended.then((end) => onEnd(end.lastLine === '' ? howItEnded(end) : `${howItEnded(end)}: ${end.lastLine}`));
  return child;
}

/** What a process ended of, for those who waited for it; the same call may succeed with the next process. */
export function lost(how: string): FreshetError {
  return new FreshetError('unavailable', `The process of the index ended (${how}); it is started again.`);
}
