/**
 * The processes that use a data folder, whether or not one of them holds it: each leaves a file that says what it does
 * and where it listens. The file of a process that has died is removed by whoever finds it.
 */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { livenessOf, ownIdentity, processIdentity } from './process-identity.js';

const presence = z.object({
  ...processIdentity.shape,
  since: z.string(),
  roles: z.array(z.string()),
  address: z.string().nullable(),
  /** For commands on this machine, if tokens are required. */
  token: z.string().optional(),
});

export type Presence = z.infer<typeof presence>;

const FOLDER = 'processes';

/** Call it for a folder that exists. Returns the function that removes the file again. Errors: those of the disk. */
export async function announcePresence(
  dataFolder: string,
  what: Pick<Presence, 'roles' | 'address' | 'token'>,
): Promise<() => Promise<void>> {
  const folder = join(dataFolder, FOLDER);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const path = join(folder, `${process.pid}-${randomBytes(4).toString('hex')}.json`);
  const record: Presence = { ...ownIdentity(), since: new Date().toISOString(), ...what };
  await writeFile(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
  await rename(`${path}.new`, path);
  return () => rm(path, { force: true });
}

/** The living processes, oldest first; those in other containers count as living. */
export async function presentIn(dataFolder: string): Promise<Presence[]> {
  const folder = join(dataFolder, FOLDER);
  const names = await readdir(folder).catch(() => []);
  const found: Presence[] = [];
  for (const name of names.filter((one) => one.endsWith('.json'))) {
    const record = await read(join(folder, name));
    if (record === null) continue;
    if (livenessOf(record) === 'dead') await rm(join(folder, name), { force: true });
    else found.push(record);
  }
  return found.sort((a, b) => a.since.localeCompare(b.since));
}

/** Null if it has gone, or is not one of ours. */
async function read(path: string): Promise<Presence | null> {
  try {
    return presence.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return null;
  }
}
