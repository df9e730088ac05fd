/** I24, I26: a snapshot in a separate process that uses the embedded log of its parent: every way in which that process can end. */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { packageVersion } from '../../cli/package-version.js';
import type { RunProgress } from '../../jobs/runs.js';
import { hasCode } from '../../runtime/process/errors.js';
import { childSettings } from '../../snapshotters/settings.js';
import { stopwordSettings } from '../../snapshotters/stopwords/settings.js';
import { Events } from '../support/publishing.js';
import { counting, openChildScene as sceneOf } from '../support/snapshots/child-scene.js';
import { faultsOf, keysOf, put, settingsIn } from '../support/snapshots/counted.js';
import { COUNTING_FILE } from '../support/snapshots/counting.js';

describe('the process of a snapshot', () => {
  test('captures through the lent log, and answers with a finished folder', async (t) => {
    const { log, run } = await sceneOf(t);
    await put(log, keysOf(30));
    const seen: RunProgress[] = [];
    const built = (await run({ onProgress: (progress) => seen.push(progress) }))!;
    assert.equal(built.records, 30);
    assert.equal((await readFile(join(built.folder, COUNTING_FILE), 'utf8')).split('\n').length, 31);
    assert.deepEqual(built.manifest.counts, { keys: 30, products: 30 });
    assert.equal(built.manifest.code_version, packageVersion());
    assert.equal(built.manifest.inputs.length, 2);
    assert.deepEqual(
      seen.filter(({ phase, done, total }) => phase === 'capture' && done === total).at(-1)?.total,
      built.manifest.inputs.reduce((sum, { from, to }) => sum + to - from, 0),
    );
    assert.ok(seen.some(({ phase }) => phase === 'build'));
  });

  test('of an empty topic makes what the snapshotter makes of nothing', async (t) => {
    const { run } = await sceneOf(t);
    assert.deepEqual((await run())?.manifest.counts, { keys: 0, products: 0 });
  });

  test('tells an error with its code', async (t) => {
    const { log, run } = await sceneOf(t);
    await put(log, ['!fail'], 1);
    await assert.rejects(run(), (error) => hasCode(error, 'invalid_data') && /nothing can be made/.test(String(error)));
  });

  for (const what of ['memory', 'buffers'])
    test(`that needs too much memory (${what}) ends alone, and says which setting to raise`, async (t) => {
      const { log, run } = await sceneOf(t);
      await put(log, [`!${what}`], 1);
      await assert.rejects(
        run(),
        (error) => hasCode(error, 'settings') && /more memory than SNAPSHOT_MEMORY_MB=64/.test(String(error)),
      );
    });

  test('that ends without an answer says how', async (t) => {
    const { log, run } = await sceneOf(t);
    await put(log, ['!exit'], 1);
    await assert.rejects(run(), (error) => hasCode(error, 'internal') && /exit code 7/.test(String(error)));
  });

  test('stopped in the middle of a capture leaves a savepoint', async (t) => {
    const { log, run, runFolder } = await sceneOf(t);
    await put(log, keysOf(60));
    const stop = new AbortController();
    const held = faultsOf({ point: 'capture.read', passing: 3, does: 'hold' });
    const stopped = run({ execArgv: held, signal: stop.signal });
    await new Events().until('a savepoint', () => existsSync(join(runFolder, 'capture.savepoint')));
    stop.abort();
    assert.equal(await stopped, null);
    const counted = counting(log);
    assert.equal((await run({ log: counted.log }))!.records, 60);
    assert.ok(counted.read > 0 && counted.read < 60, `${counted.read} read again`);
  });

  test('that does not stop is killed', async (t) => {
    const { log, run } = await sceneOf(t);
    await put(log, keysOf(10));
    const stop = new AbortController();
    const stuck = faultsOf({ point: 'build.done', passing: 1, does: 'block', ms: 60_000 });
    const onProgress = ({ phase }: RunProgress) => phase === 'build' && stop.abort();
    assert.equal(await run({ execArgv: stuck, signal: stop.signal, stopMs: 200, onProgress }), null);
  });

  test('knows neither stores nor tokens', async (t) => {
    const { run, log } = await sceneOf(t);
    await put(log, keysOf(3));
    const given = settingsIn('/tmp/none', {
      DATABASE_URL: 'postgres://user:secret@db/freshet',
      REDIS_URL: 'redis://cache:6379',
      REDIS_PASSWORD: 'secret',
      API_TOKENS: JSON.stringify([{ sha256: 'a'.repeat(64), role: 'admin', tenant: 'one' }]),
    });
    const own = childSettings(given, [stopwordSettings]);
    assert.doesNotMatch(JSON.stringify(own), /secret|sha256|cache/);
    assert.ok('STOPWORDS_WORDS_MAX' in own && !('ALS_FACTORS' in own), 'only what this snapshot declares');
    if (process.platform !== 'linux') return;
    let environment = '';
    process.env['FRESHET_TEST_SECRET'] = 'secret';
    t.after(() => delete process.env['FRESHET_TEST_SECRET']);
    const onProgress = () => {
      for (const pid of readFileSync(`/proc/self/task/${process.pid}/children`, 'utf8').trim().split(' '))
        environment += readFileSync(`/proc/${pid}/environ`, 'utf8');
    };
    await run({ onProgress });
    assert.match(environment, /NODE_CHANNEL_FD/);
    assert.doesNotMatch(environment, /secret/);
  });
});
