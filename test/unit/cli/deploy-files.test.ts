import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { z } from 'zod';
import { ALL_ROLES, type Role } from '../../../assembly/roles/all.js';
import { loadSettings } from '../../../cli/settings.js';
import { projectRoot } from '../../../schemas/project-root.js';

const service = z.object({
  image: z.string(),
  build: z.object({ context: z.string(), dockerfile: z.string() }).optional(),
  command: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).optional(),
  healthcheck: z.union([z.object({ test: z.array(z.string()) }), z.object({ disable: z.literal(true) })]).optional(),
  ports: z.array(z.string()).optional(),
  volumes: z.array(z.string()).optional(),
});
const compose = z.object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.null()) });

const text = readFileSync(join(projectRoot, 'docker-compose.yml'), 'utf8');
const { services, volumes } = compose.parse(parse(text, { merge: true }));
const dockerfile = readFileSync(join(projectRoot, 'deploy', 'Dockerfile'), 'utf8');

/** A role's service: service names cannot contain a colon. */
const serviceOf = (role: Role) => services[role.replace(':', '-')];

/** Values as compose would substitute them, with `given` in its environment. */
function interpolated(environment: Record<string, string | number>, given: Record<string, string>) {
  return Object.fromEntries(
    Object.entries(environment).map(([name, value]) => [
      name,
      String(value).replace(
        /\$\{(\w+)(?::[-?]([^}]*))?\}/g,
        (_, variable: string, otherwise: string) => given[variable] ?? otherwise,
      ),
    ]),
  );
}

describe('docker-compose.yml', () => {
  it('runs the four servers, each with a health check', () => {
    const images = {
      kafka: 'apache/kafka:',
      registry: 'confluentinc/cp-schema-registry:',
      redis: 'redis:',
      postgres: 'postgres:',
    };
    for (const [name, image] of Object.entries(images)) {
      const server = services[name];
      assert.ok(server, name);
      assert.ok(server.image.startsWith(image), `${name} is ${server.image}`);
      assert.match(server.image, /:\d+\.?/, `${name} names its version`);
      assert.ok(server.healthcheck, name);
    }
  });

  it('lets programs on this machine reach each server, and nobody else', () => {
    const ports = { kafka: 19092, registry: 8081, redis: 6379, postgres: 5432, serving: 8080 };
    for (const [name, port] of Object.entries(ports))
      assert.deepEqual(services[name]?.ports, [`127.0.0.1:${port}:${port}`], name);
  });

  it('runs every role from our image, once everything it needs is healthy', () => {
    for (const role of ALL_ROLES) {
      const ours = serviceOf(role);
      assert.ok(ours, role);
      assert.deepEqual(ours.command, ['up', '--roles', role]);
      assert.ok(existsSync(join(projectRoot, ours.build?.dockerfile ?? '')));
      for (const needed of ['kafka', 'registry', 'redis', 'postgres'])
        assert.equal(ours.depends_on?.[needed]?.condition, 'service_healthy', `${role} waits for ${needed}`);
    }
  });

  it('checks the health of every role as the image does', () => {
    assert.match(dockerfile, /^HEALTHCHECK .* CMD \["node", "scripts\/health\.mjs"\]$/m);
    for (const role of ALL_ROLES) {
      assert.equal(serviceOf(role)?.healthcheck, undefined, role);
      assert.equal(serviceOf(role)?.environment?.['METRICS_PORT'], 9464, role);
    }
  });

  it('gives the roles valid settings, and requires tokens', () => {
    const tokens = JSON.stringify([{ sha256: 'ab'.repeat(32), role: 'admin', tenant: 'main' }]);
    for (const role of ALL_ROLES) {
      const environment = serviceOf(role)?.environment ?? {};
      assert.match(String(environment['API_TOKENS']), /^\$\{API_TOKENS:\?/);
      const settings = loadSettings(interpolated(environment, { API_TOKENS: tokens }));
      assert.deepEqual(settings.KAFKA_BROKERS, ['kafka:9092']);
      assert.equal(settings.API_TOKENS?.length, 1);
      for (const url of [settings.REDIS_URL, settings.DATABASE_URL, settings.SCHEMA_REGISTRY_URL])
        assert.ok(services[new URL(url ?? '').hostname], `${url} names a service`);
    }
  });

  it('prevents Redis from evicting, and opens nothing to other machines', () => {
    assert.match(services['redis']?.command?.join(' ') ?? '', /--maxmemory-policy noeviction/);
    for (const [name, { ports = [] }] of Object.entries(services))
      for (const port of ports) assert.ok(port.startsWith('127.0.0.1:'), `${name} ${port}`);
  });

  it('declares every volume that it mounts', () => {
    for (const { volumes: mounted = [] } of Object.values(services))
      for (const mount of mounted) assert.ok(mount.split(':')[0]! in volumes, mount);
  });
});

describe('deploy/Dockerfile', () => {
  it('builds in one stage, runs in another, and not as root', () => {
    const stages = dockerfile.match(/^FROM .*$/gm) ?? [];
    assert.equal(stages.length, 2);
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    assert.match(last, /^USER node$/m);
    assert.match(last, /^HEALTHCHECK /m);
    assert.match(last, /^ENTRYPOINT \["node", "scripts\/freshet\.mjs"\]$/m);
  });

  it('copies only files that are in the checkout', () => {
    const ignore = readFileSync(join(projectRoot, 'deploy', 'Dockerfile.dockerignore'), 'utf8');
    const kept = [...ignore.matchAll(/^!(.+)$/gm)].map(([, name]) => name!);
    const { include } = JSON.parse(readFileSync(join(projectRoot, 'tsconfig.json'), 'utf8')) as { include: string[] };
    for (const folder of include) assert.ok(kept.includes(folder), `${folder} is compiled, so the image needs it`);
    for (const [, name] of dockerfile.matchAll(/--from=build \/app\/(\S+)/g))
      assert.ok(kept.includes(name!) || name === 'node_modules' || name === 'dist', name);
  });
});
