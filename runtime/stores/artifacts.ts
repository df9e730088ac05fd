/**
 * Artefacts in files: one folder per version under one root, `<artefact>/v<n>`. A version's folder appears and
 * disappears by one rename, so its name always leads to all of it or to nothing; its files are checked against size and
 * SHA-256 whenever they are read. Names that could lead outside of the root are refused.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import * as files from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { FreshetError, messageOf } from '../process/errors.js';

/** A file's entry in a manifest. */
export interface FileMark {
  readonly name: string;
  readonly bytes: number;
  /** Hex. */
  readonly sha256: string;
}

const NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/;
const VERSION = /^v([1-9]\d{0,9})$/;
const REMOVED = '.removed-';
const READ_BYTES = 256 * 1024;
const NEW_LINE = 10;

export class Artifacts {
  readonly root: string;

  /** `root`: absolute; it is created when a version is first stored. */
  constructor(root: string) {
    if (!isAbsolute(root)) throw new FreshetError('settings', `The folder of artefacts must be absolute, not ${root}.`);
    this.root = root;
  }

  /** The folder of a version, whether or not it exists. Throws FreshetError('invalid_data') for an invalid name. */
  folder(artefact: string, version: number): string {
    checkName(artefact);
    if (!VERSION.test(`v${version}`)) throw new FreshetError('invalid_data', `${version} is not a version.`);
    return join(this.root, artefact, `v${version}`);
  }

  /** Numbers of the existing versions, in order. */
  async versions(artefact: string): Promise<number[]> {
    checkName(artefact);
    const names = await files.readdir(join(this.root, artefact)).catch((error: unknown) => {
      if (isMissing(error)) return [];
      throw diskError(error, `reading ${artefact}`);
    });
    return names
      .flatMap((name) => VERSION.exec(name)?.[1] ?? [])
      .map(Number)
      .sort((a, b) => a - b);
  }

  async has(artefact: string, version: number): Promise<boolean> {
    const found = await files.lstat(this.folder(artefact, version)).catch(() => null);
    return found?.isDirectory() ?? false;
  }

  /**
   * Moves a finished folder to its place. Everything in it is synced first, and made readable by its owner only. Throws
   * FreshetError: 'invalid_data' when the folder is missing or contains anything but plain files, 'state' when the
   * place is taken, 'settings' when it is on another file system, 'unavailable' when the disk refuses.
   */
  async adopt(artefact: string, version: number, from: string): Promise<void> {
    const to = this.folder(artefact, version);
    try {
      await settle(from);
      await files.mkdir(this.root, { recursive: true, mode: 0o700 });
      await files.mkdir(join(this.root, artefact), { recursive: true, mode: 0o700 });
      await files.rename(from, to);
      await syncFolder(join(this.root, artefact));
    } catch (error) {
      throw moveError(error, from, to);
    }
  }

  /** Text of a small file, unchecked: the manifest, which contains the checksums of all other files. */
  async text(artefact: string, version: number, name: string): Promise<string> {
    const file = await this.#open(artefact, version, name);
    try {
      return await file.readFile('utf8');
    } catch (error) {
      throw diskError(error, `reading ${name} of ${artefact} ${version}`);
    } finally {
      await file.close();
    }
  }

  /** Reads the files whole and throws FreshetError('invalid_data') for the first that does not match its mark. */
  async verify(artefact: string, version: number, marks: readonly FileMark[]): Promise<void> {
    for (const mark of marks) for await (const _ of this.#chunks(artefact, version, mark));
  }

  /**
   * The lines of a file, many at a time, without their line ends. Throws FreshetError('invalid_data') at the end if the
   * size or checksum is wrong: then the lines already read must not be used.
   */
  async *lines(artefact: string, version: number, mark: FileMark): AsyncGenerator<string[]> {
    let rest = Buffer.alloc(0);
    for await (const chunk of this.#chunks(artefact, version, mark)) {
      const end = chunk.lastIndexOf(NEW_LINE);
      if (end < 0) {
        rest = Buffer.concat([rest, chunk]);
        continue;
      }
      const text = Buffer.concat([rest, chunk.subarray(0, end)]).toString('utf8');
      rest = Buffer.from(chunk.subarray(end + 1));
      yield text.split('\n');
    }
    if (rest.length > 0) yield [rest.toString('utf8')];
  }

  /** Removes a version; harmless if it does not exist. Also removes the remains of an interrupted removal. */
  async remove(artefact: string, version: number): Promise<void> {
    const folder = this.folder(artefact, version);
    const parent = join(this.root, artefact);
    try {
      await files.rename(folder, join(parent, `${REMOVED}v${version}-${randomBytes(4).toString('hex')}`));
    } catch (error) {
      if (!isMissing(error)) throw diskError(error, `removing ${folder}`);
    }
    for (const name of await files.readdir(parent).catch(() => []))
      if (name.startsWith(REMOVED)) await files.rm(join(parent, name), { recursive: true, force: true });
  }

  /** Chunks in a buffer that is overwritten by the next one. */
  async *#chunks(artefact: string, version: number, mark: FileMark): AsyncGenerator<Buffer> {
    const { name, bytes, sha256 } = mark;
    const where = `${name} of ${artefact} version ${version}`;
    const file = await this.#open(artefact, version, name);
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    let size = 0;
    try {
      for (;;) {
        const { bytesRead } = await file.read(buffer, 0, buffer.length, null).catch((error: unknown) => {
          throw diskError(error, `reading ${where}`);
        });
        if (bytesRead === 0) break;
        size += bytesRead;
        const chunk = buffer.subarray(0, bytesRead);
        hash.update(chunk);
        yield chunk;
      }
    } finally {
      await file.close();
    }
    if (size !== bytes)
      throw new FreshetError('invalid_data', `${where} has ${size} bytes, its manifest says ${bytes}.`);
    if (hash.digest('hex') !== sha256)
      throw new FreshetError('invalid_data', `${where} does not have the SHA-256 in its manifest.`);
  }

  async #open(artefact: string, version: number, name: string): Promise<files.FileHandle> {
    checkName(name);
    const path = join(this.folder(artefact, version), name);
    try {
      return await files.open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (isMissing(error)) throw new FreshetError('invalid_data', `${path} is missing.`, { cause: error });
      throw diskError(error, `opening ${path}`);
    }
  }
}

/** Syncs a folder with all its files, and removes the access rights of other users. */
async function settle(folder: string): Promise<void> {
  const at = await files.lstat(folder);
  if (!at.isDirectory()) throw new FreshetError('invalid_data', `${folder} is not a folder.`);
  for (const entry of await files.readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isFile()) throw new FreshetError('invalid_data', `${path} is not a plain file.`);
    const file = await files.open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      await file.chmod(0o600);
      await file.sync();
    } finally {
      await file.close();
    }
  }
  await files.chmod(folder, 0o700);
  await syncFolder(folder);
}

/** Not every system allows opening a folder; the rename is then as safe as that system makes it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await files.open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function checkName(name: string): void {
  if (!NAME.test(name) || name.length > 128)
    throw new FreshetError('invalid_data', `${JSON.stringify(name)} cannot be a name among the artefacts.`);
}

function moveError(error: unknown, from: string, to: string): FreshetError {
  if (error instanceof FreshetError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (isMissing(error)) return new FreshetError('invalid_data', `${from} is missing.`, { cause: error });
  if (code === 'ENOTEMPTY' || code === 'EEXIST')
    return new FreshetError('state', `${to} already exists.`, { cause: error });
  if (code === 'EXDEV')
    return new FreshetError('settings', `${from} and ${to} are on different file systems.`, { cause: error });
  return diskError(error, `moving ${from} to ${to}`);
}

function diskError(error: unknown, doing: string): FreshetError {
  if (error instanceof FreshetError) return error;
  return new FreshetError('unavailable', `${doing}: ${messageOf(error)}`, { cause: error });
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
}
