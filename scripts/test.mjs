#!/usr/bin/env node
/**
 * `npm test [-- <suite, path or part of a name> ...]`: installs and compiles what is missing, starts the real services
 * once for the whole run, then passes the files to Node's test runner, which prints its summary last.
 *
 *   npm test -- unit            npm test -- test/unit/cli            npm test -- settings --test-name-pattern=secret
 */
import { spawn } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { fail, isCheckout, prepare, root, shownPath } from './prepare.mjs';

const tests = join(root, 'dist', 'test');
/** The rest of test/ is support code, benchmarks or data. */
const SUITES = ['tidy', 'unit', 'conformance', 'integration', 'faults', 'examples', 'fuzz'];
/** Run only if they are named; `npm run test:faults` runs the faults and prints a table. */
const ON_DEMAND = ['faults', 'fuzz'];
const SUITES_ON_SERVICES = ['conformance', 'integration', 'faults', 'examples'];
const CONCURRENCY = 2;
/** A file that hangs must not block the others for ever. */
const FILE_TIMEOUT_MS = 300_000;
/** Names in the tests' environment. They differ from the settings, so that processes started by a test ignore them. */
const NAMES = { kafka: 'TEST_KAFKA_BROKERS', redis: 'TEST_REDIS_URL', postgres: 'TEST_DATABASE_URL' };
/** The caller's settings must not reach the tests; services that they name are passed on under the names above. */
const SETTINGS =
  /^(FRESHET_|KAFKA_|REDIS_|SCHEMA_REGISTRY_|API_TOKENS|DATABASE_URL$|ARTIFACTS_DIR$|HOST$|PORT$|LOG_LEVEL$)/;

prepare();
if (!isCheckout()) fail('Tests are only available in a source checkout.');

const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = chooseFiles(wanted);
const needsServices = files.some((file) => SUITES_ON_SERVICES.some((suite) => file.startsWith(join(tests, suite))));
const services = needsServices ? await startServices() : { environment: {}, stop: async () => {} };
const code = await runTests(files, options, services.environment);
await services.stop();
process.exit(code);

function chooseFiles(wanted) {
  const filesOf = (suites) => suites.flatMap((suite) => testFiles(join(tests, suite)));
  if (wanted.length === 0) return filesOf(SUITES.filter((suite) => !ON_DEMAND.includes(suite)));
  const all = filesOf(SUITES);
  for (const one of wanted)
    if (!all.some((file) => matches(file, one)))
      fail(
        `No test matches ${one}. The suites are ${SUITES.filter((suite) => existsSync(join(tests, suite))).join(', ')}.`,
        2,
      );
  return all.filter((file) => wanted.some((one) => matches(file, one)));
}

function testFiles(folder) {
  if (!existsSync(folder)) return [];
  const found = [];
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) found.push(...testFiles(path));
    else if (entry.name.endsWith('.test.js')) found.push(path);
  }
  return found.sort();
}

/** `wanted` is the name of a suite, the path of a source or compiled file, or any part of the path under test/. */
function matches(file, wanted) {
  const below = shownPath(file).slice('dist/test/'.length);
  if (SUITES.includes(wanted)) return below.startsWith(`${wanted}/`);
  const part = wanted
    .replaceAll('\\', '/')
    .replace(/^(\.\/)?(dist\/)?test\//, '')
    .replace(/\.ts$/, '.js');
  return part === '' || below.includes(part);
}

/** Starts the available services; each prints where it comes from. Without one, tests use the built-in substitute. */
async function startServices() {
  const required = (process.env.REQUIRE_REAL ?? '').split(',').map((name) => name.trim());
  const running = [];
  const environment = {};
  const stop = async () => {
    await Promise.allSettled(running.map((service) => service.stop()));
  };
  const starting = Object.keys(NAMES).map(async (name) => {
    const service = await startService(name, required.includes(name));
    if (service === null) return;
    running.push(service);
    environment[NAMES[name]] = service.brokers ?? service.url;
  });
  for (const result of await Promise.allSettled(starting)) {
    if (result.status === 'fulfilled') continue;
    await stop();
    fail(result.reason.message);
  }
  return { environment, stop };
}

async function startService(name, isRequired) {
  const load = (file) => import(pathToFileURL(join(tests, 'support', 'services', `${file}.js`)).href);
  if (name === 'redis') return (await load('redis')).startRedis();
  if (name === 'postgres') return (await load('postgres')).startPostgres();
  try {
    return await (await load('kafka')).startKafka();
  } catch (error) {
    if (isRequired) throw error;
    console.log(`kafka: none, the embedded log is used instead (${error.message})`);
    return null;
  }
}

function runTests(files, options, environment) {
  const own = Object.fromEntries(Object.entries(process.env).filter(([name]) => !SETTINGS.test(name)));
  const runner = spawn(
    process.execPath,
    [
      '--test',
      '--test-reporter=spec',
      `--test-concurrency=${CONCURRENCY}`,
      `--test-timeout=${FILE_TIMEOUT_MS}`,
      ...options,
      ...files,
    ],
    { cwd: root, env: { ...own, ...environment }, stdio: 'inherit' },
  );
  // Ctrl-C reaches the runner too; this process keeps running to stop the services.
  process.on('SIGINT', () => {});
  process.on('SIGTERM', () => runner.kill('SIGTERM'));
  return new Promise((resolve) => {
    runner.on('error', (error) => fail(`Node's test runner cannot be started: ${error.message}`));
    runner.on('exit', (status) => resolve(status ?? 1));
  });
}
