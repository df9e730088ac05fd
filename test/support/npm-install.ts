/** A package as npm installs it: packed, then installed into an empty project, without a compiler or install scripts. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { begin, run } from './example.js';

/** How to reach the registry; the rest of the environment is that of an ordinary shell. */
const REACHING = /^(npm_config_(registry|cache|userconfig|cafile)|(https?|no)_proxy|node_extra_ca_certs)$/i;
/** npm's codes for a registry that cannot be reached. */
const UNREACHABLE = /code (ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|ENOTCACHED)\b/;
const INSTALL_MS_MAX = 240_000;

/** Null: it is installed in `project`. A string: the registry cannot be reached. */
export async function npmInstall(packageFolder: string, project: string): Promise<string | null> {
  await mkdir(project, { recursive: true });
  await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'shop', private: true, type: 'module' }));
  const settings = Object.fromEntries(Object.entries(process.env).filter(([name]) => REACHING.test(name))) as Record<
    string,
    string
  >;
  const packed = await run('npm', ['pack', '--json', '--ignore-scripts', packageFolder], { folder: project });
  const [{ filename }] = JSON.parse(packed) as [{ filename: string }];
  const args = ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', `./${filename}`];
  const { code, output, errors } = await begin('npm', args, { folder: project, settings, limitMs: INSTALL_MS_MAX })
    .ended;
  if (code === 0) return null;
  const why = UNREACHABLE.exec(errors);
  if (why !== null) return `the npm registry cannot be reached (${why[1]})`;
  throw new Error(`npm ${args.join(' ')} ended with ${code}:\n${output}\n${errors}`);
}

/** The packages in a project's node_modules, from npm's own record. */
export async function installedPackages(project: string): Promise<readonly string[]> {
  const text = await readFile(join(project, 'node_modules', '.package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as { packages: Record<string, unknown> };
  return Object.keys(packages).map((path) => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length));
}

/** What a folder takes on disk, in MB, as du counts it. */
export async function megabytes(folder: string): Promise<number> {
  return Number.parseInt(await run('du', ['-sm', folder]), 10);
}
