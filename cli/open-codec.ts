/** The codec of a process: with a registry, public topics are written in its framing and foreign writers are looked up. */
import { FreshetError } from '../runtime/errors.js';
import type { Settings } from '../runtime/settings.js';
import { Codec, type SchemaLookup } from '../schemas/codec.js';
import { registerSchemas, type SubjectSchema } from '../schemas/register.js';
import { Registry, RegistryError } from '../schemas/registry.js';
import type { TopicDeclaration } from '../topics/topic.js';

/** Re-key hops and changelogs belong to one application, which alone reads and writes them. */
export function isPublic({ name }: TopicDeclaration): boolean {
  return !/^features\.v\d+\./.test(name);
}

/** Subjects as other producers and consumers look for them. */
export function subjectsOf(declarations: readonly TopicDeclaration[]): SubjectSchema[] {
  return declarations.filter(isPublic).map(({ name, schema }) => ({ subject: `${name}-value`, schemaName: schema }));
}

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

/**
 * Registers the schemas of the public topics among `declarations` and answers the codec that writes with their ids.
 * Errors: FreshetError of code schema (an incompatible change), access, connection.
 */
export async function openWritingCodec(settings: Settings, declarations: readonly TopicDeclaration[]): Promise<Codec> {
  const registry = await openRegistry(settings);
  if (registry === null) return new Codec();
  try {
    return new Codec(lookupIn(registry), await registerSchemas(registry, subjectsOf(declarations)));
  } catch (error) {
    throw freshetError(error);
  }
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
