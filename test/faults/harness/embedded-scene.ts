/**
 * A whole Freshet on one data folder, with the embedded log and private stores. The test damages the folder while
 * nothing runs on it; `freshet verify` compares everything that is served with a recount from the log.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { AuditReport } from '../../../publishing/audit/report.js';
import { removePrivateStores } from '../../../runtime/stores/open-stores.js';
import type { Event } from '../../../schemas/records.js';
import { Deployment } from '../../support/deployment.js';
import { bareEnvironment } from '../../support/processes.js';
import { Random } from '../../support/random.js';
import type { Verdict } from './checker.js';
import { seed } from './report.js';

const DAY_MS = 86_400_000;
const PER_REQUEST = 500;
const MAIN = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

export class EmbeddedScene {
  readonly folder: string;
  readonly #settings: Readonly<Record<string, string>>;
  readonly #random = new Random(seed);
  readonly deployment: Deployment;
  #sent = 0;

  static async open(t: TestContext): Promise<EmbeddedScene> {
    const scene = new EmbeddedScene(await mkdtemp(join(tmpdir(), 'freshet-damage-')));
    t.after(async () => {
      await scene.deployment.stop();
      await removePrivateStores(scene.folder);
      await rm(scene.folder, { recursive: true, force: true });
    });
    return scene;
  }

  /** One that has counted and published this many events, and has been stopped. */
  static async filled(t: TestContext, events: number): Promise<EmbeddedScene> {
    const scene = await EmbeddedScene.open(t);
    await scene.deployment.start();
    await scene.send(events);
    await scene.verify();
    await scene.deployment.stop();
    return scene;
  }

  private constructor(folder: string) {
    this.folder = folder;
    this.#settings = {
      FRESHET_DATA_DIR: folder,
      PORT: '0',
      LOG_LEVEL: 'warn',
      CHANGELOG_INTERVAL_S: '1',
      INTERACTIONS_INTERVAL_S: '1',
    };
    this.deployment = new Deployment(this.#settings);
  }

  get logFolder(): string {
    return join(this.folder, 'log');
  }

  get sent(): number {
    return this.#sent;
  }

  /** Sends events of a few users and products, so that all of them are touched again later. */
  async send(count: number): Promise<void> {
    for (let left = count; left > 0; left -= PER_REQUEST) {
      const events = Array.from({ length: Math.min(PER_REQUEST, left) }, () => this.#event());
      assert.ok(await this.deployment.send(events));
    }
  }

  #event(): Event {
    const random = this.#random;
    const event_type = (['view', 'view', 'add_to_cart', 'purchase'] as const)[random.below(4)]!;
    const ts = Date.now() - Math.floor(random.unit() * 80 * DAY_MS);
    const [user_id, product_id] = [`u-${random.below(200)}`, `p-${random.below(100)}`];
    return { event_id: `e-${this.#sent++}`, user_id, product_id, category: `c-${random.below(9)}`, event_type, ts };
  }

  /** Compares every key in every store with a recount from the log; throws with the differences. */
  async verify(): Promise<Verdict> {
    let report: AuditReport | null = null;
    await this.deployment.until(async () => {
      const { code, output, errors } = await this.#run(['verify', '--sample', 'all', '--json'], {});
      assert.ok(code === 0 || code === 1, errors);
      report = JSON.parse(output) as AuditReport;
      return report.behind === null && report.compared.every(({ pending }) => pending === 0);
    }, 'compared');
    const { compared, differences } = report!;
    assert.deepEqual(differences, []);
    for (const { store, artefact, same } of compared) assert.ok(same > 0, `${store}: no ${artefact} was compared`);
    const { records_read: events } = report!;
    const wrong = compared.reduce((sum, { different }) => sum + different, 0);
    return { events, counted: events, lost: 0, double: 0, wrong, words: [] };
  }

  /** Starts `freshet up`, which must end by itself with exit code 1; returns what it wrote to standard error. */
  async refusal(settings: Readonly<Record<string, string>> = {}): Promise<string> {
    const { code, errors } = await this.#run(['up', '--no-demo', '--json'], settings);
    assert.equal(code, 1, errors);
    return errors;
  }

  async #run(args: readonly string[], settings: Readonly<Record<string, string>>): Promise<Ended> {
    const env = { ...bareEnvironment(), ...this.#settings, ...settings };
    const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [output, errors, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
    return { code: code as number | null, output, errors };
  }
}
