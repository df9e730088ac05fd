/**
 * The memory limit of a snapshot. Node ends a process whose heap exceeds its limit; buffers and typed arrays, which
 * captures consist of, are outside that heap and are counted here.
 */
import { FreshetError } from '../runtime/process/errors.js';

const MB = 1024 * 1024;

export function tooLittleMemory(memoryMb: number): FreshetError {
  return new FreshetError(
    'settings',
    `the snapshot needs more memory than SNAPSHOT_MEMORY_MB=${memoryMb} allows: raise it`,
  );
}

/** Throws FreshetError('settings') when more than `memoryMb` is in use, not counting garbage. */
export function checkMemory(memoryMb: number): void {
  if (heldBytes() <= memoryMb * MB) return;
  // Run with --expose-gc: only memory that survives a collection counts.
  globalThis.gc?.();
  if (heldBytes() > memoryMb * MB) throw tooLittleMemory(memoryMb);
}

function heldBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
