import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { besideFreshet } from '../../support/beside-freshet.js';
import type { FakeRuns } from '../../support/versions.js';
import { SUMMARY, succeeded } from '../../support/versions.js';
import { runCommand } from './run-command.js';

/** Ends every requested run at its second look. */
function endRuns(runs: FakeRuns, change: Parameters<typeof succeeded>[0] = {}): void {
  const get = runs.get.bind(runs);
  let looks = 0;
  runs.get = async (id) => {
    if (++looks === 2) runs.advance({ status: 'running', progress: { phase: 'read terms', done: 1, total: 2 } });
    if (looks === 3) runs.advance({ ...succeeded(), dry_run: runs.known[0]!.dry_run, ...change });
    return get(id);
  };
}

describe('freshet snapshot, with a running Freshet', () => {
  it('requests a run, waits, and shows the version', async (test) => {
    const { freshet, runs } = await besideFreshet(test);
    endRuns(runs);
    const { code, output, errors } = await freshet('snapshot', 'stopwords');
    assert.equal(code, 0, errors);
    assert.equal(errors, '', 'without a terminal there is no progress');
    assert.equal(
      output,
      `${SUMMARY.join('\n')}\nVersion 4 of stopwords is published: 1,243 words from 2,200 documents in 1.5 s.\n`,
    );
    assert.deepEqual(runs.asked, [{ job: 'stopwords', dryRun: false, by: 'api' }]);
  });

  it('shows what would change with --dry-run', async (test) => {
    const { freshet, runs } = await besideFreshet(test);
    endRuns(runs);
    const { output } = await freshet('snapshot', 'stopwords', '--dry-run');
    assert.equal(output, `${SUMMARY.join('\n')}\nA dry run: nothing was published.\n`);
    assert.equal(runs.asked[0]!.dryRun, true);
  });

  it('prints the run as JSON', async (test) => {
    const { freshet, runs } = await besideFreshet(test);
    endRuns(runs);
    const run = JSON.parse((await freshet('snapshot', 'stopwords', '--json')).output) as {
      status: string;
      finished_at: string;
      result: { version: number };
    };
    assert.deepEqual([run.status, run.finished_at, run.result.version], ['succeeded', '2025-06-01T02:00:01.600Z', 4]);
  });

  it('ends at once with --no-wait', async (test) => {
    const { freshet, address } = await besideFreshet(test);
    const { code, output } = await freshet('snapshot', 'stopwords', '--no-wait');
    assert.equal(code, 0);
    assert.equal(output, `Run run-1 is requested in the running Freshet at ${address}.\n`);
  });

  for (const [status, what] of [
    ['failed', 'failed'],
    ['skipped', 'was skipped'],
    ['cancelled', 'was cancelled'],
  ] as const) {
    it(`ends with 1 and the reason when the run ${what}`, async (test) => {
      const { freshet, runs } = await besideFreshet(test);
      endRuns(runs, {
        status,
        result: { success: false, errors: ['There is no document to count.'], summary: ['Read 0.'] },
      });
      const { code, output, errors } = await freshet('snapshot', 'stopwords');
      assert.equal(code, 1);
      assert.equal(output, 'Read 0.\n');
      assert.equal(errors, `error: Run run-1 of stopwords ${what}: There is no document to count.\n`);
    });
  }

  it('leaves the run alone when asked to stop', async (test) => {
    const { freshet, runs } = await besideFreshet(test);
    const get = runs.get.bind(runs);
    runs.get = async (id) => {
      setImmediate(() => process.emit('SIGINT'));
      return get(id);
    };
    const { code, errors } = await freshet('snapshot', 'stopwords');
    assert.equal(code, 1);
    assert.match(errors, /Stopped by SIGINT: run run-1 continues in the running Freshet at http/);
  });
});

it('refuses an unknown snapshot', async () => {
  const { code, errors } = await runCommand(['snapshot', 'popularity']);
  assert.equal(code, 2);
  assert.match(errors, /There is no snapshot of popularity; there are stopwords, faiss, als\./);
});
