/**
 * Awaited work, shown by a second one that is as small as it can be: every item is a call to a service. Outcomes are
 * written once and in order whatever the answers do, and never more calls are under way than allowed.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { RecordColumns } from '../../../../runtime/log/log.js';
import { FreshetError, hasCode } from '../../../../runtime/process/errors.js';
import { takeFaultPoints } from '../../../../runtime/process/fault-points.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { createMetrics } from '../../../../runtime/process/metrics.js';
import type { AwaitedWork, AwaitedWorkOptions, Backlog } from '../../../../runtime/tasks/awaited-work.js';
import { newestMarker } from '../../../../runtime/tasks/scan.js';
import { Task } from '../../../../runtime/tasks/task.js';
import { Codec } from '../../../../schemas/codec.js';
import { deadLetters } from '../../../../topics/events.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { Random } from '../../../support/random.js';
import { append, ScriptedLog, written } from '../../../support/scripted-log.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const SEED = 20_261_103;
const CONCURRENCY = 3;
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

type Service = (item: string, signal: AbortSignal | undefined) => Promise<string>;

/** An item per record: its key. One without a value is rejected. */
class Calls implements AwaitedWork {
  readonly concurrency = CONCURRENCY;
  readonly backlog?: Backlog;
  #item: string | null = null;

  constructor(
    readonly options: AwaitedWorkOptions,
    readonly service: Service,
    readonly version: number,
    backlog: Backlog | null,
    readonly prepared: () => void,
  ) {
    if (backlog !== null) this.backlog = backlog;
  }

  /** From the backlog. */
  add(item: string): void {
    this.#item = item;
  }

  fingerprint(): string {
    return `calls ${this.version}`;
  }

  async restore(): Promise<Record<string, unknown>> {
    return {};
  }

  async prepare(): Promise<void> {
    this.prepared();
  }

  take(batch: RecordColumns, row: number): void {
    const item = batch.bytes.toString('utf8', batch.keyStart[row]!, batch.keyEnd[row]!);
    if (batch.valueStart[row]! >= 0) this.#item = item;
    else this.options.reject(batch, row, { code: 'empty', message: `item ${item} is empty` });
  }

  get isFull(): boolean {
    return this.#item !== null;
  }

  begin(signal: AbortSignal | undefined): Promise<{ topic: string; key: Buffer; value: Buffer }[]> | null {
    const item = this.#item;
    if (item === null) return null;
    this.#item = null;
    return this.service(item, signal).then((answer) => [
      { topic: 'answers', key: Buffer.from(item), value: Buffer.from(answer) },
    ]);
  }

  async close(): Promise<void> {
    // Nothing is held.
  }
}

/** Items from before the first run, one at a time. */
function backlogOf(items: string[], work: () => Calls): Backlog {
  return {
    find: async () => undefined,
    get size() {
      return items.length;
    },
    take: async () => work().add(items.shift()!),
    completed: () => undefined,
  };
}

class Stage {
  readonly log = new ScriptedLog();
  readonly clock = new ManualClock(NOW);
  readonly codec = new Codec();
  /** Items in the order of their calls. */
  readonly called: string[] = [];
  /** Those of them that were made although the task had been stopped. */
  readonly calledTooLate: string[] = [];
  /** Called before records are taken. */
  prepared: () => void = () => undefined;
  /** Stops the task that runs. */
  stop = new AbortController();
  /** Items of the backlog of the next task; null: its work has none. */
  waiting: string[] | null = null;
  underWay = 0;
  mostUnderWay = 0;
  version = 1;
  /** Resolves when the answer is there; rejects when the call fails for good. */
  answer: Service = async () => undefined as never;

  static async of(answer: Service = async (item) => `${item}!`): Promise<Stage> {
    const stage = new Stage();
    stage.answer = answer;
    stage.log.now = () => NOW;
    const config = { cleanup: 'compact', retentionMs: -1, logAppendTime: true, settings: {}, partitions: 1 } as const;
    for (const name of ['items', 'answers', 'calls-changelog', deadLetters.name])
      await stage.log.admin.createTopic({ name, ...config });
    return stage;
  }

  async put(...items: string[]): Promise<void> {
    for (const item of items)
      await append(this.log, 'items', Buffer.from(item), item.startsWith('bad') ? null : Buffer.from('x'), 0);
  }

  newTask(): Task {
    const service: Service = async (item, signal) => {
      this.called.push(item);
      if (signal?.aborted) this.calledTooLate.push(item);
      this.mostUnderWay = Math.max(this.mostUnderWay, ++this.underWay);
      try {
        return await this.answer(item, signal);
      } finally {
        this.underWay--;
      }
    };
    return new Task({
      declaration: {
        name: 'calls',
        application: 'test',
        input: 'items',
        changelog: 'calls-changelog',
        writes: ['answers', 'calls-changelog', deadLetters.name],
        createWork: (options) => {
          const backlog = this.waiting === null ? null : backlogOf(this.waiting, () => calls);
          const calls: Calls = new Calls(options, service, this.version, backlog, () => this.prepared());
          return calls;
        },
      },
      index: 0,
      inputs: [{ topic: 'items', partition: 0 }],
      partitions: 1,
      log: this.log,
      codec: this.codec,
      logger: silentLogger,
      metrics: createMetrics(),
      clock: this.clock,
      commitIntervalMs: 10,
      changelogIntervalMs: 1_000,
      onCommitted: () => undefined,
    });
  }

  /** Runs a new task until the condition holds, then stops it. Throws what ended it before. */
  async runUntil(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
    const task = this.newTask();
    const stop = new AbortController();
    this.stop = stop;
    try {
      await task.restore();
      let isOver = false;
      const running = task.run(stop.signal).finally(() => {
        isOver = true;
      });
      running.catch(() => undefined);
      for (let i = 0; !isOver && !(await condition()); i++) {
        assert.ok(i < 5_000, `never: ${what}`);
        this.clock.advance(5);
        await turn();
      }
      stop.abort();
      await running;
    } finally {
      await task.close();
    }
  }

  /** Next offset of the newest marker; -1 without one. */
  async marked(): Promise<number> {
    const marker = await newestMarker(this.log, this.codec, { topic: 'calls-changelog', partition: 0 });
    return marker?.parts[0]?.offset ?? -1;
  }

  async settle(): Promise<void> {
    const { lastStable } = await this.log.offsets({ topic: 'items', partition: 0 });
    await this.runUntil('every item has its answer', async () => (await this.marked()) === lastStable);
  }

  async answers(): Promise<string[]> {
    return (await written(this.log, 'answers')).map(({ value }) => value!.toString());
  }

  async letters(): Promise<number> {
    return (await written(this.log, deadLetters.name)).length;
  }
}

/** Answers that come when the test says so. */
function byHand(): { service: Service; answer: (item: string) => void; fail: (item: string, error: Error) => void } {
  const waiting = new Map<string, { resolve: (answer: string) => void; reject: (error: Error) => void }>();
  return {
    service: (item, signal) =>
      new Promise((resolve, reject) => {
        waiting.set(item, { resolve, reject });
        signal?.addEventListener('abort', () => reject(new FreshetError('state', 'the call was stopped')));
      }),
    answer: (item) => waiting.get(item)!.resolve(`${item}!`),
    fail: (item, error) => waiting.get(item)!.reject(error),
  };
}

const numbered = (count: number) => Array.from({ length: count }, (_, i) => `i${i}`);

describe('calls', () => {
  test('run side by side, as many as allowed and no more; every item has one answer', async () => {
    const random = new Random(SEED);
    const stage = await Stage.of(async (item) => {
      for (let turns = Math.floor(random.unit() * 9); turns > 0; turns--) await turn();
      return `${item}!`;
    });
    await stage.put(...numbered(60));
    await stage.settle();
    assert.equal(stage.mostUnderWay, CONCURRENCY);
    assert.deepEqual(
      await stage.answers(),
      numbered(60).map((item) => `${item}!`),
      'in the order of the items',
    );
    assert.deepEqual(stage.called, numbered(60));
  });

  test('that are slow hold up the commit, not the calls after them', async () => {
    const { service, answer } = byHand();
    const stage = await Stage.of(service);
    await stage.put(...numbered(5));
    const seen: [string[], number][] = [];
    await stage.runUntil('the first answer comes last', async () => {
      if (stage.called.length < CONCURRENCY) return false;
      if (seen.length === 0) {
        answer('i1');
        answer('i2');
      }
      if (stage.called.length < 5) return false;
      seen.push([await stage.answers(), await stage.marked()]);
      if (seen.length === 50) answer('i0');
      return (await stage.answers()).length === 3;
    });
    assert.ok(seen.slice(0, 50).every(([answers, marked]) => answers.length === 0 && marked === 0));
    assert.equal(await stage.marked(), 3, 'what is still under way is not passed');
    stage.answer = async (item) => `${item} again`;
    await stage.settle();
    assert.deepEqual(await stage.answers(), ['i0!', 'i1!', 'i2!', 'i3 again', 'i4 again']);
  });

  test('that fail end the task with their error; what was there before them stays', async () => {
    const { service, answer, fail } = byHand();
    const stage = await Stage.of(service);
    await stage.put(...numbered(3));
    const failed = stage.runUntil('it fails', async () => {
      if (stage.called.length === 3 && (await stage.marked()) === 0) answer('i0');
      if ((await stage.marked()) === 1) fail('i1', new FreshetError('unavailable', 'the service is down'));
      return false;
    });
    await assert.rejects(failed, (error) => hasCode(error, 'unavailable'));
    assert.deepEqual(await stage.answers(), ['i0!']);
    stage.answer = async (item) => `${item}!`;
    await stage.settle();
    assert.deepEqual(await stage.answers(), ['i0!', 'i1!', 'i2!']);
  });

  test('are not started from the backlog once the task is stopped', async () => {
    const stage = await Stage.of(async (item) => {
      await turn();
      return item;
    });
    stage.waiting = numbered(500);
    // It is stopped while it takes a live record, right before it would turn to the backlog.
    stage.prepared = () => stage.stop.abort();
    await stage.runUntil('it is stopped', async () => {
      if (stage.called.length === CONCURRENCY) await stage.put('live');
      return stage.stop.signal.aborted;
    });
    assert.ok(stage.called.includes('live') && stage.waiting.length > 0);
    assert.deepEqual(stage.calledTooLate, ['live']);
  });

  test('that end because the task is stopped are made again by the next owner', async () => {
    const { service, answer } = byHand();
    const stage = await Stage.of(service);
    await stage.put('i0', 'bad', 'i1');
    await stage.runUntil('one of two is answered', async () => {
      if (stage.called.length === 2) answer('i0');
      return (await stage.marked()) === 1;
    });
    assert.deepEqual([await stage.answers(), await stage.letters()], [['i0!'], 0]);
    stage.answer = async (item) => `${item}!`;
    await stage.settle();
    assert.deepEqual([await stage.answers(), await stage.letters()], [['i0!', 'i1!'], 1]);
    assert.deepEqual(stage.called, ['i0', 'i1', 'i1']);
  });
});

for (const applied of [true, false])
  test(`I1: a commit of unknown outcome that ${applied ? 'took effect' : 'was lost'} writes each answer once, without a restore`, async () => {
    const { service, answer } = byHand();
    const stage = await Stage.of(service);
    await stage.put(...numbered(3));
    const lost = new FreshetError('indefinite_commit', 'the connection was cut');
    const { transactionalWriter } = stage.log;
    let cuts = 1;
    stage.log.transactionalWriter = async (id, topics) => {
      const writer = await transactionalWriter.call(stage.log, id, topics);
      const commit = writer.commit.bind(writer);
      return Object.assign(writer, {
        commit: async () => {
          // The first answer is in this commit; another one comes while it is on its way.
          if (!stage.called.includes('i2') || (await stage.answers()).length > 0 || cuts === 0) return commit();
          if (writer.bufferedRecords < 2) return commit();
          cuts = 0;
          answer('i1');
          await turn();
          if (applied) await commit();
          throw lost;
        },
      });
    };
    await stage.runUntil('the first two are written', async () => {
      if (stage.called.length === 3 && cuts === 1) answer('i0');
      return (await stage.marked()) === 2;
    });
    assert.equal(cuts, 0);
    assert.deepEqual(await stage.answers(), ['i0!', 'i1!']);
    assert.deepEqual(stage.called, numbered(3), 'no call was made again');
  });

test(`I1, I6: wherever the task dies, every item has one answer or one dead letter in the end (seed ${SEED})`, async () => {
  const items = fc.array(fc.boolean(), { minLength: 1, maxLength: 12 });
  const crashes = fc.array(fc.integer({ min: 1, max: 25 }), { maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(items, crashes, fc.integer(), async (good, deaths, seed) => {
      const random = new Random(seed);
      const stage = await Stage.of(async (item) => {
        for (let turns = Math.floor(random.unit() * 5); turns > 0; turns--) await turn();
        return `${item}!`;
      });
      const names = good.map((isGood, i) => `${isGood ? 'good' : 'bad'}${i}`);
      const half = Math.ceil(names.length / 2);
      await stage.put(...names.slice(0, half));
      for (const [i, at] of deaths.entries()) {
        let passed = 0;
        takeFaultPoints(() => {
          if (++passed >= at) throw new FreshetError('connection', 'a crash');
        });
        try {
          await stage.settle();
        } catch (error) {
          if (!hasCode(error, 'connection')) throw error;
        } finally {
          takeFaultPoints(null);
        }
        if (i === 0) await stage.put(...names.slice(half));
      }
      if (deaths.length === 0) await stage.put(...names.slice(half));
      await stage.settle();
      const expected = names.filter((name) => name.startsWith('good')).map((name) => `${name}!`);
      assert.deepEqual(await stage.answers(), expected);
      assert.equal(await stage.letters(), names.length - expected.length);
    }),
    { numRuns: 100, seed: SEED },
  );
});

test('I9: work without a backlog begins with the first record, and refuses what another version of it has done', async () => {
  const stage = await Stage.of();
  await stage.put('i0');
  await stage.settle();
  assert.deepEqual(await stage.answers(), ['i0!']);
  stage.version = 2;
  await assert.rejects(
    stage.settle(),
    (error) => hasCode(error, 'state') && /other folds or settings/.test(String(error)),
  );
});

test('I8: a topic that was recreated stops its task; offsets are never reset', async () => {
  const stage = await Stage.of();
  await stage.put(...numbered(4));
  await stage.settle();
  await stage.log.recreate('items');
  await assert.rejects(stage.settle(), (error) => hasCode(error, 'offset_out_of_range'));
});
