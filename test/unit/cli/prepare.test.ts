import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';
import { projectRoot } from '../../../schemas/project-root.js';

interface Lock {
  readonly packages: Record<string, { version?: string; optional?: boolean }>;
}

interface Prepare {
  installProblem(wanted: Lock | null, installed: Lock | null): string | null;
}

const file = join(projectRoot, 'scripts', 'prepare.mjs');
const { installProblem } = (await import(pathToFileURL(file).href)) as Prepare;

describe('installProblem', () => {
  const wanted: Lock = {
    packages: {
      '': {},
      'node_modules/a': { version: '1.0.0' },
      'node_modules/b-linux': { version: '2.0.0', optional: true },
    },
  };
  const installed = (packages: Lock['packages']): Lock => ({ packages });

  it('accepts the same versions, also without optional ones', () => {
    assert.equal(installProblem(wanted, installed({ 'node_modules/a': { version: '1.0.0' } })), null);
  });

  it('says what is wrong', () => {
    assert.equal(installProblem(wanted, null), 'none are installed yet');
    assert.equal(installProblem(wanted, installed({})), 'node_modules/a is missing');
    assert.equal(
      installProblem(wanted, installed({ 'node_modules/a': { version: '1.0.1' } })),
      'node_modules/a has the wrong version',
    );
  });

  it('reads the real lock file: every platform installs all but the optional packages', () => {
    const lock = JSON.parse(readFileSync(join(projectRoot, 'package-lock.json'), 'utf8')) as Lock;
    const everywhere = Object.entries(lock.packages).filter(([, { optional }]) => !optional);
    assert.equal(installProblem(lock, installed(Object.fromEntries(everywhere))), null);
    assert.ok(everywhere.length < Object.keys(lock.packages).length);
  });
});

/** A checkout of one source file, with the real scripts and compiler. */
describe('prepare', () => {
  let copy: string;
  before(() => {
    copy = mkdtempSync(join(tmpdir(), 'freshet-prepare-'));
    cpSync(join(projectRoot, 'scripts'), join(copy, 'scripts'), { recursive: true });
    for (const name of ['tsconfig.json', 'package.json']) cpSync(join(projectRoot, name), join(copy, name));
    // Links to the few packages that the compiler needs, with an empty lock file: npm must never run here.
    mkdirSync(join(copy, 'node_modules'));
    for (const name of ['typescript', '@typescript', '@types', 'undici-types'])
      if (existsSync(join(projectRoot, 'node_modules', name)))
        symlinkSync(join(projectRoot, 'node_modules', name), join(copy, 'node_modules', name));
    for (const lock of ['package-lock.json', join('node_modules', '.package-lock.json')])
      writeFileSync(join(copy, lock), JSON.stringify({ packages: {} }));
    mkdirSync(join(copy, 'cli'));
    writeFileSync(join(copy, 'cli', 'one.ts'), 'export const one: number = 1;\n');
    writeFileSync(join(copy, 'cli', 'two.ts'), 'export const two: number = 2;\n');
  });
  after(() => rmSync(copy, { recursive: true, force: true }));

  function prepare() {
    const script = `import { prepare } from ${JSON.stringify(pathToFileURL(join(copy, 'scripts', 'prepare.mjs')).href)}; prepare();`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    return { status, stderr };
  }
  const output = (name: string) => join(copy, 'dist', 'cli', `${name}.js`);

  it('compiles once, and again when a source has changed', () => {
    const first = prepare();
    assert.equal(first.status, 0, first.stderr);
    assert.match(first.stderr, /^Compiling \.\.\.\nCompiled in /);
    assert.deepEqual(prepare(), { status: 0, stderr: '' });
    const source = join(copy, 'cli', 'one.ts');
    writeFileSync(source, 'export const one: number = 11;\n');
    utimesSync(source, new Date(), new Date(Date.now() + 5_000));
    assert.match(prepare().stderr, /^Compiling/);
    assert.match(readFileSync(output('one'), 'utf8'), /11/);
  });

  it('restores files deleted from dist', () => {
    rmSync(output('one'));
    assert.match(prepare().stderr, /^Compiling/);
    assert.ok(existsSync(output('one')));
  });

  it('removes files that no longer have a source', () => {
    rmSync(join(copy, 'cli', 'two.ts'));
    mkdirSync(join(copy, 'dist', 'test'), { recursive: true });
    writeFileSync(join(copy, 'dist', 'test', 'old.test.js'), '');
    assert.equal(prepare().status, 0);
    assert.ok(!existsSync(output('two')));
    assert.ok(!existsSync(join(copy, 'dist', 'cli', 'two.d.ts')));
    assert.ok(!existsSync(join(copy, 'dist', 'test')));
    assert.ok(existsSync(output('one')));
  });

  it('fails with an explanation if sources do not compile, and tries again next time', () => {
    writeFileSync(join(copy, 'cli', 'one.ts'), "export const one: number = 'x';\n");
    for (let i = 0; i < 2; i++) {
      const { status, stderr } = prepare();
      assert.equal(status, 1);
      assert.match(stderr, /TS2322[\s\S]*error: The sources do not compile: see the errors above\.\n$/);
    }
  });

  it('refuses a Node that is too old', () => {
    const script = `import { requireNode } from ${JSON.stringify(pathToFileURL(file).href)}; requireNode('20.18.0');`;
    const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
    assert.equal(status, 1);
    assert.equal(
      stderr,
      'error: Freshet needs Node 20.18.1 or newer; this is Node 20.18.0. Get a newer one and try again.\n',
    );
  });
});
