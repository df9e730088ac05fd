/** The private Redis: it keeps its data, stops with its owner, and the remains of a killed run are cleared away. */
import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import { type PrivateRedis, removePrivateRedis, startPrivateRedis } from '../../runtime/stores/redis/private-redis.js';
import { openRedis, type RedisOptions } from '../../runtime/stores/redis/redis.js';
import { killHard, nextLine, runScript, untilGone, watcherOf } from '../support/processes.js';
import { redisPid } from '../support/services/redis-command.js';
import { refuseStandIn } from '../support/services/service.js';

const OWNER = new URL('../support/services/private-servers-owner.js', import.meta.url);
const root = await mkdtemp(join(tmpdir(), 'freshet-redis-private-'));
const folderNamed = (name: string) => join(root, name);
const started: PrivateRedis[] = [];
const start = async (folder: string, listen?: 'socket' | 'loopback') => {
  const server = await startPrivateRedis(folder, silentLogger, listen === undefined ? {} : { listen });
  if (server !== null) started.push(server);
  return server;
};

after(async () => {
  for (const server of started) await server.stop();
  await rm(root, { recursive: true, force: true });
});

const probe = await start(folderNamed('probe'));
await probe?.stop();
if (probe === null) {
  refuseStandIn('redis', 'no redis-server or valkey-server in PATH');
  console.log('redis: none in PATH, the private Redis is not tested');
} else describe('private Redis', privateRedis);

async function write(options: RedisOptions, value: string): Promise<void> {
  const store = await openRedis(options, silentLogger);
  const id = { sink: 'private', topic: 't', partition: 0 };
  const { epoch, nextOffset } = await store.open(id);
  const batch = { id, epoch, expectedOffset: nextOffset, nextOffset: nextOffset + 1, incarnation: 'life', at: 1 };
  assert.equal(await store.apply(batch, [{ op: 'set', key: 'value', value }]), 'applied');
  await store.close();
}

async function read(options: RedisOptions): Promise<string | null> {
  const store = await openRedis(options, silentLogger);
  const value = await store.get('value');
  await store.close();
  return value;
}

function privateRedis(): void {
  test('a restart keeps the data; no other user can reach it; stopping waits for the end', async () => {
    const folder = folderNamed('kept');
    const server = (await start(folder))!;
    assert.ok(server.options.path !== undefined, 'it listens on a socket');
    assert.equal((await stat(server.options.path)).mode & 0o077, 0);
    assert.equal((await stat(join(folder, 'redis'))).mode & 0o077, 0);
    await write(server.options, 'kept');
    const pid = await redisPid(server.options);
    await server.stop();
    await untilGone(pid, 0);
    await server.stop();
    const again = (await start(folder))!;
    assert.equal(await read(again.options), 'kept');
    assert.match(again.how, /^private (redis|valkey)-server \d/);
  });

  test('on loopback it has a password that no process list shows', async () => {
    const server = (await start(folderNamed('loopback'), 'loopback'))!;
    const { url, password } = server.options;
    assert.match(url ?? '', /^redis:\/\/127\.0\.0\.1:\d+$/);
    assert.ok(password !== undefined && password.length >= 32);
    await assert.rejects(openRedis({ url: url! }, silentLogger), { code: 'access' });
    const pid = await redisPid(server.options);
    if (process.platform === 'linux') assert.ok(!(await readFile(`/proc/${pid}/cmdline`, 'latin1')).includes(password));
    assert.ok(!server.how.includes(password));
  });

  test('too long a socket path is replaced by a short one, which is removed with the data', async () => {
    const folder = join(root, 'x'.repeat(90), 'y'.repeat(40));
    const server = (await start(folder))!;
    const { path } = server.options;
    assert.ok(path !== undefined && Buffer.byteLength(path) <= 100, path);
    await write(server.options, 'far away');
    await server.stop();
    await removePrivateRedis(folder);
    assert.deepEqual(await readdir(folder), []);
    await assert.rejects(stat(path), { code: 'ENOENT' });
  });

  test('when its owner is killed, it saves everything and exits', async () => {
    const folder = folderNamed('orphaned');
    const owner = runScript(OWNER, [folder, 'redis']);
    const options = JSON.parse(await nextLine(owner)) as RedisOptions;
    await write(options, 'by the killed');
    const pid = await redisPid(options);
    await killHard(owner);
    await untilGone(pid);
    assert.equal(await read((await start(folder))!.options), 'by the killed');
  });

  test('a server that outlived owner and watcher is stopped at the next start', async () => {
    const folder = folderNamed('stranded');
    const owner = runScript(OWNER, [folder, 'redis']);
    const options = JSON.parse(await nextLine(owner)) as RedisOptions;
    await write(options, 'stranded');
    const pid = await redisPid(options);
    process.kill(await watcherOf(pid), 'SIGKILL');
    await killHard(owner);
    assert.equal(await redisPid(options), pid, 'it still runs');
    const server = (await start(folder))!;
    assert.notEqual(await redisPid(server.options), pid);
    await untilGone(pid, 0);
    assert.equal(await read(server.options), 'stranded');
  });

  test('kill -9 of the server itself: the next start finds the data of a second earlier', async () => {
    const folder = folderNamed('killed');
    const server = (await start(folder))!;
    await write(server.options, 'survives');
    process.kill(await redisPid(server.options), 'SIGKILL');
    await server.stop();
    assert.equal(await read((await start(folder))!.options), 'survives');
  });

  test('a server that cannot start says why', async () => {
    const folder = folderNamed('broken');
    const server = (await start(folder))!;
    await write(server.options, 'x');
    await server.stop();
    const logs = join(folder, 'redis', 'appendonlydir');
    const base = (await readdir(logs)).find((name) => name.endsWith('.manifest'));
    assert.ok(base !== undefined);
    await writeFile(join(logs, base), 'nonsense\n');
    await assert.rejects(start(folder), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'unavailable');
      assert.match(error.message, /redis\.log.*\n.*(manifest|AOF)/is);
      return true;
    });
  });
}
