/**
 * Runs the kernel: threads over one shared memory if there is WASM with SIMD, otherwise plain loops in this thread. The
 * first 64 bytes of the memory belong to the threads.
 */
import { Worker } from 'node:worker_threads';
import { FreshetError, messageOf } from '../../runtime/process/errors.js';
import { type Kernel, SCRATCH_ROWS } from './kernel.js';
import { type KernelCall, piecesOf, runPiece } from './kernel-calls.js';
import { PlainKernel } from './plain-kernel.js';
import type { ThreadCall, ThreadData } from './thread.js';
import { compileKernel, sharedMemory } from './wasm-kernel.js';
import type { WasmMemory, WasmModule } from './web-assembly.js';

export const RESERVED_BYTES = 64;
/** Addresses are 32 bits. */
export const MEMORY_BYTES_MAX = 2 ** 32 - 2 ** 16;
/** Plain loops yield to other work after this long. */
const TURN_MS = 50;

interface HostOptions {
  readonly bytes: number;
  readonly threads: number;
  /** Address of `threads` times SCRATCH_ROWS rows of `width` bytes. */
  readonly scratch: number;
  readonly width: number;
  /** 'plain' even if there is WASM; for tests. */
  readonly kernel?: 'plain';
}

export interface KernelHost {
  readonly kind: 'wasm' | 'plain';
  readonly memory: ArrayBufferLike;
  readonly threads: number;
  /** Resolves when all pieces of the call are done; one call at a time. */
  run(call: KernelCall): Promise<void>;
  close(): Promise<void>;
}

/** Errors: FreshetError 'unavailable' if the system cannot provide the memory. */
export function openKernelHost(options: HostOptions): KernelHost {
  const module = options.kernel === 'plain' ? null : compileKernel();
  try {
    if (module === null) return new PlainHost(options);
    return new ThreadHost(options, module, sharedMemory(options.bytes));
  } catch (error) {
    const mib = Math.ceil(options.bytes / 2 ** 20);
    throw new FreshetError('unavailable', `${mib} MiB of memory for the model are not available: ${messageOf(error)}`);
  }
}

class ThreadHost implements KernelHost {
  readonly kind = 'wasm';
  readonly memory: ArrayBufferLike;
  readonly threads: number;
  readonly #workers: Worker[] = [];
  readonly #taken: Int32Array;
  #settle: { done(): void; failed(error: Error): void } = { done: () => undefined, failed: () => undefined };
  #failure: Error | null = null;
  #closing = false;

  constructor({ threads, scratch, width }: HostOptions, module: WasmModule, memory: WasmMemory) {
    this.memory = memory.buffer;
    this.threads = threads;
    this.#taken = new Int32Array(memory.buffer, 0, 1);
    for (let i = 0; i < threads; i++) {
      const workerData: ThreadData = { module, memory, scratch: scratch + i * SCRATCH_ROWS * width };
      const worker = new Worker(new URL('./thread.js', import.meta.url), { workerData });
      worker.on('message', () => this.#settle.done());
      worker.on('error', (error) => this.#fail(error));
      worker.on('exit', (code) => this.#fail(new Error(`a thread of the kernel has ended with code ${code}`)));
      this.#workers.push(worker);
    }
  }

  async run(call: KernelCall): Promise<void> {
    if (this.#failure !== null) throw this.#failure;
    Atomics.store(this.#taken, 0, 0);
    const message: ThreadCall = { call, pieces: piecesOf(call) };
    let left = this.#workers.length;
    await new Promise<void>((resolve, reject) => {
      this.#settle = {
        done: () => {
          if (--left === 0) resolve();
        },
        failed: reject,
      };
      for (const worker of this.#workers) worker.postMessage(message);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    await Promise.all(this.#workers.map((worker) => worker.terminate()));
  }

  #fail(error: Error): void {
    if (this.#closing) return;
    this.#failure ??= error;
    this.#settle.failed(this.#failure);
  }
}

class PlainHost implements KernelHost {
  readonly kind = 'plain';
  readonly memory: ArrayBufferLike;
  readonly threads = 1;
  readonly #kernel: Kernel;
  readonly #words: Uint32Array;
  readonly #scratch: number;

  constructor({ bytes, scratch }: HostOptions) {
    this.memory = new ArrayBuffer(Math.ceil(bytes / 4) * 4);
    this.#kernel = new PlainKernel(this.memory);
    this.#words = new Uint32Array(this.memory);
    this.#scratch = scratch;
  }

  async run(call: KernelCall): Promise<void> {
    const pieces = piecesOf(call);
    let turnEnds = performance.now() + TURN_MS;
    for (let piece = 0; piece < pieces; piece++) {
      runPiece(this.#kernel, this.#words, this.#scratch, call, piece);
      if (performance.now() < turnEnds) continue;
      await new Promise((resolve) => setImmediate(resolve));
      turnEnds = performance.now() + TURN_MS;
    }
  }

  async close(): Promise<void> {}
}
