/** Every command of docker-compose.yml as a process, all started at the same time like compose, on real servers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { z } from 'zod';
import { projectRoot } from '../../schemas/project-root.js';
import { type Begun, begin, run } from '../support/example.js';
import { PYTHON_SETTINGS, pythonPackages } from '../support/python.js';
import { startTestRegistry, type TestRegistry } from '../support/registry.js';
import { freePort } from '../support/services/local-broker.js';
import { openStage, type Stage } from '../support/services/stage.js';

const compose = z.object({
  services: z.record(
    z.string(),
    z.object({
      command: z.array(z.string()).optional(),
      environment: z.record(z.string(), z.union([z.string(), z.number()])).optional(),
    }),
  ),
});
const text = await readFile(join(projectRoot, 'docker-compose.yml'), 'utf8');
const { services } = compose.parse(parse(text, { merge: true }));
const dockerfile = await readFile(join(projectRoot, 'deploy', 'Dockerfile'), 'utf8');
const ENTRYPOINT = JSON.parse(/^ENTRYPOINT (\[.*\])$/m.exec(dockerfile)![1]!) as string[];
/** Services that run our commands; all others run what their images run. */
const OURS = ['processor', 'publisher', 'snapshotter-stopwords', 'snapshotter-faiss', 'snapshotter-als', 'serving'];
const TOKEN = 'a-token';
const PASSWORD = 'freshet';
const WAIT_MS_MAX = 120_000;

const found = await openStage();
const PYTHON = join(projectRoot, 'examples', 'python');
const python = typeof found === 'string' ? { missing: found } : await pythonPackages(join(PYTHON, 'requirements.txt'));
const noPython = 'missing' in python && python.missing;

describe('I21: docker-compose.yml', { skip: typeof found === 'string' && found }, () => {
  const stage = found as Stage;
  const running = new Map<string, Begun>();
  let folder: string;
  let app: string;
  let registry: TestRegistry;
  let redisPort: number;
  let address: string;
  const metricsPorts = new Map<string, string>();

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-compose-'));
    registry = await startTestRegistry();
    redisPort = await freePort();
    const port = await freePort();
    address = `http://127.0.0.1:${port}`;
    const [command, ...args] = services['redis']!.command!;
    // Compose escapes a dollar as two, and its Redis has a separate address.
    const line = `${args.at(-1)!.replaceAll('$$', '$')} --bind 127.0.0.1 --port ${redisPort}`;
    const redis = begin(command!, [...args.slice(0, -1), line], { settings: { REDIS_PASSWORD: PASSWORD }, folder });
    running.set('redis', redis);
    await redis.until(/Ready to accept connections/);
    await layOut();
    for (const name of OURS) {
      const { command: own = [] } = services[name]!;
      // In compose each has a container, and its ports, for itself.
      const metricsPort = String(await freePort());
      metricsPorts.set(name, metricsPort);
      const ports = { PORT: String(port), METRICS_PORT: metricsPort, FRESHET_DATA_DIR: join(folder, name) };
      const settings = { ...settingsOf(name), ...ports };
      running.set(name, begin(ENTRYPOINT[0]!, [...ENTRYPOINT.slice(1), ...own], { settings, folder: app }));
    }
  });

  after(async () => {
    for (const { child } of running.values()) child.kill('SIGKILL');
    await Promise.all([...running.values()].map(({ ended }) => ended));
    await registry?.close();
    await stage.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** The part of the image that its processes need: no sources, so nothing is compiled. */
  async function layOut(): Promise<void> {
    app = join(folder, 'app');
    await mkdir(app);
    for (const name of ['package.json', 'scripts', 'schemas'])
      await cp(join(projectRoot, name), join(app, name), { recursive: true });
    await symlink(fileURLToPath(new URL('../..', import.meta.url)), join(app, 'dist'));
    await symlink(join(projectRoot, 'node_modules'), join(app, 'node_modules'));
  }

  /** The settings from compose, with host names replaced by the addresses of the servers here. */
  function settingsOf(name: string): Record<string, string> {
    const given: Record<string, string> = {
      API_TOKENS: JSON.stringify([
        { sha256: createHash('sha256').update(TOKEN).digest('hex'), role: 'admin', tenant: 'main' },
      ]),
    };
    const here: Record<string, string> = {
      KAFKA_BROKERS: stage.broker.brokers,
      SCHEMA_REGISTRY_URL: registry.url,
      REDIS_URL: `redis://127.0.0.1:${redisPort}`,
      DATABASE_URL: stage.postgres.url,
      ARTIFACTS_DIR: join(folder, 'artifacts'),
      HOST: '127.0.0.1',
      // Fewer partitions are created sooner.
      PARTITIONS: '3',
    };
    const asGiven = Object.entries(services[name]!.environment ?? {}).map(([setting, value]) => [
      setting,
      String(value).replace(
        /\$\{(\w+)(?::[-?]([^}]*))?\}/g,
        (_, variable: string, otherwise: string) => given[variable] ?? otherwise,
      ),
    ]);
    return { ...(Object.fromEntries(asGiven) as Record<string, string>), ...here };
  }

  const ask = (path: string, init: RequestInit = {}) =>
    fetch(address + path, {
      ...init,
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });

  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (!(await holds().catch(() => false))) {
      const said = [...running].map(([name, { errors }]) => `${name}: ${errors().slice(-2_000)}`).join('\n');
      for (const [name, { child }] of running) assert.equal(child.exitCode, null, `${name} has ended\n${said}`);
      assert.ok(Date.now() < deadline, `not ${what} within ${WAIT_MS_MAX / 1000} s\n${said}`);
      await pause(50);
    }
  }

  it('leaves no command of the file out', () => {
    const commanded = Object.entries(services).flatMap(([name, { command }]) => (command === undefined ? [] : [name]));
    assert.deepEqual(commanded.sort(), [...OURS, 'redis'].sort());
  });

  it('comes up, roles started at the same moment on an empty Kafka included', async () => {
    await until('ready', async () => (await fetch(`${address}/health/ready`)).status === 200);
    for (const name of OURS) await running.get(name)!.until(/Ready after/);
    const { port } = new URL(address);
    const [, health] = /^HEALTHCHECK .* CMD (\[.*\])$/m.exec(dockerfile)!;
    const [command, ...args] = JSON.parse(health!) as string[];
    await run(command!, args, { settings: { PORT: port }, folder: app });
    for (const [name, metricsPort] of metricsPorts)
      if (name !== 'serving')
        await run(command!, args, { settings: { PORT: '1', METRICS_PORT: metricsPort }, folder: app });
  });

  it('carries an event from its HTTP API through all roles, in the framing of the registry', async () => {
    const event = {
      event_id: 'e1',
      user_id: 'ann',
      product_id: 'p1',
      category: 'hats',
      event_type: 'purchase',
      ts: Date.now(),
    };
    assert.equal((await ask('/v1/events', { method: 'POST', body: JSON.stringify(event) })).status, 202);
    await until('visible', async () => {
      const { purchases } = (await (await ask('/v1/products/p1/popularity')).json()) as { purchases?: number };
      const { scores } = (await (await ask('/v1/users/ann/affinity')).json()) as { scores?: { hats?: number } };
      return purchases === 1 && scores?.hats === 1;
    });
    assert.equal((await fetch(`${address}/v1/products/p1/popularity`)).status, 401);
    assert.ok(registry.requests.includes('POST /subjects/events-value/versions'));
  });

  it('its features can be read in Python, in the framing of the registry', { skip: noPython }, async () => {
    const settings = {
      ...PYTHON_SETTINGS,
      KAFKA_BROKERS: stage.broker.brokers,
      SCHEMA_REGISTRY_URL: registry.url,
      PYTHONPATH: (python as { path: string }).path,
    };
    const said = await run('python3', [join(PYTHON, 'consume.py'), '1'], { settings });
    assert.match(said, /^p1 \d+\.\d+ \d{4}-\d\d-\d\dT/);
  });

  it('stops in order when compose says so', async () => {
    for (const name of [...OURS, 'redis']) {
      const { child, ended } = running.get(name)!;
      child.kill('SIGTERM');
      const { code, errors } = await ended;
      assert.equal(code, 0, `${name}: ${errors.slice(-3_000)}`);
    }
  });
});
