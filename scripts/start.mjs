#!/usr/bin/env node
/**
 * `npm start`: installs and compiles what is missing, then runs `freshet up --demo` with the given arguments. It
 * runs in this process, so that signals need not be forwarded and nothing is left running when it is killed.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root } from './prepare.mjs';

prepare();
const { runProcess } = await import(pathToFileURL(join(root, 'dist', 'cli', 'main.js')).href);
await runProcess(['up', '--demo', ...process.argv.slice(2)]);
