/**
 * The few file operations that the embedded log needs, behind a port: tests insert a disk that fills up, fails or dies
 * at a chosen byte. Everything runs in the thread pool, so a slow disk never blocks the event loop.
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
  /** Writes all chunks in sequence, starting at `position`. */
  write(fd: number, chunks: readonly Buffer[], position: number): Promise<void>;
  truncate(fd: number, size: number): Promise<void>;
  /** Syncs a file's contents and size to disk. */
  sync(fd: number): Promise<void>;
  /** Syncs the names that were created, changed or removed in a folder to disk. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a file; a missing one is fine. */
  remove(path: string): Promise<void>;
  removeFolder(path: string): Promise<void>;
  makeFolder(path: string): Promise<void>;
  /** Names in a folder; none if the folder does not exist. */
  list(path: string): Promise<string[]>;
  /** Names of folders in a folder. */
  listFolders(path: string): Promise<string[]>;
  /** Null for a missing file. */
  readWhole(path: string): Promise<Buffer | null>;
}

/** Chunks are joined up to this size before they are written: copying is cheaper than another system call. */
const WRITE_BYTES_MAX = 1024 * 1024;

const isMissing = (error: unknown) => (error as NodeJS.ErrnoException).code === 'ENOENT';

/** Wraps one callback function of node:fs; the promise API allocates a FileHandle and takes several times as long. */
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

/** A disk error as a FreshetError: worth a retry once there is space or the disk is repaired. */
export function diskError(what: string, error: unknown): FreshetError {
  if (error instanceof FreshetError) return error;
  return new FreshetError('unavailable', `${what}: ${messageOf(error)}. Free space on the disk, or repair it.`, {
    cause: error,
  });
}

/** Suffix of files that are written next to the one they will replace; removed when the log is opened. */
export const UNFINISHED_SUFFIX = '.new';

/** Replaces a file by one atomic rename. With `durable` it is on disk when the promise resolves. */
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
