/** The examples in `--help`, run one at a time on one data folder. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createDocuments } from '../../cli/demo/documents.js';
import { freshetUp, type RunningFreshet } from '../bench/freshet.js';
import { run } from '../support/example.js';
import { runCommand } from '../unit/cli/run-command.js';

const PROGRAM = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const NOT_RUN: Readonly<Record<string, string>> = {
  'freshet up --demo': 'documents.test.ts runs npm start, which is the same',
  'freshet up --demo --port 8090': 'documents.test.ts runs npm start, which is the same',
  'freshet model import models/all-MiniLM-L6-v2':
    'model.test.ts imports one that it makes, embeddings-minilm.test.ts this one',
  'freshet skip events 3 --from 5120 --to 5140 --reason "disk error of 3 May"':
    'skip.test.ts skips records that exist, and says yes',
};
/** The examples that must be first and last; all others in between, in the order of the help. */
const FIRST = ['freshet topics apply', 'freshet produce '];
const LAST = ['freshet reset'];
const TERMS_MS_MAX = 60_000;

/** The examples of a command and of its subcommands. */
async function examplesOf(command: readonly string[]): Promise<string[]> {
  const { code, output } = await runCommand([...command, '--help']);
  assert.equal(code, 0);
  const own = [...output.matchAll(/^ {2}\$ (.+)$/gm)].map((match) => match[1]!);
  const [, listed = ''] = /^Commands:\n((?: .*\n?)+)/m.exec(output) ?? [];
  const names = [...listed.matchAll(/^ {2}([a-z][a-z-]*)/gm)].map((match) => match[1]!);
  for (const name of names) if (name !== 'help') own.push(...(await examplesOf([...command, name])));
  return own;
}

function rank(example: string): number {
  const first = FIRST.findIndex((start) => example.includes(start));
  if (first >= 0) return first;
  return LAST.some((start) => example.includes(start)) ? FIRST.length + 1 : FIRST.length;
}

const examples = [...new Set(await examplesOf([]))].sort((a, b) => rank(a) - rank(b));

describe('I21: examples of --help', () => {
  let folder: string;
  let freshet: RunningFreshet | null = null;
  let settings: Record<string, string>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-help-'));
    settings = { FRESHET_DATA_DIR: join(folder, 'data'), PORT: '0', TERMS_INTERVAL_S: '1' };
    const documents = createDocuments(1, Date.now()).filter(({ language }) => language === 'en');
    await writeFile(join(folder, 'documents.jsonl'), documents.map((document) => JSON.stringify(document)).join('\n'));
    const event = {
      event_id: 'e',
      user_id: 'u',
      product_id: 'p',
      event_type: 'purchase',
      ts: new Date().toISOString(),
    };
    await writeFile(join(folder, 'purchases.jsonl'), JSON.stringify(event));
  });

  after(async () => {
    await freshet?.stop();
    await run(process.execPath, [PROGRAM, 'reset', '--yes'], { settings });
    await rm(folder, { recursive: true, force: true });
  });

  /** A running Freshet with two versions of the stopwords, so that there is one to go back to. */
  async function upWithVersions(): Promise<RunningFreshet> {
    const running = await freshetUp(settings);
    const freshet = (...args: string[]) => run(process.execPath, [PROGRAM, ...args], { settings });
    await freshet('produce', 'documents', join(folder, 'documents.jsonl'));
    // Until the terms exist, a run fails with an error.
    for (const end = Date.now() + TERMS_MS_MAX; ; ) {
      try {
        await freshet('snapshot', 'stopwords');
        break;
      } catch (error) {
        if (Date.now() > end) throw error;
      }
    }
    await freshet('snapshot', 'stopwords');
    return running;
  }

  it('exist', () => assert.ok(examples.length >= 8, examples.join('\n')));

  for (const example of examples) {
    it(`$ ${example}`, { skip: NOT_RUN[example] ?? false }, async () => {
      // The first ones open the log on disk themselves, the last needs it unlocked, all others use the running Freshet.
      const isBetween = rank(example) === FIRST.length;
      if (isBetween) freshet ??= await upWithVersions();
      else {
        await freshet?.stop();
        freshet = null;
      }
      const command = example.replace(/^KAFKA_BROKERS=\S+ /, '');
      await run('sh', ['-c', `freshet() { "$NODE" "$PROGRAM" "$@"; }; ${command}`], {
        settings: { ...settings, NODE: process.execPath, PROGRAM },
        folder,
      });
    });
  }

  it('excludes nothing that help no longer shows', () => {
    for (const example of Object.keys(NOT_RUN)) assert.ok(examples.includes(example), example);
  });
});
