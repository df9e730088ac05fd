/**
 * Publishing a build: number, folder, rows, keys, verified, decided, followed, released. After a crash at any step the
 * same run goes through these steps again and continues: every step is idempotent.
 */
import { isDeepStrictEqual } from 'node:util';
import { FreshetError, hasCode, messageOf } from '../../runtime/process/errors.js';
import { contentsOf } from './artefacts/all.js';
import { faultPoint } from './fault-points.js';
import { lockHead } from './heads.js';
import { MANIFEST_FILE } from './manifest.js';
import { AT, type VersionsPlace } from './place.js';
import { policyOf } from './policies.js';
import { giveUp } from './remove.js';
import { decide, refuseOlder } from './switch.js';
import type { Build, Published, PublishRight, VersionState } from './versions.js';

interface Work {
  readonly version: number;
  readonly state: VersionState;
  readonly reason: string | null;
}

/** Everything up to the decision; the stores have not followed yet when it returns. Errors: as Versions.publish. */
export async function bringIn(place: VersionsPlace, build: Build, { epoch }: PublishRight): Promise<Published> {
  refuseUnfinished(build);
  const { artefact, manifest } = build;
  const where = `${artefact}/${manifest.run_id}`;
  const { version, state, reason } = await numberOf(place, build, epoch);
  if (state === 'failed')
    throw new FreshetError('invalid_data', `Version ${version} of ${artefact} has failed: ${reason ?? 'unknown'}`);
  await faultPoint('version.allocated', where);
  if (state === 'staged') {
    try {
      await stage(place, build, version, epoch, where);
    } catch (error) {
      if (hasCode(error, 'invalid_data')) await giveUp(place, { artefact, version }, messageOf(error));
      throw error;
    }
    await faultPoint('version.verified', where);
  }
  if (state === 'retired') return { version, state };
  const { current } = await decide(place, { artefact, epoch, choose: async () => version });
  await faultPoint('version.decided', where);
  return { version, state: current ? 'current' : 'verified' };
}

function refuseUnfinished({ artefact, manifest }: Build): void {
  if (policyOf(artefact).live)
    throw new FreshetError('state', `${artefact} is filled by its sinks; it is not published as a folder.`);
  if (manifest.artefact !== artefact)
    throw new FreshetError('invalid_data', `The manifest belongs to ${manifest.artefact}, not to ${artefact}.`);
  const failed = manifest.checks.find(({ passed }) => !passed);
  if (failed !== undefined)
    throw new FreshetError('invalid_data', `Check ${failed.name} of ${artefact} did not pass: ${failed.sentence}`);
}

/** The version of this run: its number from before a crash, otherwise the next one. */
async function numberOf(place: VersionsPlace, { artefact, manifest }: Build, epoch: number): Promise<Work> {
  const { database, store, layout, artifacts, clock } = place;
  // A Postgres restored from an older copy may not know data that is still here; its numbers must not be reused.
  const [index, held, folders] = await Promise.all([
    store.hgetall(layout.versionIndex(artefact)),
    store.heldVersion(layout.versioned(artefact)),
    artifacts.versions(artefact),
  ]);
  const taken = Math.max(0, held.version ?? 0, ...folders, ...[...index.keys()].map(Number));
  return database.transaction(async (connection) => {
    const head = await lockHead(connection, artefact);
    refuseOlder(head, epoch);
    const [known] = await connection.query<Work & { epoch: number }>(KNOWN, [artefact, manifest.run_id]);
    if (known?.state === 'staged') {
      if (known.epoch > epoch) throw takenOver(artefact, known.version);
      await connection.execute(TAKE_UP, [artefact, known.version, epoch, clock.now()]);
    }
    if (known !== undefined) return known;
    const version = Math.max(head.last_version, taken) + 1;
    const text = JSON.stringify(manifest);
    await connection.execute(INSERT, [artefact, version, text, epoch, clock.now(), manifest.run_id]);
    await connection.execute('UPDATE version_heads SET last_version = $2 WHERE artefact = $1', [artefact, version]);
    return { version, state: 'staged', reason: null };
  });
}

async function stage(place: VersionsPlace, build: Build, version: number, epoch: number, where: string): Promise<void> {
  const { artefact, manifest, folder } = build;
  const { artifacts } = place;
  const contents = contentsOf(artefact);
  const staged = { artefact, version, epoch };
  if (!(await artifacts.has(artefact, version))) await artifacts.adopt(artefact, version, folder);
  await faultPoint('version.moved', where);
  const written = parsed(await artifacts.text(artefact, version, MANIFEST_FILE));
  if (!isDeepStrictEqual(written, JSON.parse(JSON.stringify(manifest))))
    throw new FreshetError('invalid_data', `${MANIFEST_FILE} in the folder does not match the run.`);
  await artifacts.verify(artefact, version, manifest.files);
  const checksum = await contents.stageRows(place, staged, manifest);
  await touch(place, staged, 'staged', checksum);
  await faultPoint('version.rows_staged', where);
  await contents.stageKeys(place, staged, checksum);
  await faultPoint('version.keys_staged', where);
  await touch(place, staged, 'verified', checksum);
  place.logger.info({ event: 'version_verified', artefact, version, run_id: manifest.run_id }, 'Staged and read back');
}

/** Throws FreshetError('fenced') if another attempt has taken over the run, or the version was abandoned. */
async function touch(
  { database, clock }: VersionsPlace,
  { artefact, version, epoch }: { artefact: string; version: number; epoch: number },
  state: 'staged' | 'verified',
  checksum: string,
): Promise<void> {
  const touched = await database.execute(TOUCH, [artefact, version, epoch, state, checksum, clock.now()]);
  if (touched === 0) throw takenOver(artefact, version);
}

function takenOver(artefact: string, version: number): FreshetError {
  return new FreshetError('fenced', `Version ${version} of ${artefact} was taken over or abandoned in the meantime.`);
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new FreshetError('invalid_data', `${MANIFEST_FILE} is not valid JSON.`);
  }
}

const KNOWN = 'SELECT version, state, reason, epoch FROM versions WHERE artefact = $1 AND run_id = $2';

/** The newest attempt of a run continues it. */
const TAKE_UP = `
UPDATE versions SET epoch = $3, touched_at = ${AT(4)} WHERE artefact = $1 AND version = $2`;

const INSERT = `
INSERT INTO versions (artefact, version, state, manifest, timeline, seq, epoch, created_at, touched_at, run_id)
VALUES ($1, $2, 'staged', $3::jsonb, 0, 0, $4, ${AT(5)}, ${AT(5)}, $6)`;

const TOUCH = `
UPDATE versions SET state = $4, checksum = $5, touched_at = ${AT(6)}
WHERE artefact = $1 AND version = $2 AND state = 'staged' AND epoch = $3::bigint`;
