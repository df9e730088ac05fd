/** The HTTP surface on fakes: a scripted log, a table of users, features in maps. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { InputError } from '../../ingest/input-error.js';
import type { SkipRequest } from '../../ingest/skips.js';
import type { ErasureStatus } from '../../publishing/erasure/certificate.js';
import type { CatalogueProduct } from '../../publishing/reading/catalogue-reader.js';
import type { ProductPopularity, UserAffinity, UserInteractions } from '../../publishing/reading/reader.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { createMetrics, type Metrics } from '../../runtime/process/metrics.js';
import type { Queryable } from '../../runtime/stores/database.js';
import { Codec } from '../../schemas/codec.js';
import type { Skip } from '../../schemas/records.js';
import { type AppOptions, buildApp } from '../../serving/app.js';
import type { ModelAnswer, ModelAnswers } from '../../serving/models/answers.js';
import type { Erasures, FeatureReaders, Overview, Readiness, SkipOrders } from '../../serving/ports.js';
import type { AccessToken } from '../../serving/settings.js';
import { allTopics } from '../../topics/all.js';
import { RUNNING_SETS } from '../../topics/running.js';
import { type Subject, subjectKey } from '../../topics/subject.js';
import { ScriptedLog, written } from './scripted-log.js';
import { FakeRuns, FakeVersions } from './versions.js';

export const NOW_MS = Date.UTC(2025, 5, 1, 12);

export const OVERVIEW: Overview = {
  mode: { log: 'embedded', online_store: 'local', database: 'private' },
  demo: true,
  uptime_seconds: 12.5,
  events: { total: 1000, rate_per_second: 20.5 },
  lag: { activity: 0, popularity: 1, corpus: 4, embeddings: 5, redis: 2, postgres: 3 },
  freshness_ms: { redis: 120, postgres: null },
  intake: { counted: 990, duplicate: 5, late: 3, dead_letter: 2 },
};

const { lag, freshness_ms } = OVERVIEW;
export const HISTORY = Array.from({ length: 24 }, (_, i) => ({
  at: NOW_MS - 5_000 * (24 - i),
  rate_per_second: 10 + i,
  lag,
  freshness_ms,
}));

/** Features set by a test. */
export class FakeReaders implements FeatureReaders {
  readonly products = new Map<string, ProductPopularity & { category: string }>();
  readonly users = new Map<string, UserAffinity>();
  readonly done = new Map<string, UserInteractions>();
  readonly listed = new Map<string, CatalogueProduct>();
  readonly words = new Map<string, Readonly<Record<string, number>>>();
  wordsVersion = 3;
  failure: Error | null = null;

  async popular(category: string | null, limit: number) {
    this.#check();
    const items = [...this.products.values()]
      .filter((product) => category === null || product.category === category)
      .sort((a, b) => b.score - a.score)
      .slice(0, limit)
      .map(({ productId, score, category: own }) => ({ productId, score, category: own }));
    return { asOf: NOW_MS, version: 1, items };
  }

  async popularity(productId: string) {
    this.#check();
    return this.products.get(productId) ?? null;
  }

  async affinity(userId: string) {
    this.#check();
    return this.users.get(userId) ?? null;
  }

  async popularities(ids: readonly string[]) {
    this.#check();
    return { version: 1, rows: chosen(this.products, ids) };
  }

  async affinities(ids: readonly string[]) {
    this.#check();
    return { version: 1, rows: chosen(this.users, ids) };
  }

  async interactions(ids: readonly string[]) {
    this.#check();
    return { version: 1, rows: chosen(this.done, ids) };
  }

  async catalogue(ids: readonly string[]) {
    this.#check();
    return chosen(this.listed, ids);
  }

  async stopwords(language: string) {
    this.#check();
    if (this.words.size === 0) throw new FreshetError('unavailable', 'nothing is published');
    const words = this.words.get(language);
    return words === undefined ? null : { version: this.wordsVersion, language, words };
  }

  async stopwordLanguages() {
    this.#check();
    return [...this.words.keys()].sort();
  }

  #check(): void {
    if (this.failure !== null) throw this.failure;
  }
}

/** The entries of these ids. */
function chosen<T>(all: ReadonlyMap<string, T>, ids: readonly string[]): Map<string, T> {
  return new Map([...all].filter(([id]) => ids.includes(id)));
}

/** Erasures set by a test, by the subject's key. */
export class FakeErasures implements Erasures {
  readonly known = new Map<string, ErasureStatus>();
  /** How long the requests were willing to wait, ms. */
  readonly waits: number[] = [];

  async status(subject: Subject, waitMs: number) {
    this.waits.push(waitMs);
    return this.known.get(subjectKey(subject)) ?? null;
  }
}

class FakeSkips implements SkipOrders {
  readonly all: Skip[] = [];

  list(): Skip[] {
    return this.all;
  }

  async request(wanted: SkipRequest, { by, at }: { readonly by: string; readonly at: number }): Promise<Skip> {
    if (wanted.topic === 'none') throw new InputError('There is no topic "none".');
    const skip = { ...wanted, topic_id: null, requested_at: at, requested_by: by };
    this.all.push(skip);
    return skip;
  }
}

/** The table `users`, and nothing else. */
export class FakeUsers implements Queryable {
  readonly tenants = new Map<string, string>();
  failure: Error | null = null;

  async query<Row extends object>(_sql: string, [ids]: readonly unknown[] = []): Promise<Row[]> {
    if (this.failure !== null) throw this.failure;
    return (ids as string[])
      .filter((id) => this.tenants.has(id))
      .map((id) => ({ user_id: id, tenant_id: this.tenants.get(id) }) as unknown as Row);
  }

  execute(): Promise<number> {
    return Promise.reject(new Error('serving writes no tables'));
  }
}

/** Models set by a test; without any, the answers of a deployment without versions. */
export class FakeModels implements ModelAnswers {
  readonly asked: unknown[][] = [];
  answer: ModelAnswer | null = { version: 7, items: [{ product_id: 'p1', score: 0.5 }], reads: { faiss: 7, als: 4 } };

  async recommendations(...asked: [string, number, boolean]) {
    this.asked.push(['recommendations', ...asked]);
    return this.answer!;
  }

  async similar(...asked: [string, number]) {
    this.asked.push(['similar', ...asked]);
    return this.answer;
  }

  async search(...asked: [string, number]) {
    this.asked.push(['search', ...asked]);
    return this.answer!;
  }
}

export interface Fixture {
  readonly app: FastifyInstance;
  readonly log: ScriptedLog;
  readonly readers: FakeReaders;
  readonly models: FakeModels;
  readonly users: FakeUsers;
  readonly erasures: FakeErasures;
  readonly versions: FakeVersions;
  readonly runs: FakeRuns;
  readonly metrics: Metrics;
  readonly codec: Codec;
  readonly stopping: AbortController;
  readiness: Readiness;
}

/** Decodes everything in a topic. */
export async function valuesOf({ log, codec }: Fixture, topic: string): Promise<unknown[]> {
  const { schema } = allTopics().find(({ name }) => name === topic)!;
  const records = await written(log, topic);
  return records.map(({ value }) => (value === null ? null : { ...(codec.decode(schema, value) as object) }));
}

/** Keys of everything in a topic. */
export async function keysOf(log: ScriptedLog, topic: string): Promise<(string | null)[]> {
  return (await written(log, topic)).map(({ key }) => key);
}

export function tokenEntry(token: string, role: AccessToken['role'], tenant = 'main'): AccessToken {
  return { sha256: createHash('sha256').update(token).digest('hex'), role, tenant };
}

/** A folder that is removed when the process ends. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'freshet-serving-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

let page: string | null = null;

/** A folder with a page of three files, the same for all tests of a process. */
function pageFolder(): string {
  if (page !== null) return page;
  page = temporaryFolder();
  writeFileSync(join(page, 'index.html'), '<!doctype html><title>Freshet</title>');
  writeFileSync(join(page, 'app.js'), 'export {};');
  writeFileSync(join(page, 'notes.txt'), 'not part of the page');
  return page;
}

/** Everything that createServer and buildApp need, on fakes. */
export async function servingOptions(overrides: Partial<AppOptions> = {}) {
  const log = await ScriptedLog.of();
  const readers = new FakeReaders();
  const models = new FakeModels();
  const users = new FakeUsers();
  const erasures = new FakeErasures();
  const versions = new FakeVersions();
  const runs = new FakeRuns();
  const metrics = createMetrics();
  const codec = new Codec();
  const stopping = new AbortController();
  const state: { readiness: Readiness } = { readiness: { ready: true, waiting: [] } };
  const options: AppOptions = {
    sets: RUNNING_SETS,
    log,
    skips: new FakeSkips(),
    database: users,
    readers,
    models,
    erasures,
    versions,
    runs,
    codec,
    settings: { HOST: '127.0.0.1', PORT: 0, API_TOKENS: undefined, API_TOKENS_FILE: undefined },
    logger: silentLogger,
    metrics,
    clock: { now: () => NOW_MS, elapsed: () => 0, sleep: () => Promise.resolve() },
    isReady: () => state.readiness,
    overview: () => Promise.resolve(OVERVIEW),
    overviewHistory: () => HISTORY,
    stopping: stopping.signal,
    webFolder: pageFolder(),
    ...overrides,
  };
  return { options, log, readers, models, users, erasures, versions, runs, metrics, codec, stopping, state };
}

/** An app that is closed with the test. */
export async function servingFixture(test: TestContext, overrides: Partial<AppOptions> = {}): Promise<Fixture> {
  const { options, state, ...parts } = await servingOptions(overrides);
  const app = await buildApp(options);
  test.after(() => app.close());
  return {
    app,
    ...parts,
    get readiness() {
      return state.readiness;
    },
    set readiness(value) {
      state.readiness = value;
    },
  };
}

export function withTokens(tokens: readonly AccessToken[], host = '127.0.0.1'): Partial<AppOptions> {
  return { settings: { HOST: host, PORT: 0, API_TOKENS: [...tokens], API_TOKENS_FILE: undefined } };
}
