/** Says in words which field of a changed Avro record breaks which compatibility rule; the registry only says "no". */
import { z } from 'zod';

interface Field {
  readonly name: string;
  readonly type: unknown;
  readonly hasDefault: boolean;
}

interface Named {
  readonly label: string;
  readonly shape: RecordShape;
}

interface RecordShape {
  readonly fullName: string;
  readonly fields: ReadonlyMap<string, Field>;
}

const recordSchema = z.object({
  type: z.literal('record'),
  name: z.string(),
  namespace: z.string().optional(),
  fields: z.array(z.looseObject({ name: z.string(), type: z.unknown() })),
});

/** Other types that a reader of the named type accepts as well (Avro specification, "Schema Resolution"). */
const READS: Readonly<Record<string, readonly string[]>> = {
  int: ['int'],
  long: ['int', 'long'],
  float: ['int', 'long', 'float'],
  double: ['int', 'long', 'float', 'double'],
  string: ['string', 'bytes'],
  bytes: ['bytes', 'string'],
  boolean: ['boolean'],
  null: ['null'],
};

/**
 * Reasons why `next` may not follow `previous` (both Avro JSON) under a registry's rule, one clause per field. Only the
 * fields of the outer record are compared; an empty result means that the cause lies deeper.
 */
export function explainIncompatibility(previous: string, next: string, level: string): string[] {
  const previousShape = shapeOf(previous);
  const nextShape = shapeOf(next);
  if (previousShape === null || nextShape === null) return ['one of the two schemas is not a record'];
  const before = { label: 'the registered schema', shape: previousShape };
  const after = { label: 'the new schema', shape: nextShape };
  const reasons: string[] = [];
  if (level.startsWith('BACKWARD') || level.startsWith('FULL'))
    reasons.push(...unreadable(after, before).map((reason) => `${reason}, so new readers cannot read old records`));
  if (level.startsWith('FORWARD') || level.startsWith('FULL'))
    reasons.push(...unreadable(before, after).map((reason) => `${reason}, so old readers cannot read new records`));
  return reasons;
}

function shapeOf(json: string): RecordShape | null {
  const parsed = recordSchema.safeParse(JSON.parse(json));
  if (!parsed.success) return null;
  const { name, namespace, fields } = parsed.data;
  return {
    fullName: namespace === undefined ? name : `${namespace}.${name}`,
    fields: new Map(
      fields.map((field) => [field.name, { name: field.name, type: field.type, hasDefault: 'default' in field }]),
    ),
  };
}

function unreadable(reader: Named, writer: Named): string[] {
  if (reader.shape.fullName !== writer.shape.fullName)
    return [
      `the record is named ${reader.shape.fullName} in ${reader.label} and ${writer.shape.fullName} in ${writer.label}`,
    ];
  const reasons: string[] = [];
  for (const field of reader.shape.fields.values()) {
    const written = writer.shape.fields.get(field.name);
    if (written === undefined) {
      if (!field.hasDefault)
        reasons.push(`field "${field.name}" has no default in ${reader.label} and is missing in ${writer.label}`);
    } else if (!canRead(field.type, written.type)) {
      reasons.push(
        `field "${field.name}" is ${nameOf(field.type)} in ${reader.label} and ${nameOf(written.type)} in ${writer.label}`,
      );
    }
  }
  return reasons;
}

/** Also true where this does not look: nested records, arrays, maps and enums are left to the registry. */
function canRead(reader: unknown, writer: unknown): boolean {
  const readers = branches(reader);
  return branches(writer).every((written) =>
    readers.some((read) => {
      const accepted = READS[read];
      return accepted === undefined ? READS[written] === undefined : accepted.includes(written);
    }),
  );
}

/** Plain type names: several for a union, its kind for a nested type. */
function branches(type: unknown): string[] {
  if (typeof type === 'string') return [type];
  if (Array.isArray(type)) return type.flatMap(branches);
  if (typeof type === 'object' && type !== null && 'type' in type) return branches(type.type);
  return ['unknown'];
}

function nameOf(type: unknown): string {
  return branches(type).join(' or ');
}
