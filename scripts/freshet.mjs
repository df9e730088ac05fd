#!/usr/bin/env node
/** The command `freshet`. In a checkout it first installs and compiles whatever is missing or stale. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail, prepare, root } from './prepare.mjs';

prepare();
const program = join(root, 'dist', 'cli', 'main.js');
if (!existsSync(program)) fail(`${program} is missing: the installation is incomplete.`);
const { runProcess } = await import(pathToFileURL(program).href);
await runProcess(process.argv.slice(2));
