#!/usr/bin/env node
/** `npm run bench`: installs and compiles what is missing, then measures. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fail, prepare, root } from './prepare.mjs';

prepare();
const program = join(root, 'dist', 'test', 'bench', 'main.js');
if (!existsSync(program)) fail('The benchmarks are only available in a source checkout.');
// In a new process, so that nothing the compiler left behind affects the measurement.
const { status, signal } = spawnSync(process.execPath, [program, ...process.argv.slice(2)], {
  cwd: root,
  stdio: 'inherit',
});
process.exit(signal === null ? (status ?? 1) : 1);
