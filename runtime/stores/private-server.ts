/**
 * A private server process: started and stopped with us. It runs in its own session, so that Ctrl-C reaches us first
 * and the sinks can finish. Its lifetime is tied to ours all the same: it starts under a shell that leaves a watcher
 * behind and then becomes the server. The watcher reads from a pipe that only we hold open; however we die, the pipe
 * closes and the watcher sends the server its stop signal. If even the watcher is killed and only the server survives,
 * the next start finds it by its working folder.
 */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as files from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, delimiter, join } from 'node:path';
import type { Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { FreshetError, messageOf } from '../process/errors.js';
import type { Logger } from '../process/logger.js';

const POLL_MS = 20;
const STOP_MS_MAX = 20_000;
const KILL_MS_MAX = 5_000;
const LOG_BYTES_MAX = 10 * 1024 * 1024;
const LOG_TAIL_BYTES = 2_000;
/** sockaddr_un has room for 104 bytes on macOS, 108 on Linux. */
const SOCKET_PATH_BYTES_MAX = 100;

const execute = promisify(execFile);

/** $1 is the stop signal. A line in the pipe tells the watcher that the server has ended; its end, that we have. */
const UNDER_WATCH = `
( ( read -r line <&3 || kill -s "$1" $$ ) </dev/null >/dev/null 2>&1 & )
shift
exec "$@" 3<&-
`;

/** How a private server is reached. */
export interface PrivateServerOptions {
  /** With it, a server that dies is started again; called when it keeps dying and is given up. */
  readonly onFailed?: (error: Error) => void;
  /** Default: a Unix socket where there can be one, else a port of 127.0.0.1 with a random password. */
  readonly listen?: 'socket' | 'loopback';
  /** Of 127.0.0.1; default: any that is free. */
  readonly port?: number;
}

interface ServerCommand {
  /** Shown in errors, e.g. "private Redis". */
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  /** The file for its output. */
  readonly logPath: string;
  /** Its working folder; must exist. */
  readonly folder: string;
  /** The user to run as; null: our own. */
  readonly user: ServerUser | null;
  readonly environment: Readonly<Record<string, string>>;
  /** The signal that makes it save everything and exit. */
  readonly stopSignal: 'SIGTERM' | 'SIGINT';
}

export interface ServerUser {
  readonly uid: number;
  readonly gid: number;
}

export interface ServerProcess {
  readonly pid: number;
  /** Null while it runs; afterwards a sentence on how it ended, with the end of its log. */
  ended(): string | null;
  /** Resolves when it has ended. */
  readonly gone: Promise<void>;
  /** Asks it to exit and waits until it has. Repeating is harmless. */
  stop(): Promise<void>;
}

/** Starts the server; the caller waits until it is ready. Throws FreshetError('unavailable') if it cannot be run. */
export async function startServer(command: ServerCommand): Promise<ServerProcess> {
  const { name, program, args, folder, user, environment, stopSignal, logPath } = command;
  const log = fs.openSync(logPath, logSize(logPath) > LOG_BYTES_MAX ? 'w' : 'a', 0o600);
  const logStart = logSize(logPath);
  const child = spawn('/bin/sh', ['-c', UNDER_WATCH, 'sh', stopSignal.slice(3), program, ...args], {
    cwd: folder,
    env: { ...environment },
    stdio: ['ignore', log, log, 'pipe'],
    detached: true,
    ...(user ?? {}),
  });
  fs.closeSync(log);
  const lifeline = child.stdio[3] as Writable;
  lifeline.on('error', () => undefined);
  let end: string | null = null;
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      end ??= `${name}: ${program} could not be started: ${error.message}`;
      resolve();
    });
    child.once('exit', (code, signal) => {
      end ??= `${name} ended (${signal ?? `code ${code}`}). The end of ${logPath}:\n${logTail(logPath, logStart)}`;
      lifeline.end('gone\n');
      resolve();
    });
  });
  if (child.pid === undefined) {
    await gone;
    throw new FreshetError('unavailable', end ?? `${name}: ${program} could not be started.`);
  }
  // A process that forgets to stop it can still exit; the watcher then stops the server.
  child.unref();
  (lifeline as Writable & { unref(): void }).unref();

  const stop = async () => {
    child.ref();
    for (const [signal, waitMs] of [
      [stopSignal, STOP_MS_MAX],
      ['SIGKILL', KILL_MS_MAX],
    ] as const) {
      if (end !== null) return;
      child.kill(signal);
      const timer = new AbortController();
      await Promise.race([gone, sleep(waitMs, undefined, { signal: timer.signal }).catch(() => undefined)]);
      timer.abort();
    }
    if (end === null) throw new FreshetError('unavailable', `${name} (process ${child.pid}) does not end.`);
  };
  return { pid: child.pid, ended: () => end, gone, stop };
}

function logSize(path: string): number {
  return fs.statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

function logTail(path: string, from: number): string {
  try {
    return fs.readFileSync(path).subarray(from).subarray(-LOG_TAIL_BYTES).toString().trim();
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Retries until `attempt` succeeds. Throws the last error of `attempt` after the time limit, and
 * FreshetError('unavailable') with the end of the log as soon as the server has ended.
 */
export async function untilReady<T>(server: ServerProcess, readyMsMax: number, attempt: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + readyMsMax;
  for (;;) {
    const end = server.ended();
    if (end !== null) throw new FreshetError('unavailable', end);
    try {
      return await attempt();
    } catch (error) {
      const refused = error instanceof FreshetError && !error.transient;
      if (refused || Date.now() > deadline) throw error;
    }
    await sleep(POLL_MS);
  }
}

/** The server, once `answers` resolves; it is stopped if that fails. */
export async function answering(
  server: ServerProcess,
  answers: (server: ServerProcess) => Promise<void>,
): Promise<ServerProcess> {
  try {
    await answers(server);
    return server;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

/**
 * Stops our servers that an earlier run left behind: processes of this program that work in `folder`. `leader` is the
 * one to signal if a server has several processes (null: all of them). Waits until none is left.
 */
export async function stopOrphans(
  folder: string,
  program: RegExp,
  leader: number | null,
  stopSignal: NodeJS.Signals,
  logger: Logger,
): Promise<void> {
  let pids = await processesIn(folder, program, leader);
  if (pids.length === 0) return;
  logger.warn({ event: 'orphan_server_found', folder, pids }, 'stopping a server left by an earlier run');
  // Children of a leader that is gone end by themselves; signalling them too does no harm.
  for (const pid of leader !== null && pids.includes(leader) ? [leader] : pids) signalIfAlive(pid, stopSignal);
  const killAt = Date.now() + STOP_MS_MAX;
  let killed = false;
  for (;;) {
    pids = await processesIn(folder, program, leader);
    if (pids.length === 0) return;
    if (!killed && Date.now() > killAt) {
      killed = true;
      for (const pid of pids) signalIfAlive(pid, 'SIGKILL');
    }
    if (Date.now() > killAt + KILL_MS_MAX)
      throw new FreshetError('unavailable', `Processes ${pids.join(', ')} still work in ${folder}: end them first.`);
    await sleep(POLL_MS);
  }
}

function signalIfAlive(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** By program and working folder; a pid alone proves nothing, as another process may have it by now. */
async function processesIn(folder: string, program: RegExp, known: number | null): Promise<number[]> {
  if (process.platform === 'linux') {
    const real = await files.realpath(folder).catch(() => folder);
    const found: number[] = [];
    for (const name of await files.readdir('/proc')) {
      if (!/^\d+$/.test(name)) continue;
      const cwd = await files.readlink(`/proc/${name}/cwd`).catch(() => null);
      if (cwd !== real) continue;
      const title = await files.readFile(`/proc/${name}/comm`, 'utf8').catch(() => '');
      if (program.test(title.trim())) found.push(Number(name));
    }
    return found;
  }
  if (known === null) return [];
  const listed = await execute('ps', ['-o', 'command=', '-p', String(known)]).catch(() => ({ stdout: '' }));
  const [title = ''] = listed.stdout.trim().split(/\s/, 1);
  return program.test(basename(title)) && listed.stdout.includes(folder) ? [known] : [];
}

/** The first whole number in a file, e.g. a pid file; null if there is none. */
export async function pidIn(path: string): Promise<number | null> {
  const text = await files.readFile(path, 'utf8').catch(() => '');
  const pid = Number.parseInt(text, 10);
  return Number.isSafeInteger(pid) && pid > 1 ? pid : null;
}

/** The path of a program in PATH; null if it is not there. */
export async function inPath(program: string): Promise<string | null> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    if (folder === '') continue;
    const path = join(folder, program);
    const runs = await files.access(path, fs.constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs && (await files.stat(path)).isFile()) return path;
  }
  return null;
}

/** The output of a program, e.g. its version; '' when it cannot be run. */
export async function outputOf(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await execute(program, [...args], { timeout: 5_000 }).catch(() => ({ stdout: '' }));
  return stdout.trim();
}

/**
 * A folder in which the path of a socket with this name is short enough: `preferred`, else one in the temporary folder
 * that no other user can enter. Null if there is none.
 */
export async function socketFolder(
  preferred: string,
  socketName: string,
  owner: ServerUser | null,
): Promise<string | null> {
  const fits = (folder: string) => Buffer.byteLength(join(folder, socketName)) <= SOCKET_PATH_BYTES_MAX;
  const uid = owner?.uid ?? process.getuid?.() ?? 0;
  for (const folder of [preferred, shortFolder(preferred)]) {
    if (!fits(folder)) continue;
    await files.mkdir(folder, { mode: 0o700, recursive: true });
    if (owner !== null && (await files.lstat(folder)).uid === process.getuid?.())
      await files.chown(folder, owner.uid, owner.gid);
    const found = await files.lstat(folder);
    if (found.isDirectory() && found.uid === uid && (found.mode & 0o077) === 0) return folder;
  }
  return null;
}

/** The name is derived from the long one, so that restarts and removals find it and nothing accumulates. */
function shortFolder(preferred: string): string {
  return join(tmpdir(), `freshet-${createHash('sha256').update(preferred).digest('hex').slice(0, 16)}`);
}

/** Removes the folder that socketFolder() may have created elsewhere for this one. */
export async function removeShortFolder(preferred: string): Promise<void> {
  await files.rm(shortFolder(preferred), { recursive: true, force: true });
}

/** A port of 127.0.0.1 that is free now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
