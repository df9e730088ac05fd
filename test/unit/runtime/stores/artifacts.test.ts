import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { type ErrorCode, hasCode } from '../../../../runtime/process/errors.js';
import { Artifacts, type FileMark } from '../../../../runtime/stores/artifacts.js';

async function rooted(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-artifacts-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const made = async (name: string, files: Record<string, string>) => {
    await mkdir(join(folder, name), { recursive: true });
    for (const [file, text] of Object.entries(files)) await writeFile(join(folder, name, file), text);
    return join(folder, name);
  };
  return { folder, made, artifacts: new Artifacts(join(folder, 'artifacts')) };
}

function markOf(name: string, text: string): FileMark {
  return { name, bytes: Buffer.byteLength(text), sha256: createHash('sha256').update(text).digest('hex') };
}

async function linesOf(lines: AsyncIterable<readonly string[]>): Promise<string[]> {
  const all: string[] = [];
  for await (const some of lines) all.push(...some);
  return all;
}

const withCode = (code: ErrorCode) => (error: unknown) => hasCode(error, code);

describe('artefact folders', () => {
  test('take in a finished folder by one move, for their owner only', async (t) => {
    const { folder, made, artifacts } = await rooted(t);
    const from = await made('work', { 'a.txt': 'A', 'manifest.json': '{}' });
    await chmod(join(from, 'a.txt'), 0o666);
    assert.deepEqual(await artifacts.versions('stopwords'), []);
    assert.equal(await artifacts.has('stopwords', 3), false);
    await artifacts.adopt('stopwords', 3, from);
    assert.equal(await artifacts.has('stopwords', 3), true);
    const to = artifacts.folder('stopwords', 3);
    assert.equal(to, join(folder, 'artifacts', 'stopwords', 'v3'));
    for (const path of [join(folder, 'artifacts'), join(folder, 'artifacts', 'stopwords'), to])
      assert.equal((await stat(path)).mode & 0o777, 0o700, path);
    assert.equal((await stat(join(to, 'a.txt'))).mode & 0o777, 0o600);
    assert.equal(await readFile(join(to, 'a.txt'), 'utf8'), 'A');
    assert.equal(await artifacts.text('stopwords', 3, 'manifest.json'), '{}');
    await assert.rejects(artifacts.adopt('stopwords', 4, from), withCode('invalid_data'), 'it is gone');
    await assert.rejects(artifacts.adopt('stopwords', 3, await made('other', { b: 'B' })), withCode('state'));
    await artifacts.adopt('stopwords', 10, await made('third', { b: 'B' }));
    assert.deepEqual(await artifacts.versions('stopwords'), [3, 10]);
  });

  test('cannot be left by any name', async (t) => {
    const { folder, made, artifacts } = await rooted(t);
    await artifacts.adopt('stopwords', 1, await made('work', { a: 'A' }));
    await writeFile(join(folder, 'secret'), 'S');
    for (const name of ['..', '../secret', '/etc/passwd', '', '.', '.hidden', 'a/b', 'a\\b', 'a\0', 'x'.repeat(200)]) {
      await assert.rejects(artifacts.text('stopwords', 1, name), withCode('invalid_data'), name);
      assert.throws(() => artifacts.folder(name, 1), withCode('invalid_data'), name);
    }
    for (const version of [0, -1, 0.5, Number.NaN, 1e21])
      assert.throws(() => artifacts.folder('stopwords', version), withCode('invalid_data'));
    assert.throws(() => new Artifacts('relative'), withCode('settings'));
    // A link could lead anywhere, now or later.
    await symlink(join(folder, 'secret'), join(artifacts.folder('stopwords', 1), 'link'));
    await assert.rejects(artifacts.text('stopwords', 1, 'link'), withCode('unavailable'));
    const linked = await made('linked', { a: 'A' });
    await symlink(join(folder, 'secret'), join(linked, 'link'));
    await assert.rejects(artifacts.adopt('stopwords', 2, linked), withCode('invalid_data'));
    const nested = await made('nested', { a: 'A' });
    await mkdir(join(nested, 'deep'));
    await assert.rejects(artifacts.adopt('stopwords', 2, nested), withCode('invalid_data'));
    await symlink(linked, join(folder, 'alias'));
    await assert.rejects(artifacts.adopt('stopwords', 2, join(folder, 'alias')), withCode('invalid_data'));
  });

  test('are read line by line, wherever a chunk cuts a letter or a line', async (t) => {
    const { made, artifacts } = await rooted(t);
    const lines = Array.from({ length: 40_000 }, (_, i) => `字 é ${'x'.repeat(i % 31)}${i}`);
    const long = 'y'.repeat(700_000);
    const text = `${[...lines, long, 'last'].join('\n')}\n`;
    await artifacts.adopt('stopwords', 1, await made('work', { a: text, b: 'one\ntwo', empty: '' }));
    assert.deepEqual(await linesOf(artifacts.lines('stopwords', 1, markOf('a', text))), [...lines, long, 'last']);
    assert.deepEqual(await linesOf(artifacts.lines('stopwords', 1, markOf('b', 'one\ntwo'))), ['one', 'two']);
    assert.deepEqual(await linesOf(artifacts.lines('stopwords', 1, markOf('empty', ''))), []);
  });

  test('are refused when a file does not match its mark', async (t) => {
    const { made, artifacts } = await rooted(t);
    await artifacts.adopt('stopwords', 1, await made('work', { a: 'text', b: 'B' }));
    await artifacts.verify('stopwords', 1, [markOf('a', 'text'), markOf('b', 'B')]);
    for (const mark of [markOf('a', 'texts'), markOf('a', 'tex'), markOf('a', 'texT'), markOf('c', '')])
      await assert.rejects(artifacts.verify('stopwords', 1, [markOf('b', 'B'), mark]), withCode('invalid_data'));
    await assert.rejects(linesOf(artifacts.lines('stopwords', 1, markOf('a', 'texT'))), withCode('invalid_data'));
  });

  test('disappear by one move, and the remains of an interrupted removal with the next', async (t) => {
    const { folder, made, artifacts } = await rooted(t);
    await artifacts.adopt('stopwords', 1, await made('work', { a: 'A' }));
    const parent = join(folder, 'artifacts', 'stopwords');
    await mkdir(join(parent, '.removed-v9-abc'));
    assert.deepEqual(await artifacts.versions('stopwords'), [1]);
    await artifacts.remove('stopwords', 1);
    await artifacts.remove('stopwords', 1);
    assert.deepEqual(await readdir(parent), []);
    await artifacts.remove('faiss', 1);
  });
});
