/** What is used of the global WebAssembly, which neither the language's nor Node's types declare. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}

export interface WasmMemory {
  readonly buffer: ArrayBufferLike;
}

interface WasmApi {
  validate(bytes: Uint8Array): boolean;
  readonly Module: new (bytes: Uint8Array) => WasmModule;
  /** In pages of 64 KiB. Throws RangeError when the system does not give them. */
  readonly Memory: new (pages: {
    initial: number;
    maximum: number;
    shared: boolean;
  }) => WasmMemory;
  readonly Instance: new (
    module: WasmModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: Readonly<Record<string, unknown>> };
}

/** Undefined where Node was started without it. */
export const webAssembly = (globalThis as unknown as { WebAssembly?: WasmApi }).WebAssembly;
