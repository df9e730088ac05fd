/**
 * Disks that fail like real ones: the process dies at a chosen byte, an operation is refused, or the power fails and
 * unsynced data is there only in part.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Disk, nodeDisk } from '../../../../../runtime/log/embedded/disk.js';

export class DeadError extends Error {
  constructor() {
    super('the process is dead');
  }
}

type Operation = 'open' | 'write' | 'truncate' | 'sync' | 'syncFolder' | 'rename' | 'remove' | 'removeFolder';

interface Unsynced {
  /** Contents at the last sync. */
  readonly durable: Buffer;
}

const SECTOR_BYTES = 512;

export class FaultyDisk implements Disk {
  /** Changing operations so far: each byte written counts as one, any other operation counts as one. */
  steps = 0;
  /** The step during which the process dies. */
  diesAtStep = Number.POSITIVE_INFINITY;
  /** Changing operations; a write counts as one. */
  operations = 0;
  /** The last operation before the process dies; a write is half done. */
  diesAtOperation = Number.POSITIVE_INFINITY;
  /** Refuses an operation by returning an error; half of a write is done first. */
  refuse: (operation: Operation, path: string) => Error | null = () => null;
  readonly #paths = new Map<number, string>();
  readonly #unsynced = new Map<string, Unsynced>();
  readonly #powerLoss: boolean;
  #dead = false;
  #running = 0;
  #idle: (() => void) | null = null;

  /** With `powerLoss`, the contents at each file's last sync are kept for losePower(). */
  constructor(options: { powerLoss?: boolean } = {}) {
    this.#powerLoss = options.powerLoss ?? false;
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Ends the process: nothing more reaches the disk; files are closed once the running operations have returned. */
  async die(): Promise<void> {
    this.#dead = true;
    if (this.#running > 0)
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    for (const fd of this.#paths.keys()) await nodeDisk.close(fd);
    this.#paths.clear();
  }

  /** Call after die(): a new process starts with what is in the page cache; unsynced data is still unsynced. */
  revive(): void {
    this.#dead = false;
    this.#idle = null;
    this.diesAtStep = Number.POSITIVE_INFINITY;
  }

  /** Call after die(): of unsynced data, sectors chosen by `random` are lost, and files end anywhere. */
  async losePower(random: () => number): Promise<void> {
    for (const [path, { durable }] of this.#unsynced) {
      const current = await readFile(path).catch(() => null);
      if (current === null) continue;
      const least = Math.min(durable.length, current.length);
      const most = Math.max(durable.length, current.length);
      const length = random() < 0.5 ? current.length : least + Math.floor(random() * (most - least + 1));
      const result = Buffer.alloc(length);
      const lossy = random() < 0.5;
      for (let at = 0; at < length; at += SECTOR_BYTES) {
        const source = lossy && random() < 0.3 ? durable : current;
        if (at < source.length) source.copy(result, at, at, Math.min(at + SECTOR_BYTES, length));
      }
      await writeFile(path, result);
    }
    this.#unsynced.clear();
  }

  async #run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#dead) throw new DeadError();
    this.#running++;
    try {
      return await work();
    } finally {
      this.#running--;
      if (this.#running === 0) this.#idle?.();
    }
  }

  /** Counts an operation of this many steps; true if the process dies before the last of them. */
  #dies(steps: number): boolean {
    this.steps += steps;
    this.operations++;
    return this.steps >= this.diesAtStep || this.operations >= this.diesAtOperation;
  }

  #change<T>(operation: Operation, path: string, work: () => Promise<T>): Promise<T> {
    return this.#run(async () => {
      const error = this.refuse(operation, path);
      if (error) throw error;
      if (this.#dies(1)) {
        this.#dead = true;
        throw new DeadError();
      }
      return work();
    });
  }

  /** Changes contents; even if the file is synced meanwhile, the contents before it stay the last safe state. */
  async #keepingSafe(path: string, change: () => Promise<void>): Promise<void> {
    if (!this.#powerLoss) return change();
    const before = { durable: await readFile(path) };
    if (!this.#unsynced.has(path)) this.#unsynced.set(path, before);
    try {
      await change();
    } finally {
      if (!this.#unsynced.has(path)) this.#unsynced.set(path, before);
    }
  }

  open(path: string, flags: 'r+' | 'w+'): Promise<number> {
    const open = async () => {
      const fd = await nodeDisk.open(path, flags);
      this.#paths.set(fd, path);
      return fd;
    };
    return flags === 'w+' ? this.#change('open', path, open) : this.#run(open);
  }

  async close(fd: number): Promise<void> {
    // A dead process's descriptors are closed by die().
    if (this.#dead || !this.#paths.delete(fd)) return;
    await nodeDisk.close(fd);
  }

  stat(fd: number) {
    return this.#run(() => nodeDisk.stat(fd));
  }

  read(fd: number, into: Buffer, length: number, position: number): Promise<number> {
    return this.#run(() => nodeDisk.read(fd, into, length, position));
  }

  write(fd: number, chunks: readonly Buffer[], position: number): Promise<void> {
    return this.#run(async () => {
      const path = this.#paths.get(fd)!;
      const bytes = Buffer.concat(chunks);
      const error = this.refuse('write', path);
      const put = (count: number) =>
        this.#keepingSafe(path, () => nodeDisk.write(fd, [bytes.subarray(0, count)], position));
      if (error) {
        await put(bytes.length >> 1);
        throw error;
      }
      const before = this.steps;
      if (this.#dies(bytes.length)) {
        this.#dead = true;
        const atByte = Number.isFinite(this.diesAtStep) ? this.diesAtStep - before : bytes.length >> 1;
        await put(Math.max(0, atByte));
        throw new DeadError();
      }
      await put(bytes.length);
    });
  }

  truncate(fd: number, size: number): Promise<void> {
    const path = this.#paths.get(fd)!;
    return this.#change('truncate', path, () => this.#keepingSafe(path, () => nodeDisk.truncate(fd, size)));
  }

  /** Memory stands in for the disk: only the order of syncs is tested. */
  sync(fd: number): Promise<void> {
    const path = this.#paths.get(fd)!;
    return this.#change('sync', path, async () => {
      this.#unsynced.delete(path);
      // A sync takes time, during which others keep writing.
      for (let turn = 0; turn < 5; turn++) await nextTurn();
    });
  }

  syncFolder(path: string): Promise<void> {
    return this.#change('syncFolder', path, async () => undefined);
  }

  rename(from: string, to: string): Promise<void> {
    return this.#change('rename', to, async () => {
      await nodeDisk.rename(from, to);
      this.#moved(from, to);
    });
  }

  #moved(from: string, to: string): void {
    this.#unsynced.delete(to);
    const state = this.#unsynced.get(from);
    this.#unsynced.delete(from);
    if (state) this.#unsynced.set(to, state);
    for (const [fd, path] of this.#paths) if (path === from) this.#paths.set(fd, to);
  }

  remove(path: string): Promise<void> {
    return this.#change('remove', path, async () => {
      this.#unsynced.delete(path);
      await nodeDisk.remove(path);
    });
  }

  removeFolder(path: string): Promise<void> {
    return this.#change('removeFolder', path, () => nodeDisk.removeFolder(path));
  }

  makeFolder(path: string): Promise<void> {
    return this.#run(() => nodeDisk.makeFolder(path));
  }

  list(path: string): Promise<string[]> {
    return this.#run(() => nodeDisk.list(path));
  }

  listFolders(path: string): Promise<string[]> {
    return this.#run(() => nodeDisk.listFolders(path));
  }

  readWhole(path: string): Promise<Buffer | null> {
    return this.#run(() => nodeDisk.readWhole(path));
  }
}
