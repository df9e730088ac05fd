/** Checks of this machine: the data folder and the address to listen on. */
import { access, constants } from 'node:fs/promises';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { isDataFolder, readLock } from '../../runtime/process/data-folder.js';
import { messageOf } from '../../runtime/process/errors.js';
import { isLoopback } from '../../serving/access/hosts.js';
import type { Settings } from '../settings.js';
import { type Check, fail, ok, warn } from './check.js';

export async function checkDataFolder({ FRESHET_DATA_DIR: path }: Settings): Promise<readonly Check[]> {
  const holder = await readLock(path);
  if (holder !== null) {
    const where = holder.address === undefined ? '' : ` at ${holder.address}`;
    return [ok('data folder', `${path} is in use by the Freshet${where} (process ${holder.pid}).`)];
  }
  if (await isDataFolder(path)) return [await writable(path, path)];
  return [await writable(path, await existingParent(path))];
}

async function existingParent(path: string): Promise<string> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      await access(folder);
      return folder;
    } catch {
      if (dirname(folder) === folder) return folder;
    }
  }
}

async function writable(path: string, folder: string): Promise<Check> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
    return ok('data folder', folder === path ? `${path} is writable.` : `${path} will be created at the first start.`);
  } catch (error) {
    return fail(
      'data folder',
      `${path} is not writable: ${messageOf(error)}. Choose another folder with FRESHET_DATA_DIR.`,
    );
  }
}

export async function checkAddress(settings: Settings): Promise<readonly Check[]> {
  const { HOST, PORT, API_TOKENS, API_TOKENS_FILE, FRESHET_DATA_DIR } = settings;
  if (!isLoopback(HOST) && API_TOKENS === undefined && API_TOKENS_FILE === undefined)
    return [
      fail(
        'address',
        `HOST is ${HOST}, which others can reach, but no tokens are set: set API_TOKENS or API_TOKENS_FILE, or HOST=127.0.0.1.`,
      ),
    ];
  const holder = await readLock(FRESHET_DATA_DIR);
  if (holder?.address !== undefined) return [await askReady(holder.address)];
  const problem = await listenProblem(HOST, PORT);
  return [
    problem === null
      ? ok('address', `${HOST} port ${PORT} is free.`)
      : warn(
          'address',
          `${HOST} port ${PORT} is not available (${problem}): set PORT to a free one, or stop the process that uses it.`,
        ),
  ];
}

async function askReady(address: string): Promise<Check> {
  try {
    const response = await fetch(`${address}/health/ready`);
    if (response.ok) return ok('address', `The running Freshet at ${address} is ready.`);
    const body = (await response.json()) as { waiting?: string[] };
    return warn(
      'address',
      `The running Freshet at ${address} is not ready yet; it waits for ${(body.waiting ?? []).join(', ')}.`,
    );
  } catch (error) {
    return fail('address', `The running Freshet does not answer at ${address}: ${messageOf(error)}.`);
  }
}

function listenProblem(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port }, () => server.close(() => resolve(null)));
  });
}
