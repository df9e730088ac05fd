/** A real Redis for tests: REDIS_URL, otherwise a container, redis-server or valkey-server from PATH, or none. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '../../../runtime/process/logger.js';
import { startPrivateRedis } from '../../../runtime/stores/redis/private-redis.js';
import { startContainer } from './containers.js';
import { announce, refuseStandIn, type Service } from './service.js';

/**
 * Null if no Redis is available: the caller then runs on the local store. Tests share a Redis given by REDIS_URL, so
 * their keys need unique prefixes. Throws if REQUIRE_REAL names redis and there is none.
 */
export async function startRedis(): Promise<Service | null> {
  const service = (await given()) ?? (await inContainer()) ?? (await fromPath());
  if (service === null) refuseStandIn('redis', 'the local store');
  announce(
    'redis',
    service?.how ?? 'none (no REDIS_URL, no containers, no redis-server): the local store is used instead',
  );
  return service;
}

async function given(): Promise<Service | null> {
  const url = process.env['REDIS_URL'];
  return url ? { url, how: 'REDIS_URL', stop: async () => undefined } : null;
}

async function inContainer(): Promise<Service | null> {
  const image = 'redis:7.4-alpine';
  const container = await startContainer({ image, port: 6379, readyLog: /Ready to accept connections/ });
  if (container === null) return null;
  return { url: `redis://${container.host}:${container.port}`, how: `container ${image}`, stop: container.stop };
}

async function fromPath(): Promise<Service | null> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-test-redis-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  const server = await startPrivateRedis(folder, silentLogger, { listen: 'loopback' });
  if (server === null) {
    await remove();
    return null;
  }
  const url = new URL(server.options.url ?? '');
  url.password = server.options.password ?? '';
  const stop = async () => {
    await server.stop();
    await remove();
  };
  return { url: url.href, how: server.how, stop };
}
