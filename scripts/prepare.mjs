/**
 * Prepares every script: checks that Node is new enough, installs the dependencies and compiles the sources. It uses
 * plain Node, because nothing may be installed yet. npm's own hooks are off (ignore-scripts), so they cannot do this.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const stampFile = join(dist, '.built');
const NODE_NEEDED = [20, 18, 1];

/** Prints an error and ends the process. */
export function fail(sentence, code = 1) {
  process.stderr.write(`error: ${sentence}\n`);
  process.exit(code);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

/** True in a source checkout, false in an installed package. */
export function isCheckout() {
  return existsSync(join(root, 'tsconfig.json'));
}

/** Does everything that is needed before dist/ can run. */
export function prepare() {
  requireNode();
  if (!isCheckout()) return;
  install();
  build();
}

export function requireNode(version = process.versions.node) {
  const have = version.split('.').map(Number);
  for (let i = 0; i < NODE_NEEDED.length; i++) {
    if (have[i] > NODE_NEEDED[i]) return;
    if (have[i] < NODE_NEEDED[i])
      fail(
        `Freshet needs Node ${NODE_NEEDED.join('.')} or newer; this is Node ${version}. Get a newer one and try again.`,
      );
  }
}

function install() {
  const why = installProblem(readJson('package-lock.json'), readJson(join('node_modules', '.package-lock.json')));
  if (why === null) return;
  say(`Installing dependencies (${why}) ...`);
  const startedAt = Date.now();
  run(
    ...npm('ci'),
    'The dependencies could not be installed: see the output of npm above. This needs a connection to the npm registry, or a full npm cache; after that, Freshet works offline.',
  );
  say(`Installed in ${seconds(startedAt)} s.`);
}

/** Why node_modules does not match the lock file; null when it does. Packages of other platforms may be missing. */
export function installProblem(wanted, installed) {
  if (wanted === null) fail('package-lock.json is missing: this is not a complete checkout.');
  if (installed === null) return 'none are installed yet';
  for (const [path, { version, optional, devOptional }] of Object.entries(wanted.packages)) {
    if (path === '') continue;
    const found = installed.packages?.[path];
    if (found === undefined) {
      if (!optional && !devOptional) return `${path} is missing`;
    } else if (found.version !== version) {
      return `${path} has the wrong version`;
    }
  }
  return null;
}

/** The npm that called us, else the one in PATH. */
function npm(...args) {
  const caller = process.env.npm_execpath ?? '';
  return /npm-cli\.c?js$/.test(caller) ? [process.execPath, [caller, ...args]] : ['npm', args];
}

function build() {
  const sources = sourceFiles();
  const stamp = stampOf(sources);
  const outputs = new Set(sources.map(outputOf));
  const missing = sources.some((file) => !existsSync(outputOf(file)));
  if (!missing && existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp) return;
  say('Compiling ...');
  const startedAt = Date.now();
  rmSync(stampFile, { force: true });
  removeStale(dist, outputs);
  // The compiler's incremental state does not check that its outputs still exist.
  if (missing) rmSync(join(dist, '.tsbuildinfo'), { force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  run(process.execPath, [tsc, '-p', join(root, 'tsconfig.json')], 'The sources do not compile: see the errors above.');
  writeFileSync(stampFile, stamp);
  say(`Compiled in ${seconds(startedAt)} s.`);
}

/** TypeScript files of the folders that tsconfig.json includes, sorted. */
function sourceFiles() {
  const { include, exclude } = readJson('tsconfig.json');
  const excluded = new Set(exclude.map((folder) => join(root, folder)));
  const found = [];
  const walk = (folder) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (excluded.has(path)) continue;
      if (entry.isDirectory()) walk(path);
      else if (entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts')) found.push(path);
    }
  };
  for (const folder of include) if (existsSync(join(root, folder))) walk(join(root, folder));
  return found.sort();
}

function outputOf(source) {
  return join(dist, relative(root, source)).replace(/\.ts$/, '.js');
}

/** Changes when any source, the compiler settings or the dependencies change. */
function stampOf(sources) {
  const hash = createHash('sha256');
  for (const file of [...sources, join(root, 'tsconfig.json'), join(root, 'package-lock.json')]) {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${relative(root, file)} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

/** Deletes outputs without a source, so that removed code never runs. */
function removeStale(folder, outputs) {
  if (!existsSync(folder)) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      removeStale(path, outputs);
      if (readdirSync(path).length === 0) rmSync(path, { recursive: true });
    } else if (/\.(js|js\.map|d\.ts)$/.test(entry.name)) {
      if (!outputs.has(path.replace(/(\.js\.map|\.d\.ts|\.js)$/, '.js'))) rmSync(path);
    }
  }
}

/** A path relative to the checkout, with forward slashes. */
export function shownPath(path) {
  return relative(root, path).split(sep).join('/');
}

function readJson(file) {
  const path = join(root, file);
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : null;
}

/** Sends all output to standard error: standard output belongs to the command that runs afterwards. */
function run(command, args, sentence) {
  const { status, error } = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
  });
  if (error !== undefined) fail(`${sentence} (${error.message})`);
  if (status !== 0) fail(sentence);
}

function seconds(startedAt) {
  return ((Date.now() - startedAt) / 1000).toFixed(1);
}
