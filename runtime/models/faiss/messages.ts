/** Messages between a FAISS process and its parent. */
import type { ErrorCode } from '../../process/errors.js';
import type { BuildPlan } from './build-plan.js';
import type { Engine } from './vector-index.js';

/** `auto`: the native module if it is available, else our own code. */
export type EngineChoice = Engine | 'auto';

/** A file and what it must match. */
export interface FileToVerify {
  readonly path: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

export type ToIndexChild =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly engine: EngineChoice;
      readonly verify: readonly FileToVerify[];
    }
  | { readonly kind: 'search'; readonly vectors: Float32Array; readonly queries: number; readonly k: number }
  | { readonly kind: 'build'; readonly plan: BuildPlan };

export type FromIndexChild =
  | { readonly kind: 'ready'; readonly engine: Engine; readonly dimension: number; readonly count: number }
  | { readonly kind: 'found'; readonly positions: Int32Array; readonly scores: Float32Array }
  | { readonly kind: 'progress'; readonly phase: string; readonly done: number; readonly total: number }
  | { readonly kind: 'built' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string };
