/**
 * Turns one JSON value into a record: each field is requested by name, and the remaining fields are refused. By hand
 * instead of by JSON schema, because a producer gets a sentence per record and an event must cost microseconds.
 */
import { ID_BYTES_MAX } from '../topics/ids.js';
import { InputError, shown } from './input-error.js';
import { parseTime } from './time.js';

const SURROGATE = /\p{Surrogate}/u;

/** An id or category: text of 1 to 256 bytes UTF-8. Throws InputError. */
export function checkId(name: string, value: unknown): string {
  const id = checkText(name, value);
  if (id.length === 0) throw new InputError(`"${name}" must not be empty.`);
  // A UTF-16 unit takes at most three bytes of UTF-8, so short ids need no counting.
  if (id.length * 3 > ID_BYTES_MAX && Buffer.byteLength(id) > ID_BYTES_MAX)
    throw new InputError(`"${name}" has ${Buffer.byteLength(id)} bytes; at most ${ID_BYTES_MAX} are allowed.`);
  return id;
}

/**
 * Text that every store can store. A lone surrogate has no UTF-8 form (two different ids would become one), and
 * Postgres cannot store U+0000. Throws InputError.
 */
function checkText(name: string, value: unknown): string {
  if (typeof value !== 'string') throw wrong(name, 'a string', value);
  if (value.includes('\0')) throw new InputError(`"${name}" contains the character U+0000, which is not allowed.`);
  if (SURROGATE.test(value)) throw new InputError(`"${name}" is not valid Unicode: it contains half a surrogate pair.`);
  return value;
}

function wrong(name: string, wanted: string, value: unknown): InputError {
  return new InputError(
    value === undefined ? `"${name}" is missing: give ${wanted}.` : `"${name}" must be ${wanted} (${shown(value)}).`,
  );
}

export class Fields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #what: string;
  readonly #asked = new Set<string>();

  /** `what` with its article, for messages: "an event". Throws InputError unless the value is a JSON object. */
  constructor(value: unknown, what: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new InputError(`${what[0]!.toUpperCase()}${what.slice(1)} must be a JSON object (${shown(value)}).`);
    this.#object = value as Record<string, unknown>;
    this.#what = what;
  }

  has(name: string): boolean {
    return this.#take(name) !== undefined;
  }

  id(name: string): string {
    return checkId(name, this.#take(name));
  }

  /** Null is the same as a missing field. */
  idOrNull(name: string): string | null {
    const value = this.#take(name);
    return value === undefined || value === null ? null : checkId(name, value);
  }

  text(name: string): string {
    return checkText(name, this.#take(name));
  }

  oneOf<T extends string>(name: string, values: readonly T[]): T {
    const value = this.#take(name);
    if (typeof value !== 'string' || !(values as readonly string[]).includes(value))
      throw wrong(name, `${values.slice(0, -1).join(', ')} or ${values.at(-1)}`, value);
    return value as T;
  }

  /** ms since 1970 UTC. */
  time(name: string): number {
    const value = this.#take(name);
    if (value === undefined) throw wrong(name, 'an ISO 8601 time or milliseconds since 1970', value);
    return parseTime(name, value);
  }

  /** The same, not before 1970: what stores keep of it. */
  timeOr(name: string, otherwise: number): number {
    const value = this.#take(name);
    const ms = value === undefined || value === null ? otherwise : parseTime(name, value);
    if (ms < 0) throw new InputError(`"${name}" is before 1970 (${shown(value)}).`);
    return ms;
  }

  booleanOr(name: string, otherwise: boolean): boolean {
    const value = this.#take(name);
    if (value === undefined) return otherwise;
    if (typeof value !== 'boolean') throw wrong(name, 'true or false', value);
    return value;
  }

  /** A whole number ≥ 0. */
  count(name: string): number {
    const value = this.#take(name);
    if (!Number.isSafeInteger(value) || (value as number) < 0) throw wrong(name, 'a whole number ≥ 0', value);
    return value as number;
  }

  /** A number ≥ 0, or null. */
  amountOrNull(name: string): number | null {
    const value = this.#take(name);
    if (value === undefined || value === null) return null;
    if (typeof value !== 'number' || !Number.isFinite(value) || value < 0)
      throw wrong(name, 'a number ≥ 0, or null', value);
    return value;
  }

  /** Any JSON value, including null; undefined if the field is missing. */
  any(name: string): unknown {
    return this.#take(name);
  }

  /** Refuses all fields that were not requested. Throws InputError. */
  end(): void {
    for (const name of Object.keys(this.#object)) {
      if (!this.#asked.has(name))
        throw new InputError(
          `${JSON.stringify(name.slice(0, 60))} is not a field of ${this.#what}; the fields are ${[...this.#asked].join(', ')}.`,
        );
    }
  }

  #take(name: string): unknown {
    this.#asked.add(name);
    return Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
  }
}
