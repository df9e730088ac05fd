/** The codec of a process that reads: every framing; with a registry, the schemas of other writers are looked up. */
import { Codec, type SchemaLookup } from '../../schemas/codec.js';
import { NotInstalled } from '../../schemas/optional-package.js';
import { Registry, RegistryError } from '../../schemas/registry.js';
import { FreshetError } from '../process/errors.js';
import type { LogSettings } from './settings.js';

/** Null without SCHEMA_REGISTRY_URL. Throws 'settings' if the registry's client is not installed. */
export async function openRegistry(settings: LogSettings): Promise<Registry | null> {
  if (settings.SCHEMA_REGISTRY_URL === undefined) return null;
  return await inOurTerms(
    Registry.open({
      url: settings.SCHEMA_REGISTRY_URL,
      username: settings.SCHEMA_REGISTRY_USERNAME,
      password: settings.SCHEMA_REGISTRY_PASSWORD,
    }),
  );
}

/** A codec that reads every framing and registers nothing; it writes single-object encoding. */
export async function openReadingCodec(settings: LogSettings): Promise<Codec> {
  const registry = await openRegistry(settings);
  return new Codec(registry === null ? null : lookupIn(registry));
}

/** A registry that does not answer is worth a retry, and the engine knows only FreshetError. */
export function lookupIn(registry: Registry): SchemaLookup {
  return { schemaById: (id) => inOurTerms(registry.schemaById(id)) };
}

/** Turns a registry's error into a FreshetError. */
export async function inOurTerms<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw freshetError(error);
  }
}

/** The registry's error as a FreshetError. */
export function freshetError(error: unknown): unknown {
  if (error instanceof NotInstalled)
    return new FreshetError('settings', `SCHEMA_REGISTRY_URL is set, but ${error.message}`, { cause: error });
  if (!(error instanceof RegistryError)) return error;
  const codes = { unreachable: 'connection', access: 'access', incompatible: 'schema', refused: 'schema' } as const;
  return new FreshetError(codes[error.problem], error.message, { cause: error });
}
