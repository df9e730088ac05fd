/**
 * Artefacts in files: one folder per version under one root, `<artefact>/v<n>`. A version's folder appears by one rename
 * and disappears by one, so its name always leads to all of it or to nothing; what is inside is checked against size
 * and SHA-256 whenever it is read. Names that could lead anywhere else are refused.
 */
import { createHash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import * as files from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { FreshetError, messageOf } from '../process/errors.js';

/** What a manifest says of a file. */
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

  /** `root`: absolute; it is made when something is first put there. */
  constructor(root: string) {
    if (!isAbsolute(root)) throw new FreshetError('settings', `The folder of artefacts must be absolute, not ${root}.`);
    this.root = root;
  }

  /** Where a version lies, whether it is there or not. Throws FreshetError('invalid_data') for what is no name. */
  folder(artefact: string, version: number): string {
    checkName(artefact);
    if (!VERSION.test(`v${version}`)) throw new FreshetError('invalid_data', `${version} is no version.`);
    return join(this.root, artefact, `v${version}`);
  }

  /** Numbers of the versions that are there, in order. */
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
   * Moves a finished folder to its place. Everything in it is synced first, and readable by its owner only. Throws
   * FreshetError: 'invalid_data' when there is no such folder or it holds anything but plain files, 'state' when the
   * place is taken, 'settings' when it lies on another file system, 'unavailable' when the disk refuses.
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

  /** Text of a small file, unchecked: the manifest, which carries everybody else's checksum. */
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

  /** Reads the files whole and throws FreshetError('invalid_data') for the first that is not what it should be. */
  async verify(artefact: string, version: number, marks: readonly FileMark[]): Promise<void> {
    for (const mark of marks) for await (const _ of this.#chunks(artefact, version, mark));
  }

  /**
   * The lines of a file, many at a time, without their ends. Throws FreshetError('invalid_data') at the end when size or
   * checksum are wrong: what was read before must not be used then.
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

  /** Takes a version away; harmless when it is gone. What an interrupted removal left goes too. */
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

  /** Chunks in a buffer that the next one overwrites. */
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
      throw new FreshetError('invalid_data', `${where} has another SHA-256 than its manifest says.`);
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

/** Syncs a folder and all in it, and takes everybody else's rights away. */
async function settle(folder: string): Promise<void> {
  const at = await files.lstat(folder);
  if (!at.isDirectory()) throw new FreshetError('invalid_data', `${folder} is no folder.`);
  for (const entry of await files.readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isFile()) throw new FreshetError('invalid_data', `${path} is no plain file.`);
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

/** Not every system lets a folder be opened; the rename is then as safe as it makes it. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await files.open(folder, 'r').catch(() => null);
  await handle?.sync().catch(() => undefined);
  await handle?.close();
}

function checkName(name: string): void {
  if (!NAME.test(name) || name.length > 128)
    throw new FreshetError('invalid_data', `${JSON.stringify(name)} cannot name anything among the artefacts.`);
}

function moveError(error: unknown, from: string, to: string): FreshetError {
  if (error instanceof FreshetError) return error;
  const code = (error as NodeJS.ErrnoException).code;
  if (isMissing(error)) return new FreshetError('invalid_data', `${from} is missing.`, { cause: error });
  if (code === 'ENOTEMPTY' || code === 'EEXIST')
    return new FreshetError('state', `${to} is there already.`, { cause: error });
  if (code === 'EXDEV')
    return new FreshetError('settings', `${from} and ${to} lie on different file systems.`, { cause: error });
  return diskError(error, `moving ${from} to ${to}`);
}

function diskError(error: unknown, doing: string): FreshetError {
  if (error instanceof FreshetError) return error;
  return new FreshetError('unavailable', `${doing}: ${messageOf(error)}`, { cause: error });
}

function isMissing(error: unknown): boolean {
  return (error as NodeJS.ErrnoException | null)?.code === 'ENOENT';
}
