/**
 * I19: `freshet up` and `freshet verify` as processes, on real Redis and Postgres: served values agree with the log
 * while events keep arriving, and every wrong value in a store is found, by the command and by the auditor. On the
 * embedded log the running process compares; on Kafka the command reads by itself.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AuditReport, ReportedDifference } from '../../publishing/audit/report.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import type { Event, EventType } from '../../schemas/records.js';
import { Deployment } from '../support/deployment.js';
import { Random } from '../support/random.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { startPostgres } from '../support/services/postgres.js';
import { startRedis } from '../support/services/redis.js';
import { redisCommand } from '../support/services/redis-command.js';
import { isRequired } from '../support/services/service.js';

const PROGRAM = fileURLToPath(new URL('../../cli/main.js', import.meta.url));
const EVENTS = 2_000;
const USERS = 60;
const PRODUCTS = 25;
const DAY_MS = 86_400_000;
const TYPES: readonly EventType[] = ['view', 'add_to_cart', 'purchase'];
/** The others are known only by their events. */
const CATALOGUED = 22;
const CATEGORIES = [null, 'shoes', 'hats', 'a:b'];
const SEED = 7;

test('embedded log: the running process compares, and so does its auditor', { timeout: 180_000 }, (t) =>
  verifies(t, {}),
);

test('Kafka: the command reads the log and the stores by itself', { timeout: 240_000 }, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  try {
    await verifies(t, { KAFKA_BROKERS: broker.address, PARTITIONS: '3' });
  } finally {
    await broker.stop();
  }
});

async function verifies(t: TestContext, over: Readonly<Record<string, string>>): Promise<void> {
  const redis = await startRedis();
  if (redis === null) {
    t.skip('no Redis');
    return;
  }
  const postgres = await startPostgres();
  const folder = await mkdtemp(join(tmpdir(), 'freshet-verify-'));
  const prefix = `verify-${process.pid}-${Date.now()}:`;
  const settings = {
    FRESHET_DATA_DIR: folder,
    PORT: '0',
    LOG_LEVEL: 'warn',
    REDIS_URL: redis.url,
    REDIS_KEY_PREFIX: prefix,
    DATABASE_URL: postgres.url,
    AUDIT_SAMPLE: '1',
    AUDIT_INTERVAL_S: '1',
    INTERACTIONS_INTERVAL_S: '2',
    ...over,
  };
  const deployment = new Deployment(settings);
  const database = await openPostgres({ url: postgres.url, connectionsMax: 1 }, silentLogger);
  const store = await openRedis({ url: redis.url, keyPrefix: prefix }, silentLogger);
  try {
    await deployment.start();
    await fill(deployment);
    const traffic = keepSending(deployment);
    try {
      const clean = await verify(settings);
      assert.deepEqual([clean.report.differences, clean.report.behind], [[], null]);
      t.diagnostic(`${clean.report.records_read} events compared in ${clean.report.duration_seconds.toFixed(1)} s`);
      assert.equal(clean.code, 0);
      assert.ok(clean.report.sample.users >= USERS - 5 && clean.report.sample.products >= PRODUCTS - 2);
      assert.ok(clean.report.largest_relative_error < 1e-9);
      for (const { store: name, artefact, same } of clean.report.compared)
        assert.ok(same > 0, `${artefact} in ${name} was compared`);
    } finally {
      await traffic.stop();
    }
    // A row that is written again is correct again, so the rows changed below must no longer be written to: verify
    // waits for that, but not for interactions, which are written when they are due.
    await sendLast(deployment, async (user) => store.get(`${prefix}interactions:v1:user:${user}`));
    assert.equal((await verify(settings)).code, 0);
    await deployment.until(async () => (await lastAudit(deployment))?.differences.length === 0, 'audited');

    // Directly in the stores, bypassing Freshet.
    const key = (name: string) => `${prefix}${name}`;
    const redisDo = (...words: string[]) => redisCommand({ url: redis.url }, ...words);
    const categoryOf8 = (await store.hget(`${prefix}popularity:v1:category`, 'p8'))!;
    await redisDo('ZINCRBY', key('popularity:v1:all'), '0.001', 'p3');
    await redisDo('ZADD', key('popularity:v1:all'), '2000', 'ghost');
    await redisDo('ZADD', key('popularity:v1:cat:elsewhere'), '1', 'p4');
    await redisDo('ZREM', key(`popularity:v1:cat:${categoryOf8}`), 'p8');
    await redisDo('HSET', key('affinity:v1:user:u5'), 'shoes', '0.75');
    await redisDo('DEL', key('affinity:v1:user:u6'));
    await database.execute("UPDATE product_popularity_v1 SET score = score * 1.000001 WHERE product_id = 'p9'");
    await database.execute("UPDATE product_popularity_v1 SET category = 'wrong' WHERE product_id = 'p10'");
    await database.execute("DELETE FROM user_affinity_v1 WHERE user_id = 'u7'");
    await database.execute(
      "INSERT INTO user_affinity_v1 (user_id, as_of, scores) VALUES ('nobody', now(), '{\"shoes\": 1}')",
    );
    const item = (user: string, change: (items: [string, number, number, number][]) => unknown) =>
      spoilItems(store, redisDo, key(`interactions:v1:user:${user}`), change);
    await item('u10', ([first]) => first![2]++);
    await item('u11', ([first]) => first![3]++);
    await item('u12', ([first]) => (first![1] *= 1.000001));
    // Whether one deleted just now is shown cannot be decided.
    await item('u13', (items) =>
      items.splice(
        items.findIndex(([product]) => product !== 'p2'),
        1,
      ),
    );
    await item('u14', (items) => items.push(['never', 0, 1, 0]));
    await redisDo('DEL', key('interactions:v1:user:u15'));
    await redisDo('SET', key('interactions:v1:user:u16'), 'nonsense');
    await redisDo(
      'SET',
      key('interactions:v1:user:noone'),
      quoted({ as_of: 1, items: [['p1', 1, 1, 0]], truncated: 0 }),
    );
    const spoiled = [
      ...['noone', 'u10', 'u11', 'u12', 'u13', 'u14', 'u15', 'u16'].map((user) => `redis interactions ${user}`),
      'postgres affinity nobody',
      'postgres affinity u7',
      'postgres popularity p10',
      'postgres popularity p9',
      'redis affinity u5',
      'redis affinity u6',
      'redis popularity ghost',
      'redis popularity p3',
      'redis popularity p4',
      'redis popularity p8',
    ];
    const found = await verify(settings);
    assert.deepEqual(named(found.report.differences), spoiled.sort());
    assert.equal(found.code, 1);
    const p9 = found.report.differences.find(({ key: product }) => product === 'p9')!;
    assert.equal(p9.what, 'score');
    assert.ok(Math.abs(p9.relative_error! - 1e-6) < 1e-8 && p9.as_of !== null);
    const interactions = found.report.differences.flatMap(({ artefact, key: user, what }) =>
      artefact === 'interactions' ? [`${user} ${what}`] : [],
    );
    for (const one of [/^u10 count of /, /^u11 purchases of /, /^u12 weight of /, /^u13 item /, /^u14 item never$/])
      assert.equal(interactions.filter((text) => one.test(text)).length, 1, `${one} in ${interactions.join(', ')}`);
    for (const user of ['u15', 'u16', 'noone'])
      assert.ok(interactions.includes(`${user} row`), interactions.join(', '));
    // The auditor checks the keys it knows and those readers are shown; all others are left to the command.
    const unseen = ['redis popularity p4', 'redis interactions noone'];
    await deployment.until(async () => {
      const seen = named((await lastAudit(deployment))?.differences ?? []);
      return spoiled.every((one) => unseen.includes(one) || seen.includes(one));
    }, 'found by the auditor');
    assert.match(
      await metrics(deployment),
      /^freshet_audit_different_keys\{store="redis",artefact="popularity"\} [1-9]/m,
    );

    const text = await command(settings, ['verify', '--sample', '100%']);
    assert.equal(text.code, 1);
    assert.match(text.output, /^store +artefact +same +different/m);
    assert.match(text.output, /^postgres +popularity +p10 +category +wrong /m);
    assert.match(text.output, /The served values differ from the log\.\n$/);
  } finally {
    await deployment.stop();
    await database.close();
    await store.close();
    await postgres.stop();
    await redis.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

async function spoilItems(
  store: OnlineStore,
  redisDo: (...words: string[]) => Promise<unknown>,
  key: string,
  change: (items: [string, number, number, number][]) => unknown,
): Promise<void> {
  const row = JSON.parse((await store.get(key))!) as { items: [string, number, number, number][] };
  change(row.items);
  await redisDo('SET', key, quoted(row));
}

/** One more event for every user; resolves when it is in the interactions of all of them. */
async function sendLast(deployment: Deployment, stored: (user: string) => Promise<string | null>): Promise<void> {
  const users = Array.from({ length: USERS }, (_, n) => `u${n}`);
  const ts = Date.now();
  const last = users.map((user_id): Event => {
    return { event_id: 'last', user_id, product_id: 'last', category: null, event_type: 'view', ts };
  });
  assert.ok(await deployment.send(last));
  await deployment.until(async () => {
    const rows = await Promise.all(users.map(stored));
    return rows.every((row) => row?.includes('["last",'));
  }, 'interactions written');
}

/** JSON as one word of a command. */
function quoted(row: object): string {
  return JSON.stringify(JSON.stringify(row));
}

/** Events of three months, some twice, late ones, a changed and a deleted product, and a user who is erased. */
async function fill(deployment: Deployment): Promise<void> {
  const random = new Random(SEED);
  console.log(`seed ${SEED}`);
  for (let n = 0; n < CATALOGUED; n++) await put(deployment, `p${n}`, n % 2 === 0 ? 'shoes' : 'hats');
  const now = Date.now();
  const events = Array.from({ length: EVENTS }, (_, n) => anEvent(n, random, now - random.below(95) * DAY_MS));
  for (let at = 0; at < EVENTS; at += 500) assert.ok(await deployment.send(events.slice(at, at + 500)));
  assert.ok(await deployment.send(events.slice(0, 200)));
  await put(deployment, 'p1', 'boots');
  await call(deployment, 'DELETE', '/v1/products/p2');
  await call(deployment, 'POST', '/v1/erasures', { user_id: 'u4' });
}

function anEvent(n: number, random: Random, ts: number): Event {
  return {
    event_id: `e${n}`,
    user_id: `u${random.below(USERS)}`,
    product_id: `p${random.below(PRODUCTS)}`,
    category: CATEGORIES[random.below(CATEGORIES.length)]!,
    event_type: TYPES[random.below(TYPES.length)]!,
    ts,
  };
}

/** A few events at a time until stopped. */
function keepSending(deployment: Deployment): { stop(): Promise<void> } {
  const random = new Random(SEED + 1);
  let stopped = false;
  let n = EVENTS;
  const sending = (async () => {
    while (!stopped) {
      const events = Array.from({ length: 5 }, () => anEvent(n++, random, Date.now()));
      assert.ok(await deployment.send(events));
    }
  })();
  return {
    stop: async () => {
      stopped = true;
      await sending;
    },
  };
}

function put(deployment: Deployment, id: string, category: string): Promise<void> {
  return call(deployment, 'PUT', `/v1/products/${id}`, { title: id, description: '', category });
}

async function call(deployment: Deployment, method: string, path: string, body?: object): Promise<void> {
  const init =
    body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } };
  const answer = await fetch(deployment.address + path, { method, ...init });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.text()}`);
}

async function lastAudit(deployment: Deployment): Promise<AuditReport | null> {
  return (await deployment.get<{ last: AuditReport | null }>('/v1/audit')).last;
}

async function metrics(deployment: Deployment): Promise<string> {
  return await (await fetch(`${deployment.address}/metrics`)).text();
}

function named(differences: readonly ReportedDifference[]): string[] {
  return [...new Set(differences.map(({ store, artefact, key }) => `${store} ${artefact} ${key}`))].sort();
}

async function verify(settings: Readonly<Record<string, string>>): Promise<{ code: number; report: AuditReport }> {
  const { code, output } = await command(settings, ['verify', '--sample', 'all', '--json']);
  return { code, report: JSON.parse(output) as AuditReport };
}

async function command(
  settings: Readonly<Record<string, string>>,
  args: readonly string[],
): Promise<{ code: number; output: string }> {
  const { PATH, HOME, TMPDIR } = process.env;
  const env = { ...(PATH && { PATH }), ...(HOME && { HOME }), ...(TMPDIR && { TMPDIR }), ...settings };
  const child = spawn(process.execPath, [PROGRAM, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, output };
}
