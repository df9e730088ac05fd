import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { encodeId, Layout, rankScore } from '../../../../publishing/layout.js';
import type { GroupSink } from '../../../../publishing/live/materialise.js';
import { sinkMetrics } from '../../../../publishing/live/metrics.js';
import { affinityOnline } from '../../../../publishing/sinks/affinity.js';
import type { Change } from '../../../../publishing/sinks/keyed-topic.js';
import { popularityOnline } from '../../../../publishing/sinks/popularity.js';
import { onlineSinkStore } from '../../../../publishing/sinks/sink-store.js';
import type { Log, LogReader } from '../../../../runtime/log/log.js';
import { type Clock, systemClock } from '../../../../runtime/process/clock.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import type { Metrics } from '../../../../runtime/process/metrics.js';
import type { ApplyResult, FencedBatch, OnlineStore } from '../../../../runtime/stores/online-store.js';
import type { Popularity } from '../../../../schemas/records.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { partitionOf } from '../../../../topics/partition.js';
import type { MemoryLog } from '../../../support/memory-log.js';
import {
  affinity,
  codec,
  deadLettersIn,
  endsOf,
  HALF_LIFE_MS,
  localStore,
  memoryLog,
  PACE,
  popularity,
  type Rig,
  rig,
  TroubledStore,
  write,
} from '../../../support/publishing.js';
import { Random } from '../../../support/random.js';

const TOPIC = 'popularity.v1';
const PARTITIONS = 3;
const DAY_MS = 86_400_000;
const SET = featureSet(1);
const layout = new Layout();
const keys = layout.features(SET);
const down = () => new FreshetError('connection', 'the store is down');

function popularitySink(store: OnlineStore): { sink: GroupSink; troubled: TroubledStore } {
  const declared = popularityOnline(SET, layout, HALF_LIFE_MS);
  const troubled = new TroubledStore(onlineSinkStore(store, declared));
  return { sink: { topic: declared.topic, store: troubled, forgetsUnseen: true }, troubled };
}

async function popularityRig(t: TestContext, over: Parameters<typeof rig>[3] = {}) {
  const log = await memoryLog(PARTITIONS);
  const store = await localStore(t);
  const { sink, troubled } = popularitySink(store);
  return { log, store, sink, troubled, ...rig(t, log, [sink], over) };
}

function put(log: Log, values: readonly (Popularity | string)[]): Promise<void> {
  return write(
    log,
    TOPIC,
    'Popularity',
    values.map((value) => (typeof value === 'string' ? [value, null] : [value.product_id, value])),
  );
}

/** What the store serves, product → [rank, category, day], after checking that its parts agree with each other. */
async function contents(store: OnlineStore): Promise<Map<string, [number, string, string]>> {
  const ranked = await store.ztop(keys.popularityAll, 100_000);
  const groups = await store.hgetall(keys.popularityGroups);
  const days = await store.hgetall(keys.popularityDay);
  const shown = new Map<string, [number, string, string]>();
  for (const { member, score } of ranked) shown.set(member, [score, groups.get(member)!, days.get(member)!]);
  assert.deepEqual([...groups.keys()].sort(), [...shown.keys()].sort(), 'the ranking and the categories differ');
  assert.deepEqual([...days.keys()].sort(), [...shown.keys()].sort(), 'the ranking and the days differ');
  const prefix = keys.popularityCategoryPrefix;
  let members = 0;
  for (const key of await store.keys(prefix)) {
    for (const { member, score } of await store.ztop(key, 100_000)) {
      members++;
      assert.equal(key, prefix + groups.get(member), `${member} is a ghost in ${key}`);
      assert.equal(score, shown.get(member)?.[0]);
    }
  }
  assert.equal(members, shown.size, 'a product is in no category, or in two');
  return shown;
}

function expected(values: Iterable<Popularity>): Map<string, [number, string, string]> {
  return new Map(
    [...values].map(({ product_id, score, as_of, category }) => [
      product_id,
      [rankScore(score, as_of, HALF_LIFE_MS), encodeId(category), String(Math.floor(as_of / DAY_MS))],
    ]),
  );
}

async function assertShows(store: OnlineStore, values: Iterable<Popularity>): Promise<void> {
  assert.deepEqual(new Map([...(await contents(store))].sort()), new Map([...expected(values)].sort()));
}

/** Per partition and per fence, applied batches must follow each other without gap or overlap. */
function assertChained(applied: readonly FencedBatch[]): void {
  const ends = new Map<number, number>();
  for (const { id, expectedOffset, nextOffset } of applied) {
    if (expectedOffset !== 0) assert.equal(expectedOffset, ends.get(id.partition), `partition ${id.partition}`);
    ends.set(id.partition, nextOffset);
  }
}

/** Random changes over few products, and the final values. */
function changes(random: Random, count: number, remaining = new Map<string, Popularity>()) {
  const written: (Popularity | string)[] = [];
  for (let i = 0; i < count; i++) {
    const id = `p${random.below(40)}`;
    if (random.unit() < 0.15) {
      written.push(id);
      remaining.delete(id);
    } else {
      const value = popularity(id, { score: 1 + random.unit() * 9, category: `c ${random.below(4)}` });
      written.push(value);
      remaining.set(id, value);
    }
  }
  return { written, remaining };
}

/** A product whose key belongs to this partition. */
function idIn(partition: number, start = 0): string {
  for (let i = start; ; i++) if (partitionOf(PARTITIONS, Buffer.from(`id${i}`)) === partition) return `id${i}`;
}

describe('a sink follows its topic', () => {
  test('with rankings, categories and days', async (t) => {
    const { log, store, materialiser, caughtUp } = await popularityRig(t);
    const a = popularity('a', { score: 4, category: 'shoes: red/blue' });
    const b = popularity('b', { score: 1, category: 'hats' });
    await put(log, [a, b]);
    await materialiser.start();
    await caughtUp();
    await assertShows(store, [a, b]);
    const best = await store.ztop(keys.popularityAll, 10);
    assert.deepEqual(
      best.map(({ member }) => member),
      ['a', 'b'],
    );
  });

  test('a changed category leaves no ghost, a deleted product nothing at all', async (t) => {
    const { log, store, materialiser, caughtUp } = await popularityRig(t);
    await materialiser.start();
    await put(log, [popularity('a', { category: 'shoes' }), popularity('b', { category: 'shoes' })]);
    await caughtUp();
    const moved = popularity('a', { category: 'hats' });
    await put(log, [moved, 'b', 'never-there']);
    await caughtUp();
    await assertShows(store, [moved]);
    assert.equal(await store.zcard(keys.popularityCategory('shoes')), 0);
  });

  test('for users and their categories too, in one group', async (t) => {
    const log = await memoryLog(PARTITIONS);
    const store = await localStore(t);
    const users = affinityOnline(SET, layout);
    const userSink = { topic: users.topic, store: onlineSinkStore(store, users), forgetsUnseen: true };
    const { materialiser, caughtUp } = rig(t, log, [popularitySink(store).sink, userSink]);
    await materialiser.start();
    await write(log, 'affinity.v1', 'Affinity', [
      ['u:1', affinity('u:1', { shoes: 0.75, hats: 0.25 }, 5)],
      ['u2', affinity('u2', { hats: 1 }, 6)],
    ]);
    await put(log, [popularity('a')]);
    await caughtUp();
    await write(log, 'affinity.v1', 'Affinity', [
      ['u:1', affinity('u:1', { hats: 1 }, 7)],
      ['u2', null],
    ]);
    await caughtUp();
    assert.deepEqual(await store.hgetall(keys.affinityUser('u:1')), new Map([['hats', '1']]));
    assert.deepEqual(await store.hgetall(keys.affinityAsOf), new Map([['u:1', '7']]));
    assert.deepEqual(await store.keys(keys.affinityUserPrefix), [keys.affinityUser('u:1')]);
    assert.equal((await contents(store)).size, 1);
  });

  test('through transactions: nothing open, nothing aborted, and past their control records', async (t) => {
    const { log, store, materialiser, caughtUp } = await popularityRig(t);
    await materialiser.start();
    const record = (id: string) => ({
      ...{ topic: TOPIC, partition: partitionOf(PARTITIONS, Buffer.from(id)), key: Buffer.from(id) },
      ...{ value: codec.encode('Popularity', popularity(id)), timestamp: Date.now() },
    });
    const kept = popularity('kept');
    log.beginTransaction('one', [record('aborted'), record('kept')]);
    log.endTransaction('one', 'aborted');
    log.beginTransaction('two', [record('open')]);
    await put(log, [kept, popularity('behind', { category: 'x' })]);
    await caughtUp();
    const before = await contents(store);
    assert.ok(!before.has('aborted') && !before.has('open'));
    log.endTransaction('two', 'committed');
    await caughtUp();
    assert.deepEqual([...(await contents(store)).keys()].sort(), ['behind', 'kept', 'open']);
  });

  test('counts the applied records and their delay', async (t) => {
    const { log, materialiser, caughtUp, metrics, troubled, events } = await popularityRig(t);
    const shows = async (name: string, line: RegExp) =>
      line.test((await metrics.registry.getSingleMetricAsString(name)) ?? '');
    await materialiser.start();
    await caughtUp();
    const id = idIn(1);
    troubled.down = down();
    await put(log, [popularity(id), popularity(id), popularity(id)]);
    const lag = (records: number) => () =>
      shows(
        'freshet_sink_lag_records',
        new RegExp(`sink="test",topic="popularity.v1",partition="1"} ${records}$`, 'm'),
      );
    await events.until('the lag shows while the store is down', lag(3));
    troubled.down = null;
    await caughtUp();
    await events.until('the lag is gone', lag(0));
    assert.ok(await shows('freshet_sink_records_total', /sink="test",topic="popularity.v1"} 3$/m));
    assert.ok(await shows('freshet_sink_delay_seconds', /_count{sink="test"} 3$/m));
  });
});

describe('I5: a sink applies every batch exactly once', () => {
  for (const seed of [1, 2, 3]) {
    test(`stopped and started between batches, with errors before and after sending (seed ${seed})`, async (t) => {
      const random = new Random(seed);
      const log = await memoryLog(PARTITIONS);
      const store = await localStore(t);
      const { sink, troubled } = popularitySink(store);
      const remaining = new Map<string, Popularity>();
      let last: Rig | null = null;
      for (let life = 0; life < 6; life++) {
        const run = rig(t, log, [sink]);
        await run.materialiser.start();
        const until = troubled.applied.length + 1 + random.below(6);
        await put(log, changes(random, 60, remaining).written);
        if (random.unit() < 0.5) troubled.failBefore.push(down());
        if (random.unit() < 0.5) troubled.failAfter.push(down());
        await run.events.until('some batches', () => troubled.applied.length >= until);
        if (life < 5) await run.materialiser.stop();
        last = run;
      }
      await last!.caughtUp();
      await assertShows(store, remaining.values());
      assertChained(troubled.applied);
    });
  }

  test('when it was applied but the answer was lost', async (t) => {
    const { log, store, materialiser, troubled, caughtUp, metrics } = await popularityRig(t);
    await materialiser.start();
    await caughtUp();
    const before = troubled.applied.length;
    troubled.failAfter.push(down());
    const a = popularity('a');
    await put(log, [a]);
    await caughtUp();
    assert.equal(troubled.applied.length, before + 1);
    assertChained(troubled.applied);
    await assertShows(store, [a]);
    assert.equal(await failuresOf(metrics), 1);
    assert.equal((await sinkMetrics(metrics).applied.get()).values[0]?.value, 1, 'counted once');
  });

  test('with two owners at once, neither twice nor backwards', async (t) => {
    const log = await memoryLog(PARTITIONS);
    const store = await localStore(t);
    const { sink, troubled } = popularitySink(store);
    // Two groups: each is sure that it owns everything, like a zombie and its successor.
    const one = rig(t, alone(log, 'one'), [sink]);
    const two = rig(t, alone(log, 'two'), [sink]);
    const random = new Random(7);
    const remaining = new Map<string, Popularity>();
    await one.materialiser.start();
    await two.materialiser.start();
    for (let round = 0; round < 8; round++) {
      await put(log, changes(random, 30, remaining).written);
      const seen = troubled.applied.length;
      await one.events.until('progress', () => troubled.applied.length > seen);
    }
    const ends = await endsOf(log, TOPIC);
    await one.events.until('everything applied', async () => {
      for (const { partition, offset } of ends) {
        const held = await store.position({ sink: 'test', topic: TOPIC, partition });
        if (held === null || held.nextOffset < offset) return false;
      }
      return true;
    });
    await assertShows(store, remaining.values());
    assertChained(troubled.applied);
    const epochs = new Set(troubled.applied.map(({ epoch }) => epoch));
    assert.ok(epochs.size > 1, 'only one of them ever wrote');
  });

  test('a fenced owner returns only after the group has confirmed it again', async (t) => {
    const inner = await memoryLog(PARTITIONS);
    const { sink, troubled } = popularitySink(await localStore(t));
    const asked: ((answer: boolean) => void)[] = [];
    const confirmed = () => new Promise<boolean>((resolve) => asked.push(resolve));
    const log = joining(inner, async (options) => ({ ...(await inner.join(options)), confirmed }));
    const { materialiser, events, caughtUp } = rig(t, log, [sink]);
    await materialiser.start();
    await caughtUp();
    const at = { sink: 'test', topic: TOPIC, partition: 0 };
    const epochNow = async () => (await troubled.inner.position(at))!.epoch;
    const others = popularity(idIn(1));
    const otherApplied = async () => {
      const before = materialiser.progressOf({ topic: TOPIC, partition: 1 }) as number;
      await put(inner, [others]);
      await events.until(
        'the others continue',
        () => materialiser.progressOf({ topic: TOPIC, partition: 1 }) === before + 1,
      );
    };

    const { epoch } = await troubled.inner.open(at);
    await events.until('asked the group', () => asked.length === 1);
    await put(inner, [popularity(idIn(0))]);
    await otherApplied();
    assert.equal(await epochNow(), epoch, 'taken over without an answer');
    assert.equal(materialiser.progressOf(at), null);
    asked[0]!(true);
    await caughtUp();
    assert.equal(await epochNow(), epoch + 1);

    await troubled.inner.open(at);
    await events.until('asked again', () => asked.length === 2);
    asked[1]!(false);
    await put(inner, [popularity(idIn(0))]);
    await otherApplied();
    assert.equal(await epochNow(), epoch + 2, 'taken over although the group has reassigned it');
    assert.equal(materialiser.progressOf(at), null);
  });
});

/** A log with a different way of joining groups. */
function joining(log: MemoryLog, join: Log['join']): Log {
  return new Proxy(log, {
    get(target, property) {
      if (property === 'join') return join;
      const value = Reflect.get(target, property, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/** A log whose groups belong to one name. */
function alone(log: MemoryLog, name: string): Log {
  return joining(log, (options) => log.join({ ...options, group: `${options.group}-${name}` }));
}

describe('a sink whose store', () => {
  test('was emptied while it ran fills it again, without what was deleted', async (t) => {
    const { log, troubled, materialiser, caughtUp, events } = await popularityRig(t);
    const random = new Random(11);
    const { written, remaining } = changes(random, 200);
    await put(log, written);
    await materialiser.start();
    await caughtUp();
    const empty = await localStore(t);
    troubled.inner = popularitySink(empty).sink.store;
    await events.until('noticed', async () => (await empty.keys('')).length > 0);
    await caughtUp();
    await assertShows(empty, remaining.values());
  });

  for (const [what, incarnation, rebuilds] of [
    ['an older copy continues from there', '', 0],
    ['a copy from another incarnation of the topic is rebuilt', 'other', PARTITIONS],
  ] as const) {
    test(`was restored to ${what}`, async (t) => {
      const { log, sink, troubled, materialiser, caughtUp, events } = await popularityRig(t);
      const random = new Random(12);
      const { written, remaining } = changes(random, 60);
      await put(log, written);
      await materialiser.start();
      await caughtUp();
      // The copy: a second store that followed the same topic up to this point.
      const copy = await localStore(t);
      const copied = { ...sink, store: popularitySink(copy).sink.store };
      const follower = rig(t, alone(log, 'copy'), [copied], { incarnationOf: async () => incarnation });
      await follower.materialiser.start();
      await follower.caughtUp();
      await follower.materialiser.stop();
      await put(log, changes(random, 60, remaining).written);
      await caughtUp();
      const fromStart = () => troubled.applied.filter(({ expectedOffset }) => expectedOffset === 0).length;
      const before = fromStart();
      troubled.inner = popularitySink(copy).sink.store;
      const end = await endsOf(log, TOPIC);
      await events.until('caught up in the copy', async () => {
        for (const { partition, offset } of end) {
          const held = (await copy.position({ sink: 'test', topic: TOPIC, partition }))!;
          if (held.nextOffset < offset || held.incarnation !== '') return false;
        }
        return true;
      });
      await assertShows(copy, remaining.values());
      assert.equal(fromStart() - before, rebuilds);
    });
  }

  test('I12: is down stops reading and catches up by itself', async (t) => {
    const { log: inner, store, sink, troubled } = await popularityRig(t);
    const readers: { reader: LogReader; positions: () => number }[] = [];
    const log = watched(inner, readers);
    const { materialiser, events, caughtUp, metrics } = rig(t, log, [sink]);
    await materialiser.start();
    await caughtUp();
    troubled.down = down();
    const random = new Random(13);
    const remaining = new Map<string, Popularity>();
    for (let i = 0; i < 20; i++) await put(inner, changes(random, 50, remaining).written);
    await events.until('many failures', async () => (await failuresOf(metrics)) > 20);
    const read = readers.at(-1)!.positions();
    const written = (await endsOf(inner, TOPIC)).reduce((sum, { offset }) => sum + offset, 0);
    assert.ok(read < written, `all ${written} records are in memory`);
    assert.deepEqual(await contents(store), new Map());
    troubled.down = null;
    await caughtUp();
    await assertShows(store, remaining.values());
    assertChained(troubled.applied);
  });

  test('is down at the start is taken over when it is back', async (t) => {
    const { log, store, troubled, materialiser, events, caughtUp, metrics } = await popularityRig(t);
    troubled.down = down();
    const a = popularity('a');
    await put(log, [a]);
    await materialiser.start();
    assert.deepEqual(materialiser.positions(), []);
    await events.until('several failures', async () => (await failuresOf(metrics)) > 5);
    troubled.down = null;
    await caughtUp();
    await assertShows(store, [a]);
  });

  test('is slow gets only the newest value of each key, however many there were', async (t) => {
    const pace = { ...PACE, pressedRowsMax: 100, waitingBytesMax: 1e6 };
    const { log, store, troubled, materialiser, caughtUp, events } = await popularityRig(t, { pace });
    await materialiser.start();
    await caughtUp();
    let release = () => {};
    let holds = 0;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    troubled.beforeApply = () => {
      holds++;
      return gate;
    };
    const remaining = new Map<string, Popularity>();
    const random = new Random(14);
    for (let i = 0; i < PARTITIONS; i++) remaining.set(idIn(i), popularity(idIn(i)));
    await put(log, [...remaining.values()]);
    await events.until('every partition waits for the store', () => holds === PARTITIONS);
    for (let i = 0; i < 30; i++) await put(log, changes(random, 100, remaining).written);
    const before = troubled.applied.length;
    release();
    await caughtUp();
    await assertShows(store, remaining.values());
    const rows = troubled.applied.slice(before).reduce((sum, { changes: { length } }) => sum + length, 0);
    assert.ok(rows < 1_000, `${rows} rows were written for 3,000 records of 43 keys`);
  });

  test('is too slow for a batch gets smaller ones', async (t) => {
    const ROWS_IN_TIME = 15;
    const log = await memoryLog(PARTITIONS);
    const store = await localStore(t);
    const { sink } = popularitySink(store);
    const sizes: number[] = [];
    class Slow extends TroubledStore {
      override apply(batch: FencedBatch, changes: readonly Change[]): Promise<ApplyResult> {
        sizes.push(changes.length);
        if (changes.length <= ROWS_IN_TIME) return super.apply(batch, changes);
        return Promise.reject(new FreshetError('timeout', 'the statement took too long'));
      }
    }
    const slow = new Slow(sink.store);
    const pace = { ...PACE, rowsMax: 200, pressedRowsMax: 400, waitingBytesMax: 1e6 };
    const rows = Array.from({ length: 300 }, (_, i) => popularity(`p${i}`));
    await put(log, rows);
    const { materialiser, caughtUp } = rig(t, log, [{ ...sink, store: slow }], { pace });
    await materialiser.start();
    await caughtUp();
    await assertShows(store, rows);
    assert.ok(Math.max(...sizes) > ROWS_IN_TIME, 'no batch was too large');
  });

  test('hangs does not hold up the group', async (t) => {
    const { log, troubled, materialiser, events, caughtUp } = await popularityRig(t);
    await materialiser.start();
    await caughtUp();
    let release = () => {};
    let reached = false;
    troubled.beforeApply = () =>
      new Promise((resolve) => {
        reached = true;
        release = resolve;
      });
    await put(log, [popularity('a')]);
    await events.until('an apply under way', () => reached);
    await materialiser.stop();
    release();
  });
});

async function failuresOf(metrics: Metrics): Promise<number> {
  const { values } = await sinkMetrics(metrics).failures.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}

/** A log that reports the positions of its readers. */
function watched(log: MemoryLog, readers: { reader: LogReader; positions: () => number }[]): Log {
  return new Proxy(log, {
    get(target, property) {
      if (property === 'reader')
        return (...parameters: Parameters<Log['reader']>) => {
          // Small answers, to make pending records visible.
          const reader = target.reader(parameters[0], { ...parameters[1], maxBytesPerPartition: 500 });
          const positions = () => parameters[0].reduce((sum, at) => sum + reader.position(at), 0);
          readers.push({ reader, positions });
          return reader;
        };
      const value = Reflect.get(target, property, target) as unknown;
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

describe('a rebuild', () => {
  /** A store that followed up to a stop; then its topic lost a deletion, as compaction removes it after a week. */
  async function leftAlone(t: TestContext) {
    const first = await popularityRig(t);
    const kept = popularity('kept');
    await put(first.log, [kept, popularity('gone'), popularity('gone-too', { category: 'hats' })]);
    await first.materialiser.start();
    await first.caughtUp();
    await first.materialiser.stop();
    await put(first.log, ['gone', 'gone-too']);
    first.log.compact(TOPIC, { dropTombstones: true });
    assert.equal((await contents(first.store)).size, 3);
    return { ...first, kept };
  }

  test('of a store left alone for too long deletes rows that the topic no longer has', async (t) => {
    const { log, store, sink, kept } = await leftAlone(t);
    const week: Clock = { ...systemClock, now: () => Date.now() + 7 * DAY_MS };
    const run = rig(t, log, [sink], { clock: week });
    await run.materialiser.start();
    await run.caughtUp();
    await assertShows(store, [kept]);
  });

  test('does not wait for a clock that was set back to catch up', async (t) => {
    const at = { now: Date.now() };
    const clock: Clock = { ...systemClock, now: () => at.now };
    const pace = { ...PACE, lingerMs: 20 };
    const { log, store, materialiser, caughtUp } = await popularityRig(t, { clock, pace });
    await materialiser.start();
    await put(log, [popularity('before')]);
    await caughtUp();
    at.now -= DAY_MS / 12;
    const after = [popularity('before', { score: 9 }), popularity('after')];
    await put(log, after);
    await caughtUp();
    await assertShows(store, after);
  });

  test('of a store whose process slept for too long does so too, although it never lost its hold', async (t) => {
    const at = { now: Date.now() };
    const clock: Clock = { ...systemClock, now: () => at.now };
    const { log, store, materialiser, caughtUp, events, troubled } = await popularityRig(t, { clock });
    const [kept, gone] = [popularity('kept'), popularity('gone')];
    await put(log, [kept, gone]);
    await materialiser.start();
    await caughtUp();
    troubled.down = down();
    await put(log, ['gone']);
    log.compact(TOPIC, { dropTombstones: true });
    at.now += 7 * DAY_MS;
    troubled.down = null;
    await events.until('rebuilt', async () => !(await contents(store)).has('gone'));
    await caughtUp();
    await assertShows(store, [kept]);
  });

  test('counts the age of a position from when the store had all of the log, not from its last batch', async (t) => {
    const at = { now: Date.now() - 10 * DAY_MS };
    const clock: Clock = { ...systemClock, now: () => at.now };
    const { log, sink, troubled, materialiser, caughtUp } = await popularityRig(t, { clock });
    const first = at.now;
    await put(log, [popularity(idIn(0))]);
    await materialiser.start();
    await caughtUp();
    await materialiser.stop();
    at.now += 5 * DAY_MS;
    let from = 0;
    const behind = Array.from({ length: 30 }, () => {
      const id = idIn(0, from);
      from = Number(id.slice(2)) + 1;
      return popularity(id);
    });
    await put(log, behind);
    const before = troubled.applied.length;
    const run = rig(t, log, [sink], { clock });
    await run.materialiser.start();
    await run.caughtUp();
    const times = troubled.applied
      .slice(before)
      .filter(({ id }) => id.partition === 0)
      .map((batch) => batch.at);
    assert.ok(times.length >= 3);
    assert.ok(
      times.slice(0, -1).every((time) => time <= first + 60_000),
      'an old batch made the position young',
    );
    assert.equal(times.at(-1), at.now);
  });

  test('for another incarnation of the topic does so too', async (t) => {
    const { log, store, sink, kept } = await leftAlone(t);
    const run = rig(t, log, [sink], { incarnationOf: async () => 'second' });
    await run.materialiser.start();
    await run.caughtUp();
    await assertShows(store, [kept]);
    const held = await store.position({ sink: 'test', topic: TOPIC, partition: 0 });
    assert.equal(held?.incarnation, 'second');
  });

  test('for a recreated topic deletes everything, even if it takes several batches', async (t) => {
    const { log, store, sink, materialiser, caughtUp } = await popularityRig(t);
    await put(
      log,
      Array.from({ length: 100 }, (_, i) => popularity(`p${i}`)),
    );
    await materialiser.start();
    await caughtUp();
    await materialiser.stop();
    await log.recreate(TOPIC);
    const run = rig(t, log, [sink]);
    await run.materialiser.start();
    await run.caughtUp();
    await assertShows(store, []);
  });

  test('starts over after an interruption', async (t) => {
    const { log, store, sink, troubled, kept } = await leftAlone(t);
    const rows = Array.from({ length: 60 }, (_, i) => popularity(`more${i}`));
    await put(log, rows);
    const first = rig(t, log, [sink], { incarnationOf: async () => 'second' });
    const before = troubled.applied.length;
    // The first rebuild completes only a few batches.
    troubled.beforeApply = async () => {
      if (troubled.applied.length >= before + 3) troubled.down = down();
    };
    await first.materialiser.start();
    await first.events.until('interrupted', () => troubled.down !== null);
    await first.materialiser.stop();
    troubled.down = null;
    troubled.beforeApply = async () => {};
    assert.ok((await contents(store)).has('gone'));
    const second = rig(t, log, [sink], { incarnationOf: async () => 'second' });
    await second.materialiser.start();
    await second.caughtUp();
    await assertShows(store, [kept, ...rows]);
  });

  test('follows when the log no longer has the next record', async (t) => {
    const { log, store, sink, materialiser, caughtUp } = await popularityRig(t);
    await put(log, [popularity('old')]);
    await materialiser.start();
    await caughtUp();
    await materialiser.stop();
    const rows = Array.from({ length: 30 }, (_, i) => popularity(`p${i}`));
    await put(log, rows);
    const cut = new Map<number, number>();
    for (const { partition, offset } of await endsOf(log, TOPIC)) {
      cut.set(partition, offset - 2);
      log.truncate({ topic: TOPIC, partition }, offset - 2);
    }
    const run = rig(t, log, [sink]);
    await run.materialiser.start();
    await run.caughtUp();
    const left = new Set<string>();
    for (const partition of cut.keys()) {
      const own = rows.filter(({ product_id }) => partitionOf(PARTITIONS, Buffer.from(product_id)) === partition);
      for (const { product_id } of own.slice(-2)) left.add(product_id);
    }
    await assertShows(
      store,
      rows.filter(({ product_id }) => left.has(product_id)),
    );
  });

  test('follows also during operation, when its topic was recreated', async (t) => {
    const { log, store, materialiser, events } = await popularityRig(t);
    const rows = Array.from({ length: 30 }, (_, i) => popularity(`p${i}`));
    await put(log, rows);
    await materialiser.start();
    await events.until('applied', async () => (await store.zcard(keys.popularityAll)) === rows.length);
    await log.recreate(TOPIC);
    const first = popularity('first');
    await put(log, [first]);
    await events.until('recreated', async () => (await store.zcard(keys.popularityAll)) === 1);
    await assertShows(store, [first]);
  });
});

describe('a recreated topic', () => {
  test('is recognized by its id when it has grown past the offset the old one was read to', async (t) => {
    const log = await memoryLog(PARTITIONS);
    const store = await localStore(t);
    const { sink } = popularitySink(store);
    const incarnationOf = (topic: string) => log.admin.topicId(topic);
    await put(log, [popularity('old'), popularity('older')]);
    const { materialiser, caughtUp } = rig(t, log, [sink], { incarnationOf });
    await materialiser.start();
    await caughtUp();
    await materialiser.stop();
    await log.recreate(TOPIC);
    const rows = Array.from({ length: 100 }, (_, i) => popularity(`p${i}`));
    await put(log, rows);
    const run = rig(t, log, [sink], { incarnationOf });
    await run.materialiser.start();
    await run.caughtUp();
    await assertShows(store, rows);
  });

  test('is noticed during operation, even if no more records arrive', async (t) => {
    const log = await memoryLog(PARTITIONS);
    const store = await localStore(t);
    const { sink } = popularitySink(store);
    let life = 'first';
    await put(log, [popularity('a')]);
    const { materialiser, caughtUp, events } = rig(t, log, [sink], { incarnationOf: async () => life });
    await materialiser.start();
    await caughtUp();
    life = 'second';
    const id = { sink: 'test', topic: TOPIC, partition: 0 };
    await events.until('rebuilt', async () => (await store.position(id))?.incarnation === 'second');
    await caughtUp();
    assert.equal((await contents(store)).size, 1);
  });

  test('that the log cannot distinguish from the old one leaves the store unchanged', async (t) => {
    const log = await memoryLog(PARTITIONS);
    const store = await localStore(t);
    const { sink, troubled } = popularitySink(store);
    const a = popularity(idIn(0));
    const b = popularity(idIn(0, Number(a.product_id.slice(2)) + 1));
    await put(log, [a]);
    const known = rig(t, log, [sink], { incarnationOf: async () => 'known' });
    await known.materialiser.start();
    await known.caughtUp();
    await known.materialiser.stop();
    const before = troubled.applied.length;
    const unknown = rig(t, log, [sink], { incarnationOf: async () => null });
    await put(log, [b]);
    await unknown.materialiser.start();
    await unknown.caughtUp();
    const batches = troubled.applied.slice(before).filter(({ id }) => id.partition === 0);
    assert.deepEqual(
      batches.map(({ expectedOffset, incarnation }) => [expectedOffset, incarnation]),
      [[1, 'known']],
    );
    await assertShows(store, [a, b]);
  });
});

describe('a record that cannot be published', () => {
  test('I6: becomes one dead letter, leaves its row unchanged, and the stream continues', async (t) => {
    const { log, store, materialiser, troubled, caughtUp } = await popularityRig(t);
    const a = popularity('a');
    await put(log, [a]);
    await materialiser.start();
    await caughtUp();
    // First the store is down: a letter must not be written again with every attempt.
    troubled.failBefore.push(down(), down());
    const b = popularity('b');
    await write(log, TOPIC, 'Popularity', [
      ['a', Buffer.from('poison')],
      ['b', b],
      ['c', popularity('not-c')],
    ]);
    await caughtUp();
    await assertShows(store, [a, b]);
    const letters = await deadLettersIn(log);
    assert.deepEqual(letters.map(({ reason_code }) => reason_code).sort(), ['key_mismatch', 'unknown_framing']);
    const poison = letters.find(({ reason_code }) => reason_code === 'unknown_framing')!;
    const partition = partitionOf(PARTITIONS, Buffer.from('a'));
    assert.deepEqual({ ...poison.source }, { topic: TOPIC, partition, offset: 1 });
    assert.equal(poison.id, `${TOPIC}/${partition}/1`);
    assert.equal(poison.input.toString(), 'poison');
    assert.equal(poison.record_key?.toString(), 'a');
    assert.equal(poison.job_name, 'test');
  });

  test('waits until the log accepts its dead letter', async (t) => {
    const { log, store, materialiser, caughtUp } = await popularityRig(t);
    log.flushFailures.push();
    await materialiser.start();
    await caughtUp();
    const b = popularity('b');
    await write(log, TOPIC, 'Popularity', [['a', Buffer.from('poison')]]);
    log.flushFailures.push(new FreshetError('connection', 'the log is down'));
    await put(log, [b]).catch(() => {});
    await caughtUp();
    await assertShows(store, [b]);
    const ids = new Set((await deadLettersIn(log)).map(({ id }) => id));
    assert.equal(ids.size, 1);
  });

  test('keeps its row in a rebuild too', async (t) => {
    const { log, store, sink, materialiser, caughtUp } = await popularityRig(t);
    const a = popularity('a');
    await put(log, [a, popularity('gone')]);
    await materialiser.start();
    await caughtUp();
    await materialiser.stop();
    await write(log, TOPIC, 'Popularity', [
      ['a', Buffer.from('poison')],
      ['gone', null],
    ]);
    log.compact(TOPIC, { dropTombstones: true });
    const run = rig(t, log, [sink], { incarnationOf: async () => 'second' });
    await run.materialiser.start();
    await run.caughtUp();
    await assertShows(store, [a]);
  });
});

describe('a group', () => {
  test('distributes partitions, and the others take over when a member leaves', async (t) => {
    const { log, store, sink, troubled, materialiser, events, caughtUp } = await popularityRig(t);
    const other = rig(t, log, [sink]);
    await materialiser.start();
    await other.materialiser.start();
    await events.until('shared', () => {
      const counts = [materialiser.positions().length, other.materialiser.positions().length];
      return counts[0]! > 0 && counts[1]! > 0 && counts[0]! + counts[1]! === PARTITIONS;
    });
    const random = new Random(21);
    const { written, remaining } = changes(random, 100);
    await put(log, written);
    await other.materialiser.stop();
    await caughtUp();
    await assertShows(store, remaining.values());
    assertChained(troubled.applied);
  });

  test('is rejoined after its membership was lost', async (t) => {
    const { log, store, materialiser, events, caughtUp } = await popularityRig(t);
    await materialiser.start();
    await caughtUp();
    log.failGroup('test-sink', new Error('session timed out'));
    const a = popularity('a');
    await put(log, [a]);
    await events.until('member again', () => materialiser.positions().length === PARTITIONS);
    await caughtUp();
    await assertShows(store, [a]);
  });

  test('shows its offsets for lag displays', async (t) => {
    const { log, materialiser, events, caughtUp } = await popularityRig(t);
    await put(log, [popularity('a')]);
    await materialiser.start();
    await caughtUp();
    const at = { topic: TOPIC, partition: partitionOf(PARTITIONS, Buffer.from('a')) };
    await events.until('shown', async () => (await log.shownOffsets('test-sink', [at]))[0] === 1);
  });

  test('can be stopped twice, and before its start, without harm', async (t) => {
    const { materialiser } = await popularityRig(t);
    await materialiser.stop();
    await materialiser.start();
    await Promise.all([materialiser.stop(), materialiser.stop()]);
    await materialiser.stop();
    assert.deepEqual(materialiser.positions(), []);
  });

  test('survives a log that is unreadable for a while', async (t) => {
    const { log, store, materialiser, caughtUp } = await popularityRig(t);
    await materialiser.start();
    await caughtUp();
    log.pollFailures.push(new FreshetError('connection', 'gone'), new FreshetError('timeout', 'slow'));
    const a = popularity('a');
    await put(log, [a]);
    await caughtUp();
    await assertShows(store, [a]);
  });
});
