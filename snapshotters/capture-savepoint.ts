/**
 * The savepoint of a capture: one file in the run's work folder, written to another name, synced and renamed, so that
 * the name leads to a complete file or to none; later damage is detected before any of it is used. (Checkpoints belong
 * to tasks, with other contents and guarantees; only the log events of both say checkpoint.)
 *
 *   "FRESHSN1"  head length u32 LE | head, JSON | contents of the capture | SHA-256 of everything before
 */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { z } from 'zod';
import { messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';

const MAGIC = Buffer.from('FRESHSN1', 'latin1');
const SHA_BYTES = 32;

const count = z.number().int().min(0);
const place = z.object({
  topic: z.string(),
  partition: count,
  from: count,
  to: count,
  at: z.string(),
  /** Next offset that is not in the contents. */
  position: count,
});
const head = z.object({
  run_id: z.string(),
  /** Identifies the code and the settings that gathered the contents. */
  fingerprint: z.string(),
  /** In the order of the job's topics; null if the log has no ids. */
  topic_ids: z.array(z.string().nullable()),
  places: z.array(place),
  records: count,
});

export type CapturePlace = z.infer<typeof place>;
export type SavepointHead = Omit<z.infer<typeof head>, 'run_id' | 'fingerprint'>;

interface SavepointOptions {
  readonly path: string;
  readonly runId: string;
  readonly fingerprint: string;
  readonly logger: Logger;
}

export class CaptureSavepoint {
  readonly #o: SavepointOptions;

  constructor(options: SavepointOptions) {
    this.#o = options;
  }

  /** Errors: those of the disk. */
  async write(said: SavepointHead, contents: Buffer): Promise<void> {
    const { path, runId, fingerprint } = this.#o;
    const text = Buffer.from(JSON.stringify({ run_id: runId, fingerprint, ...said }));
    const start = Buffer.alloc(MAGIC.length + 4);
    MAGIC.copy(start);
    start.writeUInt32LE(text.length, MAGIC.length);
    const pieces = [start, text, contents];
    const sha = createHash('sha256');
    for (const piece of pieces) sha.update(piece);
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // A process of the same run that has not yet noticed its end must not write into the same file.
    const beside = `${path}.${randomBytes(4).toString('hex')}.new`;
    try {
      const file = await open(beside, 'w', 0o600);
      try {
        for (const piece of [...pieces, sha.digest()]) await file.writeFile(piece);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(beside, path);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
  }

  /** Null if there is none that can be read; a damaged one, or one of another run, is discarded. */
  async read(): Promise<{ readonly head: SavepointHead; readonly contents: Buffer } | null> {
    let bytes: Buffer;
    try {
      bytes = await readFile(this.#o.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') await this.discard(messageOf(error));
      return null;
    }
    const parsed = this.#parse(bytes);
    if (typeof parsed !== 'string') return parsed;
    await this.discard(parsed);
    return null;
  }

  /** Discards it and logs the reason. */
  async discard(reason: string): Promise<void> {
    this.#o.logger.warn({ event: 'capture_checkpoint_discarded', run_id: this.#o.runId, reason });
    // If it cannot be removed, the next one replaces it, or it is found invalid again.
    await rm(this.#o.path, { force: true }).catch(() => undefined);
  }

  /** What is wrong with it, as a sentence; null if nothing is. */
  #parse(bytes: Buffer): { head: SavepointHead; contents: Buffer } | string {
    const end = bytes.length - SHA_BYTES;
    const textStart = MAGIC.length + 4;
    if (end < textStart) return 'it is cut short';
    if (!bytes.subarray(0, MAGIC.length).equals(MAGIC)) return 'it is of another format';
    if (!createHash('sha256').update(bytes.subarray(0, end)).digest().equals(bytes.subarray(end)))
      return 'its checksum is wrong';
    const textEnd = textStart + bytes.readUInt32LE(MAGIC.length);
    const parsed = head.safeParse(JSON.parse(bytes.toString('utf8', textStart, textEnd)));
    if (!parsed.success) return 'it is of another format';
    if (parsed.data.run_id !== this.#o.runId) return `it is that of run ${parsed.data.run_id}`;
    if (parsed.data.fingerprint !== this.#o.fingerprint) return 'it was made by other code or settings';
    return { head: parsed.data, contents: bytes.subarray(textEnd, end) };
  }
}
