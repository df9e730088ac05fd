/** One thread of the kernel: takes pieces of a call until none is left, reports that, and waits for the next call. */
import { parentPort, workerData } from 'node:worker_threads';
import { type KernelCall, runPiece } from './kernel-calls.js';
import { wasmKernel } from './wasm-kernel.js';
import type { WasmMemory, WasmModule } from './web-assembly.js';

export interface ThreadData {
  readonly module: WasmModule;
  readonly memory: WasmMemory;
  /** Address of this thread's scratch. */
  readonly scratch: number;
}

export interface ThreadCall {
  readonly call: KernelCall;
  readonly pieces: number;
}

const { module, memory, scratch } = workerData as ThreadData;
const kernel = wasmKernel(module, memory);
const words = new Uint32Array(memory.buffer);
/** The first word counts the pieces taken. */
const taken = new Int32Array(memory.buffer, 0, 1);

parentPort!.on('message', ({ call, pieces }: ThreadCall) => {
  for (let piece = Atomics.add(taken, 0, 1); piece < pieces; piece = Atomics.add(taken, 0, 1))
    runPiece(kernel, words, scratch, call, piece);
  parentPort!.postMessage(null);
});
