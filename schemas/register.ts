/**
 * Registers our schemas under `<topic>-value`. Everything is checked before anything is registered, so an incompatible
 * change leaves the registry as it was.
 */
import { type SchemaName, schemaJson } from './codec.js';
import { explainIncompatibility } from './incompatibility.js';
import { type Registry, RegistryError } from './registry.js';

export interface SubjectSchema {
  /** `<topic>-value`. */
  readonly subject: string;
  readonly schemaName: SchemaName;
}

/**
 * Returns the ids that Codec writes with. Registering a schema again is harmless. Throws RegistryError; `incompatible`
 * names every subject, field and rule at once.
 */
export async function registerSchemas(
  registry: Registry,
  subjects: readonly SubjectSchema[],
): Promise<Map<SchemaName, number>> {
  const problems: string[] = [];
  for (const subject of subjects) {
    const problem = await incompatibilityOf(registry, subject);
    if (problem !== null) problems.push(problem);
  }
  if (problems.length > 0) throw new RegistryError('incompatible', problems.join('\n'));
  const ids = new Map<SchemaName, number>();
  for (const { subject, schemaName } of subjects) {
    const id = await registry.register(subject, compact(schemaName));
    if (!ids.has(schemaName)) ids.set(schemaName, id);
  }
  return ids;
}

/** Says in a sentence why the registry would refuse our schema, or null. Registers nothing. */
export async function incompatibilityOf(
  registry: Registry,
  { subject, schemaName }: SubjectSchema,
): Promise<string | null> {
  const latest = await registry.latest(subject);
  if (latest === null || (await registry.isCompatible(subject, compact(schemaName)))) return null;
  const level = await registry.compatibilityLevel(subject);
  const reasons = explainIncompatibility(latest, schemaJson(schemaName), level);
  const why = reasons.length > 0 ? reasons.join('; ') : 'the registry does not say where';
  return `Schema ${schemaName} is not compatible with the one registered as "${subject}" under rule ${level}: ${why}. Make the change compatible (a new field needs a default), or use a new topic.`;
}

function compact(name: SchemaName): string {
  return JSON.stringify(JSON.parse(schemaJson(name)));
}
