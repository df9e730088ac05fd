/** JSON from outside: parsed, and refused when it is nested more deeply than any record of ours. */
import { InputError } from './input-error.js';

/** Records have two levels. Without a bound, code that walks a value recursively could overflow the stack. */
const DEPTH_MAX = 32;

/** Throws InputError for text that is not JSON, or is nested more than 32 levels deep. `what`: "The line". */
export function parseJson(text: string, what: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new InputError(`${what} is not JSON.`);
  }
  if (!isWithin(value, DEPTH_MAX)) throw new InputError(`${what} is nested more than ${DEPTH_MAX} levels deep.`);
  return value;
}

function isWithin(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  if (levels === 0) return false;
  const inner: unknown[] = Array.isArray(value) ? value : Object.values(value);
  return inner.every((one) => isWithin(one, levels - 1));
}
