/** Building blocks for shapes, parameters and answers, as JSON schemas. */
import { ID_BYTES_MAX } from '../../topics/ids.js';

export type Schema = Readonly<Record<string, unknown>>;

/** An object that has exactly these fields; those whose names are in `optional` may be missing. */
export function object(properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema {
  const required = Object.keys(properties).filter((name) => !optional.includes(name));
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}), additionalProperties: false };
}

export const text: Schema = { type: 'string' };
export const integer: Schema = { type: 'integer' };
export const number: Schema = { type: 'number' };
export const time: Schema = { type: 'string', format: 'date-time', description: 'ISO 8601, UTC.' };
export const id: Schema = {
  type: 'string',
  minLength: 1,
  maxLength: ID_BYTES_MAX,
  description: `1 to ${ID_BYTES_MAX} bytes of UTF-8.`,
};
export const nullableId: Schema = { ...id, type: ['string', 'null'] };
export const givenTime: Schema = {
  description: 'ISO 8601 with Z or an offset and any fraction, or milliseconds since 1970.',
  anyOf: [{ type: 'string', format: 'date-time' }, { type: 'number' }],
};

export function array(items: Schema): Schema {
  return { type: 'array', items };
}

/** A whole number in a query. */
export function count(min: number, max: number, otherwise: number, description: string): Schema {
  return { type: 'integer', minimum: min, maximum: max, default: otherwise, description };
}

/** Parameters of a path or query; unknown ones are refused, so that typing errors are reported. */
export function parameters(properties: Readonly<Record<string, Schema>>, required: readonly string[] = []): Schema {
  return { type: 'object', properties, required: [...required], additionalProperties: false };
}

export const pathId = (name: string, what: string): Schema =>
  parameters({ [name]: { type: 'string', minLength: 1, description: `${what}, percent-encoded.` } }, [name]);

export const nullableText: Schema = { type: ['string', 'null'] };
export const nullableTime: Schema = { ...time, type: ['string', 'null'] };
