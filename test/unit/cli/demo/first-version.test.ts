import assert from 'node:assert/strict';
import { it } from 'node:test';
import { awaitFirstVersion } from '../../../../cli/demo/first-version.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { FakeRuns, FakeVersions, runOf, succeeded } from '../../../support/versions.js';

const NONE = { current: null, versions: [] };

/** Nothing is published by default; each look at a run may advance it. */
function scene(published = false) {
  const versions = new FakeVersions();
  const list = versions.list.bind(versions);
  const runs = new FakeRuns();
  const ending = new AbortController();
  let sleeps = 0;
  const clock = {
    now: () => 0,
    elapsed: () => 0,
    sleep: async () => {
      if (++sleeps === 3) onThirdLook();
    },
  };
  let onThirdLook = () => runs.advance(succeeded());
  return {
    runs,
    ending,
    endsWith: (act: () => void) => {
      onThirdLook = act;
    },
    sleeps: () => sleeps,
    wait: () =>
      awaitFirstVersion({
        job: 'stopwords',
        versions: { list: async (artefact) => ({ ...(await list(artefact)), ...(published ? {} : NONE) }) },
        runs,
        clock,
        logger: silentLogger,
        signal: ending.signal,
      }),
  };
}

it('requests one run if nothing is current, and waits for its end', async () => {
  const { runs, wait, sleeps } = scene();
  await wait();
  assert.deepEqual(runs.asked, [{ job: 'stopwords', dryRun: false, by: 'demo' }]);
  assert.equal(sleeps(), 3);
});

it('requests nothing if a version is current', async () => {
  const { runs, wait } = scene(true);
  await wait();
  assert.deepEqual(runs.asked, []);
});

it('waits for the run of an earlier start instead of requesting another', async () => {
  const { runs, wait } = scene();
  runs.known.push(runOf({ run_id: 'earlier', status: 'running' }));
  await wait();
  assert.deepEqual(runs.asked, []);
});

it('requests another run if the latest has failed', async () => {
  const { runs, wait } = scene();
  runs.known.push(succeeded({ run_id: 'earlier', status: 'failed' }));
  await wait();
  assert.equal(runs.asked.length, 1);
});

it('continues when the run fails, and at once when everything stops', async () => {
  const failing = scene();
  failing.endsWith(() => failing.runs.advance({ ...succeeded(), status: 'failed' }));
  await failing.wait();
  const stopping = scene();
  stopping.endsWith(() => stopping.ending.abort());
  await stopping.wait();
});
