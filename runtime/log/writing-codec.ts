/** The codec of a process that writes: with a registry, public topics are written in the registry's framing. */
import { Codec } from '../../schemas/codec.js';
import { registerSchemas, type SubjectSchema } from '../../schemas/register.js';
import type { TopicDeclaration } from '../../topics/topic.js';
import { freshetError, lookupIn, openRegistry } from './reading-codec.js';
import type { LogSettings } from './settings.js';

export { inOurTerms, lookupIn, openReadingCodec, openRegistry } from './reading-codec.js';

/** Re-key hops and changelogs are private: only their application reads and writes them. */
function isPublic({ name }: TopicDeclaration): boolean {
  return !/^(features|corpus|embeddings)\.v\d+\./.test(name);
}

/** The subject names under which other producers and consumers look up our schemas. */
export function subjectsOf(declarations: readonly TopicDeclaration[]): SubjectSchema[] {
  return declarations.filter(isPublic).map(({ name, schema }) => ({ subject: `${name}-value`, schemaName: schema }));
}

/**
 * Registers the schemas of the public topics among `declarations` and returns the codec that writes with their ids.
 * Throws FreshetError with code schema (an incompatible change), access or connection.
 */
export async function openWritingCodec(
  settings: LogSettings,
  declarations: readonly TopicDeclaration[],
): Promise<Codec> {
  const registry = await openRegistry(settings);
  if (registry === null) return new Codec();
  try {
    return new Codec(lookupIn(registry), await registerSchemas(registry, subjectsOf(declarations)));
  } catch (error) {
    throw freshetError(error);
  }
}
