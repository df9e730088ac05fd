/**
 * Tenant scope of users: a token reaches the users of its own tenant and those that no tenant has claimed. The table
 * `users` follows its topic within about a second: if two tenants claim a new id in that second, the later one wins.
 */
import type { Queryable } from '../../runtime/stores/database.js';
import { Problem } from '../problem.js';
import type { Principal } from './tokens.js';

const TENANTS_SQL = 'SELECT user_id, tenant_id FROM users WHERE user_id = ANY($1)';

export class Tenants {
  readonly #database: Queryable;

  constructor(database: Queryable) {
    this.#database = database;
  }

  /** The ids that belong to another tenant. Without tokens there are no tenants to separate. */
  async foreign(principal: Principal | null, userIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (principal === null || userIds.length === 0) return new Set();
    const rows = await this.#database.query<{ user_id: string; tenant_id: string }>(TENANTS_SQL, [[...userIds]]);
    return new Set(rows.filter((row) => row.tenant_id !== principal.tenant).map((row) => row.user_id));
  }

  /** Throws the same 404 as for an unknown user: whether another tenant has this user must not be revealed. */
  async requireVisible(principal: Principal | null, userId: string): Promise<void> {
    if ((await this.foreign(principal, [userId])).size > 0) throw unknownUser(userId);
  }

  /** Throws 403 when the user belongs to another tenant. */
  async requireWritable(principal: Principal | null, userId: string): Promise<void> {
    if ((await this.foreign(principal, [userId])).size > 0) throw new Problem(403, foreignUser(userId));
  }
}

export function unknownUser(userId: string): Problem {
  return new Problem(
    404,
    `There is no affinity of user ${JSON.stringify(userId)}: no event of the last 90 days counts.`,
  );
}

export function foreignUser(userId: string): string {
  return `User ${JSON.stringify(userId)} belongs to another tenant than your token.`;
}

/** Null if the token may assign a user to this tenant, else the sentence of the refusal. */
export function refuseTenant(principal: Principal | null, tenantId: string): string | null {
  if (principal === null || principal.tenant === tenantId) return null;
  return `Your token belongs to tenant ${JSON.stringify(principal.tenant)}: "tenant_id" must be that tenant.`;
}
