/**
 * The few file operations the embedded log needs, behind a port: tests put a disk in between that fills up, breaks or
 * dies at a chosen byte. Everything goes through the thread pool, so a slow disk never stops the event loop.
 */
import fs from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { FreshetError, messageOf } from '../../process/errors.js';

export interface Disk {
  /** `r+` for a file that must exist, `w+` for a new or emptied one. */
  open(path: string, flags: 'r+' | 'w+'): Promise<number>;
  close(fd: number): Promise<void>;
  stat(fd: number): Promise<{ size: number; modifiedMs: number }>;
  /** Reads `length` bytes at `position` into the start of `into`; fewer only at the end of the file. */
  read(fd: number, into: Buffer, length: number, position: number): Promise<number>;
  /** Writes all chunks one behind the other from `position` on. */
  write(fd: number, chunks: readonly Buffer[], position: number): Promise<void>;
  truncate(fd: number, size: number): Promise<void>;
  /** Brings a file's contents and size to the medium. */
  sync(fd: number): Promise<void>;
  /** Brings names created, changed or removed in a folder to the medium. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; a missing one is fine. */
  remove(path: string): Promise<void>;
  removeFolder(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
  /** Names in a folder, none if it does not exist. */
  list(path: string): Promise<string[]>;
  /** Names of folders in a folder. */
  listFolders(path: string): Promise<string[]>;
  /** Null for a missing file. */
  readWhole(path: string): Promise<Buffer | null>;
}

/** Chunks are joined up to this size before they are written: copying is cheaper than another system call. */
const WRITE_BYTES_MAX = 1024 * 1024;

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Wraps one callback function of node:fs; the promise API costs a FileHandle and several times the time. */
function call<T>(begin: (done: (error: Error | null, result?: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    begin((error, result) => (error ? reject(error) : resolve(result as T)));
  });
}

async function writeOne(fd: number, bytes: Buffer, position: number): Promise<void> {
  let written = 0;
  while (written < bytes.length) {
    const from = written;
    written += await call<number>((done) => fs.write(fd, bytes, from, bytes.length - from, position + from, done));
  }
}

export const nodeDisk: Disk = {
  open: (path, flags) => call<number>((done) => fs.open(path, flags, 0o600, done)),
  close: (fd) => call<void>((done) => fs.close(fd, done)),
  stat: async (fd) => {
    const stat = await call<fs.Stats>((done) => fs.fstat(fd, done));
    return { size: stat.size, modifiedMs: stat.mtimeMs };
  },
  read: async (fd, into, length, position) => {
    let have = 0;
    while (have < length) {
      const from = have;
      const got = await call<number>((done) => fs.read(fd, into, from, length - from, position + from, done));
      if (got === 0) break;
      have += got;
    }
    return have;
  },
  write: async (fd, chunks, position) => {
    let at = position;
    for (let i = 0; i < chunks.length; ) {
      let bytes = 0;
      const from = i;
      do bytes += chunks[i++]!.length;
      while (i < chunks.length && bytes + chunks[i]!.length <= WRITE_BYTES_MAX);
      await writeOne(fd, i - from === 1 ? chunks[from]! : Buffer.concat(chunks.slice(from, i), bytes), at);
      at += bytes;
    }
  },
  truncate: (fd, size) => call<void>((done) => fs.ftruncate(fd, size, done)),
  sync: (fd) => call<void>((done) => fs.fdatasync(fd, done)),
  syncFolder: async (path) => {
    const fd = await call<number>((done) => fs.open(path, 'r', done));
    try {
      await call<void>((done) => fs.fsync(fd, done));
    } finally {
      await call<void>((done) => fs.close(fd, done));
    }
  },
  rename: (from, to) => rename(from, to),
  remove: async (path) => {
    try {
      await unlink(path);
    } catch (error) {
      if (!isMissing(error)) throw error;
    }
  },
  removeFolder: (path) => rm(path, { recursive: true, force: true }),
  makeFolder: async (path) => {
    await mkdir(path, { recursive: true, mode: 0o700 });
  },
  list: async (path) => {
    try {
      return await readdir(path);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
  },
  listFolders: async (path) => {
    const entries = await readdir(path, { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  },
  readWhole: async (path) => {
    try {
      return await readFile(path);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  },
};

/** What the disk refused, as an error of ours: worth another try once there is room or the disk is mended. */
export function diskError(what: string, error: unknown): FreshetError {
  if (error instanceof FreshetError) return error;
  return new FreshetError('unavailable', `${what}: ${messageOf(error)}. Make room on the disk, or mend it.`, {
    cause: error,
  });
}

/** Files being written beside the one they will replace; removed when the log is opened. */
export const UNFINISHED_SUFFIX = '.new';

/** Replaces a file by one atomic rename. With `durable` it is on the medium when the promise resolves. */
export async function replaceFile(disk: Disk, path: string, bytes: Buffer, durable: boolean): Promise<void> {
  const fresh = path + UNFINISHED_SUFFIX;
  const fd = await disk.open(fresh, 'w+');
  try {
    await disk.write(fd, [bytes], 0);
    if (durable) await disk.sync(fd);
  } finally {
    await disk.close(fd);
  }
  await disk.rename(fresh, path);
  if (durable) await disk.syncFolder(dirname(path));
}

/** Reads a JSON file the log wrote itself. Null if it is missing; throws FreshetError('invalid_data') if it is no JSON. */
export async function readJson<T>(disk: Disk, path: string): Promise<T | null> {
  const bytes = await disk.readWhole(path);
  if (bytes === null) return null;
  try {
    return JSON.parse(bytes.toString()) as T;
  } catch (error) {
    throw new FreshetError('invalid_data', `${path} is damaged: restore it from a backup (${messageOf(error)})`);
  }
}
