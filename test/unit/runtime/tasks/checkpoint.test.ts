/** Checkpoints: what they save a restart, what makes them worthless, and that nothing depends on them. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Log } from '../../../../runtime/log/log.js';
import { takeFaultPoints } from '../../../../runtime/process/fault-points.js';
import { taskMetrics } from '../../../../runtime/tasks/metrics.js';
import type { Event, Interactions, Popularity } from '../../../../schemas/records.js';
import { events } from '../../../../topics/events.js';
import { Driver, type DriverOptions } from '../../../support/driver.js';
import { listener, type Said } from '../../../support/listener.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

function event(n: number, over: Partial<Event> = {}): Event {
  return { event_id: `e${n}`, user_id: 'u1', product_id: 'p1', category: 'hats', event_type: 'view', ts: NOW, ...over };
}

interface Stage {
  readonly driver: Driver;
  readonly said: Said[];
  /** What activity's only task said of its last restore. */
  restored(): Said;
  reasons(): unknown[];
  /** Puts an event in, folds and commits it. */
  view(n: number, over?: Partial<Event>): Promise<void>;
}

/** One partition; a checkpoint after each commit that comes a minute or more after the last. */
async function onStage(work: (stage: Stage) => Promise<void>, options: Partial<DriverOptions> = {}): Promise<void> {
  const said: Said[] = [];
  const driver = await Driver.open({
    now: NOW,
    partitions: 1,
    commitIntervalMs: 0,
    changelogIntervalMs: 10_000,
    checkpointIntervalMs: MINUTE_MS,
    logger: listener(said),
    ...options,
  });
  const stage: Stage = {
    driver,
    said,
    restored: () => said.findLast(({ event, task }) => event === 'task_restored' && task === 'features.v1.activity-0')!,
    reasons: () => said.filter(({ event }) => event === 'checkpoint_discarded').map(({ reason }) => reason),
    view: async (n, over = {}) => {
      await driver.pipe(events.name, over.user_id ?? 'u1', event(n, { ts: driver.clock.now(), ...over }));
      await driver.run();
    },
  };
  try {
    await work(stage);
  } finally {
    takeFaultPoints(null);
    await driver.close();
  }
}

function fileOf(driver: Driver, task = 'activity-0'): string {
  return join(driver.checkpointFolder, 'features.v1', `${task}.ckpt`);
}

/** Keys of activity's changelog that are not deleted. */
async function rowsLeft({ log, topics }: Driver): Promise<string[]> {
  const place = { topic: topics.activityChangelog.name, partition: 0 };
  const { lastStable } = await log.offsets(place);
  const reader = log.reader([{ ...place, offset: 0 }]);
  const left = new Set<string>();
  while (reader.position(place) < lastStable) {
    for (const { count, bytes, keyStart, keyEnd, valueStart } of await reader.poll()) {
      for (let row = 0; row < count; row++) {
        const key = bytes.toString('utf8', keyStart[row], keyEnd[row]);
        if (valueStart[row]! < 0) left.delete(key);
        else left.add(key);
      }
    }
  }
  await reader.close();
  return [...left];
}

/** The state of every task, after a crash, from its checkpoint where there is one, and from the changelog alone. */
async function crashBothWays({ driver, restored }: Stage): Promise<unknown> {
  const before = driver.stateHashes();
  await driver.crash();
  const way = restored()['from'];
  assert.deepEqual(driver.stateHashes(), before);
  await driver.crash({ checkpointIntervalMs: 0 });
  assert.deepEqual(driver.stateHashes(), before, 'from the changelog');
  await driver.crash({ checkpointIntervalMs: MINUTE_MS });
  return way;
}

describe('a restart', () => {
  test('I2: reads again only what came after the checkpoint, and has the same bits', () =>
    onStage(async (stage) => {
      const { driver, view, restored } = stage;
      for (let n = 0; n < 20; n++) await view(n, { product_id: `p${n % 3}` });
      driver.clock.advance(MINUTE_MS);
      await view(20);
      for (let n = 21; n < 26; n++) await view(n, { product_id: `p${n}`, ts: NOW - n * DAY_MS });
      const before = driver.stateHashes();
      await driver.crash();
      assert.equal(restored()['from'], 'checkpoint');
      assert.equal(restored()['replayed'], 5);
      assert.deepEqual(driver.stateHashes(), before);
      assert.equal(await crashBothWays(stage), 'checkpoint');
      await view(3);
      const table = await driver.table<Popularity>(driver.topics.popularity.name);
      assert.equal(table.get('p0')?.views, 7, 'what was counted before the checkpoint is not counted again');
    }));

  test('files are for their owner only', () =>
    onStage(async ({ driver, view }) => {
      driver.clock.advance(MINUTE_MS);
      await view(1);
      assert.equal((await stat(fileOf(driver))).mode & 0o777, 0o600);
      assert.equal((await stat(join(driver.checkpointFolder, 'features.v1'))).mode & 0o777, 0o700);
      assert.deepEqual((await readdir(driver.checkpointFolder, { recursive: true })).sort(), [
        'features.v1',
        'features.v1/activity-0.ckpt',
        'features.v1/popularity-0.ckpt',
      ]);
    }));

  test('a stop leaves a checkpoint of the last commit, also right after a restore', () =>
    onStage(async ({ driver, view, restored }) => {
      await view(1);
      assert.ok(!existsSync(fileOf(driver)), 'none was due yet');
      await driver.crash();
      for (const task of driver.tasks) await task.checkpointAtStop();
      await driver.crash();
      assert.equal(restored()['from'], 'checkpoint');
      assert.equal(restored()['replayed'], 0);
      await view(2);
      for (const task of driver.tasks) await task.checkpointAtStop();
      await driver.crash();
      assert.equal(restored()['from'], 'checkpoint');
      assert.equal(restored()['replayed'], 0);
    }));

  test('an older copy put back only has more to read', () =>
    onStage(async (stage) => {
      const { driver, view, restored } = stage;
      driver.clock.advance(MINUTE_MS);
      await view(1);
      await copyFile(fileOf(driver), `${fileOf(driver)}.kept`);
      for (let n = 2; n < 6; n++) {
        driver.clock.advance(MINUTE_MS);
        await view(n);
      }
      await copyFile(`${fileOf(driver)}.kept`, fileOf(driver));
      const before = driver.stateHashes();
      await driver.crash();
      assert.equal(restored()['replayed'], 4);
      assert.deepEqual(driver.stateHashes(), before);
    }));
});

describe('I17: a checkpoint is thrown away', () => {
  const damages: Record<string, (bytes: Buffer) => Buffer> = {
    'cut in half': (bytes) => bytes.subarray(0, bytes.length / 2),
    'cut by a byte': (bytes) => bytes.subarray(0, -1),
    emptied: () => Buffer.alloc(0),
    'made longer': (bytes) => Buffer.concat([bytes, Buffer.alloc(8)]),
    'of another format': (bytes) => Buffer.concat([Buffer.from('FRESHCP9'), bytes.subarray(8)]),
    'one of another thing': () => Buffer.from('{"hello": "world", "this is": "no checkpoint at all"}'),
  };
  for (const [name, damage] of Object.entries(damages))
    test(`when it is ${name}`, () =>
      onStage(async (stage) => {
        const { driver, view } = stage;
        driver.clock.advance(MINUTE_MS);
        for (let n = 0; n < 5; n++) await view(n);
        await writeFile(fileOf(driver), damage(await readFile(fileOf(driver))));
        assert.equal(await crashBothWays(stage), 'changelog');
        assert.equal(stage.reasons().length, 1, String(stage.reasons()));
        assert.ok(!existsSync(fileOf(driver)));
      }));

  test('when any bit of it is flipped', () =>
    onStage(async ({ driver, view, restored, reasons }) => {
      driver.clock.advance(MINUTE_MS);
      for (let n = 0; n < 5; n++) await view(n);
      const whole = await readFile(fileOf(driver));
      const before = driver.stateHashes();
      for (let i = 0; i < 40; i++) {
        const bytes = Buffer.from(whole);
        const at = i < 20 ? i : Math.floor(((i - 19) / 21) * whole.length) - 1;
        bytes[at] = bytes[at]! ^ (1 << (i % 8));
        await writeFile(fileOf(driver), bytes);
        await driver.crash();
        assert.equal(restored()['from'], 'changelog', `byte ${at}`);
        assert.deepEqual(driver.stateHashes(), before);
        assert.equal(reasons().length, i + 1);
      }
    }));

  test('when it is of another incarnation, or ahead of the changelog', () =>
    onStage(async (other) => {
      other.driver.clock.advance(MINUTE_MS);
      await other.view(100, { product_id: 'other' });
      await onStage(async (stage) => {
        const { driver, view } = stage;
        await view(1);
        await mkdir(join(driver.checkpointFolder, 'features.v1'), { recursive: true });
        await copyFile(fileOf(other.driver), fileOf(driver));
        assert.equal(await crashBothWays(stage), 'changelog');
        assert.deepEqual(stage.reasons(), ['it is of another incarnation']);
        for (let n = 2; n < 6; n++) await other.view(n);
        other.driver.clock.advance(MINUTE_MS);
        await other.view(7);
        await copyFile(fileOf(other.driver), fileOf(driver));
        assert.equal(await crashBothWays(stage), 'changelog');
        assert.equal(stage.reasons()[1], 'the changelog has no marker at its offset: it was recreated');
      });
    }));

  test('when the log has lost commits since, even if it has as many again', () =>
    onStage(async (stage) => {
      const { driver, view } = stage;
      driver.clock.advance(MINUTE_MS);
      for (let n = 0; n < 5; n++) await view(n);
      const before = driver.stateHashes();
      const admin = { topicId: async (name: string) => `${name}.another` };
      const between = (log: Log) =>
        new Proxy(log, {
          get(target, name) {
            if (name === 'admin') return admin;
            const value: unknown = Reflect.get(target, name);
            return typeof value === 'function' ? value.bind(target) : value;
          },
        });
      await driver.crash({ between });
      assert.deepEqual([...new Set(stage.reasons())], ['the log has lost commits since it was written']);
      assert.equal(stage.restored()['from'], 'changelog');
      assert.deepEqual(driver.stateHashes(), before);
    }));

  test('when it is older than six days', () =>
    onStage(async (stage) => {
      const { driver, view } = stage;
      driver.clock.advance(MINUTE_MS);
      await view(1);
      const kept = await readFile(fileOf(driver));
      driver.clock.advance(6 * DAY_MS + MINUTE_MS);
      await view(2);
      await writeFile(fileOf(driver), kept);
      assert.equal(await crashBothWays(stage), 'changelog');
      assert.deepEqual(stage.reasons(), ['it is older than six days']);
    }));

  test('but not for settings that may be set back: the task refuses to start, and keeps it', () =>
    onStage(async ({ driver, view, restored }) => {
      driver.clock.advance(MINUTE_MS);
      await view(1);
      await assert.rejects(driver.crash({ affinityHalfLifeMs: DAY_MS }), /made by other folds or settings/);
      assert.ok(existsSync(fileOf(driver)));
      await driver.crash({ affinityHalfLifeMs: 30 * DAY_MS });
      assert.equal(restored()['from'], 'checkpoint');
    }));
});

test('I17: a disk that fails costs nothing but the checkpoint; it is said once, and tried again', () =>
  onStage(async ({ driver, said, view, restored }) => {
    await writeFile(driver.checkpointFolder, 'a file where a folder should be');
    for (let n = 0; n < 5; n++) {
      driver.clock.advance(MINUTE_MS);
      await view(n);
    }
    const failures = said.filter(
      ({ event, task }) => event === 'checkpoint_failed' && task === 'features.v1.activity-0',
    );
    assert.equal(failures.length, 1, 'once, not five times');
    const { values } = await taskMetrics(driver.metrics).checkpoints.get();
    assert.equal(values.find(({ labels }) => labels['outcome'] === 'failed')?.value, 10, 'two tasks tried five times');
    await driver.crash();
    assert.equal(restored()['from'], 'changelog');
  }));

for (const point of ['checkpoint.copied', 'checkpoint.written'] as const)
  test(`I17: a write that ends at ${point} leaves the former checkpoint`, () =>
    onStage(async ({ driver, view, restored }) => {
      driver.clock.advance(MINUTE_MS);
      await view(1);
      const former = await readFile(fileOf(driver));
      takeFaultPoints((at) => {
        if (at === point) throw new Error('EIO');
      });
      driver.clock.advance(MINUTE_MS);
      await view(2);
      takeFaultPoints(null);
      assert.deepEqual(await readFile(fileOf(driver)), former);
      await driver.crash();
      assert.equal(restored()['from'], 'checkpoint');
      assert.equal(restored()['replayed'], 1);
    }));

test('memory holds the copy of one task at a time', () =>
  onStage(
    async ({ driver }) => {
      let copies = 0;
      let most = 0;
      takeFaultPoints((point) => {
        if (point === 'checkpoint.copied') most = Math.max(most, ++copies);
        if (point === 'checkpoint.renamed') copies--;
      });
      driver.clock.advance(MINUTE_MS);
      for (let n = 0; n < 40; n++) await driver.pipe(events.name, `u${n}`, event(n, { user_id: `u${n}` }));
      await driver.foldOnly();
      for (const task of driver.tasks) await task.commitIfDue();
      await driver.checkpointsWritten();
      assert.equal(most, 1);
      for (const task of driver.tasks) await task.commitIfDue();
      await Promise.all(driver.tasks.map((task) => task.checkpointAtStop()));
      assert.equal(most, 1);
      assert.equal(copies, 0);
      const files = (await readdir(driver.checkpointFolder, { recursive: true })).filter((name) => /ckpt$/.test(name));
      assert.ok(files.length >= 4, 'each had its turn');
    },
    { partitions: 4 },
  ));

test('a user forgotten after the checkpoint is gone from all of a long day, also from its further records', () =>
  onStage(async (stage) => {
    const { driver, view } = stage;
    driver.clock.advance(MINUTE_MS);
    await view(0);
    for (let n = 1; n < 2_000; n++)
      await driver.pipe(events.name, 'u1', event(n, { product_id: `p${n}`, ts: driver.clock.now() }));
    driver.clock.advance(20_000);
    await driver.run();
    await driver.pipe(events.name, 'u1', null);
    await driver.run();
    await driver.crash();
    assert.equal(stage.restored()['from'], 'checkpoint');
    driver.clock.advance(20_000);
    await driver.run();
    // Whichever record of the row stayed would come back once compaction has dropped the others' tombstones.
    assert.deepEqual(await rowsLeft(driver), ['!marker']);
    assert.equal(await crashBothWays(stage), 'checkpoint');
    assert.equal((await driver.table(driver.topics.affinity.name)).size, 0);
    assert.equal((await driver.table(driver.topics.interactions.name)).size, 0);
  }));

test('who waits for the slower output still waits, and who was written since does not', () =>
  onStage(
    async ({ driver, view, restored }) => {
      const written = async () => (await driver.records(driver.topics.interactions.name)).map(({ key }) => key);
      await view(1, { user_id: 'a' });
      await view(2, { user_id: 'b' });
      driver.clock.advance(MINUTE_MS);
      await view(3, { user_id: 'b' });
      await view(4, { user_id: 'a' });
      assert.deepEqual(await written(), ['a', 'b']);
      driver.clock.advance(20_000);
      await view(5, { user_id: 'c' });
      await driver.crash();
      assert.equal(restored()['from'], 'checkpoint');
      await driver.run();
      const early = await written();
      assert.deepEqual(
        early.filter((key) => key !== 'c'),
        ['a', 'b'],
        'they still wait',
      );
      driver.clock.advance(10 * MINUTE_MS);
      await driver.run();
      assert.deepEqual((await written()).slice(early.length).sort(), ['a', 'b']);
      await view(6, { user_id: 'a' });
      driver.clock.advance(10 * MINUTE_MS - 30_000);
      await view(7, { user_id: 'e' });
      driver.clock.advance(30_000);
      await driver.run();
      const all = await written();
      assert.equal(all.at(-1), 'a', 'written after the checkpoint, which has it waiting');
      await driver.crash();
      assert.equal(restored()['from'], 'checkpoint');
      await driver.run();
      assert.deepEqual(await written(), all);
      await driver.pipe(events.name, 'a', null);
      await driver.foldOnly();
      await driver.run();
      await driver.crash();
      assert.ok(!(await driver.table<Interactions>(driver.topics.interactions.name)).has('a'), 'forgotten at once');
    },
    { interactionsIntervalMs: 10 * MINUTE_MS },
  ));

test('a midnight sweep in progress continues: the checkpoint knows the rows that had left memory', () =>
  onStage(async ({ driver, view, restored }) => {
    const users = 6_000;
    const writer = await driver.log.writer([events.name]);
    for (let n = 0; n < users; n++) {
      const value = driver.codec.encode('Event', event(n, { user_id: `u${n}`, event_id: `s${n}` }));
      writer.add(events.name, Buffer.from(`u${n}`), value);
    }
    await writer.flush();
    await writer.close();
    await driver.run();
    assert.equal((await driver.table(driver.topics.affinity.name)).size, users);
    driver.clock.advance(90 * DAY_MS);
    await driver.pipe(events.name, 'new', event(0, { user_id: 'new', ts: driver.clock.now() }));
    await driver.foldOnly();
    assert.ok(await driver.tasks[0]!.commitIfDue());
    await driver.checkpointsWritten();
    const left = (await driver.table(driver.topics.affinity.name)).size;
    assert.ok(left > 500 && left < users, `${left} are left, so the sweep is under way`);
    await driver.crash();
    assert.equal(restored()['from'], 'checkpoint');
    await driver.run();
    driver.clock.advance(10 * MINUTE_MS);
    await driver.run();
    assert.deepEqual([...(await driver.table(driver.topics.affinity.name)).keys()], ['new']);
    assert.deepEqual([...(await driver.table(driver.topics.interactions.name)).keys()], ['new']);
    await view(1);
  }));
