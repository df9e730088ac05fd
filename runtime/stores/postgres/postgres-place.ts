/**
 * Where the private Postgres keeps its data. Postgres refuses to run as root, so if we are root, it runs as user nobody. A
 * data folder of mode 0700 is not accessible to nobody, so its folder is then outside, linked to the data folder by a
 * random id:
 *
 *   <data folder>/postgres.json    id, password, and the outside folder if there is one
 *   as root        /var/lib/freshet/<id>/    owned by root, others may traverse it; tied-to names the data folder
 *                  /var/lib/freshet/<id>/server/{cluster,run}    owned by nobody
 *   otherwise      <data folder>/postgres/{cluster,run}
 */
import { randomBytes } from 'node:crypto';
import * as files from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { FreshetError } from '../../process/errors.js';
import type { ServerUser } from '../private-server.js';

export interface PostgresPlace {
  /** Contains all of it; ours to write. */
  readonly folder: string;
  /** Owned by the server: contains the cluster and the socket. */
  readonly serverFolder: string;
  readonly cluster: string;
  /** The password of its only user. */
  readonly password: string;
  /** The user that the server runs as; null: our own. */
  readonly user: ServerUser | null;
}

const NOBODY: ServerUser = { uid: 65534, gid: 65534 };
const OUTSIDE_FOLDERS = () => ['/var/lib/freshet', join(tmpdir(), 'freshet-servers')];

const placeFile = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{32}$/),
  password: z.string().regex(/^[0-9a-f]{48}$/),
  /** Null: inside the data folder. */
  outside: z.string().nullable(),
});
type PlaceFile = z.infer<typeof placeFile>;

export function runsAsRoot(): boolean {
  return process.getuid?.() === 0;
}

/** The place of this data folder, created if needed. Throws FreshetError('settings') when another user owns it. */
export async function preparePlace(dataFolder: string): Promise<PostgresPlace> {
  await files.mkdir(dataFolder, { recursive: true, mode: 0o700 });
  let known = await readPlaceFile(dataFolder);
  if (known !== null && (await isCopy(dataFolder, known))) known = null;
  const file = known ?? (await newPlaceFile(dataFolder));
  const place = placeOf(dataFolder, file);
  // Root can access everything, the server cannot: a folder that the server cannot reach is of no use.
  await files.mkdir(place.folder, { recursive: true, mode: runsAsRoot() ? 0o711 : 0o700 });
  if (place.user !== null) {
    await files.mkdir(place.serverFolder, { recursive: true, mode: 0o700 });
    await files.chown(place.serverFolder, place.user.uid, place.user.gid);
    await files.writeFile(join(place.folder, 'tied-to'), await files.realpath(dataFolder), { mode: 0o600 });
  }
  const owner = await files.stat(place.cluster).catch(() => null);
  const uid = place.user?.uid ?? process.getuid?.() ?? 0;
  if (owner !== null && process.platform !== 'win32' && owner.uid !== uid)
    throw new FreshetError(
      'settings',
      `${place.cluster} belongs to user ${owner.uid}: run as the user who created ${dataFolder}, or run "freshet reset" as that user.`,
    );
  return place;
}

/** The place, if one was ever created. */
export async function existingPlace(dataFolder: string): Promise<PostgresPlace | null> {
  const known = await readPlaceFile(dataFolder);
  return known === null || (await isCopy(dataFolder, known)) ? null : placeOf(dataFolder, known);
}

/** Removes all of it. The server must be down. */
export async function removePlace(dataFolder: string): Promise<void> {
  const place = await existingPlace(dataFolder);
  if (place !== null) await files.rm(place.folder, { recursive: true, force: true });
  await files.rm(join(dataFolder, 'postgres'), { recursive: true, force: true });
  await files.rm(placeFilePath(dataFolder), { force: true });
}

/** Where programs can be kept for all data folders; inside this one if there is no other place. */
export async function programCache(dataFolder: string): Promise<string> {
  if (runsAsRoot()) return outsideFolder();
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'freshet');
  return files.mkdir(cache, { recursive: true, mode: 0o700 }).then(
    () => cache,
    () => join(dataFolder, 'postgres'),
  );
}

function placeOf(dataFolder: string, file: PlaceFile): PostgresPlace {
  const folder = file.outside ?? resolve(dataFolder, 'postgres');
  const serverFolder = file.outside === null ? folder : join(folder, 'server');
  const user = file.outside === null ? null : NOBODY;
  return { folder, serverFolder, cluster: join(serverFolder, 'cluster'), password: file.password, user };
}

async function newPlaceFile(dataFolder: string): Promise<PlaceFile> {
  const id = randomBytes(16).toString('hex');
  const outside = runsAsRoot() ? join(await outsideFolder(), id) : null;
  const file: PlaceFile = { id, password: randomBytes(24).toString('hex'), outside };
  const path = placeFilePath(dataFolder);
  await files.writeFile(`${path}.tmp`, `${JSON.stringify(file)}\n`, { mode: 0o600 });
  await files.rename(`${path}.tmp`, path);
  return file;
}

async function readPlaceFile(dataFolder: string): Promise<PlaceFile | null> {
  const path = placeFilePath(dataFolder);
  const text = await files.readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  if (text === null) return null;
  const parsed = placeFile.safeParse(parseJson(text));
  const file = parsed.success ? parsed.data : null;
  // The folder that it names may be removed as a whole: it must be one that we could have created.
  const ours = file !== null && (file.outside === null || isOurs(file.outside, file.id));
  if (!ours) throw new FreshetError('state', `${path} is damaged. Run "freshet reset" to recreate everything.`);
  return file;
}

function isOurs(outside: string, id: string): boolean {
  return basename(outside) === id && /^freshet(-servers)?$/.test(basename(dirname(outside)));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** True when this data folder is a copy and the original still exists: the two must not share a server. */
async function isCopy(dataFolder: string, file: PlaceFile): Promise<boolean> {
  if (file.outside === null) return false;
  const original = await files.readFile(join(file.outside, 'tied-to'), 'utf8').catch(() => null);
  if (original === null || original === (await files.realpath(dataFolder))) return false;
  const other = await files.readFile(placeFilePath(original), 'utf8').catch(() => '');
  return other.includes(file.id);
}

function placeFilePath(dataFolder: string): string {
  return join(dataFolder, 'postgres.json');
}

/** A folder owned by root that every user can traverse and no other user can change. */
async function outsideFolder(): Promise<string> {
  for (const folder of OUTSIDE_FOLDERS()) {
    const made = await files.mkdir(folder, { recursive: true, mode: 0o711 }).then(
      () => true,
      () => false,
    );
    if (made && (await isSafe(folder)) && (await canBeReached(folder))) return folder;
  }
  throw new FreshetError(
    'settings',
    `As root, Postgres needs a folder that user ${NOBODY.uid} can reach: none of ${OUTSIDE_FOLDERS().join(', ')} can be created. Run as another user, or set DATABASE_URL.`,
  );
}

async function isSafe(folder: string): Promise<boolean> {
  const found = await files.lstat(folder);
  if (!found.isDirectory() || found.uid !== 0 || (found.mode & 0o022) !== 0) return false;
  if ((found.mode & 0o001) === 0) await files.chmod(folder, 0o711);
  return true;
}

async function canBeReached(folder: string): Promise<boolean> {
  for (let above = dirname(folder); above !== dirname(above); above = dirname(above)) {
    if (((await files.stat(above)).mode & 0o001) === 0) return false;
  }
  return true;
}
