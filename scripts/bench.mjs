#!/usr/bin/env node
/** `npm run bench`: installs and compiles what is missing, then measures. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail, prepare, root } from './prepare.mjs';

prepare();
const program = join(root, 'dist', 'test', 'bench', 'main.js');
if (!existsSync(program)) fail('The benchmarks are only in a checkout of the sources.');
// A process of its own: what is measured should not share it with the compiler's leftovers.
const { status, signal } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(signal === null ? (status ?? 1) : 1);
