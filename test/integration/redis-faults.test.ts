/** Errors that a caller gets when Redis is down, slow, full or misconfigured; and no batch is written twice. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ErrorCode, FreshetError, isTransient } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { FencedBatch, OnlineStore, SinkId, StoreOperation } from '../../runtime/stores/online-store.js';
import { freePort } from '../../runtime/stores/private-server.js';
import { type PrivateRedis, startPrivateRedis } from '../../runtime/stores/redis/private-redis.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import { eventually } from '../conformance/log-rows.js';
import { untilGone } from '../support/processes.js';
import { redisCommand, redisPid } from '../support/services/redis-command.js';
import { refuseStandIn } from '../support/services/service.js';

const withCode = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof FreshetError, `expected a FreshetError, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return true;
};

const folder = await mkdtemp(join(tmpdir(), 'freshet-redis-faults-'));
const start = () => startPrivateRedis(folder, silentLogger, { listen: 'loopback' });
// These tests stop, fill and reconfigure the server, so they need their own.
const first = await start();
if (first === null) {
  refuseStandIn('redis', 'no redis-server or valkey-server in PATH');
  console.log('redis: none in PATH, faults of Redis are not tested');
  await rm(folder, { recursive: true, force: true });
} else faults(first);

function faults(first: PrivateRedis): void {
  describe('faults of Redis', () => {
    let server = first;
    let store: OnlineStore;
    let sinks = 0;

    before(async () => {
      store = await openRedis({ ...server.options, commandMsMax: 2_000 }, silentLogger);
    });
    after(async () => {
      await store.close();
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    });

    const batchFor = async (by: OnlineStore = store): Promise<FencedBatch> => {
      const id: SinkId = { sink: `faults-${++sinks}`, topic: 't', partition: 0 };
      const { epoch } = await by.open(id);
      return { id, epoch, expectedOffset: 0, nextOffset: 1, incarnation: 'life', at: 1 };
    };
    const set = (key: string, value: string): StoreOperation => ({ op: 'set', key, value });
    const command = (...words: string[]) => redisCommand(server.options, ...words);

    test('addresses and passwords that cannot work', async () => {
      for (const url of ['http://localhost', 'redis:6379', 'nonsense', 'redis://'])
        await assert.rejects(openRedis({ url }, silentLogger), withCode('settings'), url);
      const url = `redis://127.0.0.1:${await freePort()}`;
      await assert.rejects(openRedis({ url }, silentLogger), withCode('connection'));
      await assert.rejects(openRedis({ path: join(folder, 'no.sock') }, silentLogger), withCode('connection'));
      const { password: _, ...noPassword } = server.options;
      await assert.rejects(openRedis(noPassword, silentLogger), withCode('access'));
      await assert.rejects(openRedis({ ...noPassword, password: 'wrong' }, silentLogger), withCode('access'));
    });

    test('the password may be in the url, and neither is shown', async () => {
      const url = new URL(server.options.url ?? '');
      url.password = server.options.password ?? '';
      await (await openRedis({ url: url.href }, silentLogger)).close();
      url.password = 'secret';
      await assert.rejects(
        openRedis({ url: url.href }, silentLogger),
        (error: Error) => !error.message.includes('secret'),
      );
    });

    test('I5: a server that hangs is an error, and the batch it then still runs is applied once', async () => {
      const batch = await batchFor();
      const pid = await redisPid(server.options);
      process.kill(pid, 'SIGSTOP');
      try {
        await assert.rejects(store.apply(batch, [set('hang', 'once')]), withCode('timeout'));
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await eventually(
        'the position can be read',
        async () => (await store.position(batch.id).catch(() => null)) !== null,
      );
      // The stopped server found the batch in its socket; a caller that trusted the error would write it again.
      const { nextOffset } = (await store.position(batch.id))!;
      const again = await store.apply(batch, [set('hang', 'twice')]);
      assert.equal(again, nextOffset === 1 ? 'offset_mismatch' : 'applied');
      assert.equal(await store.get('hang'), nextOffset === 1 ? 'once' : 'twice');
    });

    test('a killed server: a transient error meanwhile, the connection is restored automatically, nothing is sent again', async () => {
      const batch = await batchFor();
      assert.equal(await store.apply(batch, [set('kept', 'yes')]), 'applied');
      const port = new URL(server.options.url ?? '').port;
      const pid = await redisPid(server.options);
      process.kill(pid, 'SIGSTOP');
      const inFlight = store.apply({ ...batch, expectedOffset: 1, nextOffset: 2 }, [set('in flight', 'x')]);
      process.kill(pid, 'SIGKILL');
      await assert.rejects(inFlight, withCode('connection'));
      await untilGone(pid);
      await assert.rejects(store.get('kept'), isTransient);
      await assert.rejects(store.ping(), isTransient);
      const revived = await startPrivateRedis(folder, silentLogger, { listen: 'loopback', port: Number(port) });
      assert.ok(revived !== null);
      server = revived;
      // A private server has a new password each time; ours must stay for the old connection to be restored.
      await redisCommand(revived.options, 'CONFIG', 'SET', 'requirepass', first.options.password ?? '');
      server = { ...revived, options: first.options };
      await eventually('the connection is back', async () => (await store.get('kept').catch(() => null)) === 'yes');
      assert.equal(await store.get('in flight'), null, 'the lost batch was not sent again');
      assert.equal((await store.position(batch.id))?.nextOffset, 1);
      assert.equal(
        await store.apply({ ...batch, expectedOffset: 1, nextOffset: 2 }, [set('in flight', 'y')]),
        'applied',
      );
    });

    test('a server that lost the scripts gets them again', async () => {
      const batch = await batchFor();
      await command('SCRIPT', 'FLUSH');
      assert.equal(await store.apply(batch, [set('script', 'x')]), 'applied');
      assert.equal(await store.get('script'), 'x');
    });

    test('a full server refuses the whole batch, and accepts it once there is space', async () => {
      const batch = await batchFor();
      const operations: StoreOperation[] = [{ op: 'del', key: 'kept' }, set('full', 'x'.repeat(100_000))];
      await command('CONFIG', 'SET', 'maxmemory', '1');
      try {
        await assert.rejects(store.apply(batch, [set('full', 'x')]), withCode('unavailable'));
        assert.equal(await store.get('full'), null);
        assert.equal((await store.position(batch.id))?.nextOffset, 0);
      } finally {
        await command('CONFIG', 'SET', 'maxmemory', '0');
      }
      assert.equal(await store.apply(batch, operations), 'applied');
    });

    test('a replica accepts no batch', async () => {
      const batch = await batchFor();
      await command('REPLICAOF', '127.0.0.1', String(await freePort()));
      try {
        await assert.rejects(store.apply(batch, [set('replica', 'x')]), withCode('unavailable'));
      } finally {
        await command('REPLICAOF', 'NO', 'ONE');
      }
      await eventually('the store accepts batches again', async () => {
        const result = await store.apply(batch, [set('replica', 'x')]).catch(() => null);
        return result === 'applied';
      });
    });

    test('a missing permission is detected when the sink is taken over', async () => {
      await command('ACL', 'SETUSER', 'limited', 'on', '>pw', '~*', '+@all', '-zrem');
      const { port } = new URL(server.options.url ?? '');
      const limited = await openRedis({ url: `redis://limited:pw@127.0.0.1:${port}` }, silentLogger);
      try {
        await assert.rejects(limited.open({ sink: 'limited', topic: 't', partition: 0 }), withCode('access'));
      } finally {
        await limited.close();
      }
    });

    test('an eviction policy that loses features is reported', async () => {
      assert.deepEqual(await store.advice(), []);
      await command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru');
      try {
        const advice = await store.advice();
        assert.equal(advice.length, 1);
        assert.match(advice[0]!, /allkeys-lru.*noeviction/);
      } finally {
        await command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
      }
    });

    test('closing ends waiting calls; a closed store says so', async () => {
      const other = await openRedis(server.options, silentLogger);
      const answer = other.get('kept');
      await other.close();
      assert.equal(await answer, null);
      await other.close();
      await assert.rejects(other.get('kept'), withCode('state'));
    });
  });
}
