/**
 * The token of a switch: a number issued where switches are decided, so that a follower can order two switches however
 * late they arrive. The timeline only increases when the deciding database was itself restored from an older copy and
 * issues numbers a second time.
 */
import { FreshetError } from '../process/errors.js';

export interface SwitchToken {
  /** From 1. */
  readonly timeline: number;
  /** From 1 within a timeline. */
  readonly seq: number;
}

/** Below 0: a is older than b; 0: equal; above 0: newer. Null is older than any token. */
export function compareTokens(a: SwitchToken | null, b: SwitchToken | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  return a.timeline - b.timeline || a.seq - b.seq;
}

/** As stored: `<timeline>.<seq>`. */
export function tokenText({ timeline, seq }: SwitchToken): string {
  return `${timeline}.${seq}`;
}

/** Parses a stored token; null for anything that is not a token, which counts as older than every token. */
export function parseToken(text: string | null): SwitchToken | null {
  const match = /^(\d{1,15})\.(\d{1,15})$/.exec(text ?? '');
  return match === null ? null : { timeline: Number(match[1]), seq: Number(match[2]) };
}

/** Throws FreshetError('invalid_data') unless both are whole numbers ≥ 0. */
export function checkToken({ timeline, seq }: SwitchToken): void {
  for (const part of [timeline, seq])
    if (!Number.isSafeInteger(part) || part < 0 || part >= 1e15)
      throw new FreshetError('invalid_data', `A switch cannot have the token ${timeline}.${seq}.`);
}
