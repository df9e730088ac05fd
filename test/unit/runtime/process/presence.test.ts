import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { announcePresence, presentIn } from '../../../../runtime/process/presence.js';

async function folderOf(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-presence-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe('the processes of a data folder', () => {
  it('say what they do and where they listen, until they withdraw', async (t) => {
    const folder = await folderOf(t);
    assert.deepEqual(await presentIn(folder), []);
    const withdraw = await announcePresence(folder, {
      roles: ['publisher'],
      address: 'http://127.0.0.1:1',
      token: 's',
    });
    const [one, ...others] = await presentIn(folder);
    assert.deepEqual(
      [one!.roles, one!.address, one!.token, one!.pid],
      [['publisher'], 'http://127.0.0.1:1', 's', process.pid],
    );
    assert.deepEqual(others, []);
    const [name] = await readdir(join(folder, 'processes'));
    assert.equal((await stat(join(folder, 'processes', name!))).mode & 0o077, 0, 'others may not read the token');
    await withdraw();
    assert.deepEqual(await presentIn(folder), []);
  });

  it('are forgotten when they have died; what is no record of ours is passed over', async (t) => {
    const folder = await folderOf(t);
    await announcePresence(folder, { roles: ['processor'], address: null });
    const [name] = await readdir(join(folder, 'processes'));
    const path = join(folder, 'processes', name!);
    const record = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...record, start_time: 'another process had this pid' }));
    await writeFile(join(folder, 'processes', 'broken.json'), '{');
    assert.deepEqual(await presentIn(folder), []);
    assert.deepEqual(await readdir(join(folder, 'processes')), ['broken.json']);
  });
});
