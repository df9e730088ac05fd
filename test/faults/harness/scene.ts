/** The environment of a fault test: a private broker, topics, stores if needed, members, load, checker. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Role } from '../../../assembly/roles/all.js';
import { loadSettings } from '../../../assembly/settings.js';
import { migrateUp } from '../../../publishing/migrations/migrate.js';
import { openKafkaLog } from '../../../runtime/log/kafka/log.js';
import type { Log } from '../../../runtime/log/log.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { openPostgres } from '../../../runtime/stores/postgres/postgres.js';
import { openRedis } from '../../../runtime/stores/redis/redis.js';
import { allTopics } from '../../../topics/all.js';
import { applyTopics } from '../../../topics/apply.js';
import { featureSet } from '../../../topics/feature-set.js';
import { REKEY_PARTITIONS } from '../../../topics/features.js';
import { FaultProxy } from '../../support/services/fault-proxy.js';
import { startBroker } from '../../support/services/kafka.js';
import { LocalBroker } from '../../support/services/local-broker.js';
import { startPostgres } from '../../support/services/postgres.js';
import { startRedis } from '../../support/services/redis.js';
import { isRequired } from '../../support/services/service.js';
import { Checker, isClean, type Verdict } from './checker.js';
import { Member } from './member.js';
import type { FaultPlan } from './plan.js';
import type { CheckedStores } from './published.js';
import { seed } from './report.js';
import { Sender } from './sender.js';
import { Commits } from './stalls.js';

export interface SceneOptions {
  /** Partitions of topic events, and so the number of activity tasks. Default 2. */
  readonly partitions?: number;
  readonly eventsPerSecond?: number;
  readonly users?: number;
  readonly products?: number;
  /** Members and checks reach the broker through it. Default false. */
  readonly proxy?: boolean;
  /** Redis and Postgres, for members with the role publisher. Default false. */
  readonly stores?: boolean;
  /** For every member, overriding the scene's own. */
  readonly settings?: Readonly<Record<string, string>>;
}

export interface MemberChoice {
  /** Members of the same name share a data folder: one is the restart of the other. */
  readonly name?: string;
  readonly roles?: readonly Role[];
  readonly plan?: FaultPlan;
  readonly settings?: Readonly<Record<string, string>>;
}

const COMMITS_MS_MAX = 60_000;
const LOOK_MS = 50;

type Ending = () => Promise<unknown>;

export class Scene {
  readonly broker: LocalBroker;
  readonly proxy: FaultProxy | null;
  readonly log: Log;
  readonly sender: Sender;
  readonly checker: Checker;
  readonly stores: CheckedStores | null;
  /** When tasks of popularity committed. */
  readonly commits: Commits;
  readonly partitions: number;
  /** Every member ever started. */
  readonly members: Member[] = [];
  readonly #settings: Readonly<Record<string, string>>;
  readonly #folder: string;

  /** Closed with the test. Null, and the test is skipped with a reason, if no broker is available. */
  static async open(t: TestContext, options: SceneOptions = {}): Promise<Scene | null> {
    const endings: Ending[] = [];
    t.after(async () => {
      const ends = [];
      for (const end of endings.reverse()) ends.push(...(await Promise.allSettled([end()])));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    });
    const proxy = options.proxy ? await FaultProxy.open() : null;
    if (proxy !== null) endings.push(() => proxy.close());
    const broker = await startBroker(proxy === null ? {} : { proxy });
    if (!(broker instanceof LocalBroker)) {
      assert.ok(!isRequired('kafka'), broker.missing);
      t.skip(broker.missing);
      return null;
    }
    endings.push(() => broker.stop());
    const scene = await Scene.#build(broker, proxy, options, endings);
    await scene.sender.catalogue();
    endings.push(() => Promise.all(scene.members.map((member) => member.kill())));
    return scene;
  }

  static async #build(
    broker: LocalBroker,
    proxy: FaultProxy | null,
    options: SceneOptions,
    endings: Ending[],
  ): Promise<Scene> {
    const partitions = options.partitions ?? 2;
    const folder = await mkdtemp(join(tmpdir(), 'freshet-faults-'));
    endings.push(() => rm(folder, { recursive: true, force: true }));
    const brokers = proxy === null ? broker.address : `127.0.0.1:${proxy.port}`;
    const kafka = { KAFKA_BROKERS: brokers, PARTITIONS: String(partitions) };
    const log = await openKafkaLog(loadSettings(kafka), silentLogger);
    endings.push(() => log.close());
    await applyTopics(log.admin, allTopics(), { kind: log.kind, partitions });
    const [stores, addresses] = options.stores ? await openStores(endings) : [null, {}];
    // Often enough to be hit by faults: flushes, checkpoints, and the slower output.
    const often = { CHANGELOG_INTERVAL_S: '1', CHECKPOINT_INTERVAL_S: '1', INTERACTIONS_INTERVAL_S: '1' };
    const settings = { ...often, ...kafka, ...addresses };
    return new Scene({ broker, proxy, log, stores, folder, partitions, settings }, options, endings);
  }

  private constructor(
    base: Pick<Scene, 'broker' | 'proxy' | 'log' | 'stores' | 'partitions'> & {
      readonly folder: string;
      readonly settings: Readonly<Record<string, string>>;
    },
    { eventsPerSecond = 300, users = 150, products = 60, settings = {} }: SceneOptions,
    endings: Ending[],
  ) {
    const { broker, proxy, log, stores, partitions } = base;
    this.broker = broker;
    this.proxy = proxy;
    this.log = log;
    this.stores = stores;
    this.partitions = partitions;
    this.#folder = base.folder;
    this.#settings = { ...base.settings, ...settings };
    this.sender = new Sender({ log, seed, eventsPerSecond, users, products });
    this.checker = new Checker({ log, partitions, stores, interactions: true });
    this.commits = new Commits(log, featureSet(1).topics.popularityChangelog.name);
    endings.push(
      () => this.checker.close(),
      () => this.commits.close(),
      () => this.sender.stop(),
    );
  }

  /** In the order of their numbers within the application. */
  get taskNames(): string[] {
    const named = (processor: string, tasks: number) =>
      Array.from({ length: tasks }, (_, index) => `features.v1.${processor}-${index}`);
    return [...named('activity', this.partitions), ...named('popularity', REKEY_PARTITIONS)];
  }

  get tasks(): number {
    return this.taskNames.length;
  }

  start({ name = 'one', roles = ['processor'], plan, settings = {} }: MemberChoice = {}): Member {
    const own = { FRESHET_DATA_DIR: join(this.#folder, name) };
    const all = { ...this.#settings, ...own, ...settings };
    const member = new Member({ name, roles, settings: all, taskNames: this.taskNames, ...(plan && { plan }) });
    this.members.push(member);
    return member;
  }

  /** Waits until popularity has committed this many times more. */
  async committed(times: number): Promise<void> {
    await this.commits.advance();
    const enough = this.commits.count + times;
    const deadline = Date.now() + COMMITS_MS_MAX;
    while (this.commits.count < enough) {
      assert.ok(Date.now() < deadline, `fewer than ${times} commits of popularity within ${COMMITS_MS_MAX} ms`);
      await pause(LOOK_MS);
      await this.commits.advance();
    }
  }

  /** Seconds of every restore so far. */
  get restoreSeconds(): number[] {
    return this.members.flatMap((member) => member.restoreSeconds);
  }

  /** Ends the load, waits until everything is folded, and fails on any difference. */
  async settled(): Promise<Verdict> {
    await this.sender.stop();
    const verdict = await this.checker.settle(this.sender.acknowledged);
    assert.ok(isClean(verdict), `seed ${seed}: ${JSON.stringify(verdict, null, 2)}`);
    return verdict;
  }
}

async function openStores(endings: Ending[]): Promise<[CheckedStores, Record<string, string>]> {
  const keyPrefix = `faults-${randomBytes(4).toString('hex')}:`;
  const [redis, postgres] = await Promise.all([startRedis(), startPostgres()]);
  if (redis !== null) endings.push(() => redis.stop());
  endings.push(() => postgres.stop());
  assert.ok(redis !== null, 'no Redis is available');
  const store = await openRedis({ url: redis.url, keyPrefix }, silentLogger);
  endings.push(() => store.close());
  const database = await openPostgres({ url: postgres.url, connectionsMax: 2 }, silentLogger);
  endings.push(() => database.close());
  await migrateUp(database, silentLogger);
  const addresses = { REDIS_URL: redis.url, REDIS_KEY_PREFIX: keyPrefix, DATABASE_URL: postgres.url };
  return [{ store, database, keyPrefix }, addresses];
}
