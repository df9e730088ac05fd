/** Messages between the embedder and its thread. */
import type { ErrorCode } from '../../process/errors.js';
import type { ModelInfo } from './embedder.js';

/** How the thread opens its model. */
export interface ThreadOptions {
  /** Null: the hashed model. */
  readonly folder: string | null;
  readonly threads: number;
}

export type ToThread =
  | { readonly type: 'embed'; readonly id: number; readonly texts: readonly string[] }
  | { readonly type: 'forget'; readonly id: number }
  | { readonly type: 'close' };

export interface Refusal {
  readonly code: ErrorCode;
  readonly message: string;
}

export type FromThread =
  | { readonly type: 'ready'; readonly info: ModelInfo }
  | { readonly type: 'refused'; readonly error: Refusal }
  | { readonly type: 'vectors'; readonly id: number; readonly vectors: Float32Array }
  | { readonly type: 'failed'; readonly id: number; readonly error: Refusal };
