/** The result of a comparison, as it is printed, logged and returned over HTTP. */
import type { Difference, Outcome } from './compare.js';
import type { Artefact, StoreName } from './passage.js';

export interface ReportedDifference {
  readonly store: StoreName;
  readonly artefact: Artefact;
  readonly key: string;
  readonly what: string;
  readonly served: string | number | null;
  readonly expected: string | number | null;
  /** The row's time, ISO 8601; null if there is no row. */
  readonly as_of: string | null;
  /** Null unless both sides are numbers. */
  readonly relative_error: number | null;
}

/** Number of keys per outcome, for one artefact in one store. */
interface ComparedKeys {
  readonly store: StoreName;
  readonly artefact: Artefact;
  readonly same: number;
  readonly different: number;
  readonly left_out: number;
  readonly pending: number;
  readonly undecided: number;
}

export interface AuditReport {
  readonly started_at: string;
  readonly duration_seconds: number;
  readonly sample: {
    readonly salt: string;
    /** Share of all users and of all products, 0 to 1. */
    readonly users_share: number;
    readonly products_share: number;
    readonly users: number;
    readonly products: number;
    /** Counted events kept for them. */
    readonly events: number;
  };
  /** Records of `events` read so far. */
  readonly records_read: number;
  readonly compared: readonly ComparedKeys[];
  /** The first ones, up to REPORTED_MAX. */
  readonly differences: readonly ReportedDifference[];
  /** Over everything compared as a number. */
  readonly largest_relative_error: number;
  /** Why nothing could be compared, in words; null otherwise. */
  readonly behind: string | null;
}

export const REPORTED_MAX = 100;

/** True when something was compared and nothing differs. */
export function isClean({ behind, compared }: AuditReport): boolean {
  return behind === null && compared.every(({ different }) => different === 0);
}

/** Counts outcomes of one artefact in one store. */
export class Tally {
  readonly #store: StoreName;
  readonly #artefact: Artefact;
  readonly #counts: Record<Outcome['kind'], number> = { same: 0, different: 0, left_out: 0, pending: 0, undecided: 0 };
  readonly differences: Difference[] = [];
  largestError = 0;

  constructor(store: StoreName, artefact: Artefact) {
    this.#store = store;
    this.#artefact = artefact;
  }

  add(outcome: Outcome): void {
    this.#counts[outcome.kind]++;
    if (outcome.kind === 'same') this.#noteError(outcome.relativeError);
    if (outcome.kind !== 'different') return;
    for (const difference of outcome.differences) {
      this.#noteError(difference.relativeError);
      if (this.differences.length < REPORTED_MAX) this.differences.push(difference);
    }
  }

  compared(): ComparedKeys {
    return { store: this.#store, artefact: this.#artefact, ...this.#counts };
  }

  #noteError(error: number): void {
    if (Number.isFinite(error)) this.largestError = Math.max(this.largestError, error);
  }
}

export function reported({ asOf, relativeError, ...difference }: Difference): ReportedDifference {
  return {
    ...difference,
    as_of: asOf === null ? null : new Date(asOf).toISOString(),
    relative_error: Number.isFinite(relativeError) ? relativeError : null,
  };
}
