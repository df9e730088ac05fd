/** The WASM SIMD kernel: kernel.as, compiled into kernel-bytes.ts (a test rejects an outdated one). */
import type { Kernel } from './kernel.js';
import { KERNEL_BYTES } from './kernel-bytes.js';
import { type WasmMemory, type WasmModule, webAssembly } from './web-assembly.js';

const PAGE = 65_536;

/** Null if there is no WASM, or none with SIMD and shared memory. */
export function compileKernel(): WasmModule | null {
  if (webAssembly === undefined) return null;
  const bytes = Buffer.from(KERNEL_BYTES, 'base64');
  return webAssembly.validate(bytes) ? new webAssembly.Module(bytes) : null;
}

/** Shared, zeroed, at least `bytes` long. Errors: RangeError if the system cannot provide it. */
export function sharedMemory(bytes: number): WasmMemory {
  const pages = Math.ceil(bytes / PAGE);
  return new webAssembly!.Memory({ initial: pages, maximum: pages, shared: true });
}

/** An instance over a shared memory; every thread has one. */
export function wasmKernel(module: WasmModule, memory: WasmMemory): Kernel {
  const { exports } = new webAssembly!.Instance(module, { env: { memory } });
  return exports as unknown as Kernel;
}
