/**
 * Stopwords with each role in a separate process on real servers, as in a deployment: documents in, a version out;
 * killing a snapshot does not affect the existing version.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createDocuments } from '../../cli/demo/documents.js';
import { freshet, freshetUp, type RunningFreshet } from '../bench/freshet.js';
import { childrenOf } from '../support/processes.js';
import { openStage, type Stage } from '../support/services/stage.js';

const WAIT_MS_MAX = 60_000;
const ROLES = ['processor', 'publisher,serving', 'snapshotter:stopwords'];

const found = await openStage();

describe('stopwords, one process per role', { skip: typeof found === 'string' && found }, () => {
  const stage = found as Stage;
  const base = mkdtempSync(join(tmpdir(), 'freshet-roles-'));
  const running: RunningFreshet[] = [];
  let settings: Record<string, string>;

  before(async () => {
    settings = {
      ...stage.settings,
      ARTIFACTS_DIR: join(base, 'artifacts'),
      PARTITIONS: '2',
      TERMS_INTERVAL_S: '1',
      CHECKPOINT_INTERVAL_S: '0',
      FRESHET_DATA_DIR: join(base, 'data'),
    };
    await freshet(['topics', 'apply'], settings);
    running.push(...(await Promise.all(ROLES.map((roles) => freshetUp(settings, ['--roles', roles])))));
  });

  after(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await stage.close();
    rmSync(base, { recursive: true, force: true });
  });

  const [, serving, snapshotter] = [0, 1, 2] as const;
  const get = async <T>(path: string): Promise<T> =>
    (await (await fetch(`${running[serving]!.address}${path}`)).json()) as T;
  const version = async () => (await get<{ version?: number }>('/v1/stopwords/en')).version ?? null;

  async function until<T>(what: string, look: () => Promise<T | null>): Promise<T> {
    for (const end = Date.now() + WAIT_MS_MAX; Date.now() < end; await pause(20)) {
      const seen = await look();
      if (seen !== null) return seen;
    }
    throw new Error(`not within ${WAIT_MS_MAX / 1000} s: ${what}`);
  }

  interface Run {
    readonly status: string;
    readonly attempt: number;
    readonly finished_at: string | null;
    readonly result: { readonly version?: number; readonly errors: string[] } | null;
  }

  async function ask(): Promise<string> {
    const answer = await fetch(`${running[serving]!.address}/v1/jobs/stopwords/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    assert.equal(answer.status, 202);
    return ((await answer.json()) as { run_id: string }).run_id;
  }

  const ended = (id: string) =>
    until(`run ${id} ends`, async () => {
      const run = await get<Run>(`/v1/runs/${id}`);
      return run.finished_at == null ? null : run;
    });

  it('a run without documents fails with an explanation, and nothing is published', async () => {
    const { status, result } = await ended(await ask());
    assert.equal(status, 'failed');
    assert.ok((result?.errors[0] ?? '').length > 10, JSON.stringify(result));
    assert.equal((await fetch(`${running[serving]!.address}/v1/stopwords/en`)).status, 503);
  });

  it('documents become terms, terms a version, and every process serves it', async () => {
    const documents = createDocuments(1, Date.now()).filter(({ language }) => language === 'en' || language === 'de');
    writeFileSync(join(base, 'documents.jsonl'), documents.map((document) => JSON.stringify(document)).join('\n'));
    await freshet(['produce', 'documents', join(base, 'documents.jsonl')], settings);
    const run = await until('all documents are counted in a version', async () => {
      const { status, result } = await ended(await ask());
      const counted = (result as { documents_processed?: number } | null)?.documents_processed;
      return status === 'succeeded' && counted === documents.length ? result : null;
    });
    assert.equal(await version(), run?.version);
    assert.match(await freshet(['versions', 'list'], settings), /^stopwords +\d+ /m);
  });

  it('a snapshot killed in the middle is continued; the old version stays until the new one is published', async () => {
    const before = await version();
    const id = await ask();
    const pid = await until(
      'the process of the snapshot',
      async () => childrenOf(running[snapshotter]!.pid)[0] ?? null,
    );
    process.kill(pid, 'SIGKILL');
    assert.equal(await version(), before);
    const { status, attempt, result } = await ended(id);
    assert.equal(status, 'succeeded', JSON.stringify(result));
    assert.equal(attempt, 2);
    assert.ok(result!.version! > before!);
    assert.equal(await version(), result!.version);
  });

  it('rolls back in one command, on the stores themselves', async () => {
    const before = (await version())!;
    const output = await freshet(['versions', 'rollback', 'stopwords'], settings);
    assert.match(output, new RegExp(`is current now \\(it was version ${before}\\)\\.\\n$`));
    assert.ok((await version())! < before);
  });
});
