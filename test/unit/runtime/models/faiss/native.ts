/** Whether this machine has FAISS's native module; a copy of an earlier build comes from .cache, nothing is built. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { projectRoot } from '../../../../../schemas/project-root.js';

const { status, stderr } = spawnSync(
  process.execPath,
  [join(projectRoot, 'scripts', 'setup-native.mjs'), '--cached', '--require'],
  { encoding: 'utf8' },
);

export const hasNative = status === 0;

/** For the `skip` of tests that need the module: false, or the sentence to print instead. */
export const withoutNative: false | string = hasNative
  ? false
  : `${stderr.trim().split('\n').at(-1)?.replace('error: ', '')} "npm run setup:native" brings it.`;

/** The engines that can be tested here. */
export const ENGINES = hasNative ? (['exact', 'native'] as const) : (['exact'] as const);
