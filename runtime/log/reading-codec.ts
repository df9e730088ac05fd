/** The codec of a process that reads: every framing, foreign writers looked up where there is a registry. */
import { Codec, type SchemaLookup } from '../../schemas/codec.js';
import { Registry, RegistryError } from '../../schemas/registry.js';
import { FreshetError } from '../process/errors.js';
import type { Settings } from '../process/settings.js';

/** Null without SCHEMA_REGISTRY_URL. */
export async function openRegistry(settings: Settings): Promise<Registry | null> {
  if (settings.SCHEMA_REGISTRY_URL === undefined) return null;
  return await Registry.open({
    url: settings.SCHEMA_REGISTRY_URL,
    username: settings.SCHEMA_REGISTRY_USERNAME,
    password: settings.SCHEMA_REGISTRY_PASSWORD,
  });
}

/** A codec that reads every framing and registers nothing; what it writes is in single-object encoding. */
export async function openReadingCodec(settings: Settings): Promise<Codec> {
  const registry = await openRegistry(settings);
  return new Codec(registry === null ? null : lookupIn(registry));
}

/** A registry that does not answer is worth another try, and the engine knows only its own errors. */
export function lookupIn(registry: Registry): SchemaLookup {
  return { schemaById: (id) => inOurTerms(registry.schemaById(id)) };
}

/** What is thrown is in the terms of the rest of the product. */
export async function inOurTerms<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw freshetError(error);
  }
}

/** The registry's error in the terms of the rest of the product. */
export function freshetError(error: unknown): unknown {
  if (!(error instanceof RegistryError)) return error;
  const codes = { unreachable: 'connection', access: 'access', incompatible: 'schema', refused: 'schema' } as const;
  return new FreshetError(codes[error.problem], error.message, { cause: error });
}
