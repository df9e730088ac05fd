/** All snapshotters, with their settings; each is loaded only where it runs. */
import { alsSettings } from '../snapshotters/als/settings.js';
import { faissSettings } from '../snapshotters/faiss/settings.js';
import type { PlacedSnapshotter } from '../snapshotters/snapshot-job.js';
import type { Snapshotter } from '../snapshotters/snapshotter.js';
import { stopwordSettings } from '../snapshotters/stopwords/settings.js';

export const SNAPSHOTTERS = [
  {
    job: 'stopwords',
    settings: stopwordSettings,
    module: new URL('../snapshotters/stopwords/snapshotter.js', import.meta.url),
  },
  {
    job: 'faiss',
    settings: faissSettings,
    module: new URL('../snapshotters/faiss/snapshotter.js', import.meta.url),
  },
  {
    job: 'als',
    settings: alsSettings,
    module: new URL('../snapshotters/als/snapshotter.js', import.meta.url),
  },
] as const;

type Known = (typeof SNAPSHOTTERS)[number];
export type SnapshotterRole = `snapshotter:${Known['job']}`;

/** Jobs that make versions. */
export const SNAPSHOT_JOBS: readonly string[] = SNAPSHOTTERS.map(({ job }) => job);

export function roleOf({ job }: Known): SnapshotterRole {
  return `snapshotter:${job}`;
}

/** The snapshotters of a process with these roles. */
export function snapshottersOf(roles: readonly string[]): Promise<PlacedSnapshotter[]> {
  return load(SNAPSHOTTERS.filter((known) => roles.includes(roleOf(known))));
}

/** The snapshotter of a job. */
export async function snapshotterOf(job: string): Promise<PlacedSnapshotter> {
  const [found] = await load(SNAPSHOTTERS.filter((known) => known.job === job));
  if (found === undefined) throw new Error(`no snapshotter does ${job}`);
  return found;
}

function load(known: readonly Known[]): Promise<PlacedSnapshotter[]> {
  return Promise.all(
    known.map(async ({ module }) => {
      const { snapshotter } = (await import(module.href)) as { readonly snapshotter: Snapshotter };
      return { snapshotter, module };
    }),
  );
}
