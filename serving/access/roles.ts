/** One table of roles and route classes. Every route names its class; a route without one is refused. */
import type { AccessClass } from '../limits.js';
import type { AccessToken } from '../settings.js';

export type TokenRole = AccessToken['role'];

/**
 * read: features, versions, runs, overview, metrics, the page. write: events, products, documents, users. operate:
 * topics and their offsets, switching versions, requesting runs. raw: records as stored in the log, of every tenant.
 * erase: erasure requests.
 */
export const ALLOWED: Readonly<Record<TokenRole, ReadonlySet<AccessClass>>> = {
  reader: new Set<AccessClass>(['read']),
  producer: new Set<AccessClass>(['read', 'write']),
  operator: new Set<AccessClass>(['read', 'write', 'operate', 'raw', 'erase']),
  admin: new Set<AccessClass>(['read', 'write', 'operate', 'raw', 'erase']),
};

/** The roles that may use a class, for the message of a refusal. */
export function rolesFor(access: AccessClass): TokenRole[] {
  return (Object.keys(ALLOWED) as TokenRole[]).filter((role) => ALLOWED[role].has(access));
}
