/** The snapshotters there are, by role; each is loaded where it runs. */
import type { Role } from '../runtime/process/settings.js';
import type { PlacedSnapshotter } from '../snapshotters/snapshot-job.js';
import type { Snapshotter } from '../snapshotters/snapshotter.js';

interface Known {
  readonly job: string;
  readonly role: Role;
  readonly module: URL;
}

const KNOWN: readonly Known[] = [
  {
    job: 'stopwords',
    role: 'snapshotter:stopwords',
    module: new URL('../snapshotters/stopwords/snapshotter.js', import.meta.url),
  },
  {
    job: 'faiss',
    role: 'snapshotter:faiss',
    module: new URL('../snapshotters/faiss/snapshotter.js', import.meta.url),
  },
  {
    job: 'als',
    role: 'snapshotter:als',
    module: new URL('../snapshotters/als/snapshotter.js', import.meta.url),
  },
];

/** Jobs that make versions. */
export const SNAPSHOT_JOBS: readonly string[] = KNOWN.map(({ job }) => job);

/** Those that run in a process with these roles. */
export function snapshottersOf(roles: readonly Role[]): Promise<PlacedSnapshotter[]> {
  return load(KNOWN.filter(({ role }) => roles.includes(role)));
}

/** The one that does a job. */
export async function snapshotterOf(job: string): Promise<PlacedSnapshotter> {
  const [found] = await load(KNOWN.filter((known) => known.job === job));
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
