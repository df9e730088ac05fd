/**
 * Runs every `sh` block of README.md, docs/USING.md and the runbooks unchanged, except as listed here: addresses are
 * those of this test, long-running commands are stopped once they are up, and skipped lines have a reason.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { isDataFolder } from '../../runtime/process/data-folder.js';
import { projectRoot } from '../../schemas/project-root.js';
import { freshetUp, type RunningFreshet } from '../bench/freshet.js';
import { type Block, blocksOf } from '../support/documents.js';
import { type Begun, begin, run } from '../support/example.js';
import { PYTHON_SETTINGS, pythonPackages } from '../support/python.js';
import { isRequired } from '../support/services/service.js';
import { openStage, type Stage } from '../support/services/stage.js';

const PROGRAM = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

/** Lines that are skipped, apart from comments. */
const NOT_RUN: Readonly<Record<string, string>> = {
  'npm start': 'runs alongside all blocks, from before the first one to the end',
  'npm cit': 'it is what runs this test',
  'pip install --quiet --target .cache/python-example --requirement examples/python/requirements.txt':
    'the same file is installed once for all tests',
  'export PYTHONPATH=.cache/python-example': 'the folder of that one install',
};

/** Lines that run until they are stopped, with their output once they are up. */
const RUNS_ON: Readonly<Record<string, string>> = {
  'npm start -- --no-demo': 'Ready after',
  'freshet up --roles processor': 'Ctrl-C stops it',
  'freshet up --roles publisher': 'Ctrl-C stops it',
  'freshet up --roles serving': 'Ctrl-C stops it',
  'freshet up --roles snapshotter': 'Ctrl-C stops it',
};

/** `freshet` stands for the installed command; jobs get their own process groups, so that npm's children end too. */
const PRELUDE = `
set -euo pipefail
set -m
freshet() { node scripts/freshet.mjs "$@"; }
until_up() {
  local said=$1 out=$OUT.$RANDOM
  shift
  "$@" >"$out" 2>&1 &
  local pid=$!
  until grep -q "$said" "$out"; do
    kill -0 $pid 2>/dev/null || { cat "$out" >&2; return 1; }
    sleep 0.1
  done
  kill -TERM -- -$pid
  wait $pid || true
}
`;

/** For the demo alongside all blocks; a file of tests has no more time. */
const DEMO_MS_MAX = 300_000;

const runbooks = (await readdir(join(projectRoot, 'docs', 'runbooks'))).sort().map((name) => `docs/runbooks/${name}`);
const blocks = (
  await Promise.all(['README.md', 'docs/USING.md', ...runbooks].map((path) => blocksOf(path, 'sh')))
).flat();
/** Blocks about versions use those of the demo, all others a separate folder. */
const BESIDE_THE_DEMO = /^freshet (versions|snapshot) /m;
const found = await openStage();
const python =
  typeof found === 'string'
    ? { missing: found }
    : await pythonPackages(join(projectRoot, 'examples', 'python', 'requirements.txt'));
if ('missing' in python && isRequired('kafka')) throw new Error(python.missing);

describe('I21: documents', { skip: typeof found === 'string' && found }, () => {
  const stage = found as Stage;
  let folder: string;
  let onKafka: RunningFreshet;
  let demo: Begun;
  let replaced: [string, string][];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-documents-'));
    demo = begin('npm', ['start'], {
      settings: { FRESHET_DATA_DIR: join(folder, 'demo'), PORT: '0' },
      folder: projectRoot,
      isGroup: true,
      limitMs: DEMO_MS_MAX,
    });
    onKafka = await freshetUp({ ...stage.settings, FRESHET_DATA_DIR: join(folder, 'kafka'), PARTITIONS: '3' });
    await demo.until(/Ready after/);
    // A second version, so that there is one to go back to.
    await run(process.execPath, [PROGRAM, 'snapshot', 'stopwords'], {
      settings: { FRESHET_DATA_DIR: join(folder, 'demo') },
    });
    const address = / page +http:\/\/(\S+)$/m.exec(demo.output())?.[1] ?? assert.fail(demo.output());
    // The demo builds its first index after it is ready; the file's own limit ends the wait if that fails.
    while (!(await fetch(`http://${address}/v1/search?q=garden`)).ok) await pause(50);
    replaced = [
      ['localhost:8080', address],
      ['broker-1:9092,broker-2:9092', stage.broker.brokers],
      ['redis://cache:6379', stage.redis.url],
      ['postgres://freshet@db/freshet', stage.postgres.url],
      // An unsuccessful answer ends the block.
      ['curl -s ', 'curl -sSf '],
    ];
  });

  after(async () => {
    if (demo !== undefined) {
      process.kill(-demo.child.pid!, 'SIGTERM');
      await demo.ended;
    }
    await onKafka?.stop();
    await stage.close();
    // Private servers may keep their data elsewhere; only reset knows where.
    for (const name of await readdir(folder))
      if (await isDataFolder(join(folder, name)))
        await run(process.execPath, [PROGRAM, 'reset', '--yes'], {
          settings: { FRESHET_DATA_DIR: join(folder, name) },
        });
    await rm(folder, { recursive: true, force: true });
  });

  const scriptOf = ({ text }: Block) =>
    text
      .split('\n')
      .map((line) => {
        const command = line.replace(/\s+#.*$/, '').trim();
        if (Object.hasOwn(NOT_RUN, command)) return '';
        const said = Object.hasOwn(RUNS_ON, command) ? RUNS_ON[command] : undefined;
        return said === undefined ? line : `until_up '${said}' ${command}`;
      })
      .map((line) => replaced.reduce((whole, [what, by]) => whole.replaceAll(what, by), line))
      .join('\n');

  for (const [number, block] of blocks.entries()) {
    const needsPython = block.text.includes('python3') && 'missing' in python && python.missing;
    it(`${block.path}, line ${block.line}: ${block.text.split('\n')[0]}`, { skip: needsPython }, async () => {
      const isOnKafka = /KAFKA_BROKERS|examples\/python/.test(block.text);
      await run('bash', ['-c', PRELUDE + scriptOf(block)], {
        folder: projectRoot,
        isGroup: true,
        settings: {
          ...('path' in python ? { PYTHONPATH: python.path } : {}),
          ...(isOnKafka ? { ...stage.settings, PARTITIONS: '3' } : {}),
          ...PYTHON_SETTINGS,
          FRESHET_DATA_DIR: join(folder, BESIDE_THE_DEMO.test(block.text) ? 'demo' : String(number)),
          OUT: join(folder, `said-${number}`),
          PORT: '0',
        },
      });
    });
  }

  it('lists nothing that is no longer in the documents', () => {
    const lines = new Set(
      blocks.flatMap(({ text }) => text.split('\n').map((line) => line.replace(/\s+#.*$/, '').trim())),
    );
    for (const command of [...Object.keys(NOT_RUN), ...Object.keys(RUNS_ON)])
      assert.ok(lines.has(command), `${command} is in no document`);
  });
});
