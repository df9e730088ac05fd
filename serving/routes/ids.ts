/** Ids in paths and queries: the same rule as in bodies, but a 400 instead of a rejected record. */
import { checkId } from '../../ingest/fields.js';
import { InputError } from '../../ingest/input-error.js';
import { Problem } from '../problem.js';

/** Throws the 400 when the value is not a valid id. */
export function idOf(name: string, value: unknown): string {
  return orBadRequest(() => checkId(name, value));
}

/** Runs a check of input; its InputError becomes a 400 with the same message. */
export function orBadRequest<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof InputError) throw new Problem(400, error.message, { cause: error });
    throw error;
  }
}
