/** `freshet reset`: empties the data folder. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { DATA_FOLDER_OWN_FILES, isDataFolder, openDataFolder } from '../runtime/process/data-folder.js';
import { FreshetError } from '../runtime/process/errors.js';
import { removePrivateStores } from '../runtime/stores/open-stores.js';
import { confirm } from './confirm.js';
import type { Shell } from './shell.js';

interface ResetOptions {
  readonly yes?: true;
  readonly json?: true;
}

export function resetCommand(shell: Shell): Command {
  return new Command('reset')
    .summary('delete everything in the data folder')
    .description(
      'Deletes everything in the data folder (FRESHET_DATA_DIR): the log on disk, private stores, checkpoints, artefacts. Kafka, and Redis and Postgres given by their URLs, are left alone.',
    )
    .option('--yes', 'do not ask')
    .option('--json', 'print the result as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet reset --yes')
    .action((options: ResetOptions) => reset(shell, options));
}

async function reset(shell: Shell, options: ResetOptions): Promise<void> {
  const path = shell.settings.FRESHET_DATA_DIR;
  const names = await contentsOf(path);
  if (names.length === 0) {
    await report(shell, options, path, []);
    return;
  }
  if (!(await isDataFolder(path)))
    throw new FreshetError('settings', `${path} is not a Freshet data folder: nothing was deleted.`);
  if (!options.yes) await confirm(shell, `This deletes everything in ${path}`, 'Nothing was deleted.');
  const folder = await openDataFolder(path);
  try {
    await removePrivateStores(path, shell.logger);
    for (const name of names)
      if (!DATA_FOLDER_OWN_FILES.test(name)) await rm(join(path, name), { recursive: true, force: true });
  } finally {
    await folder.release();
  }
  await report(shell, options, path, names);
}

async function contentsOf(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function report(shell: Shell, options: ResetOptions, path: string, names: readonly string[]): Promise<void> {
  const deleted = names.filter((name) => !DATA_FOLDER_OWN_FILES.test(name));
  if (options.json) await shell.json({ path, deleted });
  else await shell.line(deleted.length === 0 ? `${path} was already empty.` : `${path} is empty now.`);
}
