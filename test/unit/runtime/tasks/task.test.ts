/** The task's guarantees on the embedded log: restore, fencing, refusals, commits of unknown outcome. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Log, TransactionalWriter } from '../../../../runtime/log/log.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { takeFaultPoints } from '../../../../runtime/process/fault-points.js';
import type { Affinity, Event, Interactions, Popularity } from '../../../../schemas/records.js';
import { events } from '../../../../topics/events.js';
import { Driver } from '../../../support/driver.js';
import { listener, type Said } from '../../../support/listener.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const HOUR_MS = 3_600_000;

function event(n: number, over: Partial<Event> = {}): Event {
  return { event_id: `e${n}`, user_id: 'u1', product_id: 'p1', category: 'hats', event_type: 'view', ts: NOW, ...over };
}

async function views(driver: Driver, product = 'p1'): Promise<number> {
  return (await driver.table<Popularity>(driver.topics.popularity.name)).get(product)?.views ?? 0;
}

async function withDriver(
  options: Partial<Parameters<typeof Driver.open>[0]>,
  work: (driver: Driver) => Promise<void>,
): Promise<void> {
  const driver = await Driver.open({ now: NOW, commitIntervalMs: 0, ...options });
  try {
    await work(driver);
  } finally {
    await driver.close();
  }
}

test('I2: the same bits after a flush to the changelog, more input, and a restore', () =>
  withDriver({ changelogIntervalMs: 1_000 }, async (driver) => {
    for (let n = 0; n < 50; n++) {
      await driver.pipe(events.name, 'u1', event(n, { product_id: `p${n % 7}`, ts: NOW - n * HOUR_MS }));
      driver.clock.advance(200);
      await driver.run();
    }
    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
    assert.equal(await views(driver, 'p0'), 8);
  }));

test('I2: a duplicate whose original was flushed long ago is still one after a restore', () =>
  withDriver({ changelogIntervalMs: 1_000 }, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    await driver.run();
    driver.clock.advance(HOUR_MS);
    await driver.pipe(events.name, 'u1', event(2));
    await driver.run();
    driver.clock.advance(HOUR_MS);
    await driver.run();
    await driver.crash();
    await driver.pipe(events.name, 'u1', event(1));
    await driver.run();
    assert.equal(await views(driver), 2);
  }));

test('a day with thousands of products of one user is kept in several changelog records and restored whole', () =>
  withDriver({ changelogIntervalMs: 1_000 }, async (driver) => {
    const products = 2_500;
    for (let n = 0; n < products; n++) await driver.pipe(events.name, 'u1', event(n, { product_id: `p${n}` }));
    driver.clock.advance(2_000);
    await driver.run();
    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
    driver.clock.advance(HOUR_MS);
    await driver.run();
    const row = (await driver.table<Interactions>(driver.topics.interactions.name)).get('u1');
    assert.equal(row?.items.length, 1_000);
    assert.equal(row?.truncated, products - 1_000);
    await driver.pipe(events.name, 'u1', null);
    driver.clock.advance(2_000);
    await driver.run();
    await driver.crash();
    assert.equal((await driver.table<Affinity>(driver.topics.affinity.name)).size, 0, 'forgotten');
  }));

test('I3: a task that was taken over can commit nothing more', () =>
  withDriver({}, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    const former = await driver.takeOver();
    for (const task of former) {
      while ((await task.foldOnce()) > 0);
      await assert.rejects(
        async () => {
          if (!(await task.commitIfDue())) throw new FreshetError('fenced', 'had nothing to commit');
        },
        (error: unknown) => error instanceof FreshetError && error.code === 'fenced',
      );
      await task.close();
    }
    await driver.run();
    assert.equal(await views(driver), 1);
  }));

test('I9: state made by other settings is refused with a sentence', () =>
  withDriver({}, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    await driver.run();
    await assert.rejects(driver.crash({ affinityHalfLifeMs: HOUR_MS * 24 }), /made by other folds or settings/);
  }));

test('I8: a topic that was recreated stops its task; offsets are never reset', () =>
  withDriver({}, async (driver) => {
    for (let n = 0; n < 3; n++) await driver.pipe(events.name, 'u1', event(n));
    await driver.run();
    const config = (await driver.log.admin.describeTopic(events.name))!;
    await driver.log.admin.deleteTopic(events.name);
    await driver.log.admin.createTopic(config);
    await assert.rejects(driver.crash(), (error: unknown) => {
      assert.ok(error instanceof FreshetError);
      assert.equal(error.code, 'offset_out_of_range');
      return true;
    });
  }));

for (const applied of [true, false]) {
  test(`I1: a commit of unknown outcome that ${applied ? 'took effect' : 'was lost'} counts once`, () => {
    let faults = 0;
    const between = (log: Log): Log => ({
      ...delegate(log),
      transactionalWriter: async (id, topics) => {
        const writer = await log.transactionalWriter(id, topics);
        return unreliable(writer, async () => {
          if (++faults > 4) return;
          if (applied) await writer.commit();
          else writer.discard();
          throw new FreshetError('indefinite_commit', 'the connection was cut');
        });
      },
    });
    return withDriver({ between, changelogIntervalMs: 1_000 }, async (driver) => {
      for (let n = 0; n < 10; n++) {
        await driver.pipe(events.name, 'u1', event(n));
        await driver.pipe(events.name, 'u1', Buffer.from('poison'));
        driver.clock.advance(2_000);
        await driver.run();
      }
      assert.ok(faults > 4);
      assert.equal(await views(driver), 10);
      assert.equal((await driver.records('dead-letters')).length, 10, 'side outputs are written once too');
    });
  });
}

/** Opening a writer fails while it returns true. */
function unreachable(log: Log, isAway: () => boolean): Log {
  return {
    ...delegate(log),
    transactionalWriter: async (id, topics) => {
      if (isAway()) throw new FreshetError('timeout', 'no broker answers');
      return log.transactionalWriter(id, topics);
    },
  };
}

test('a broker that is away for long costs no restore: memory waits for the outcome of the commit', () => {
  let awayFor = 0;
  let cuts = 0;
  const between = (log: Log): Log => {
    const reachable = unreachable(log, () => awayFor-- > 0);
    return {
      ...reachable,
      transactionalWriter: async (id, topics) =>
        unreliable(await reachable.transactionalWriter(id, topics), async () => {
          if (cuts-- > 0) throw new FreshetError('indefinite_commit', 'the connection was cut');
        }),
    };
  };
  const said: Said[] = [];
  return withDriver({ between, partitions: 1, logger: listener(said) }, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    await driver.run();
    await driver.pipe(events.name, 'u1', event(2));
    cuts = 1;
    awayFor = 20;
    let isDone = false;
    const done = driver.run().finally(() => {
      isDone = true;
    });
    while (!isDone) {
      driver.clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    assert.ok(awayFor < 0, 'it has been tried again and again');
    assert.equal(await views(driver), 2);
    assert.equal(said.filter((line) => line.event === 'task_restored').length, 2, 'only at the start');
  });
});

test('a changelog that has lost an acknowledged commit is not written on', () => {
  let cuts = 0;
  let gone = false;
  const between = (log: Log): Log => ({
    ...delegate(log),
    transactionalWriter: async (id, topics) =>
      unreliable(await log.transactionalWriter(id, topics), async () => {
        if (cuts-- > 0) throw new FreshetError('indefinite_commit', 'the connection was cut');
      }),
    offsets: async (place) => {
      const offsets = await log.offsets(place);
      return gone && place.topic.endsWith('changelog') ? { earliest: 0, lastStable: 0, highWatermark: 0 } : offsets;
    },
  });
  return withDriver({ between, partitions: 1, changelogIntervalMs: 1 }, async (driver) => {
    for (let n = 0; n < 3; n++) {
      await driver.pipe(events.name, 'u1', event(n));
      await driver.run();
    }
    await driver.pipe(events.name, 'u1', event(4));
    cuts = 1;
    gone = true;
    await assert.rejects(driver.run(), /has lost a commit that was acknowledged/);
  });
});

test('without input and with nothing due there is no commit', () =>
  withDriver({ changelogIntervalMs: 1_000 }, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    for (let i = 0; i < 5; i++) {
      driver.clock.advance(10_000);
      await driver.run();
    }
    const ends = async () => {
      const { activityChangelog, popularityChangelog } = driver.topics;
      const places = [activityChangelog, popularityChangelog].flatMap(({ name: topic }) =>
        [0, 1].map((partition) => ({ topic, partition })),
      );
      return Promise.all(places.map(async (place) => (await driver.log.offsets(place)).highWatermark));
    };
    const before = await ends();
    for (let i = 0; i < 60; i++) {
      driver.clock.advance(10_000);
      await driver.run();
    }
    assert.deepEqual(await ends(), before);
  }));

test('what a flush has reached stands in the marker although no input follows', () =>
  withDriver({ changelogIntervalMs: 1_000 }, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    await driver.run();
    driver.clock.advance(2_000);
    await driver.run();
    const markers = await driver.markers(driver.topics.activityChangelog.name);
    assert.deepEqual(
      markers.flatMap((marker) => marker?.parts.map(({ restore_from }) => restore_from) ?? []),
      [1],
    );
  }));

test('a registry that does not answer is waited for, without a restore', () =>
  withDriver({ partitions: 1 }, async (driver) => {
    let refusals = 3;
    const prepare = driver.codec.prepare.bind(driver.codec);
    driver.codec.prepare = async (...batch) => {
      if (refusals-- > 0) throw new FreshetError('unavailable', 'the registry does not answer');
      return prepare(...batch);
    };
    await driver.pipe(events.name, 'u1', event(1));
    let isDone = false;
    const done = driver.run().finally(() => {
      isDone = true;
    });
    while (!isDone) {
      driver.clock.advance(500);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await done;
    assert.ok(refusals < 0);
    assert.equal(await views(driver), 1);
  }));

test('a task that is stopped while it restores gives up at once and leaves the log alone', () =>
  withDriver({ partitions: 1 }, async (driver) => {
    await driver.pipe(events.name, 'u1', event(1));
    await driver.run();
    const stop = new AbortController();
    takeFaultPoints((point) => {
      if (point === 'restore.fenced') stop.abort();
    });
    try {
      const [task] = await driver.again();
      await assert.rejects(task!.restore(stop.signal), /it was stopped/);
      await task!.close();
    } finally {
      takeFaultPoints(null);
    }
  }));

test('every fault point of restore, commit and checkpoint is passed, in order', async () => {
  const passed: string[] = [];
  takeFaultPoints((point, where) => {
    if (where === 'features.v1.activity-0' && passed.at(-1) !== point) passed.push(point);
  });
  try {
    await withDriver({ partitions: 1, checkpointIntervalMs: 1 }, async (driver) => {
      driver.clock.advance(10);
      await driver.pipe(events.name, 'u1', event(1));
      await driver.run();
      await driver.crash();
    });
  } finally {
    takeFaultPoints(null);
  }
  const commit = ['commit.begin', 'commit.written', 'commit.acknowledged'];
  const checkpoint = ['checkpoint.copied', 'checkpoint.written', 'checkpoint.renamed'];
  assert.deepEqual(passed, [
    'restore.begin',
    'restore.fenced',
    'restore.changelog_read',
    'restore.replayed',
    ...commit,
    ...checkpoint,
    'restore.begin',
    'restore.fenced',
    'restore.checkpoint_loaded',
    'restore.changelog_read',
    'restore.replayed',
  ]);
});

function delegate(log: Log): Log {
  return {
    kind: log.kind,
    admin: log.admin,
    partitionCount: (topic) => log.partitionCount(topic),
    offsets: (partition) => log.offsets(partition),
    offsetForTime: (partition, ms) => log.offsetForTime(partition, ms),
    reader: (start, options) => log.reader(start, options),
    writer: (topics) => log.writer(topics),
    transactionalWriter: (id, topics) => log.transactionalWriter(id, topics),
    join: (options) => log.join(options),
    shownOffsets: (group, partitions) => log.shownOffsets(group, partitions),
    close: () => log.close(),
  };
}

function unreliable(writer: TransactionalWriter, fault: () => Promise<void>): TransactionalWriter {
  return {
    add: (topic, key, value, options) => writer.add(topic, key, value, options),
    get bufferedRecords() {
      return writer.bufferedRecords;
    },
    get bufferedBytes() {
      return writer.bufferedBytes;
    },
    init: () => writer.init(),
    commit: async () => {
      await fault();
      await writer.commit();
    },
    discard: () => writer.discard(),
    close: () => writer.close(),
  };
}
