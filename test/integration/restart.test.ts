/**
 * I1, I4, I5 end to end: everything is killed with kill -9, including private Redis and Postgres at the same moment,
 * several times in the middle of writes; after a restart on the same folder nothing is lost and nothing counts twice.
 * Once, only the owner is killed: its stores are then shut down by their watcher.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { relativeError } from '../../publishing/audit/reference.js';
import { removePrivateStores } from '../../runtime/stores/open-stores.js';
import { inPath } from '../../runtime/stores/private-server.js';
import type { Event, EventType, Product } from '../../schemas/records.js';
import { Deployment } from '../support/deployment.js';
import { Random } from '../support/random.js';
import { Reference } from '../support/reference.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';

const EVENTS = 12_000;
const PER_REQUEST = 200;
const DAY_MS = 86_400_000;

test('killed with all its processes and restarted: nothing lost or duplicated (embedded)', { timeout: 240_000 }, () =>
  survivesKills({}, 3),
);

test(
  'npm start is killed while it loads its history and in live traffic: nothing lost or duplicated',
  {
    timeout: 240_000,
  },
  demoSurvivesKills,
);

test('killed and restarted on Kafka: nothing lost or duplicated', { timeout: 280_000 }, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  try {
    await survivesKills({ KAFKA_BROKERS: broker.address, PARTITIONS: '3' }, 2);
  } finally {
    await broker.stop();
  }
});

/** `kills` in the middle of writes, and one when idle. */
async function survivesKills(settings: Readonly<Record<string, string>>, kills: number): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-restart-'));
  const all = { FRESHET_DATA_DIR: folder, PORT: '0', LOG_LEVEL: 'warn', CHANGELOG_INTERVAL_S: '1', ...settings };
  const deployment = new Deployment(all);
  const random = new Random(42);
  const events = Array.from({ length: EVENTS }, (_, n) => anEvent(n, random));
  const killsAt = new Set(
    Array.from({ length: kills }, (_, k) => Math.floor(((k + 1) * EVENTS) / PER_REQUEST / (kills + 1))),
  );
  try {
    await deployment.start();
    const batches = Array.from({ length: EVENTS / PER_REQUEST }, (_, b) =>
      events.slice(b * PER_REQUEST, (b + 1) * PER_REQUEST),
    );
    for (const [number, batch] of batches.entries()) {
      const sent = deployment.send(batch);
      if (killsAt.has(number)) {
        // Neither before nor after the answer, but in the middle of the commits that the earlier batches caused.
        const killed = await deployment.killEverything();
        for (const program of await privateStores())
          assert.ok(killed.includes(program), `no ${program} among ${killed.join(', ')}`);
        await sent;
        await deployment.start();
        // Like a producer that got no answer: send again.
        assert.ok(await deployment.send(batch));
      } else assert.ok(await sent);
    }
    const reference = new Reference(
      events.map((value, offset) => ({ partition: 0, offset, logTime: Date.now(), key: value.user_id, value })),
    );
    await agrees(deployment, reference);
    await deployment.killGroup();
    await deployment.start();
    await agrees(deployment, reference);
  } finally {
    await deployment.stop();
    await removePrivateStores(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

/** The programs that must be running on this machine. */
async function privateStores(): Promise<string[]> {
  const redis = (await inPath('redis-server')) ?? (await inPath('valkey-server'));
  return [...(redis === null ? [] : [basename(redis)]), 'postgres'];
}

function anEvent(n: number, random: Random): Event {
  const event_type: EventType = (['view', 'view', 'view', 'add_to_cart', 'purchase'] as const)[random.below(5)]!;
  const user_id = `u-${random.below(300)}`;
  const category = `c-${random.below(12)}`;
  const ts = Date.now() - Math.floor(random.unit() * 88 * DAY_MS);
  return { event_id: `e-${n}`, user_id, product_id: `p-${random.below(200)}`, category, event_type, ts };
}

/** The demo writes its own events, so they are read back from the log, with the catalogue it started from. */
async function demoSurvivesKills(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-restart-'));
  const deployment = new Deployment(
    { FRESHET_DATA_DIR: folder, PORT: '0', LOG_LEVEL: 'warn', CHANGELOG_INTERVAL_S: '1', DEMO_RATE: '400' },
    'npm start',
  );
  try {
    await deployment.start({}, 'listening');
    await deployment.killEverything();
    await deployment.start();
    const folded = await eventsFolded(deployment);
    await deployment.until(async () => (await eventsFolded(deployment)) > folded + 500, 'folding live traffic');
    await deployment.killEverything();
    // Without live traffic the log does not change, and every answer has one correct value.
    await deployment.start({ DEMO_RATE: '0' });
    const raw = await deployment.records<Event>('events');
    assert.ok(raw.length > 50_000, `only ${raw.length} events`);
    const products = await deployment.records<Product>('products');
    const categories = new Map(products.map(({ key, value }) => [key!, value!.category] as const));
    const reference = new Reference(
      raw.map(({ timestamp, ...record }) => ({ ...record, logTime: Date.parse(timestamp) })),
      { categories, deleted: new Set() },
    );
    assert.equal(reference.intake.dead.length, 0);
    await agrees(deployment, reference);
  } finally {
    await deployment.stop();
    await removePrivateStores(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

async function eventsFolded(deployment: Deployment): Promise<number> {
  const metrics = await (await fetch(`${deployment.address}/metrics`)).text();
  const counted = /^freshet_intake_records_total\{outcome="counted"\} (\d+)$/m.exec(metrics);
  return Number(counted?.[1] ?? 0);
}

async function agrees(deployment: Deployment, reference: Reference): Promise<void> {
  const counted = reference.intake.counted.length;
  type Popularity = { score: number; as_of: string; views: number; add_to_carts: number; purchases: number };
  type Popular = { as_of: string; items: { product_id: string; score: number; as_of?: string }[] };
  const count = (row: Popularity) => row.views + row.add_to_carts + row.purchases;
  const everyRow = async () => {
    const rows = new Map<string, Popularity>();
    for (const product of reference.products)
      rows.set(product, await deployment.get(`/v1/products/${product}/popularity`));
    return rows;
  };
  let rows = new Map<string, Popularity>();
  await deployment.until(async () => {
    rows = await everyRow();
    return [...rows.values()].reduce((sum, row) => sum + count(row), 0) >= counted;
  }, 'caught up in Postgres');
  for (const [product, row] of rows) {
    const expected = reference.popularity(product, Date.parse(row.as_of))!;
    assert.deepEqual(
      { views: row.views, add_to_carts: row.add_to_carts, purchases: row.purchases },
      { views: expected.views, add_to_carts: expected.add_to_carts, purchases: expected.purchases },
      product,
    );
    near(row.score, expected.score, `Postgres: ${product}`);
  }
  await deployment.until(async () => {
    const { as_of, items } = await deployment.get<Popular>('/v1/popular?limit=1000');
    return (
      items.length === reference.products.length &&
      items.every(
        (item) =>
          relativeError(item.score, reference.popularity(item.product_id, Date.parse(item.as_of ?? as_of))!.score) <
          1e-9,
      )
    );
  }, 'caught up in the online store, with every score as a recount gives it');
  for (const user of reference.users) {
    type Affinity = { as_of: string; scores: Record<string, number> };
    const answer = await deployment.get<Affinity>(`/v1/users/${user}/affinity`);
    const expected = reference.affinity(user, Date.parse(answer.as_of))!;
    assert.deepEqual(Object.keys(answer.scores).sort(), [...expected.keys()].sort(), user);
    for (const [category, share] of expected) near(answer.scores[category]!, share, `${user} for ${category}`);
  }
}

function near(actual: number, expected: number, what: string): void {
  const error = relativeError(actual, expected);
  assert.ok(error <= 1e-9, `${what}: ${actual}, expected ${expected}, relative error ${error}`);
}
