/**
 * What a power failure may leave of a folder. Node's file functions are watched while a piece of work writes for real;
 * afterwards, the folder can be put together as it may look after a failure at any of its steps: with what was synced
 * only, with new names but without their unsynced contents, with half of what was not synced, or with everything
 * (after Pillai et al., All File Systems Are Not Created Equal, OSDI 2014).
 *
 * Modules that keep a function of `fs` when they are loaded must be imported after this one is installed.
 */
import fs from 'node:fs';
import files, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join, relative } from 'node:path';

/** A file, whatever its names. */
interface Content {
  now: Buffer;
  synced: Buffer;
}

/** What survives: `synced` names and contents, or what the process has seen last. */
const SURVIVALS = [
  { what: 'only what was synced', names: 'synced', contents: 'synced' },
  { what: 'new names, contents as synced', names: 'now', contents: 'synced' },
  { what: 'new names, half of what was not synced', names: 'now', contents: 'half' },
  { what: 'everything', names: 'now', contents: 'now' },
] as const;

export interface Remains {
  /** The step before which the power failed, and what survived. */
  readonly what: string;
  readonly step: number;
  /** Content by path within the folder. */
  readonly files: ReadonlyMap<string, Buffer>;
}

let watched: Watch | null = null;

class Watch {
  readonly folder: string;
  readonly remains: Remains[] = [];
  readonly #names = new Map<string, Content>();
  readonly #syncedNames = new Map<string, Content>();
  readonly #open = new Map<number, Content>();
  #steps = 0;

  constructor(folder: string) {
    this.folder = folder;
    for (const name of fs.readdirSync(folder)) {
      const bytes = fs.readFileSync(join(folder, name));
      const content = { now: bytes, synced: bytes };
      this.#names.set(name, content);
      this.#syncedNames.set(name, content);
    }
  }

  has(path: unknown): path is string {
    return typeof path === 'string' && (path === this.folder || dirname(path) === this.folder);
  }

  contentOf(fd: number): Content | undefined {
    return this.#open.get(fd);
  }

  opened(path: string, fd: number, flags: unknown): void {
    if (path === this.folder) {
      this.#open.set(fd, FOLDER);
      return;
    }
    const name = relative(this.folder, path);
    let content = this.#names.get(name);
    const creates = typeof flags === 'string' && /[wa]/.test(flags);
    if (content === undefined && creates) {
      content = { now: Buffer.alloc(0), synced: Buffer.alloc(0) };
      this.#names.set(name, content);
      this.step(`create ${name}`);
    }
    if (content === undefined) return;
    this.#open.set(fd, content);
    if (typeof flags === 'string' && flags.startsWith('w') && content.now.length > 0) {
      content.now = Buffer.alloc(0);
      this.step(`empty ${name}`);
    }
  }

  closed(fd: number): void {
    this.#open.delete(fd);
  }

  /** Every writer of ours appends. */
  appended(content: Content, bytes: Buffer): void {
    content.now = Buffer.concat([content.now, bytes]);
    this.step(`append ${bytes.length} bytes`);
  }

  truncated(content: Content, size: number): void {
    content.now = content.now.subarray(0, size);
    this.step(`truncate to ${size}`);
  }

  synced(content: Content): void {
    if (content === FOLDER) {
      this.#syncedNames.clear();
      for (const [name, one] of this.#names) this.#syncedNames.set(name, one);
    } else content.synced = content.now;
    this.step('sync');
  }

  renamed(from: string, to: string): void {
    const content = this.#names.get(relative(this.folder, from));
    if (content === undefined) return;
    this.#names.delete(relative(this.folder, from));
    this.#names.set(relative(this.folder, to), content);
    this.step(`rename to ${relative(this.folder, to)}`);
  }

  removed(path: string): void {
    if (this.#names.delete(relative(this.folder, path))) this.step(`remove ${relative(this.folder, path)}`);
  }

  step(done: string): void {
    this.#steps++;
    for (const { what, names, contents } of SURVIVALS) {
      const of = ({ now, synced }: Content) => {
        if (contents === 'synced') return synced;
        if (contents === 'now') return now;
        return now.subarray(0, synced.length + Math.floor((now.length - synced.length) / 2));
      };
      const from = names === 'now' ? this.#names : this.#syncedNames;
      const left = new Map([...from].map(([name, content]) => [name, Buffer.from(of(content))]));
      this.remains.push({ what: `${what}, after "${done}"`, step: this.#steps, files: left });
    }
  }
}

const FOLDER: Content = { now: Buffer.alloc(0), synced: Buffer.alloc(0) };

/** Replaces Node's file functions of this process by ones that also tell the watch. Call it once, before other imports. */
export async function watchFiles(): Promise<void> {
  const probe = await files.open(process.execPath, 'r');
  const handle = Object.getPrototypeOf(probe) as FileHandle;
  await probe.close();
  const { openSync, writeSync, ftruncateSync, closeSync, fdatasync } = fs;
  const { open, rename, rm } = files;
  const { appendFile, sync, datasync, close } = handle;

  fs.openSync = ((path: string, flags: string, mode?: number) => {
    const fd = openSync(path, flags, mode);
    if (watched?.has(path)) watched.opened(path, fd, flags);
    return fd;
  }) as typeof fs.openSync;
  fs.writeSync = ((fd: number, bytes: Buffer, from: number | null) => {
    const offset = from ?? 0;
    const written = writeSync(fd, bytes, offset);
    const content = watched?.contentOf(fd);
    if (content !== undefined) watched!.appended(content, bytes.subarray(offset, offset + written));
    return written;
  }) as typeof fs.writeSync;
  fs.ftruncateSync = (fd, size = 0) => {
    ftruncateSync(fd, size);
    const content = watched?.contentOf(fd);
    if (content !== undefined) watched!.truncated(content, size ?? 0);
  };
  fs.closeSync = (fd) => {
    watched?.closed(fd);
    closeSync(fd);
  };
  fs.fdatasync = Object.assign(
    (fd: number, done: (error: NodeJS.ErrnoException | null) => void) => {
      fdatasync(fd, (error) => {
        const content = watched?.contentOf(fd);
        if (error === null && content !== undefined) watched!.synced(content);
        done(error);
      });
    },
    { __promisify__: fdatasync.__promisify__ },
  );
  files.open = (async (path: string, flags: string, mode?: number) => {
    const opened = await open(path, flags, mode);
    if (watched?.has(path)) watched.opened(path, opened.fd, flags);
    return opened;
  }) as typeof files.open;
  files.rename = async (from, to) => {
    await rename(from, to);
    if (watched?.has(from)) watched.renamed(String(from), String(to));
  };
  files.rm = async (path, options) => {
    await rm(path, options);
    if (watched?.has(path)) watched.removed(String(path));
  };
  handle.write = async function (this: FileHandle, bytes: Buffer, offset = 0) {
    const result = await this.writev([bytes.subarray(offset)]);
    const content = watched?.contentOf(this.fd);
    if (content !== undefined) watched!.appended(content, bytes.subarray(offset, offset + result.bytesWritten));
    return result;
  } as unknown as FileHandle['write'];
  handle.appendFile = async function (this: FileHandle, bytes: Buffer) {
    await appendFile.call(this, bytes);
    const content = watched?.contentOf(this.fd);
    if (content !== undefined) watched!.appended(content, bytes);
  } as unknown as FileHandle['appendFile'];
  for (const [name, original] of [
    ['sync', sync],
    ['datasync', datasync],
  ] as const)
    handle[name] = async function (this: FileHandle) {
      const content = watched?.contentOf(this.fd);
      await original.call(this);
      if (content !== undefined) watched!.synced(content);
    };
  handle.close = async function (this: FileHandle) {
    watched?.closed(this.fd);
    await close.call(this);
  };
  syncBuiltinESMExports();
}

/** Everything that a power failure during the work may leave of the folder. The folder itself ends as the work left it. */
export async function remainsOf(folder: string, work: () => Promise<void>): Promise<Remains[]> {
  const watch = new Watch(folder);
  watched = watch;
  try {
    await work();
  } finally {
    watched = null;
  }
  return watch.remains;
}

/** Puts what remained into an empty folder. */
export function putTogether(folder: string, { files: left }: Remains): void {
  fs.rmSync(folder, { recursive: true, force: true });
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, bytes] of left) fs.writeFileSync(join(folder, name), bytes);
}
