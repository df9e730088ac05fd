/**
 * Each role in a process of its own on real servers: every one of them listens and says what it waits for, the overview
 * shows what is and not what one process has seen, and the serving role creates no topics.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { loadSettings } from '../../cli/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Overview } from '../../serving/ports.js';
import { freshetUp, type RunningFreshet } from '../bench/freshet.js';
import { openTab } from '../support/browser.js';
import { openStage, type Stage } from '../support/services/stage.js';
import { runCommand } from '../unit/cli/run-command.js';

const WAIT_MS_MAX = 60_000;
const EVENTS = 64;
/** Families of metrics that each role must show. */
const FAMILIES: Readonly<Record<string, RegExp>> = {
  processor: /^freshet_intake_records_total\{outcome="counted"\} 64$/m,
  publisher: /^freshet_sink_records_total\{.*\} \d+$/m,
  serving: /^freshet_http_requests_total\{/m,
  'snapshotter:stopwords': /^# TYPE batch_job_runs_total counter$/m,
};

const found = await openStage();

describe('one process per role', { skip: typeof found === 'string' && found }, () => {
  const stage = found as Stage;
  const base = mkdtempSync(join(tmpdir(), 'freshet-split-'));
  const running: RunningFreshet[] = [];
  let settings: Record<string, string>;

  before(() => {
    settings = {
      ...stage.settings,
      ARTIFACTS_DIR: join(base, 'artifacts'),
      PARTITIONS: '2',
      FRESHET_DATA_DIR: join(base, 'data'),
      PORT: '0',
    };
  });

  after(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await stage.close();
    rmSync(base, { recursive: true, force: true });
  });

  async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
    for (const end = Date.now() + WAIT_MS_MAX; Date.now() < end; await pause(50)) {
      const seen = await look();
      if (seen !== null) return seen;
    }
    throw new Error(`not within ${WAIT_MS_MAX / 1000} s: ${what}`);
  }

  interface Status {
    readonly roles: string[];
    readonly address: string;
    readonly state: string;
    readonly waiting: string[];
  }

  const status = async (): Promise<Status[]> => {
    const { output } = await runCommand(['status', '--json'], { environment: settings });
    return (JSON.parse(output) as { processes: Status[] }).processes;
  };

  it('serving waits for topics that another role creates', async () => {
    const log = await openKafkaLog(loadSettings(settings), silentLogger);
    try {
      const serving = freshetUp(settings, ['--roles', 'serving']);
      await pause(3_000);
      assert.ok(!(await log.admin.listTopics()).includes('events'));
      const others = ['processor', 'publisher', 'snapshotter:stopwords'];
      running.push(...(await Promise.all([serving, ...others.map((role) => freshetUp(settings, ['--roles', role]))])));
      assert.ok((await log.admin.listTopics()).includes('events'));
    } finally {
      await log.close();
    }
  });

  it('"freshet status" names all of them once they are ready', async () => {
    const all = await until('all are ready', async () => {
      const seen = await status();
      return seen.length === 4 && seen.every(({ state }) => state === 'ready') ? seen : null;
    });
    assert.deepEqual(all.flatMap(({ roles }) => roles).sort(), Object.keys(FAMILIES).sort());
    const { code, output } = await runCommand(['status'], { environment: settings });
    assert.equal(code, 0);
    for (const { address } of all) assert.ok(output.includes(address), output);
  });

  it('each has its own metrics, and health', async () => {
    const serving = running[0]!;
    const events = Array.from({ length: EVENTS }, (_, i) => ({
      event_id: `e${i}`,
      user_id: `u${i % 8}`,
      product_id: `p${i % 5}`,
      category: 'c',
      event_type: 'view',
      ts: Date.now(),
    }));
    const answer = await fetch(`${serving.address}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
    });
    assert.equal(answer.status, 202);
    for (const { roles, address } of await status()) {
      const [role] = roles;
      await until(`metrics of ${role}`, async () => {
        const text = await (await fetch(`${address}/metrics`)).text();
        return FAMILIES[role!]!.test(text) ? text : null;
      });
      assert.deepEqual(await (await fetch(`${address}/health/live`)).json(), { status: 'live' });
      if (role === 'serving') continue;
      const other = await fetch(`${address}/v1/popular`);
      assert.equal(other.status, 404);
      assert.match(await other.text(), /this process answers/);
    }
  });

  it('the overview shows lags from the log, and says what it does not know', async () => {
    const overview = await until('nothing is behind', async () => {
      const seen = (await (await fetch(`${running[0]!.address}/v1/overview`)).json()) as Overview;
      return Object.values(seen.lag).every((lag) => lag === 0) && seen.events.total >= EVENTS ? seen : null;
    });
    assert.equal(overview.freshness_ms, null);
    assert.equal(overview.intake, null);
  });

  it('so does the page', async (t) => {
    const tab = await openTab(t);
    if (tab === null) return;
    await tab.go(`${running[0]!.address}/`);
    for (const id of ['intake-counted', 'intake-late', 'freshness'])
      await tab.until(`document.getElementById('${id}').textContent === 'not known here'`);
  });
});
