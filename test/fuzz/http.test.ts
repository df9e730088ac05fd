/**
 * The HTTP interface of a whole Freshet under requests that schemathesis makes from its own description: no answer is a
 * server error. Bounded by time, the same requests in every run.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { projectRoot } from '../../schemas/project-root.js';
import { EmbeddedScene } from '../faults/harness/embedded-scene.js';
import { PYTHON_SETTINGS, pythonPackages } from '../support/python.js';

const FOLDER = join(projectRoot, 'test', 'fuzz');
/** FUZZ_SECONDS=600 looks further. */
const SECONDS = Number(process.env['FUZZ_SECONDS'] ?? 30);
const CASES_MIN = 300;
const run = promisify(execFile);

test('no request that fits the description, or nearly does, ends in a server error', {
  timeout: (SECONDS + 240) * 1000,
}, async (t) => {
  const packages = await pythonPackages(join(FOLDER, 'requirements.txt'));
  if ('missing' in packages) {
    assert.ok(process.env['REQUIRE_REAL'] === undefined, packages.missing);
    return t.skip(packages.missing);
  }
  const scene = await EmbeddedScene.open(t);
  await scene.deployment.start();
  await scene.send(500);
  const options = [
    ...['-m', 'schemathesis.cli', '--config-file', join(FOLDER, 'schemathesis.toml')],
    ...['run', `${scene.deployment.address}/openapi.json`, '--checks', 'not_a_server_error'],
    ...['--phases', 'coverage,fuzzing', '--seed', '1', '--generation-deterministic', '--no-color'],
    ...['--max-time', String(SECONDS), '--max-examples', '50', '--warnings', 'off'],
  ];
  const env = { ...process.env, ...PYTHON_SETTINGS, PYTHONPATH: packages.path };
  const { stdout } = await run('python3', options, { env, cwd: scene.folder, maxBuffer: 2 ** 26 }).catch(
    (error: { stdout?: string; stderr?: string }) =>
      assert.fail(`${error.stdout ?? ''}\n${error.stderr ?? String(error)}`),
  );
  const cases = Number(/([\d,]+) (?:test cases )?generated/.exec(stdout)?.[1]?.replaceAll(',', ''));
  assert.ok(cases >= CASES_MIN, stdout);
  console.log(`${cases} requests`);
  // It still answers, and what it serves is right.
  await scene.verify();
});
