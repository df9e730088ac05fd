/**
 * I15 end to end: a user is erased with `freshet erase` while all others keep buying. The certificate says so, and
 * Redis, Postgres, the topics and HTTP show the same; no one else has lost anything; the user's later events start
 * counting again. The same for a product. On the embedded log and on Kafka.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { relativeError } from '../../publishing/audit/reference.js';
import type { Certificate, ErasureStatus } from '../../publishing/erasure/certificate.js';
import { Layout, type LiveKeys } from '../../publishing/layout.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { removePrivateStores } from '../../runtime/stores/open-stores.js';
import { openPostgres } from '../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../runtime/stores/redis/redis.js';
import type { Affinity, Event, EventType, Interactions, Product } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { Deployment } from '../support/deployment.js';
import { Random } from '../support/random.js';
import { type Catalogue, Reference } from '../support/reference.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { startPostgres } from '../support/services/postgres.js';
import { startRedis } from '../support/services/redis.js';
import { isRequired } from '../support/services/service.js';
import { runCommand } from '../unit/cli/run-command.js';

const DAY_MS = 86_400_000;
const USERS = ['u-1', 'u-2', 'u-3', 'ü/4:5', 'u-6'];
const FORGOTTEN = 'ü/4:5';
const PRODUCTS = ['p-1', 'p-2', 'p-3'];
const GONE = 'p-2';
test('I15: an erased user and a deleted product are gone everywhere (embedded)', { timeout: 120_000 }, () =>
  everythingForgets({}),
);

test('I15: an erased user and a deleted product are gone everywhere (Kafka)', { timeout: 180_000 }, async (t) => {
  const broker = await startBroker();
  if (!(broker instanceof LocalBroker)) {
    assert.ok(!isRequired('kafka'), broker.missing);
    t.skip(broker.missing);
    return;
  }
  try {
    await everythingForgets({ KAFKA_BROKERS: broker.address, PARTITIONS: '3' });
  } finally {
    await broker.stop();
  }
});

async function everythingForgets(log: Readonly<Record<string, string>>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-erasure-'));
  const redis = await startRedis();
  const postgres = await startPostgres();
  const keyPrefix = `erasure-${randomBytes(4).toString('hex')}:`;
  const environment = {
    ...log,
    FRESHET_DATA_DIR: folder,
    PORT: '0',
    LOG_LEVEL: 'warn',
    CHANGELOG_INTERVAL_S: '1',
    DATABASE_URL: postgres.url,
    REDIS_KEY_PREFIX: keyPrefix,
    ...(redis === null ? {} : { REDIS_URL: redis.url }),
  };
  const deployment = new Deployment(environment);
  try {
    await deployment.start();
    const database = await openPostgres({ url: postgres.url, connectionsMax: 1 }, silentLogger);
    const store = redis === null ? null : await openRedis({ url: redis.url, keyPrefix }, silentLogger);
    try {
      await new Scenario(
        deployment,
        environment,
        database,
        store,
        new Layout(keyPrefix).features(featureSet(1)),
      ).play();
    } finally {
      await database.close();
      await store?.close();
    }
  } finally {
    await deployment.stop();
    await redis?.stop();
    await postgres.stop();
    await removePrivateStores(folder);
    await rm(folder, { recursive: true, force: true });
  }
}

class Scenario {
  readonly #deployment: Deployment;
  readonly #environment: Readonly<Record<string, string>>;
  readonly #database: Database;
  readonly #store: OnlineStore | null;
  readonly #keys: LiveKeys;
  readonly #random = new Random(7);
  #events = 0;
  #catalogue: Catalogue = { categories: new Map(PRODUCTS.map((id) => [id, `c-${id}`])), deleted: new Set() };

  constructor(
    deployment: Deployment,
    environment: Readonly<Record<string, string>>,
    database: Database,
    store: OnlineStore | null,
    keys: LiveKeys,
  ) {
    this.#deployment = deployment;
    this.#environment = environment;
    this.#database = database;
    this.#store = store;
    this.#keys = keys;
  }

  async play(): Promise<void> {
    for (const id of PRODUCTS)
      await this.#put(`/v1/products/${id}`, { title: id, description: '', category: `c-${id}` });
    for (const id of USERS) await this.#put(`/v1/users/${encodeURIComponent(id)}`, { tenant_id: 'main' });
    const before = this.#eventsOf(USERS, 200);
    // Set aside because of its year, and never counted: it expires, and the certificate says when.
    await this.#send([...before, { ...this.#event(FORGOTTEN), ts: DAY_MS }]);
    await this.#agrees();
    await this.#deployment.until(
      async () => (await this.#userRows(FORGOTTEN)).every((there) => there),
      'in all stores',
    );
    const others = USERS.filter((id) => id !== FORGOTTEN);

    // The others continue while the erasure is in progress.
    const [certified] = await Promise.all([this.#erase('user', FORGOTTEN), this.#send(this.#eventsOf(others, 50))]);
    await this.#holds(certified, FORGOTTEN);
    assert.deepEqual(
      await this.#userRows(FORGOTTEN),
      this.#store === null ? [false, false] : [false, false, false, false],
    );
    assert.equal(await this.#statusOf(`/v1/users/${encodeURIComponent(FORGOTTEN)}/affinity`), 404);
    await this.#agrees();

    // Counted events stay duplicates within their horizon, new events start counting again.
    const again = before.find(({ user_id }) => user_id === FORGOTTEN)!;
    await this.#send([again, ...this.#eventsOf([FORGOTTEN], 3)]);
    await this.#agrees();

    await this.#deployment.killGroup();
    await this.#deployment.start();
    await this.#agrees();
    const shown = await this.#freshet('user', FORGOTTEN, ['--show']);
    assert.deepEqual(shown.cut, certified.cut, 'the same cut after a restart');
    const left = shown.certificate!.gone.filter(({ what }) => what === 'affinity').map(({ left }) => left);
    assert.deepEqual(new Set(left), new Set(['only what came after the cut']));
    // The marker of a later commit says that a flush is complete: the task needs something to commit.
    await this.#deployment.until(async () => {
      await this.#send(this.#eventsOf([FORGOTTEN], 1));
      const { certificate } = await this.#deployment.get<ErasureStatus>(
        `/v1/erasures/${encodeURIComponent(`user:${FORGOTTEN}`)}`,
      );
      return ruleOf(certificate!, 'rows per day of the user').startsWith('null values are written');
    }, 'deleted in the changelog');

    const product = await this.#erase('product', GONE);
    this.#catalogue = { ...this.#catalogue, deleted: new Set([GONE]) };
    for (const { what, where, left } of product.certificate!.gone) assert.equal(left, 'nothing', `${what} in ${where}`);
    assert.deepEqual(await this.#productRows(GONE), this.#store === null ? [false, false] : [false, false, false]);
    const { items } = await this.#deployment.get<{ items: { product_id: string }[] }>('/v1/popular');
    assert.deepEqual(
      items.map(({ product_id }) => product_id).sort(),
      PRODUCTS.filter((id) => id !== GONE),
    );
    assert.equal(await this.#statusOf(`/v1/products/${GONE}/popularity`), 404);

    const unknown = await runCommand(['erase', 'user', 'nobody', '--show'], { environment: this.#environment });
    assert.equal(unknown.code, 1);
    assert.match(unknown.errors, /No erasure of user nobody was requested/);
  }

  /** The certificate, compared with the topics. */
  async #holds(status: ErasureStatus, user: string): Promise<void> {
    const { cut, certificate } = status;
    const events = await this.#deployment.records<Event>('events');
    const nulls = events.filter(({ key, value }) => key === user && value === null);
    assert.deepEqual(
      nulls.map(({ partition, offset }) => ({ topic: 'events', partition, offset })),
      [{ topic: cut!.topic, partition: cut!.partition, offset: cut!.offset }],
    );
    assert.deepEqual(certificate!.not_checked, []);
    assert.ok(
      certificate!.gone.every(({ left }) => left === 'nothing'),
      JSON.stringify(certificate!.gone),
    );
    const places = certificate!.gone.map(({ where, topic }) => `${where}: ${topic}`);
    assert.deepEqual(places.sort(), [
      'database: affinity.v1',
      'database: users',
      'log: affinity.v1',
      'log: interactions.v1',
      'log: users',
      'online store: affinity.v1',
      'online store: interactions.v1',
      'task: events',
    ]);
    assert.equal(await this.#newest<Affinity>('affinity.v1', user), null);
    assert.equal(await this.#newest<Interactions>('interactions.v1', user), null);
    assert.equal(await this.#newest('users', user), null);
    assert.equal((await this.#deployment.records('late-events')).filter(({ key }) => key === user).length, 1);
    const until = certificate!.expires.find(({ what }) => what === 'late events')!.until!;
    assert.equal(Date.parse(until), Date.parse(cut!.at) + 30 * DAY_MS);
    assert.match(ruleOf(certificate!, 'raw events'), /retention of 100 days/);
    assert.match(ruleOf(certificate!, 'factors of the user in models built before'), /readers skip them/);
    assert.match(certificate!.stays.join(), /popularity: .* as a sum/);
    assert.equal((await this.#newest<{ reason: string }>('erasures', `user:${user}`))!.reason, 'asked by letter');
  }

  async #newest<T>(topic: string, key: string): Promise<T | null | undefined> {
    return (await this.#deployment.records<T>(topic)).filter((record) => record.key === key).at(-1)?.value;
  }

  /** Served values, compared with a recount from the raw log. */
  async #agrees(): Promise<void> {
    let wrong = '';
    const holds = async () => {
      const raw = await this.#deployment.records<Event>('events');
      const reference = new Reference(
        raw.map(({ timestamp, ...record }) => ({ ...record, logTime: Date.parse(timestamp) })),
        this.#catalogue,
      );
      for (const id of USERS) {
        const path = `/v1/users/${encodeURIComponent(id)}/affinity`;
        const expected = reference.affinity(id, Date.now());
        if (expected === null) {
          if ((await this.#statusOf(path)) !== 404) wrong = `${id} is still there`;
          else continue;
          return false;
        }
        const { scores } = await this.#affinity(id);
        wrong = `${id}: ${JSON.stringify(scores)}, expected ${JSON.stringify([...expected])}`;
        if (Object.keys(scores).length !== expected.size) return false;
        for (const [category, share] of expected) if (!(relativeError(scores[category]!, share) < 1e-9)) return false;
      }
      for (const id of reference.products.filter((product) => !this.#catalogue.deleted.has(product))) {
        type Popularity = { as_of: string; score: number; views: number; purchases: number };
        const shown = await this.#deployment.get<Popularity>(`/v1/products/${id}/popularity`);
        const expected = reference.popularity(id, Date.parse(shown.as_of))!;
        wrong = `${id}: ${JSON.stringify(shown)}, expected ${JSON.stringify(expected)}`;
        if (shown.views !== expected.views || shown.purchases !== expected.purchases) return false;
        if (!(relativeError(shown.score, expected.score) < 1e-9)) return false;
      }
      return true;
    };
    await this.#deployment.until(holds, 'what a recount gives').catch((error: Error) => {
      throw new Error(`${error.message}\n${wrong}`);
    });
  }

  #affinity(id: string): Promise<{ scores: Record<string, number> }> {
    return this.#deployment.get(`/v1/users/${encodeURIComponent(id)}/affinity`);
  }

  /** Where the user is found: two tables, and the online store. */
  async #userRows(id: string): Promise<boolean[]> {
    const store = this.#store;
    const rows = ['user_affinity', 'users'].map(
      async (table) => (await this.#database.query(`SELECT 1 FROM ${table} WHERE user_id = $1`, [id])).length > 0,
    );
    if (store !== null) {
      rows.push(store.hgetall(this.#keys.affinityUser(id)).then((fields) => fields.size > 0));
      rows.push(store.get(this.#keys.interactionsUser(id)).then((text) => text !== null));
    }
    return await Promise.all(rows);
  }

  async #productRows(id: string): Promise<boolean[]> {
    const store = this.#store;
    const rows = ['product_popularity', 'catalogue'].map(
      async (table) => (await this.#database.query(`SELECT 1 FROM ${table} WHERE product_id = $1`, [id])).length > 0,
    );
    if (store !== null) {
      const category = this.#catalogue.categories.get(id)!;
      const keys = [this.#keys.popularityAll, this.#keys.popularityCategory(category)];
      rows.push(
        Promise.all(keys.map((key) => store.zscore(key, id))).then((scores) => scores.some((score) => score !== null)),
      );
    }
    return await Promise.all(rows);
  }

  async #erase(kind: 'user' | 'product', id: string): Promise<ErasureStatus> {
    const status = await this.#freshet(kind, id, ['--yes', '--reason', 'asked by letter']);
    assert.equal(status.state, 'done');
    return status;
  }

  async #freshet(kind: 'user' | 'product', id: string, options: readonly string[]): Promise<ErasureStatus> {
    const { code, output, errors } = await runCommand(['erase', kind, id, '--json', ...options], {
      environment: this.#environment,
    });
    assert.equal(code, 0, errors + output);
    return JSON.parse(output) as ErasureStatus;
  }

  #eventsOf(users: readonly string[], count: number): Event[] {
    return Array.from({ length: count }, () => this.#event(users[this.#random.below(users.length)]!));
  }

  #event(user_id: string): Event {
    const event_type: EventType = (['view', 'add_to_cart', 'purchase'] as const)[this.#random.below(3)]!;
    const product_id = PRODUCTS[this.#random.below(PRODUCTS.length)]!;
    const ts = Date.now() - Math.floor(this.#random.unit() * 80 * DAY_MS);
    return { event_id: `e-${this.#events++}`, user_id, product_id, category: null, event_type, ts };
  }

  async #send(events: readonly Event[]): Promise<void> {
    assert.ok(await this.#deployment.send(events));
  }

  async #put(path: string, body: Partial<Product> | { tenant_id: string }): Promise<void> {
    const response = await fetch(this.#deployment.address + path, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
    assert.equal(response.status, 202, await response.text());
  }

  async #statusOf(path: string): Promise<number> {
    const response = await fetch(this.#deployment.address + path);
    await response.arrayBuffer();
    return response.status;
  }
}

function ruleOf(certificate: Certificate, what: string): string {
  return certificate.expires.find((expiring) => expiring.what === what)!.rule;
}
