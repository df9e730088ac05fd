/** Ids in paths and queries: the same rule as in bodies, a 400 instead of a rejection. */
import { checkId } from '../../ingest/fields.js';
import { InputError } from '../../ingest/input-error.js';
import { Problem } from '../problem.js';

/** Throws the 400 when the value is no id. */
export function idOf(name: string, value: unknown): string {
  return orBadRequest(() => checkId(name, value));
}

/** Runs a check of input; its InputError becomes a 400 with the same sentence. */
export function orBadRequest<T>(check: () => T): T {
  try {
    return check();
  } catch (error) {
    if (error instanceof InputError) throw new Problem(400, error.message, { cause: error });
    throw error;
  }
}
