/** I25: a run under a lease, of a job that is no snapshot: every way in which an attempt may end, and what becomes of the run. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runDropped, runEnded, runInterrupted, runStarted } from '../../../jobs/events.js';
import { type Attendance, type Ending, Interrupted, type JobRun } from '../../../jobs/job.js';
import { Performer, type RunControl } from '../../../jobs/perform.js';
import { END_STATUS, type EndEvent, TRANSITIONS } from '../../../jobs/run-state.js';
import type { RunRow } from '../../../jobs/run-store.js';
import type { RunProgress } from '../../../jobs/runs.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import { EventBus } from '../../../runtime/process/events.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { ManualClock } from '../../support/manual-clock.js';

type Run = (run: JobRun, attendance: Attendance) => Promise<Ending>;

const AT = new Date(0);

/** One run in a separate store, and what was reported about it. */
class Scene {
  readonly said: string[] = [];
  readonly shown: RunProgress[] = [];
  readonly clock = new ManualClock(0);
  readonly stop = new AbortController();
  readonly cancel = new AbortController();
  readonly lost = new AbortController();
  /** Of the lease that the row was last written under. */
  epoch = 1;
  row: RunRow = {
    run_id: 'run',
    job_name: 'trivial',
    requested_by: 'test',
    status: 'queued',
    attempt: 0,
    deaths: 0,
    dry_run: false,
    requested_at: AT,
    started_at: null,
    finished_at: null,
    progress: null,
    kept: null,
    result: null,
    epoch: 0,
  };

  perform(run: Run, over: Partial<RunControl> = {}): Promise<boolean> {
    const job = { name: 'trivial', policy: { deathsMax: 3 }, run };
    const lease = {
      epoch: 1,
      lost: this.lost.signal,
      check: () => {
        if (this.lost.signal.aborted) throw new FreshetError('fenced', 'the lease is lost');
      },
    };
    const performer = new Performer({
      store: this.#store(),
      events: this.#events(),
      clock: this.clock,
      progressMs: 100,
    });
    const control = { stop: this.stop.signal, cancel: this.cancel.signal, ...over };
    return performer.perform(job, lease, null, control);
  }

  #events(): EventBus {
    const events = new EventBus(silentLogger);
    events.on(runStarted, ({ attempt }) => void this.said.push(`started ${attempt}`));
    events.on(runInterrupted, ({ error }) => void this.said.push(`died: ${error.message}`));
    events.on(runDropped, ({ error }) => void this.said.push(`dropped: ${error.message}`));
    events.on(runEnded, ({ status }) => void this.said.push(status));
    return events;
  }

  #store(): ConstructorParameters<typeof Performer>[0]['store'] {
    const isOwn = (epoch: number) => epoch >= this.epoch && this.row.finished_at === null;
    const change = (over: Partial<RunRow>) => {
      this.row = { ...this.row, ...over };
      return this.row;
    };
    return {
      claim: async (_job, epoch) => {
        if (!isOwn(epoch)) return null;
        const { status, attempt, deaths } = this.row;
        return change({
          status: 'running',
          attempt: attempt + 1,
          deaths: deaths + (status === 'running' ? 1 : 0),
          epoch,
        });
      },
      yield: async (_id, epoch) => {
        if (isOwn(epoch)) change({ status: 'queued' });
      },
      progress: async (_id, epoch, progress) => {
        if (isOwn(epoch)) this.shown.push(progress);
      },
      keep: async (_id, epoch, kept) => isOwn(epoch) && change({ kept }) !== null,
      end: async (_id, epoch, event: EndEvent, result) => {
        if (!isOwn(epoch) || TRANSITIONS[this.row.status][event] === null) return null;
        return change({ status: END_STATUS[event], finished_at: AT, result, kept: null });
      },
    };
  }
}

const succeed = (result: Ending['result'] = {}): Ending => ({ event: 'succeed', result });

describe('a run', () => {
  test('that succeeds ends with what its job says', async () => {
    const scene = new Scene();
    assert.equal(await scene.perform(async () => succeed({ items: 3, summary: ['three'] })), true);
    assert.deepEqual(scene.said, ['started 1', 'succeeded']);
    assert.deepEqual(scene.row.result, { success: true, items: 3, summary: ['three'], errors: [] });
  });

  for (const [event, status] of [
    ['fail', 'failed'],
    ['cancel', 'cancelled'],
  ] as const)
    test(`may ${event} without an error`, async () => {
      const scene = new Scene();
      await scene.perform(async () => ({ event, result: { errors: ['a check'] } }));
      assert.equal(scene.row.status, status);
      assert.deepEqual(scene.row.result, { success: false, summary: [], errors: ['a check'] });
    });

  test('whose job throws has failed with its sentence', async () => {
    const scene = new Scene();
    await scene.perform(async () => {
      throw new FreshetError('invalid_data', 'nothing can be made of this');
    });
    assert.equal(scene.row.status, 'failed');
    assert.deepEqual(scene.row.result, { success: false, summary: [], errors: ['nothing can be made of this'] });
  });

  test('that is interrupted is tried again with what it kept, and not for ever', async () => {
    const scene = new Scene();
    const kept: unknown[] = [];
    const run: Run = async (row, { keep }) => {
      kept.push(row.kept);
      await keep({ attempt: row.attempt });
      throw new Interrupted('killed');
    };
    await scene.perform(run);
    assert.deepEqual(kept, [null, { attempt: 1 }, { attempt: 2 }]);
    assert.equal(scene.row.status, 'failed');
    assert.match(String(scene.row.result!['errors']), /^3 attempts ended with their process/);
    assert.deepEqual(scene.said.slice(0, 3), ['started 1', 'died: killed', 'started 2']);
  });

  test('goes back to the queue when the worker stops, and counts no death', async () => {
    const scene = new Scene();
    const isEnded = await scene.perform(async (_, { signal }) => {
      scene.stop.abort();
      assert.ok(signal.aborted);
      throw new Error('whatever');
    });
    assert.equal(isEnded, false);
    assert.deepEqual([scene.row.status, scene.row.deaths], ['queued', 0]);
    assert.equal(await scene.perform(async () => succeed()), false, 'a worker that stops begins nothing');
  });

  test('that is cancelled ends so', async () => {
    const scene = new Scene();
    await scene.perform(async (_, { signal }) => {
      scene.cancel.abort();
      assert.ok(signal.aborted);
      throw new Error('whatever');
    });
    assert.equal(scene.row.status, 'cancelled');
    assert.deepEqual(scene.row.result!['errors'], ['it was cancelled']);
  });

  test('of a lost lease is left as it is', async () => {
    const scene = new Scene();
    const isEnded = await scene.perform(async (_, attendance) => {
      scene.lost.abort();
      assert.ok(attendance.signal.aborted);
      attendance.check();
      return succeed();
    });
    assert.equal(isEnded, false);
    assert.equal(scene.row.status, 'running');
    assert.deepEqual(scene.said, ['started 1', 'dropped: the lease is lost']);
  });

  test('that another worker has taken over keeps nothing more and is not ended here', async () => {
    for (const late of ['keep', 'end'] as const) {
      const scene = new Scene();
      const isEnded = await scene.perform(async (_, { keep }) => {
        scene.epoch = 2;
        if (late === 'keep') await keep('anything');
        return succeed();
      });
      assert.equal(isEnded, false);
      assert.deepEqual([scene.row.status, scene.row.kept], ['running', null]);
      assert.match(scene.said.at(-1)!, /^dropped: another worker has the run/);
    }
  });

  test('shows every step to its caller, and to the rest a new phase at once and a figure now and then', async () => {
    const scene = new Scene();
    const seen: RunProgress[] = [];
    const at = (phase: string, done: number) => ({ phase, done, total: 3 });
    const run: Run = async (_, { progress }) => {
      for (const done of [0, 1]) progress(at('first', done));
      scene.clock.advance(100);
      for (const done of [2, 3]) progress(at('first', done));
      progress(at('second', 0));
      return succeed();
    };
    await scene.perform(run, { onProgress: (progress) => seen.push(progress) });
    assert.equal(seen.length, 5);
    assert.deepEqual(scene.shown, [at('first', 0), at('first', 2), at('second', 0)]);
  });

  test('has a result that fits into a record and into Postgres', async () => {
    const scene = new Scene();
    const cut = `${'x'.repeat(499)}😀`;
    const errors = ['a\0b', cut, ...Array.from({ length: 600 }, (_, i) => `error ${i}`)];
    const summary = Array.from({ length: 600 }, () => '漢'.repeat(500));
    await scene.perform(async () => ({ event: 'fail', result: { errors, summary } }));
    const result = scene.row.result as { errors: string[]; summary: string[] };
    assert.deepEqual(result.errors.slice(0, 3), ['ab', `${'x'.repeat(499)}\ufffd`, 'error 0']);
    assert.deepEqual([result.errors.length, result.errors.at(-1)], [501, '… and 102 more']);
    assert.ok(result.summary.length < 100 && /^… and \d+ more$/.test(result.summary.at(-1)!));
    assert.ok(Buffer.byteLength(JSON.stringify(result)) < 300_000);
  });
});
