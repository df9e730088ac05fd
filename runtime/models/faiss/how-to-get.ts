/** How this installation gets FAISS's native module. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { optionalVersion } from '../../../schemas/optional-package.js';
import { projectRoot } from '../../../schemas/project-root.js';

/** A command. In a checkout the package is there, and only its native part may be missing. */
export function howToGetFaiss(): string {
  if (existsSync(join(projectRoot, 'tsconfig.json'))) return 'npm run setup:native';
  return `npm i faiss-node@${optionalVersion('faiss-node')} && node ${join(projectRoot, 'scripts', 'setup-native.mjs')}`;
}
