#!/usr/bin/env node
/**
 * `npm run setup:native [-- --require] [--cached]`: installs the native part of faiss-node, which npm does not install
 * (no dependency's install script runs here). It tries these in order until one succeeds:
 *
 *   an installed module that loads ► a copy of an earlier build in .cache ► the package's own prebuilt file ► a build
 *   with Debian's libfaiss-dev ► as root on Debian: apt-get install of libfaiss-dev, then the build ► a message that
 *   exact search is used
 *
 * It writes only to node_modules/faiss-node/build and .cache. `--require` makes the last case a failure. `--cached`
 * tries only the first two, for tests, which wait for neither a network nor a compiler.
 */
import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const faiss = packageFolder('faiss-node');
const required = process.argv.includes('--require');
const cachedOnly = process.argv.includes('--cached');
const DOWNLOAD_MS_MAX = 30_000;
const APT_MS_MAX = 300_000;
const BUILD_MS_MAX = 300_000;
const PACKAGES = ['libfaiss-dev', 'libopenblas-dev', 'g++'];
const FALLBACK =
  'Search uses the exact fallback: same results, but it compares with every product (fine up to about ten thousand).';

if (faiss === null) end(`faiss-node is not installed: npm i faiss-node@${versionNeeded()}.`);
const target = join(faiss, 'build', 'Release', 'faiss-node.node');
const binding = join(faiss, 'src', 'faiss.cc');
/** Our files, compiled with the binding; each replaces a slower part of the library. */
const ownFolder = join(root, 'scripts', 'native');
/** Included before the binding. */
const typed = join(ownFolder, 'faiss-typed.h');
const distances = join(ownFolder, 'faiss-distances.cc');
const graphs = join(ownFolder, 'faiss-hnsw.cc');
/** The only version of FAISS whose graphs they match. */
const GRAPHS_FOR = '1.7.3';
const key = cacheKey();
const cached = join(root, '.cache', 'faiss-node', key, 'faiss-node.node');
/** Next to a module that was built here: the key of its sources. */
const stamp = join(dirname(target), 'built-of');

if ((isCurrent() || cachedOnly) && loads()) done('is already installed');
if (existsSync(cached)) {
  place(cached);
  if (loads()) done('was copied from .cache');
  rmSync(dirname(cached), { recursive: true });
  unplace();
}
if (cachedOnly) end('There is no native module, and no copy in .cache.');
if (!existsSync(target) && downloaded()) done('was downloaded prebuilt');
if (process.platform !== 'linux')
  end(`No prebuilt module is available, and this script can build one only on Debian, not on ${process.platform}.`);
let problem = build();
if (problem !== null && installLibraries()) problem = build();
if (problem === null) done("was built with this system's libfaiss");
if (loads()) done('is already installed, from an older build');
end(`The native module could be neither downloaded nor built (${problem}).`);

/** Whether the installed module was built from the current sources, or not by this script at all. */
function isCurrent() {
  return !existsSync(stamp) || readFileSync(stamp, 'utf8') === key;
}

/** Runs in another process, because a module for another machine may crash it. Also checks a few results. */
function loads() {
  if (!existsSync(target)) return false;
  const script = `
    const { Index } = require(${JSON.stringify(faiss)});
    const index = Index.fromFactory(8, 'Flat', 0);
    const rows = Array.from({ length: 64 * 8 }, (_, i) => Math.sin(i + 1));
    index.add(rows);
    const { labels } = index.search(rows, 1);
    const best = (q) => {
      let at = 0;
      let most = -Infinity;
      for (let row = 0; row < 64; row++) {
        let sum = 0;
        for (let i = 0; i < 8; i++) sum += rows[q * 8 + i] * rows[row * 8 + i];
        if (sum > most) [at, most] = [row, sum];
      }
      return at;
    };
    process.exit(labels.every((label, q) => label === best(q)) ? 0 : 1);`;
  return spawnSync(process.execPath, ['-e', script], { stdio: 'ignore', timeout: 60_000 }).status === 0;
}

function downloaded() {
  const tool = packageFolder('prebuild-install');
  if (tool === null) return false;
  say('Looking for a prebuilt module ...');
  const { status } = spawnSync(process.execPath, [join(tool, 'bin.js'), '--runtime', 'napi'], {
    cwd: faiss,
    stdio: 'ignore',
    timeout: DOWNLOAD_MS_MAX,
  });
  if (status === 0 && loads()) return true;
  say(status === 0 ? 'It was downloaded, but does not run here.' : 'None could be downloaded.');
  unplace();
  return false;
}

/** Null when it was built and loads, else the reason. */
function build() {
  const problem = missing();
  if (problem !== null) return problem;
  say('Building the module with libfaiss-dev ...');
  const folder = join(dirname(dirname(cached)), `build-${randomBytes(4).toString('hex')}`);
  mkdirSync(folder, { recursive: true });
  try {
    const shared = ['-std=c++17', '-fPIC', '-fopenmp'];
    const headers = [nodeHeaders(), packageFolder('node-addon-api')].map((path) => `-I${path}`);
    const defines = ['-DNAPI_VERSION=6', '-DNODE_GYP_MODULE_NAME=faiss_node'];
    if (!typeIsThere()) defines.push('-DFAISS_TYPE_IN_INDEX');
    const freely = [
      '-O3',
      '-fassociative-math',
      '-fno-signed-zeros',
      '-fno-trapping-math',
      '-fno-math-errno',
      '-Wno-psabi',
    ];
    const parts = [
      [binding, ['-O2', ...defines, ...headers, '-include', typed]],
      [distances, freely],
      ...(faissVersion().join('.') === GRAPHS_FOR ? [[graphs, freely]] : []),
    ];
    const objects = [];
    for (const [source, flags] of parts) {
      objects.push(join(folder, `${basename(source)}.o`));
      const failed = compiler([...shared, ...flags, '-c', source, '-o', objects.at(-1)]);
      if (failed !== null) return failed;
    }
    const result = join(folder, 'faiss-node.node');
    const failed = link(objects, result);
    if (failed !== null) return failed;
    for (const old of readdirSync(dirname(dirname(cached))))
      if (!old.startsWith('build-')) rmSync(join(dirname(dirname(cached)), old), { recursive: true, force: true });
    mkdirSync(dirname(cached), { recursive: true });
    renameSync(result, cached);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  place(cached);
  if (loads()) return null;
  unplace();
  rmSync(dirname(cached), { recursive: true });
  return 'the built module does not load, or computes wrong results';
}

function link(objects, result) {
  // Our objects come first, so that the linker takes them.
  const libraries = ['-lfaiss', '-lopenblas', '-lgomp'];
  return compiler(['-shared', '-fopenmp', ...objects, '-Wl,--allow-multiple-definition', ...libraries, '-o', result]);
}

/** FAISS before 1.7.4 declares idx_t only inside its Index. */
function typeIsThere() {
  const [major, minor, patch] = faissVersion();
  return major > 1 || minor > 7 || (minor === 7 && patch >= 4);
}

function faissVersion() {
  const header = readFileSync(faissHeader(), 'utf8');
  return ['MAJOR', 'MINOR', 'PATCH'].map((part) => Number(header.match(`FAISS_VERSION_${part} (\\d+)`)?.[1] ?? 0));
}

function faissHeader() {
  return ['/usr/include/faiss/Index.h', '/usr/local/include/faiss/Index.h'].find((path) => existsSync(path)) ?? null;
}

function missing() {
  if (faissHeader() === null) return 'libfaiss-dev is not installed';
  if (spawnSync('g++', ['--version'], { stdio: 'ignore' }).status !== 0) return 'g++ is not installed';
  if (nodeHeaders() === null) return "Node's own headers are not installed";
  if (packageFolder('node-addon-api') === null) return 'the package node-addon-api is not installed';
  return null;
}

function nodeHeaders() {
  const folders = [join(dirname(dirname(process.execPath)), 'include', 'node'), '/usr/include/node'];
  return folders.find((path) => existsSync(join(path, 'node_api.h'))) ?? null;
}

/** Null, or the compiler's first error. */
function compiler(args) {
  const { status, error, stderr } = spawnSync('g++', args, { encoding: 'utf8', timeout: BUILD_MS_MAX });
  if (status === 0) return null;
  const lines = (stderr ?? '').trim().split('\n');
  return `g++: ${error?.message ?? lines.find((line) => line.includes('error')) ?? lines.at(-1)}`;
}

function installLibraries() {
  if (process.getuid?.() !== 0 || !existsSync('/etc/debian_version')) return false;
  say(`Installing ${PACKAGES.join(', ')} with apt-get ...`);
  const apt = (...args) =>
    spawnSync('apt-get', ['-qq', ...args], {
      stdio: ['ignore', 'ignore', 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      timeout: APT_MS_MAX,
    }).status === 0;
  const install = () => apt('install', '-y', '--no-install-recommends', ...PACKAGES);
  // The package lists may be missing or out of date.
  return install() || (apt('update') && install());
}

/** Depends on everything that determines a build. */
function cacheKey() {
  const hash = createHash('sha256');
  for (const file of [binding, typed, distances, graphs]) if (existsSync(file)) hash.update(readFileSync(file));
  hash.update(build.toString());
  return `${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 12)}`;
}

/** Another process may do the same at this moment, so the file appears complete or not at all. */
function place(file) {
  mkdirSync(dirname(target), { recursive: true });
  const aside = `${target}.${process.pid}`;
  copyFileSync(file, aside);
  renameSync(aside, target);
  writeFileSync(stamp, key);
}

function unplace() {
  rmSync(join(faiss, 'build'), { recursive: true, force: true });
}

/** Where a package is: in our node_modules, or higher up if we are installed as a package ourselves. */
function packageFolder(name) {
  for (let folder = root; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(found)) return found;
    if (folder === dirname(folder)) return null;
  }
}

function versionNeeded() {
  return JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).peerDependencies['faiss-node'];
}

function say(line) {
  process.stderr.write(`${line}\n`);
}

function done(how) {
  say(`The native module of FAISS ${how}: flat, HNSW and IVF indexes can be built and searched.`);
  process.exit(0);
}

function end(sentence) {
  say(required ? `error: ${sentence}` : `${sentence} ${FALLBACK}`);
  process.exit(required ? 1 : 0);
}
