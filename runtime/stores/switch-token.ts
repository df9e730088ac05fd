/**
 * The token of a switch: a number taken where switches are decided, so that whoever follows can tell a newer one from an
 * older one however late it arrives. The timeline grows only when the place of decisions was itself put back to an
 * older copy and counts numbers a second time.
 */
import { FreshetError } from '../process/errors.js';

export interface SwitchToken {
  /** From 1. */
  readonly timeline: number;
  /** From 1 within a timeline. */
  readonly seq: number;
}

/** Below 0: a is older than b; 0: the same; above 0: newer. Null is older than any. */
export function compareTokens(a: SwitchToken | null, b: SwitchToken | null): number {
  if (a === null || b === null) return Number(a !== null) - Number(b !== null);
  return a.timeline - b.timeline || a.seq - b.seq;
}

/** As the stores keep it: `<timeline>.<seq>`. */
export function tokenText({ timeline, seq }: SwitchToken): string {
  return `${timeline}.${seq}`;
}

/** What stands there; null for anything that is no token, which counts as older than every token. */
export function parseToken(text: string | null): SwitchToken | null {
  const match = /^(\d{1,15})\.(\d{1,15})$/.exec(text ?? '');
  return match === null ? null : { timeline: Number(match[1]), seq: Number(match[2]) };
}

/** Throws FreshetError('invalid_data') for anything but whole numbers from 0 on. */
export function checkToken({ timeline, seq }: SwitchToken): void {
  for (const part of [timeline, seq])
    if (!Number.isSafeInteger(part) || part < 0 || part >= 1e15)
      throw new FreshetError('invalid_data', `A switch cannot have the token ${timeline}.${seq}.`);
}
