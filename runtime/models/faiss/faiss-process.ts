/** Starts a FAISS process and reports how it ended. */
import { Child, howItEnded } from '../../process/child-process.js';
import { FreshetError } from '../../process/errors.js';
import type { FromIndexChild, ToIndexChild } from './messages.js';

export type FaissProcess = Child<ToIndexChild, FromIndexChild>;

interface FaissProcessOptions {
  /** Threads of one call. */
  readonly threads: number;
  readonly onMessage: (message: FromIndexChild) => void;
  /** Called once; `how` ends a sentence: the signal or code, and the last line it wrote, which is the message of FAISS. */
  readonly onEnd: (how: string) => void;
}

/** It has nothing to finish: it may be killed at any time, and its work is lost. */
export function startFaissProcess({ threads, onMessage, onEnd }: FaissProcessOptions): FaissProcess {
  const child: FaissProcess = new Child({
    entry: new URL('./child.js', import.meta.url),
    inherited: ['PATH', 'LD_LIBRARY_PATH', 'OPENBLAS_CORETYPE', 'OPENBLAS_L2_SIZE', 'SYSTEMROOT'],
    environment: {
      OMP_NUM_THREADS: String(threads),
      OPENBLAS_NUM_THREADS: String(threads),
      // Waiting threads sleep: the machine has other work.
      OMP_WAIT_POLICY: 'passive',
    },
    onMessage,
  });
  void child.ended.then((end) => onEnd(end.lastLine === '' ? howItEnded(end) : `${howItEnded(end)}: ${end.lastLine}`));
  return child;
}

/** The error of calls that waited for a process that ended; the next process may answer the same call. */
export function lost(how: string): FreshetError {
  return new FreshetError('unavailable', `The process of the index ended (${how}); it is being restarted.`);
}
