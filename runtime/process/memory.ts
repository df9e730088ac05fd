/**
 * The bound on a snapshot's memory. node ends a process whose own heap grows past it; buffers and typed arrays, which
 * captures are made of, lie beside that heap and are counted here.
 */
import { FreshetError } from './errors.js';

const MB = 1024 * 1024;

export function tooLittleMemory(memoryMb: number): FreshetError {
  return new FreshetError(
    'settings',
    `the snapshot needs more memory than SNAPSHOT_MEMORY_MB=${memoryMb} allows: raise it`,
  );
}

/** Throws FreshetError('settings') when more is held than `memoryMb`, what could be thrown away not counted. */
export function checkMemory(memoryMb: number): void {
  if (heldBytes() <= memoryMb * MB) return;
  // Run with --expose-gc: only what is left after a collection is held.
  globalThis.gc?.();
  if (heldBytes() > memoryMb * MB) throw tooLittleMemory(memoryMb);
}

function heldBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
