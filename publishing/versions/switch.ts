/**
 * The decision: one transaction in Postgres takes a token and sets which version is current. A crash after it does no
 * harm: the next reconciler makes the stores follow.
 */
import { FreshetError } from '../../runtime/process/errors.js';
import type { Queryable } from '../../runtime/stores/database.js';
import type { Artefact } from '../layout.js';
import { versionSwitched } from './events.js';
import { type Head, lockHead } from './heads.js';
import { AT, type StorePlace, type VersionName } from './place.js';
import { policyOf } from './policies.js';
import type { VersionState } from './versions.js';

export interface Wish {
  readonly artefact: Artefact;
  /** Chooses the version to make current; called while the head is locked. */
  readonly choose: (head: Head, connection: Queryable) => Promise<number>;
  /** The publisher's epoch; null: an operator, who is never fenced. */
  readonly epoch: number | null;
  /** Pins the version from now on. */
  readonly pin?: boolean;
  /** Appears in the log and in the row of the replaced version. */
  readonly reason?: string | undefined;
}

interface Decision {
  readonly version: number;
  /** False: it was current already, or (publishers only) another version is pinned. */
  readonly switched: boolean;
  readonly current: boolean;
}

/**
 * Errors: FreshetError 'fenced' if a newer epoch has switched; 'state' if the version cannot become current, or an
 * operator's wish conflicts with a pin.
 */
export async function decide(place: StorePlace, wish: Wish): Promise<Decision> {
  const { artefact, epoch, pin = false } = wish;
  const decision = await place.database.transaction(async (connection) => {
    const head = await lockHead(connection, artefact);
    if (epoch !== null) refuseOlder(head, epoch);
    const version = await wish.choose(head, connection);
    await refuseUnfit(connection, { artefact, version });
    const keptBy = !pin && head.pinned !== null && head.pinned !== version ? head.pinned : null;
    if (keptBy !== null && epoch !== null) return { version, switched: false, current: false };
    if (keptBy !== null) throw pinnedElsewhere(artefact, keptBy);
    if (pin) await connection.execute('UPDATE version_heads SET pinned = $2 WHERE artefact = $1', [artefact, version]);
    if (head.current === version) return { version, switched: false, current: true };
    await take(connection, head, version, place.clock.now(), epoch, wish.reason);
    return { version, switched: true, current: true };
  });
  const { version, switched } = decision;
  if (switched) place.events.emit(versionSwitched, { artefact, version, reason: wish.reason });
  return decision;
}

export function refuseOlder(head: Head, epoch: number): void {
  if (head.epoch <= epoch) return;
  throw new FreshetError(
    'fenced',
    `A run with epoch ${head.epoch} has published ${head.artefact} in the meantime; this one has epoch ${epoch} and may not publish.`,
  );
}

interface Fitness {
  readonly state: VersionState;
  readonly reason: string | null;
  readonly reaped: boolean;
}

async function refuseUnfit(connection: Queryable, { artefact, version }: VersionName): Promise<void> {
  const [found] = await connection.query<Fitness>(FITNESS, [artefact, version]);
  const name = `Version ${version} of ${artefact}`;
  const refuse = (why: string) => new FreshetError('state', `${name} ${why}`);
  if (found === undefined)
    throw refuse(`does not exist: "freshet versions list ${artefact}" shows the existing versions.`);
  if (found.reaped) throw refuse('is no longer kept: its data was removed. Choose a newer one.');
  if (found.state === 'failed') throw refuse(`has failed and cannot be used: ${found.reason ?? 'no reason was noted'}`);
  if (found.state === 'staged') throw refuse('is not verified yet.');
}

async function take(
  connection: Queryable,
  head: Head,
  version: number,
  nowMs: number,
  epoch: number | null,
  reason: string | undefined,
): Promise<void> {
  const { artefact } = head;
  await connection.execute(RETIRE, [artefact, version, nowMs, reason ?? null]);
  const [token] = await connection.query<{ timeline: number; seq: number }>(TAKE, [
    artefact,
    version,
    epoch ?? head.epoch,
  ]);
  await connection.execute(ACTIVATE, [artefact, version, token!.timeline, token!.seq, nowMs]);
  if (policyOf(artefact).live) await connection.query('SELECT point_live_view($1, $2::integer)', [artefact, version]);
}

function pinnedElsewhere(artefact: Artefact, version: number): FreshetError {
  return new FreshetError(
    'state',
    `${artefact} is pinned to version ${version}: remove the pin before making another version current.`,
  );
}

const FITNESS = `
SELECT state, reason, reaped_at IS NOT NULL AS reaped FROM versions WHERE artefact = $1 AND version = $2`;

/** The reason for a rollback is recorded in the row of the replaced version. */
const RETIRE = `
UPDATE versions SET state = 'retired', retired_at = ${AT(3)}, reason = $4
WHERE artefact = $1 AND state = 'current' AND version <> $2`;

const TAKE = `
UPDATE version_heads SET seq = seq + 1, epoch = greatest(epoch, $3::bigint), previous = current, current = $2
WHERE artefact = $1 RETURNING timeline, seq`;

const ACTIVATE = `
UPDATE versions SET state = 'current', timeline = $3, seq = $4, activated_at = ${AT(5)}, retired_at = NULL, reason = NULL
WHERE artefact = $1 AND version = $2`;
