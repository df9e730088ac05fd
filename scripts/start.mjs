#!/usr/bin/env node
/**
 * `npm start`: installs and compiles what is missing, then runs `freshet up --demo` with the arguments given. In this
 * very process, so that signals need no passing on and nothing is left behind when it is killed.
 */
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { prepare, root } from './prepare.mjs';

prepare();
const { runProcess } = await import(pathToFileURL(join(root, 'dist', 'cli', 'main.js')).href);
await runProcess(['up', '--demo', ...process.argv.slice(2)]);
