import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Help } from 'commander';
import { composeUp } from '../../../assembly/compose.js';
import { COMMANDS, nameOf } from '../../../cli/commands.js';
import { Shell } from '../../../cli/shell.js';
import { run } from '../../support/example.js';
import { runCommand } from './run-command.js';

const PROGRAM = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));

describe('the table of commands', () => {
  for (const entry of COMMANDS)
    it(`${nameOf(entry)}: says what the command says of itself`, async () => {
      const shell = new Shell({
        environment: {},
        input: process.stdin,
        output: process.stdout,
        errors: process.stderr,
      });
      const command = await entry.load(shell, composeUp);
      const help = new Help();
      assert.equal(entry.term, help.subcommandTerm(command));
      assert.equal(entry.summary, help.subcommandDescription(command));
    });

  it('lists every command in the help, with or without one of them loaded', async () => {
    const { output } = await runCommand(['--help']);
    for (const { term, summary } of COMMANDS)
      assert.ok(output.replaceAll(/\s+/g, ' ').includes(`${term} ${summary}`), term);
    assert.equal((await runCommand(['up', '--help'])).output, (await runCommand(['help', 'up'])).output);
  });
});

describe('the start of the command', () => {
  let folder: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-start-'));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /** The packages whose code ran: Node's coverage reports every file. */
  async function packagesUsed(args: readonly string[]): Promise<string[]> {
    const reports = await mkdtemp(join(folder, 'run-'));
    await run(process.execPath, [PROGRAM, ...args], { settings: { NODE_V8_COVERAGE: reports } });
    const used = new Set<string>();
    for (const name of await readdir(reports)) {
      const { result } = JSON.parse(await readFile(join(reports, name), 'utf8')) as { result: { url: string }[] };
      for (const { url } of result) used.add(/\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? 'ours');
    }
    return [...used].sort();
  }

  for (const args of [['--version'], ['--help'], ['help'], []])
    it(`freshet ${args.join(' ')} loads one package`, async () => {
      assert.deepEqual(await packagesUsed(args), ['commander', 'ours']);
    });

  it('a command loads more', async () => {
    assert.ok((await packagesUsed(['up', '--help'])).includes('zod'));
  });
});
