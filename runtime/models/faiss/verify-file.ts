/** Checks that a file matches its manifest, so that FAISS gets no file that would end its process. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { FreshetError } from '../../process/errors.js';
import type { FileToVerify } from './messages.js';

/** A fraction of a millisecond of work, then a pause: requests served on the same cores go first. */
const READ_BYTES = 1 << 18;
const PAUSE_MS = 1;

/** A file's entry in the manifest of a version. Throws 'invalid_data' when there is none. */
export function fileToVerify(
  folder: string,
  files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[],
  name: string,
): FileToVerify {
  const said = files.find((file) => file.name === name);
  if (said === undefined) throw new FreshetError('invalid_data', `The manifest in ${folder} does not name ${name}.`);
  return { path: join(folder, name), bytes: said.bytes, sha256: said.sha256 };
}

/** Reads it whole, at a few hundred MB/s at most. Throws 'invalid_data' if missing, or size or SHA-256 differ. */
export async function verifyFile({ path, bytes, sha256 }: FileToVerify): Promise<void> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw new FreshetError('invalid_data', `${path} cannot be opened.`, { cause });
  });
  try {
    const { size } = await file.stat();
    if (size !== bytes)
      throw new FreshetError('invalid_data', `${path} has ${size} bytes, its manifest says ${bytes}.`);
    const hash = createHash('sha256');
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) break;
      hash.update(buffer.subarray(0, bytesRead));
      await pause(PAUSE_MS);
    }
    if (hash.digest('hex') !== sha256)
      throw new FreshetError('invalid_data', `${path} is damaged: its checksum is not that of its manifest.`);
  } finally {
    await file.close();
  }
}
