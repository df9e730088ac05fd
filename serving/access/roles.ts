/** Who may do what: one table of roles and classes of routes. Every route names its class; one without is refused. */

import type { AccessClass } from '../limits.js';
import type { AccessToken } from '../settings.js';

export type TokenRole = AccessToken['role'];

/**
 * read: features, versions, runs, overview, metrics, the page. write: events, products, documents, users. operate:
 * topics and their offsets, switching versions, asking for runs. raw: records as they lie in the log, of every tenant.
 * erase: requests to forget.
 */
export const ALLOWED: Readonly<Record<TokenRole, ReadonlySet<AccessClass>>> = {
  reader: new Set<AccessClass>(['read']),
  producer: new Set<AccessClass>(['read', 'write']),
  operator: new Set<AccessClass>(['read', 'write', 'operate', 'raw', 'erase']),
  admin: new Set<AccessClass>(['read', 'write', 'operate', 'raw', 'erase']),
};

/** The roles that may use a class, for the sentence of a refusal. */
export function rolesFor(access: AccessClass): TokenRole[] {
  return (Object.keys(ALLOWED) as TokenRole[]).filter((role) => ALLOWED[role].has(access));
}
