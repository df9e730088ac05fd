import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { isDataFolder, openDataFolder, readLock } from '../../../../runtime/process/data-folder.js';
import { hasCode, messageOf } from '../../../../runtime/process/errors.js';
import { ownIdentity } from '../../../../runtime/process/process-identity.js';

let base: string;
let path: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'freshet-folder-'));
  path = join(base, 'data');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

const HOLDER = `
import { openDataFolder } from ${JSON.stringify(new URL('../../../../runtime/process/data-folder.js', import.meta.url).href)};
try {
  const folder = await openDataFolder(process.argv[1]);
  await folder.announce('http://127.0.0.1:4711', 'secret');
  console.log('held');
  setInterval(() => {}, 1000);
} catch (error) {
  console.log(error.code);
}
`;

/** A process that takes the folder; resolves with its first line: `held` or an error code. */
async function holder(): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  return { child, said: line.toString().trim() };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

describe('openDataFolder', () => {
  it('creates the folder for its owner only, and marks it', async () => {
    const folder = await openDataFolder(join(path, 'deep'));
    assert.equal(statSync(join(path, 'deep')).mode & 0o777, 0o700);
    assert.ok(await isDataFolder(join(path, 'deep')));
    assert.equal(statSync(join(path, 'deep', 'lock')).mode & 0o777, 0o600);
    await folder.release();
    await folder.release();
    assert.deepEqual(readdirSync(join(path, 'deep')), ['freshet.json']);
  });

  it('removes the access of other users', async () => {
    mkdirSync(path);
    chmodSync(path, 0o755);
    await (await openDataFolder(path)).release();
    assert.equal(statSync(path).mode & 0o777, 0o700);
  });

  it('refuses a folder with other files, a file, and a place where it cannot write', async () => {
    mkdirSync(path);
    writeFileSync(join(path, 'thesis.txt'), '');
    await assert.rejects(openDataFolder(path), /contains other files \(thesis\.txt\)\. Choose an empty folder/);
    assert.deepEqual(readdirSync(path), ['thesis.txt']);
    await assert.rejects(
      openDataFolder(join(path, 'thesis.txt')),
      (error) => hasCode(error, 'settings') && /cannot be used/.test(messageOf(error)),
    );
  });

  it('can be held only once, even within a process', async () => {
    const folder = await openDataFolder(path);
    await assert.rejects(openDataFolder(path), (error) => hasCode(error, 'locked'));
    await folder.release();
    await (await openDataFolder(path)).release();
  });

  it('names the holder and its address', async () => {
    const { child, said } = await holder();
    try {
      assert.equal(said, 'held');
      await assert.rejects(openDataFolder(path), (error) => {
        assert.ok(hasCode(error, 'locked'));
        assert.match(
          messageOf(error),
          new RegExp(`in use by process ${child.pid}, which listens at http://127.0.0.1:4711\\. Stop that process`),
        );
        return true;
      });
      const lock = await readLock(path);
      assert.equal(lock?.pid, child.pid);
      assert.equal(lock?.address, 'http://127.0.0.1:4711');
      assert.equal(lock?.token, 'secret');
    } finally {
      await kill(child);
    }
  });

  it('takes over from a killed process that nobody has reaped', { skip: process.platform !== 'linux' }, async () => {
    // A shell that becomes `sleep` never waits for its child: once that is killed, it stays a zombie.
    const command = `"$0" --input-type=module -e "$1" "$2" & exec sleep 60`;
    const parent = spawn('sh', ['-c', command, process.execPath, HOLDER, path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      await once(parent.stdout!, 'data');
      const { pid } = (await readLock(path))!;
      process.kill(pid, 'SIGKILL');
      const folder = await openDataFolder(path);
      const state = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]![0];
      assert.equal(state, 'Z', 'it is still a zombie');
      await folder.release();
    } finally {
      await kill(parent);
    }
  });

  it('waits for a holder that has begun to stop, but not for ever', async () => {
    const first = await openDataFolder(path);
    await first.announceEnd();
    const second = openDataFolder(path);
    await first.release();
    const folder = await second;
    await folder.announceEnd();
    const started = performance.now();
    await assert.rejects(openDataFolder(path), (error) => hasCode(error, 'locked'));
    assert.ok(performance.now() - started > 4_000);
    await folder.release();
  });

  it('takes over from a killed process', async () => {
    const { child } = await holder();
    await kill(child);
    assert.equal(await readLock(path), null);
    const folder = await openDataFolder(path);
    assert.equal((await readLock(path))?.pid, process.pid);
    await folder.release();
    assert.deepEqual(readdirSync(path), ['freshet.json']);
  });

  it('takes over when the pid belongs to another process by now, and after a restart of the machine', async () => {
    await (await openDataFolder(path)).release();
    for (const change of [{ start_time: '1' }, { boot: 'before' }]) {
      writeFileSync(join(path, 'lock'), JSON.stringify({ id: 'ab', ...ownIdentity(), since: '', ...change }));
      await (await openDataFolder(path)).release();
    }
  });

  it('takes over from a process that died while taking over, and from a torn lock', async () => {
    await (await openDataFolder(path)).release();
    const dead = { ...ownIdentity(), start_time: '1', since: '' };
    writeFileSync(join(path, 'lock'), JSON.stringify({ id: 'aa', ...dead }));
    writeFileSync(join(path, 'lock.aa'), JSON.stringify({ id: 'bb', ...dead }));
    const folder = await openDataFolder(path);
    assert.deepEqual(readdirSync(path).sort(), ['freshet.json', 'lock']);
    await folder.release();
    writeFileSync(join(path, 'lock'), '');
    await (await openDataFolder(path)).release();
    assert.deepEqual(readdirSync(path), ['freshet.json']);
  });

  it('respects a living process that is about to take over', async () => {
    await (await openDataFolder(path)).release();
    writeFileSync(join(path, 'lock'), JSON.stringify({ id: 'aa', ...ownIdentity(), start_time: '1', since: '' }));
    writeFileSync(join(path, 'lock.aa'), JSON.stringify({ id: 'bb', ...ownIdentity(), since: '' }));
    await assert.rejects(openDataFolder(path), (error) => hasCode(error, 'locked'));
  });

  it('judges a holder in another container by its heartbeat', async () => {
    await (await openDataFolder(path)).release();
    const lock = join(path, 'lock');
    const write = () =>
      writeFileSync(lock, JSON.stringify({ id: 'aa', ...ownIdentity(), host: 'other', pid_space: 'x', since: '' }));
    write();
    const beating = setInterval(() => utimesSync(lock, new Date(), new Date()), 20);
    try {
      await assert.rejects(openDataFolder(path, { silenceMs: 400 }), (error) => {
        assert.match(messageOf(error), / on other\./);
        return hasCode(error, 'locked');
      });
    } finally {
      clearInterval(beating);
    }
    await (await openDataFolder(path, { silenceMs: 100 })).release();
  });

  it('lets one of several racers take a dead holder’s lock', async () => {
    await kill((await holder()).child);
    const racers = await Promise.all([holder(), holder(), holder(), holder()]);
    try {
      assert.deepEqual(racers.map(({ said }) => said).sort(), ['held', 'locked', 'locked', 'locked']);
      const winner = racers.find(({ said }) => said === 'held')!;
      assert.equal((JSON.parse(readFileSync(join(path, 'lock'), 'utf8')) as { pid: number }).pid, winner.child.pid);
    } finally {
      for (const { child } of racers) await kill(child);
    }
  });
});
