/**
 * Small JSON files that carry a checksum of their contents: a changed bit is noticed before anything is decided by it.
 *
 *   { …contents, "crc32c": "<CRC-32C of the JSON text of the contents, in hexadecimal>" }
 */
import { crc32c } from '@node-rs/crc32';
import { FreshetError } from '../../process/errors.js';
import type { Disk } from './disk.js';

const checksumOf = (contents: object) => crc32c(JSON.stringify(contents)).toString(16).padStart(8, '0');

/** The bytes of a sealed file. */
export function seal(contents: object): Buffer {
  return Buffer.from(`${JSON.stringify({ ...contents, crc32c: checksumOf(contents) }, null, 2)}\n`);
}

/**
 * Null if the file is missing. `mayBeOpen`: it may be from a version that wrote no checksums. Throws
 * FreshetError('invalid_data') when the contents are not those that were written.
 */
export async function readSealed<T extends object>(disk: Disk, path: string, mayBeOpen = false): Promise<T | null> {
  const bytes = await disk.readWhole(path);
  if (bytes === null) return null;
  const { crc32c: checksum, ...contents } = parsed(path, bytes);
  if (checksum === undefined ? !mayBeOpen : checksum !== checksumOf(contents))
    throw damaged(path, 'its checksum does not match its contents');
  return contents as T;
}

function parsed(path: string, bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(bytes.toString());
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {}
  throw damaged(path, 'it is not a JSON object');
}

function damaged(path: string, why: string): FreshetError {
  return new FreshetError(
    'invalid_data',
    `${path} is damaged: ${why}. Nothing was changed. Restore the file from a backup, or move the data folder away and ` +
      'start with an empty one.',
  );
}
