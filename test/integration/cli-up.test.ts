import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readLock } from '../../runtime/process/data-folder.js';
import { runCommand } from '../unit/cli/run-command.js';

const PROGRAM = fileURLToPath(new URL('../../cli/main.js', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  /** Everything on standard output so far. */
  output(): string;
  /** Resolves with the output once it matches; fails if the process ends first. */
  until(pattern: RegExp): Promise<string>;
}

/** Only the process: its environment contains only the given settings, nothing from the environment of the tests. */
function start(args: readonly string[], environment: Record<string, string>): Started {
  const { PATH, HOME, TMPDIR } = process.env;
  const base = Object.fromEntries(Object.entries({ PATH, HOME, TMPDIR }).filter(([, value]) => value !== undefined));
  const child = spawn(process.execPath, [PROGRAM, ...args], { env: { ...base, ...environment } });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString();
  });
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const until = async (pattern: RegExp): Promise<string> => {
    while (!pattern.test(output)) {
      const ended = once(child, 'exit').then(() => 'ended' as const);
      if (child.exitCode !== null || (await Promise.race([once(child.stdout, 'data'), ended])) === 'ended')
        assert.fail(`it ended before ${pattern}:\n${output}\n${errors.slice(-2000)}`);
    }
    return output;
  };
  return { child, output: () => output, until };
}

async function exitCodeOf({ child }: Started): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

describe('freshet up as a process', () => {
  let base: string;
  let data: string;
  let running: Started;
  let address: string;

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'freshet-cli-up-'));
    data = join(base, 'data');
    running = start(['up', '--port', '0'], { FRESHET_DATA_DIR: data, LOG_LEVEL: 'warn' });
    const banner = await running.until(/Ctrl-C stops it\.\n/);
    address = / page +(http:\S+)$/m.exec(banner)?.[1] ?? assert.fail(banner);
  });

  after(async () => {
    if (running.child.exitCode === null) {
      running.child.kill('SIGKILL');
      await exitCodeOf(running);
    }
    await runCommand(['reset', '--yes'], { environment: { FRESHET_DATA_DIR: data } });
    rmSync(base, { recursive: true, force: true });
  });

  it('shows what it uses, answers, and becomes ready', async () => {
    assert.match(running.output(), /^ {2}log +embedded/m);
    assert.match(running.output(), /^ {2}database +/m);
    assert.equal((await fetch(`${address}/health/live`)).status, 200);
    await running.until(/^Ready after /m);
    assert.equal((await fetch(`${address}/health/ready`)).status, 200);
  });

  it('refuses a second process on the same folder with an explanation', async () => {
    const second = start(['up', '--port', '0'], { FRESHET_DATA_DIR: data });
    let errors = '';
    second.child.stderr?.on('data', (chunk: Buffer) => {
      errors += chunk.toString();
    });
    assert.equal(await exitCodeOf(second), 1);
    assert.match(errors, new RegExp(`error: The data folder .* is in use by process ${running.child.pid}`));
    assert.ok(errors.includes(address), errors);
  });

  it('refuses a port in use, and releases its folder', async () => {
    const other = join(base, 'other');
    const port = new URL(address).port;
    const { code, errors } = await runCommand(['up', '--port', port], {
      environment: { FRESHET_DATA_DIR: other, LOG_LEVEL: 'silent' },
    });
    assert.equal(code, 1);
    assert.match(errors, new RegExp(`error: Port ${port} on 127\\.0\\.0\\.1 is taken by another program`));
    assert.equal(await readLock(other), null);
    assert.equal((await runCommand(['reset', '--yes'], { environment: { FRESHET_DATA_DIR: other } })).code, 0);
  });

  it('stops on SIGTERM with 0, and leaves no lock', async () => {
    running.child.kill('SIGTERM');
    assert.equal(await exitCodeOf(running), 0);
    assert.ok(!existsSync(join(data, 'lock')));
  });
});
