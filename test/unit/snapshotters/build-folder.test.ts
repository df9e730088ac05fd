/** A finished folder is whole or not there, and says of every file what it is. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { hasCode } from '../../../runtime/process/errors.js';
import { type Built, beginAttempt, finishBuild, finishedBuild } from '../../../snapshotters/build-folder.js';
import type { BuildReport } from '../../../snapshotters/snapshotter.js';

const ABOUT = {
  artefact: 'stopwords',
  run_id: 'run',
  created_at: '2025-06-01T00:00:00.000Z',
  code_version: '1.0.0',
  inputs: [],
} as const;
const REPORT: BuildReport = {
  settings: {},
  counts: { words: 2 },
  figures: { spread: [1, 2] },
  files: ['words.jsonl'],
  checks: [],
  summary: ['two words'],
  result: { words_updated: 2 },
};
const TEXT = 'one\ntwo\n';

describe('a build folder', () => {
  let run: string;
  beforeEach(async () => {
    run = await mkdtemp(join(tmpdir(), 'freshet-build-'));
  });
  afterEach(() => rm(run, { recursive: true, force: true }));

  async function finish(report: BuildReport = REPORT): Promise<Built> {
    const { attempt, folder } = await beginAttempt(run);
    await writeFile(join(folder, 'words.jsonl'), TEXT);
    return finishBuild(run, attempt, ABOUT, report, 7);
  }

  test('is described by its manifest, and found again as it is', async () => {
    const built = await finish();
    const sha256 = createHash('sha256').update(TEXT).digest('hex');
    assert.deepEqual(built.manifest.files, [{ name: 'words.jsonl', bytes: TEXT.length, sha256 }]);
    assert.deepEqual(JSON.parse(await readFile(join(built.folder, 'manifest.json'), 'utf8')), built.manifest);
    assert.deepEqual((await readdir(built.folder)).sort(), ['manifest.json', 'words.jsonl']);
    assert.deepEqual(await finishedBuild(run, 'run'), built);
  });

  test('is not found by another run, nor when a byte is wrong, missing or too many', async () => {
    const { folder } = await finish();
    assert.equal(await finishedBuild(run, 'other'), null);
    const harms: readonly (() => Promise<void>)[] = [
      () => writeFile(join(folder, 'words.jsonl'), TEXT.replace('two', 'six')),
      () => appendFile(join(folder, 'words.jsonl'), 'three\n'),
      () => rm(join(folder, 'words.jsonl')),
      () => appendFile(join(folder, 'manifest.json'), ' '),
      () => writeFile(join(folder, '..', 'report.json'), '{"manifest"'),
      () => rm(folder, { recursive: true }),
    ];
    for (const harm of harms) {
      await finish();
      assert.notEqual(await finishedBuild(run, 'run'), null);
      await harm();
      assert.equal(await finishedBuild(run, 'run'), null);
    }
  });

  test('begins empty, and takes away what a former attempt left', async () => {
    const former = await beginAttempt(run);
    await writeFile(join(former.folder, 'half'), 'x');
    const { folder } = await beginAttempt(run);
    assert.deepEqual(await readdir(folder), []);
    assert.equal((await readdir(run)).length, 1);
    // A process that does not know yet that it is not wanted any more finishes nothing.
    await assert.rejects(finishBuild(run, former.attempt, ABOUT, REPORT, 0));
  });

  test('holds the files that the build names, and no others', async () => {
    const refused = (error: unknown) => hasCode(error, 'internal');
    await assert.rejects(finish({ ...REPORT, files: [] }), refused);
    await assert.rejects(finish({ ...REPORT, files: ['words.jsonl', 'more.jsonl'] }), refused);
    assert.equal(await finishedBuild(run, 'run'), null);
  });
});
