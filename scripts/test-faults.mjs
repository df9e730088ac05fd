#!/usr/bin/env node
/**
 * `npm run test:faults [-- <part of a name> ...]`: breaks the engine on real servers, one fault at a time, each
 * file separately, and prints a table of the faults and what independent checkers found.
 *
 *   npm run test:faults                                   everything in full: about an hour, more than a thousand kills
 *   npm run test:faults -- many-kills --seed 7            one fault, with the same seed
 *   npm run test:faults -- --sample --seed 7              a sample that the seed chooses, within eight minutes
 *   npm run test:faults -- --sample --json faults.json    the results as JSON too
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { fail, isCheckout, prepare, root } from './prepare.mjs';

/** Seconds that a file takes in a sample, if not DEFAULT_COST_S. */
const COST_S = {
  'checkpoint-cut-in-half': 35,
  'clock-jump': 40,
  'compacted-holes': 45,
  'disk-wiped': 80,
  'event-loop-block': 30,
  'kill-between-checkpoint-steps': 20,
  'kill-between-commit-steps': 25,
  'kill-between-restore-steps': 50,
  'many-kills': 50,
  'million-interactions': 50,
  'one-member-lost': 30,
  'rebalance-storm': 50,
  'retention-passed-the-marker': 35,
  'sigstop-past-session': 40,
  'snapshot-child-killed': 20,
  'snapshot-worker-killed': 30,
  'versions-crash-between-steps': 30,
  'versions-race': 30,
};
const DEFAULT_COST_S = 20;
/** Total cost of the files in a sample, and how long it may take on any machine: files that do not fit are left out. */
const SAMPLE_S = 360;
const SAMPLE_S_MAX = 480;
/** A file that hangs must not block the others for ever. In full, a thousand kills take a long time. */
const FILE_MS_MAX = { sample: 300_000, full: 150 * 60_000 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    sample: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    json: { type: 'string' },
  },
});
const seed = Number(values.seed);
if (!Number.isSafeInteger(seed) || seed < 0) fail(`--seed must be a whole number, 0 or more, not ${values.seed}.`, 2);

prepare();
if (!isCheckout()) fail('Tests are only available in a source checkout.');
const folder = join(root, 'dist', 'test', 'faults');
const size = values.sample ? 'sample' : 'full';
const names = chosen(all());
console.log(`Seed ${seed}, ${size}: ${names.join(', ')}\n`);

const results = [];
const leftOut = [];
const startedAt = performance.now();
for (const name of names) {
  const endS = (performance.now() - startedAt) / 1000 + costOf(name);
  if (values.sample && results.length > 0 && endS > SAMPLE_S_MAX) leftOut.push(name);
  else results.push(await run(name));
}
const { faultTable } = await import(pathToFileURL(join(folder, 'harness', 'table.js')).href);
console.log(`\n${faultTable(results)}`);
if (leftOut.length > 0) console.log(`\nNot run for lack of time: ${leftOut.join(', ')}.`);
const again = ['npm run test:faults --', ...(values.sample ? ['--sample'] : []), `--seed ${seed}`];
console.log(`\nTo repeat: ${[...again, ...positionals].join(' ')}`);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ seed, size, results }, null, 2)}\n`);
process.exit(results.every(({ passed }) => passed) ? 0 : 1);

function all() {
  const files = existsSync(folder) ? readdirSync(folder) : [];
  return files.filter((file) => file.endsWith('.test.js')).map((file) => basename(file, '.test.js'));
}

function chosen(names) {
  if (positionals.length > 0) {
    for (const wanted of positionals)
      if (!names.some((name) => name.includes(wanted)))
        fail(`No fault test matches ${wanted}. The fault tests are ${names.join(', ')}.`, 2);
    return names.filter((name) => positionals.some((wanted) => name.includes(wanted)));
  }
  return values.sample ? sample(names) : names;
}

/** Shuffles the files and takes those that still fit. */
function sample(names) {
  const shuffled = names.toSorted((a, b) => rank(a) - rank(b));
  let left = SAMPLE_S;
  return shuffled.filter((name) => {
    if (costOf(name) > left) return false;
    left -= costOf(name);
    return true;
  });
}

function costOf(name) {
  return COST_S[name] ?? DEFAULT_COST_S;
}

/** A number that depends only on the seed and the name (FNV-1a). */
function rank(name) {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(`${seed}/${name}`)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d) >>> 0;
}

/** Runs each file in a separate process: whatever a fault leaves behind must not affect the next one. */
async function run(name) {
  const aside = mkdtempSync(join(tmpdir(), 'freshet-fault-rows-'));
  const rows = join(aside, 'rows.jsonl');
  const started = performance.now();
  const test = spawn(
    process.execPath,
    ['--test', '--test-reporter=spec', `--test-timeout=${FILE_MS_MAX[size]}`, join(folder, `${name}.test.js`)],
    {
      cwd: root,
      env: { ...process.env, FAULT_SEED: String(seed), FAULT_SIZE: size, FAULT_REPORT_FILE: rows },
      stdio: 'inherit',
    },
  );
  // Ctrl-C reaches the child directly.
  const end = () => {
    test.kill('SIGTERM');
    process.exit(143);
  };
  process.once('SIGTERM', end);
  const code = await new Promise((resolve) => test.on('exit', resolve));
  process.off('SIGTERM', end);
  const lines = existsSync(rows) ? readFileSync(rows, 'utf8').split('\n').filter(Boolean) : [];
  rmSync(aside, { recursive: true, force: true });
  return {
    name,
    passed: code === 0,
    seconds: (performance.now() - started) / 1000,
    rows: lines.map((line) => JSON.parse(line)),
  };
}
