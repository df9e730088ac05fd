/** When tasks start, stop and start again: the group decides, a fenced task asks it, nothing holds a rebalance up. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openReporting } from '../../../../assembly/reporting.js';
import { loadSettings } from '../../../../assembly/settings.js';
import type { Processors } from '../../../../processors/application.js';
import { createProcessors } from '../../../../processors/features/main.js';
import type { Membership, MembershipOptions } from '../../../../runtime/log/log.js';
import { FreshetError, hasCode } from '../../../../runtime/process/errors.js';
import { Codec } from '../../../../schemas/codec.js';
import { events } from '../../../../topics/events.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { partitionOf } from '../../../../topics/partition.js';
import { listener, type Said } from '../../../support/listener.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { append, ScriptedLog } from '../../../support/scripted-log.js';

const NOW = Date.UTC(2026, 10, 3, 12);

/** A log whose group does what the test says. */
class GroupLog extends ScriptedLog {
  options: MembershipOptions | null = null;
  /** What the group answers to a member that asks whether its assignment stands. */
  confirmed: () => Promise<boolean> = async () => true;
  #generation = 0;

  override async join(options: MembershipOptions): Promise<Membership> {
    this.options = options;
    return { confirmed: () => this.confirmed(), showOffsets: async () => undefined, leave: async () => undefined };
  }

  assign(tasks: readonly number[]): Promise<void> {
    return this.options!.onAssigned({ generation: ++this.#generation, tasks });
  }
}

interface Stage {
  readonly log: GroupLog;
  readonly said: Said[];
  readonly clock: ManualClock;
  readonly processors: Processors;
  /** Lets time pass until it is so. */
  until(what: string, condition: () => boolean): Promise<void>;
  /** Writes an event into partition 0. */
  view(): Promise<void>;
  restores(task: string): number;
}

const KEY = Array.from({ length: 100 }, (_, i) => `u${i}`).find((key) => partitionOf(4, Buffer.from(key)) === 0)!;

/** Tasks 0 to 3 are activity's, 4 to 7 popularity's. */
async function onStage(work: (stage: Stage) => Promise<void>): Promise<void> {
  const log = new GroupLog();
  const source = await ScriptedLog.of();
  for (const name of await source.admin.listTopics())
    await log.admin.createTopic((await source.admin.describeTopic(name))!);
  log.now = () => NOW;
  const clock = new ManualClock(NOW);
  const said: Said[] = [];
  const codec = new Codec();
  const shared = { log, codec, clock, ...openReporting(listener(said)), set: featureSet(1) };
  const processors = createProcessors({ ...shared, settings: loadSettings({}) });
  await processors.start();
  let written = 0;
  const stage: Stage = {
    log,
    said,
    clock,
    processors,
    until: async (what, condition) => {
      for (let i = 0; !condition(); i++) {
        assert.ok(i < 3_000, `never: ${what}`);
        clock.advance(10);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    },
    view: () => {
      const event = { event_id: `e${++written}`, user_id: KEY, product_id: 'p', event_type: 'view', ts: NOW };
      return append(log, events.name, Buffer.from(KEY), codec.encode('Event', { ...event, category: null }), 0);
    },
    restores: (task) => said.filter((line) => line.event === 'task_restored' && line['task'] === task).length,
  };
  try {
    await work(stage);
  } finally {
    const stopped = processors.stop();
    let isDone = false;
    void stopped.finally(() => {
      isDone = true;
    });
    await stage.until('the end', () => isDone);
    await stopped;
  }
}

describe('an assignment', () => {
  test('leaves the tasks that stay alone, starts new ones, ends those that left', () =>
    onStage(async ({ log, processors, until, restores }) => {
      assert.deepEqual(processors.application.waiting, ['an assignment in group features.v1']);
      await log.assign([0, 1]);
      await until('both are restored', () => processors.application.waiting.length === 0);
      await log.assign([1, 2]);
      await until('the new one is restored', () => restores('features.v1.activity-2') === 1);
      assert.equal(restores('features.v1.activity-1'), 1);
      assert.deepEqual(
        processors.application.parts().map(({ input }) => input.partition),
        [1, 2],
      );
    }));

  test('I18: is not held up by a task that cannot finish its last commit', () =>
    onStage(async ({ log, said, processors, clock, until, view }) => {
      await log.assign([0]);
      await until('it is restored', () => processors.application.waiting.length === 0);
      const held = log.holdNext();
      await view();
      await until('it commits', () => log.flushes.length === 0);
      await held.begun;
      const before = clock.now();
      let isTaken = false;
      const taken = log.assign([]).then(() => {
        isTaken = true;
      });
      await until('the assignment is taken', () => isTaken);
      await taken;
      assert.ok(clock.now() - before <= 5_100, `after ${clock.now() - before} ms`);
      assert.ok(said.some(({ event }) => event === 'task_given_up'));
      held.release();
    }));
});

describe('I18: a task that was fenced', () => {
  const fence = (log: GroupLog) => log.failNext(new FreshetError('fenced', 'a newer writer has taken it'));

  test('comes back only when the group confirms it', () =>
    onStage(async ({ log, processors, until, view, restores }) => {
      await log.assign([0]);
      await until('it is restored', () => processors.application.waiting.length === 0);
      let answer: (confirmed: boolean) => void = () => undefined;
      let asked = 0;
      log.confirmed = () => {
        asked++;
        return new Promise((resolve) => {
          answer = resolve;
        });
      };
      fence(log);
      await view();
      await until('it asks', () => asked === 1);
      for (let i = 0; i < 20; i++) await until('time passes', () => true);
      assert.equal(restores('features.v1.activity-0'), 1);
      answer(true);
      await until('it is restored again', () => restores('features.v1.activity-0') === 2);
    }));

  test('is forgotten when the group does not, and comes back with the next assignment', () =>
    onStage(async ({ log, processors, until, view, restores }) => {
      await log.assign([0]);
      await until('it is restored', () => processors.application.waiting.length === 0);
      let asked = 0;
      log.confirmed = async () => {
        asked++;
        return false;
      };
      const opened = log.transactionalIds.length;
      fence(log);
      await view();
      await until('it asks', () => asked === 1);
      await until('it is forgotten', () => processors.application.waiting.length === 0);
      assert.equal(log.transactionalIds.length, opened, 'and fences nobody');
      await log.assign([0]);
      await until('it is restored again', () => restores('features.v1.activity-0') === 2);
    }));

  test('is not lost when a new assignment comes while it asks', () =>
    onStage(async ({ log, processors, until, view, restores }) => {
      await log.assign([0]);
      await until('it is restored', () => processors.application.waiting.length === 0);
      log.confirmed = async () => {
        log.confirmed = async () => true;
        await log.assign([0]);
        return false;
      };
      fence(log);
      await view();
      await until('it is restored again', () => restores('features.v1.activity-0') === 2);
    }));

  test('also when it cannot tell: after an unknown outcome the group is asked before anybody is fenced', () =>
    onStage(async ({ log, said, processors, until, view }) => {
      await log.assign([0]);
      await until('it is restored', () => processors.application.waiting.length === 0);
      log.confirmed = async () => false;
      const opened = log.transactionalIds.length;
      log.failNext(new FreshetError('indefinite_commit', 'no answer came'));
      await view();
      await until('it has failed', () => said.some(({ event, code }) => event === 'task_failed' && code === 'fenced'));
      await until('it is gone', () => processors.application.parts().length === 0);
      assert.equal(log.transactionalIds.length, opened);
    }));
});

test('I8: a live task that retention has passed stops and says so; the others go on', () =>
  onStage(async ({ log, said, processors, until, view }) => {
    await log.assign([0, 1]);
    await until('both are restored', () => processors.application.waiting.length === 0);
    const held = log.holdNext();
    await view();
    await held.begun;
    for (let i = 0; i < 3; i++) await view();
    log.truncate({ topic: events.name, partition: 0 }, 3);
    held.release();
    await until('it stops', () => processors.application.failures.length > 0);
    const [failure] = processors.application.failures;
    assert.equal(failure?.task, 'features.v1.activity-0');
    assert.ok(hasCode(failure?.error, 'offset_out_of_range'), String(failure?.error));
    assert.ok(said.some(({ event }) => event === 'task_stopped'));
    assert.deepEqual(
      processors.application.parts().map(({ input }) => input.partition),
      [1],
    );
    await log.assign([1]);
    assert.deepEqual(processors.application.failures, [], 'who has it now will say so');
  }));

describe('a task that stopped for good', () => {
  test('starts again when an operator has removed what stopped it', () =>
    onStage(async ({ log, said, processors, until, view, restores }) => {
      const reader = log.reader.bind(log);
      let isBroken = true;
      log.reader = (start, options) => {
        const inner = reader(start, options);
        const poll = inner.poll.bind(inner);
        inner.poll = async () => {
          if (isBroken && start.some(({ topic }) => topic === events.name))
            throw new FreshetError('invalid_data', 'a batch that cannot be read');
          return await poll();
        };
        return inner;
      };
      await log.assign([0]);
      await until('it stops', () => processors.application.failures.length === 1);
      const stopped = () => said.filter(({ event }) => event === 'task_stopped').length;
      processors.application.retryStopped();
      await until('it stops again', () => stopped() === 2);
      isBroken = false;
      await view();
      processors.application.retryStopped();
      await until('it counts', () => log.flushes.length > 0);
      assert.deepEqual(processors.application.failures, []);
      assert.equal(restores('features.v1.activity-0'), 3);
    }));
});
