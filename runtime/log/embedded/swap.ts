/**
 * Replaces segments by the compacted one made from them, so that a crash at any point leaves either the old or the new:
 * the finished file counts once it is named `<first offset>-<end offset>.swap`, and opening the log completes the
 * remaining steps.
 */
import { type Disk, UNFINISHED_SUFFIX } from './disk.js';
import { INDEX_SUFFIX, SEGMENT_SUFFIX, segmentName } from './segment.js';

const SWAP = /^(\d{20})-(\d+)\.swap$/;

/** A compacted file that replaces the segments of the offsets [from, to). */
export interface Swap {
  readonly from: number;
  readonly to: number;
  readonly path: string;
}

/** Where a compaction writes the replacement of the segments that start at `baseOffset`. */
export function unfinishedPath(folder: string, baseOffset: number): string {
  return `${folder}/${segmentName(baseOffset)}${UNFINISHED_SUFFIX}`;
}

/** Declares that unfinishedPath(), a file already on disk, replaces all segments in [baseOffset, endOffset). */
export async function beginSwap(disk: Disk, folder: string, baseOffset: number, endOffset: number): Promise<void> {
  const name = `${segmentName(baseOffset).slice(0, -SEGMENT_SUFFIX.length)}-${endOffset}.swap`;
  await disk.rename(unfinishedPath(folder, baseOffset), `${folder}/${name}`);
  await disk.syncFolder(folder);
}

/** The swaps that were started in a partition's folder and are not finished. */
export async function pendingSwaps(disk: Disk, folder: string): Promise<Swap[]> {
  return (await disk.list(folder)).flatMap((name) => {
    const match = SWAP.exec(name);
    return match === null ? [] : [{ from: Number(match[1]), to: Number(match[2]), path: `${folder}/${name}` }];
  });
}

/** Finishes every swap that was started in a partition's folder. May be called repeatedly. */
export async function finishSwaps(disk: Disk, folder: string): Promise<void> {
  const names = await disk.list(folder);
  for (const { from, to, path } of await pendingSwaps(disk, folder)) {
    // Index files first: none may remain that describes a file that is no longer there.
    for (const suffix of [INDEX_SUFFIX, SEGMENT_SUFFIX])
      for (const old of names) {
        const offset = Number(old.slice(0, -suffix.length));
        if (old.endsWith(suffix) && offset >= from && offset < to) await disk.remove(`${folder}/${old}`);
      }
    await disk.rename(path, `${folder}/${segmentName(from)}`);
    await disk.syncFolder(folder);
  }
}
