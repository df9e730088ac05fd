/** Debian packages as sources of real text: fetched and unpacked once into .cache, never committed. */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../../schemas/project-root.js';

const run = promisify(execFile);
const FOLDER = join(projectRoot, '.cache', 'stopwords');

/** The package's files; null, with a message to `say`, if not available (no Debian, no mirror, no such package). */
export async function unpackedPackage(name: string, say: (line: string) => void): Promise<string | null> {
  const folder = join(FOLDER, name);
  if (await exists(folder)) return folder;
  await mkdir(FOLDER, { recursive: true });
  const work = await mkdtemp(join(FOLDER, '.work-'));
  try {
    await run('apt-get', ['download', '-qq', name], { cwd: work });
    const file = (await readdir(work)).find((entry) => entry.endsWith('.deb'));
    if (file === undefined) throw new Error('nothing was downloaded');
    await run('dpkg-deb', ['-x', join(work, file), join(work, 'files')]);
    await rename(join(work, 'files'), folder);
    return folder;
  } catch (error) {
    const reason = error instanceof Error ? error.message.trim().split('\n').at(-1) : String(error);
    say(`${name} is not available: ${reason}`);
    return null;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Paths of all regular files under a folder, in order. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
