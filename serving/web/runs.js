/** Runs that make versions: requesting one, watching it, reporting its result. */
import { ApiError, call } from './api.js';
import { count, shortTime } from './format.js';
import { byId, element, setText } from './page.js';

const LOOK_MS = 300;
/** There may be no process to take a run. */
const UNTAKEN_MS = 10_000;
const PHASES = { capture: 'Reading topics', build: 'Building', check: 'Checking', publish: 'Publishing' };

/** `onEnd()`: a run has ended. Returns { offer(job, allowed) }: the job that can be run, null for none. */
export function startRuns({ onEnd }) {
  const room = byId('run');
  const text = byId('run-text');
  const bar = byId('run-progress');
  const summary = byId('run-summary');
  const buttons = [byId('run-make'), byId('run-dry')];
  let job = null;
  let watched = null;
  let allowed = false;
  byId('run-make').addEventListener('click', () => begin(false));
  byId('run-dry').addEventListener('click', () => begin(true));
  return { offer };

  function offer(newJob, isAllowed) {
    allowed = isAllowed;
    if (newJob !== job) {
      job = newJob;
      watched = null;
      room.hidden = true;
      byId('run-buttons').hidden = job === null;
      if (job !== null) resume(job);
    }
    enable();
  }

  /** Also shows a run in progress that someone else requested. */
  async function resume(name) {
    const answer = await call(`/v1/jobs/${name}/runs?limit=1`).catch(() => null);
    const newest = answer?.runs[0];
    if (name === job && watched === null && newest?.finished_at === null) watch(newest.run_id);
  }

  async function begin(dryRun) {
    const name = job;
    for (const button of buttons) button.disabled = true;
    open(dryRun ? 'Checking what would change …' : 'Requesting a new version …');
    try {
      const { run_id } = await call(`/v1/jobs/${name}/runs`, { method: 'POST', body: { dry_run: dryRun } });
      if (name === job) await watch(run_id);
    } catch (error) {
      setText(text, error.message);
      close();
    }
  }

  async function watch(id) {
    watched = id;
    const began = performance.now();
    enable();
    for (;;) {
      const waitedMs = performance.now() - began;
      const run = await call(`/v1/runs/${encodeURIComponent(id)}`).catch((error) => error);
      if (watched !== id) return;
      if (!(run instanceof ApiError)) {
        show(run, waitedMs);
        if (run.finished_at !== null) break;
      } else if (run.status !== 0 && run.status < 500 && waitedMs > UNTAKEN_MS) {
        // Just after the request it may not be known yet; later on it never will be.
        setText(text, run.message);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    watched = null;
    close();
    onEnd();
  }

  function open(words) {
    room.hidden = false;
    summary.replaceChildren();
    bar.hidden = false;
    bar.removeAttribute('value');
    setText(text, words);
  }

  function close() {
    bar.hidden = true;
    enable();
  }

  function enable() {
    for (const button of buttons) {
      button.disabled = !allowed || watched !== null;
      button.title = allowed ? '' : 'Your token may not request runs.';
    }
  }

  function show(run, waitedMs) {
    if (run.finished_at === null && bar.hidden) open('');
    if (run.finished_at !== null) {
      setText(text, ended(run));
      const lines = run.result?.summary ?? [];
      summary.replaceChildren(...lines.map((line) => element('li', '', line)));
      return;
    }
    const { progress, status } = run;
    if (progress?.total > 0) {
      bar.max = progress.total;
      bar.value = progress.done;
    } else bar.removeAttribute('value');
    setText(text, progress === null ? waiting(status, waitedMs) : phase(progress));
  }
}

function waiting(status, waitedMs) {
  if (status !== 'queued') return 'Starting …';
  return waitedMs < UNTAKEN_MS
    ? 'Waiting for its turn …'
    : 'The run has not started yet: another run is in progress, or no process has the snapshotter role.';
}

function phase({ phase: name, done, total }) {
  const words = PHASES[name] ?? name;
  return total > 0 ? `${words}: ${count(done)} of ${count(total)}` : `${words} …`;
}

function ended({ status, dry_run, result }) {
  const took = Number.isFinite(result?.duration_seconds) ? ` after ${shortTime(1_000 * result.duration_seconds)}` : '';
  if (status !== 'succeeded') return `The run ${status === 'failed' ? 'failed' : `was ${status}`}: ${reason(result)}`;
  if (dry_run) return `Nothing was published${took}. This would change:`;
  const isPinnedOut = result.version_state === 'verified';
  return `Version ${result.version} ${isPinnedOut ? 'waits because another version is pinned' : 'is published'}${took}.`;
}

function reason(result) {
  return result?.errors?.length > 0 ? result.errors.join(' ') : 'it gave no reason.';
}
