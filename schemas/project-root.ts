/** The package root. Compiled code runs in a sub-folder; data files (schemas, migrations, pages) do not move. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

function find(from: string): string {
  for (let folder = from; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json')) && existsSync(join(folder, 'schemas'))) return folder;
    if (dirname(folder) === folder) throw new Error(`no package.json above ${from}: the installation is incomplete`);
  }
}

export const projectRoot = find(dirname(fileURLToPath(import.meta.url)));
