/**
 * The data folder: created with mode 0700, marked as ours, held by one process at a time. The lock is a file that names
 * its holder; it also tells commands in another terminal where the holder listens.
 *
 * Only one process may take over the lock of a dead holder. A process that wants it creates `lock.<id of the dead
 * holder>` exclusively, checks again that the dead holder still has the lock, and only then replaces it. Without the
 * second check: A and B read the same dead holder; A takes over and removes its claim; B creates the same claim and
 * takes the lock from A, which is alive.
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { systemClock } from './clock.js';
import { FreshetError, messageOf } from './errors.js';
import { livenessOf, ownIdentity, processIdentity } from './process-identity.js';

const lockRecord = z.object({
  id: z.string().regex(/^[0-9a-f]+$/),
  ...processIdentity.shape,
  since: z.string(),
  address: z.string().optional(),
  token: z.string().optional(),
  /** The holder has begun to stop. */
  ending: z.boolean().optional(),
});

/** The holder of a data folder, and the address on which it listens, once it does. */
export type LockRecord = z.infer<typeof lockRecord>;

const LOCK = 'lock';
const MARK = 'freshet.json';
const FORMAT = 1;
/** Names of the folder's own files, as opposed to the data in it. */
export const DATA_FOLDER_OWN_FILES = /^(freshet\.json|lock|lost\+found)(\.|$)/;
/** The holder touches its lock this often; only matters to processes that cannot see the holder's process. */
const HEARTBEAT_MS = 5_000;
const SILENCE_MS = 4 * HEARTBEAT_MS;
const ATTEMPTS_MAX = 100;
const RETRY_MS = 20;
/** How long the folder is waited for while its holder ends, ms. */
const ENDING_MS_MAX = 5_000;

interface DataFolderOptions {
  /** How long the lock of a process in another container must stay untouched before that process counts as dead, ms. */
  readonly silenceMs?: number;
}

/** A data folder held by this process. */
export class DataFolder {
  readonly path: string;
  #record: LockRecord;
  #heartbeat: NodeJS.Timeout;
  #released = false;

  constructor(path: string, record: LockRecord) {
    this.path = path;
    this.#record = record;
    this.#heartbeat = setInterval(() => {
      const now = new Date();
      // A folder removed by hand must not crash the process from a timer.
      utimes(join(path, LOCK), now, now).catch(() => {});
    }, HEARTBEAT_MS);
    this.#heartbeat.unref();
  }

  /** Writes into the lock where this process listens, and the token for its own commands. */
  async announce(address: string, token?: string): Promise<void> {
    this.#record = { ...this.#record, address, ...(token === undefined ? {} : { token }) };
    await replaceLock(this.path, this.#record);
  }

  /** Writes into the lock that this process has begun to stop: a process that wants the folder then waits a moment. */
  async announceEnd(): Promise<void> {
    this.#record = { ...this.#record, ending: true };
    await replaceLock(this.path, this.#record);
  }

  /** Releases the folder; may be called repeatedly. */
  async release(): Promise<void> {
    if (this.#released) return;
    this.#released = true;
    clearInterval(this.#heartbeat);
    const current = await readRecord(join(this.path, LOCK));
    if (current !== null && current !== 'unreadable' && current.id === this.#record.id)
      await rm(join(this.path, LOCK), { force: true });
  }
}

/**
 * Creates the folder if needed and takes its lock; waits up to 5 s for a holder that is ending. Throws `locked` while
 * another process holds it; `settings` when the folder cannot be used or contains other files.
 */
export async function openDataFolder(path: string, options: DataFolderOptions = {}): Promise<DataFolder> {
  await prepareDataFolder(path);
  return new DataFolder(path, await acquire(path, options.silenceMs ?? SILENCE_MS));
}

/** The living holder of a data folder; null if there is none. A holder in another container counts as living. */
export async function readLock(path: string): Promise<LockRecord | null> {
  const last = (await readChain(path)).at(-1);
  return last === undefined || last === 'unreadable' || livenessOf(last) === 'dead' ? null : last;
}

/** Whether the folder is one of ours; any other must never be emptied. */
export async function isDataFolder(path: string): Promise<boolean> {
  try {
    return z.object({ format: z.number() }).safeParse(JSON.parse(await readFile(join(path, MARK), 'utf8'))).success;
  } catch {
    return false;
  }
}

/** Creates and marks the folder without taking its lock, for files that processes share. Throws `settings`. */
export async function prepareDataFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await refuseStrangers(path);
    await tighten(path);
    if (!(await isDataFolder(path))) await writeMark(path);
  } catch (error) {
    if (error instanceof FreshetError) throw error;
    throw new FreshetError(
      'settings',
      `The data folder ${path} cannot be used: ${messageOf(error)}. Choose another one with FRESHET_DATA_DIR.`,
      { cause: error },
    );
  }
}

/** A folder with other files was probably chosen by mistake: `reset` would delete them. */
async function refuseStrangers(path: string): Promise<void> {
  if (await isDataFolder(path)) return;
  const strangers = (await readdir(path)).filter((name) => !DATA_FOLDER_OWN_FILES.test(name));
  if (strangers.length > 0)
    throw new FreshetError(
      'settings',
      `${path} is not a Freshet data folder and contains other files (${strangers.slice(0, 3).join(', ')}). Choose an empty folder with FRESHET_DATA_DIR.`,
    );
}

/** A mounted volume may belong to another user, who then decides on its mode. */
async function tighten(path: string): Promise<void> {
  if (((await stat(path)).mode & 0o077) === 0) return;
  try {
    await chmod(path, 0o700);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
  }
}

async function writeMark(path: string): Promise<void> {
  const aside = join(path, `${MARK}.${process.pid}`);
  await writeFile(aside, `${JSON.stringify({ format: FORMAT, created_at: new Date().toISOString() })}\n`);
  await rename(aside, join(path, MARK));
}

async function acquire(path: string, silenceMs: number): Promise<LockRecord> {
  const own: LockRecord = {
    id: randomBytes(12).toString('hex'),
    ...ownIdentity(),
    since: new Date().toISOString(),
  };
  const deadline = systemClock.elapsed() + ENDING_MS_MAX;
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const chain = await readChain(path);
    const last = chain.at(-1);
    if (isEnding(last) && systemClock.elapsed() < deadline) {
      await systemClock.sleep(RETRY_MS);
      attempt--;
      continue;
    }
    // Still being written (microseconds), or truncated by a power failure.
    if (last === 'unreadable' && attempt < ATTEMPTS_MAX / 2) {
      await systemClock.sleep(RETRY_MS);
      continue;
    }
    if (last !== undefined && last !== 'unreadable' && (await isHeld(path, chain, last, silenceMs)))
      throw lockedError(path, last);
    const claim = join(path, last === undefined ? LOCK : claimName(last));
    if (!(await createExclusively(claim, own))) continue;
    if (last === undefined) return own;
    if (idOf(await readRecord(join(path, LOCK))) === idOf(chain[0] ?? null)) {
      await replaceLock(path, own);
      for (const dead of chain) await rm(join(path, claimName(dead)), { force: true });
      return own;
    }
    await rm(claim, { force: true });
  }
  throw new FreshetError('unavailable', `The lock of the data folder ${path} keeps changing its holder: try again.`);
}

type ChainLink = LockRecord | 'unreadable';

/** The lock and, after a dead holder, the claims of processes that died before they took it. */
async function readChain(path: string): Promise<ChainLink[]> {
  const chain: ChainLink[] = [];
  let next = await readRecord(join(path, LOCK));
  while (next !== null && chain.length < ATTEMPTS_MAX) {
    chain.push(next);
    next = await readRecord(join(path, claimName(next)));
  }
  return chain;
}

async function readRecord(file: string): Promise<ChainLink | null> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    return lockRecord.parse(JSON.parse(text));
  } catch {
    return 'unreadable';
  }
}

function idOf(link: ChainLink | null): string | null {
  return link === null || link === 'unreadable' ? link : link.id;
}

function claimName(link: ChainLink): string {
  return `${LOCK}.${idOf(link)}`;
}

/** Its holder was killed, or has begun to stop, and is not gone yet. */
function isEnding(last: ChainLink | undefined): boolean {
  if (last === undefined || last === 'unreadable') return false;
  const liveness = livenessOf(last);
  return liveness === 'ending' || (liveness === 'alive' && last.ending === true);
}

async function isHeld(
  path: string,
  chain: readonly ChainLink[],
  last: LockRecord,
  silenceMs: number,
): Promise<boolean> {
  const liveness = livenessOf(last);
  if (liveness !== 'elsewhere') return liveness !== 'dead';
  const before = chain.at(-2);
  return isTouched(join(path, before === undefined ? LOCK : claimName(before)), silenceMs);
}

/** True as soon as the file changes (or disappears), false when it stays unchanged for `silenceMs`. */
async function isTouched(file: string, silenceMs: number): Promise<boolean> {
  const mtime = async () => {
    try {
      return (await stat(file)).mtimeMs;
    } catch {
      return null;
    }
  };
  const first = await mtime();
  const end = systemClock.now() + silenceMs;
  while (systemClock.now() < end) {
    await systemClock.sleep(Math.min(250, silenceMs / 4));
    if ((await mtime()) !== first) return true;
  }
  return false;
}

async function createExclusively(file: string, record: LockRecord): Promise<boolean> {
  try {
    await writeFile(file, JSON.stringify(record), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function replaceLock(path: string, record: LockRecord): Promise<void> {
  const aside = join(path, `${LOCK}.new.${record.id}`);
  await writeFile(aside, JSON.stringify(record), { mode: 0o600 });
  await rename(aside, join(path, LOCK));
}

function lockedError(path: string, holder: LockRecord): FreshetError {
  const where = holder.host === ownIdentity().host ? '' : ` on ${holder.host}`;
  const address = holder.address === undefined ? '' : `, which listens at ${holder.address}`;
  return new FreshetError(
    'locked',
    `The data folder ${path} is in use by process ${holder.pid}${where}${address}. Stop that process, or choose another folder with FRESHET_DATA_DIR.`,
  );
}
