/**
 * The list of a partition's closed segments that are on disk: first offset, size, and a checksum of the first batch's
 * header. A file that is missing, cut or exchanged is noticed when the log is opened; without the list, the offsets of
 * a lost file would look like records that compaction or retention has removed.
 *
 * A segment is added once it is synced, before the transaction log says so. It leaves the list before its file is
 * removed; a compacted one takes the place of those it was made from while its swap is under way. So after a crash
 * there may be files that the list lacks, before its first and after its last entry, but none may be missing.
 */
import { FreshetError } from '../../process/errors.js';
import { type Disk, replaceFile } from './disk.js';
import { readSealed, seal } from './sealed-file.js';
import { fingerprintOf, type Segment, segmentName } from './segment.js';
import type { Swap } from './swap.js';
import type { Partition } from './topic.js';

const MANIFEST_FILE = 'segments.json';

type Entry = readonly [baseOffset: number, size: number, header: number];

interface Manifest {
  readonly closed: readonly Entry[];
}

/**
 * Lists the closed segments whose commits up to `durableCommit` are on disk. On disk when the promise resolves. A caller
 * whose number is older than another's takes nothing from the list again: a sync may have finished in the meantime, and
 * the transaction log says so.
 */
export function writeManifest(disk: Disk, partition: Partition, durableCommit: number): Promise<void> {
  return partition.manifestWrites.run(async () => {
    if (partition.topic.deleted) return;
    partition.listedCommit = Math.max(partition.listedCommit, durableCommit);
    const closed = await entriesOf(
      partition.segments.slice(0, -1).filter(({ lastCommit }) => lastCommit <= partition.listedCommit),
    );
    // A segment that left meanwhile is about to be removed.
    const kept = closed.filter(([baseOffset]) =>
      partition.segments.some((segment) => segment.baseOffset === baseOffset),
    );
    const bytes = seal({ closed: kept } satisfies Manifest);
    await replaceFile(disk, `${partition.folder}/${MANIFEST_FILE}`, bytes, true);
  });
}

/** Lists the files of swaps in place of the segments that they replace; must be on disk before the swaps are finished. */
export async function listSwaps(disk: Disk, folder: string, swaps: readonly Swap[]): Promise<void> {
  const path = `${folder}/${MANIFEST_FILE}`;
  const saved = await readSealed<Manifest>(disk, path);
  if (saved === null || swaps.length === 0) return;
  const closed: Entry[] = saved.closed.filter(
    ([offset]) => !swaps.some(({ from, to }) => offset >= from && offset < to),
  );
  for (const swap of swaps) {
    const { size, header } = await fingerprintOf(disk, swap.path);
    closed.push([swap.from, size, header]);
  }
  closed.sort(([a], [b]) => a - b);
  await replaceFile(disk, path, seal({ closed } satisfies Manifest), true);
}

interface Checked {
  readonly disk: Disk;
  readonly folder: string;
  /** In the order of their offsets; the last one is active. */
  readonly segments: readonly Segment[];
  /** The log is from a version that wrote no manifests. */
  readonly mayLack: boolean;
}

interface Compared {
  /** The manifest must be written again. */
  readonly isStale: boolean;
  /** Closed segments that it should list and does not. */
  readonly unlisted: readonly Segment[];
}

/** Compares a partition's files with its manifest. Throws FreshetError('invalid_data') if a listed file is not there. */
export async function compareManifest(o: Checked): Promise<Compared> {
  const saved = await readSealed<Manifest>(o.disk, `${o.folder}/${MANIFEST_FILE}`);
  const closed = o.segments.slice(0, -1);
  if (saved === null && o.mayLack) return { isStale: closed.length > 0, unlisted: [] };
  const listed = saved?.closed ?? [];
  for (const entry of listed) await checkListed(o, entry);
  const first = listed[0]?.[0] ?? (saved === null ? 0 : Number.POSITIVE_INFINITY);
  const unlisted = closed.filter(
    ({ baseOffset }) => baseOffset >= first && listed.every(([offset]) => offset !== baseOffset),
  );
  return { isStale: JSON.stringify(listed) !== JSON.stringify(await entriesOf(closed)), unlisted };
}

/**
 * Throws FreshetError('invalid_data') if segments are unlisted that a sync must have listed: all but those that commits
 * wrote to which may not be on disk (`isUnsafe`), and the last one before them.
 */
export function refuseUnlisted(
  folder: string,
  closed: readonly Segment[],
  unlisted: readonly Segment[],
  isUnsafe: (segment: Segment) => boolean,
): void {
  const lastSafe = closed.findLast((segment) => !isUnsafe(segment));
  const stray = closed.find((segment) => unlisted.includes(segment) && !isUnsafe(segment) && segment !== lastSafe);
  if (stray !== undefined) throw refused(folder, `${stray.path} is not in ${MANIFEST_FILE}`);
}

async function checkListed({ folder, segments }: Checked, [offset, size, header]: Entry): Promise<void> {
  const segment = segments.find(({ baseOffset }) => baseOffset === offset);
  if (segment === undefined) throw refused(folder, `the segment ${segmentName(offset)} (${size} bytes) is missing`);
  const found = await segment.fingerprint();
  if (found === null || found.size !== size)
    throw refused(folder, `the segment ${segmentName(offset)} has ${found?.size} bytes, but was closed with ${size}`);
  if (found.header !== header)
    throw refused(folder, `the segment ${segmentName(offset)} is not the one that was closed`);
}

async function entriesOf(segments: readonly Segment[]): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const segment of segments) {
    const found = await segment.fingerprint();
    if (found !== null) entries.push([segment.baseOffset, found.size, found.header]);
  }
  return entries;
}

function refused(folder: string, what: string): FreshetError {
  return new FreshetError(
    'invalid_data',
    `${folder}: ${what}. The log does not start with a gap in it; nothing was changed. Restore the file from a backup, ` +
      'or move the data folder away and start with an empty one.',
  );
}
