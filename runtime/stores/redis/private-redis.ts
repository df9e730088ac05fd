/** A private Redis (or Valkey) in the data folder, if redis-server or valkey-server is installed. */
import { randomBytes } from 'node:crypto';
import * as files from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { silentLogger } from '../../process/logger.js';
import {
  answering,
  freePort,
  inPath,
  outputOf,
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
import { openRedis, type RedisOptions } from './redis.js';

export interface PrivateRedis {
  /** How to connect to it. */
  readonly options: RedisOptions;
  /** One line on where it comes from. */
  readonly how: string;
  stop(): Promise<void>;
}

const NAME = 'Private Redis';
const PROGRAMS = ['redis-server', 'valkey-server'];
const PROGRAM = /^(redis|valkey)-server$/;
/** Older ones cannot keep their arguments in the process list, by which an orphan is recognised. */
const VERSION_MIN = 6.2;
/** A large append-only file takes a while to load. */
const READY_MS_MAX = 120_000;
const START_TRIES = 3;

/**
 * Starts it in `<data folder>/redis` and waits until it answers; null if there is no suitable server in PATH. A server
 * left by a killed run is stopped first. Throws FreshetError('unavailable') with the end of its log when it does not
 * start.
 */
export async function startPrivateRedis(
  dataFolder: string,
  logger: Logger,
  options: PrivateServerOptions = {},
): Promise<PrivateRedis | null> {
  const found = await findRedis();
  if (found === null) return null;
  const folder = redisFolder(dataFolder);
  await files.mkdir(folder, { recursive: true, mode: 0o700 });
  await stopPrivateRedis(dataFolder, logger);
  for (let tries = 1; ; tries++) {
    const address = await chooseAddress(folder, options);
    const configuration = join(folder, 'redis.conf');
    await files.writeFile(configuration, configurationOf(folder, address), { mode: 0o600 });
    const launch = () =>
      startServer({
        name: NAME,
        program: found.program,
        args: [configuration],
        logPath: join(folder, 'redis.log'),
        folder,
        user: null,
        environment: { LC_ALL: 'C' },
        stopSignal: 'SIGTERM',
      });
    let server: ServerProcess;
    try {
      server = await answering(await launch(), (started) => answers(started, address));
    } catch (error) {
      // Between choosing a free port and listening on it, another process may have taken it.
      if (address.url !== undefined && tries < START_TRIES) continue;
      throw error;
    }
    const again = async () => {
      await stopPrivateRedis(dataFolder, logger);
      return answering(await launch(), (started) => answers(started, address));
    };
    const { onFailed } = options;
    const kept = onFailed === undefined ? server : supervise({ name: NAME, server, again, logger, onFailed });
    const where = address.path ?? '127.0.0.1, random password';
    return { options: address, how: `private ${found.version} in ${folder} (${where})`, stop: () => kept.stop() };
  }
}

/** Stops a server that an earlier run left behind in this data folder. */
async function stopPrivateRedis(dataFolder: string, logger: Logger): Promise<void> {
  const folder = redisFolder(dataFolder);
  await stopOrphans(folder, PROGRAM, await pidIn(join(folder, 'redis.pid')), 'SIGTERM', logger);
}

/** Stops it and removes its data. */
export async function removePrivateRedis(dataFolder: string, logger: Logger = silentLogger): Promise<void> {
  await stopPrivateRedis(dataFolder, logger);
  await removeShortFolder(redisFolder(dataFolder));
  await files.rm(redisFolder(dataFolder), { recursive: true, force: true });
}

function redisFolder(dataFolder: string): string {
  return resolve(dataFolder, 'redis');
}

async function findRedis(): Promise<{ program: string; version: string } | null> {
  if (process.platform === 'win32') return null;
  for (const name of PROGRAMS) {
    const program = await inPath(name);
    if (program === null) continue;
    const version = /\bv=(\d+\.\d+)\S*/.exec(await outputOf(program, ['--version']));
    if (version !== null && Number(version[1]) >= VERSION_MIN)
      return { program, version: `${name} ${version[0].slice(2)}` };
  }
  return null;
}

async function chooseAddress(folder: string, options: PrivateServerOptions): Promise<RedisOptions> {
  const place = options.listen === 'loopback' ? null : await socketFolder(folder, 'redis.sock', null);
  if (place !== null) return { path: join(place, 'redis.sock') };
  return { url: `redis://127.0.0.1:${options.port ?? (await freePort())}`, password: randomBytes(24).toString('hex') };
}

function configurationOf(folder: string, address: RedisOptions): string {
  const text = (value: string) => `"${value.replace(/[\\"]/g, '\\$&')}"`;
  const lines = [
    `dir ${text(folder)}`,
    `pidfile ${text(join(folder, 'redis.pid'))}`,
    'daemonize no',
    'set-proc-title no',
    'appendonly yes',
    // A busy disk would block every write for seconds. A power failure takes back rows and positions together, and the
    // sinks continue from there: nothing depends on this fsync.
    'appendfsync no',
    'auto-aof-rewrite-min-size 256mb',
    'save ""',
    'maxmemory-policy noeviction',
    'databases 1',
  ];
  if (address.path !== undefined) lines.push('port 0', `unixsocket ${text(address.path)}`, 'unixsocketperm 700');
  else
    lines.push(
      'bind 127.0.0.1',
      `port ${new URL(address.url ?? '').port}`,
      `requirepass ${text(address.password ?? '')}`,
    );
  return `${lines.join('\n')}\n`;
}

async function answers(server: ServerProcess, address: RedisOptions): Promise<void> {
  const store = await untilReady(server, READY_MS_MAX, () =>
    openRedis({ ...address, readyMsMax: READY_MS_MAX }, silentLogger),
  );
  await store.close();
  // If our server did not get the port, another server may answer on it.
  const end = server.ended();
  if (end !== null) throw new FreshetError('unavailable', end);
}
