/** Features of one's own: any stream, any commit points, any crashes, against a fold of the raw records by hand. */
import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import fc from 'fast-check';
import { defineKeyedFold } from '../../../../runtime/tasks/keyed-fold.js';
import type { KeyedFoldOptions } from '../../../../runtime/tasks/keyed-fold-options.js';
import { TestDriver } from '../../../../runtime/testing/test-driver.js';
import { avroSchema } from '../../../../schemas/value-codec.js';
import { partitionOf } from '../../../../topics/partition.js';
import { deadLetterTopic, ownTopic } from '../../../../topics/typed.js';

interface Click {
  amount: number;
}

interface Tally {
  count: number;
  sum: number;
  last: string[];
}

const record = (name: string, fields: object[]) => ({ type: 'record', name, namespace: 'shop', fields });
const Click = avroSchema<Click>(record('Click', [{ name: 'amount', type: 'double' }]));
const Tally = avroSchema<Tally>(
  record('Tally', [
    { name: 'count', type: 'int' },
    { name: 'sum', type: 'double' },
    { name: 'last', type: { type: 'array', items: 'string' } },
  ]),
);

const clicks = ownTopic({
  name: 'clicks',
  doc: 'Clicks.',
  key: 'user',
  schema: Click,
  cleanup: 'delete',
  retentionDays: 10,
  logAppendTime: true,
  owner: 'tests',
});
const tallies = ownTopic({
  name: 'tallies.v1',
  doc: 'Tallies.',
  key: 'user',
  schema: Tally,
  cleanup: 'compact',
  owner: 'tally',
});

/** Depends on the order, forgets by itself at every fourth record, ignores zeros, and changes its state in place. */
const TALLY: KeyedFoldOptions<Click, Tally, Tally> = {
  name: 'tally',
  input: clicks,
  output: tallies,
  state: Tally,
  init: (key) => ({ count: 0, sum: 0, last: [key] }),
  fold: (tally, { value: { amount }, offset }) => {
    if (amount === 0) return tally;
    if (tally.count === 3) return null;
    tally.count++;
    tally.sum = tally.sum / 3 + amount;
    tally.last = [...tally.last, String(offset)].slice(-3);
    return tally;
  },
  emit: (_, tally) => (tally.sum < 0 ? null : tally),
};
const tally = defineKeyedFold(TALLY);
const PARTITIONS = 2;
const SEED = Number(process.env['PROPERTY_SEED'] ?? 20_261);

type Step =
  | { readonly do: 'click'; readonly key: string; readonly amount: number | null }
  | { readonly do: 'run' | 'crash' | 'fold and crash' | 'wipe and crash' | 'take over' | 'later' };

const click: Step = { do: 'click', key: 'a', amount: 1 };
const does = (...names: Exclude<Step['do'], 'click'>[]): Step[] => names.map((name) => ({ do: name }));

/** What chance meets too seldom. */
const EXAMPLES: [Step[], boolean][] = [
  // A key is deleted by its own state, its row is written, and the record that deleted it is read again.
  [[click, click, click, ...does('later'), click, ...does('later', 'crash')], false],
  // A checkpoint holds what the changelog does not; it is loaded, the changelog catches up, the checkpoint is lost.
  [
    [
      click,
      ...does('run', 'run', 'run'),
      click,
      ...does('run', 'run', 'run', 'crash', 'later'),
      click,
      ...does('run', 'wipe and crash'),
    ],
    true,
  ],
];

const key = fc.constantFrom('a', 'b', 'c', '!marker', 'ü');
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant('click' as const), key, amount: fc.integer({ min: -2, max: 3 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('click' as const), key, amount: fc.constant(null) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constantFrom('run', 'crash', 'fold and crash', 'wipe and crash', 'take over', 'later'),
    }),
  },
);

test('I1, I2: wherever a task dies, a keyed fold ends as the raw records say, with the same bits after a restore', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 50 }), fc.boolean(), async (steps, checkpoints) => {
      const driver = await open(checkpoints ? 25 : 0);
      try {
        const truth = new Map<string, Tally>();
        const ends = new Array<number>(PARTITIONS).fill(0);
        for (const one of steps) {
          if (one.do === 'click') {
            await driver.pipe(clicks, one.key, one.amount === null ? null : { amount: one.amount });
            const partition = partitionOf(PARTITIONS, Buffer.from(one.key));
            byHand(truth, one.key, one.amount, ends[partition]!++);
          } else await act(driver, one.do);
        }
        await driver.run();
        assert.deepEqual(sorted(driver.states(tally)), sorted(truth));
        const shown = [...truth].filter(([, { sum }]) => sum >= 0);
        assert.deepEqual(sorted(await driver.table(tallies)), sorted(new Map(shown)));
        for (let times = 0; times < 3; times++) {
          const before = driver.stateHashes();
          await driver.crash();
          assert.deepEqual(driver.stateHashes(), before, 'a restored state has the same bits');
          await act(driver, 'later');
        }
      } finally {
        await driver.close();
      }
    }),
    { numRuns: Number(process.env['PROPERTY_RUNS'] ?? 30), seed: SEED, includeErrorInReport: true, examples: EXAMPLES },
  );
});

function open(checkpointIntervalMs = 0): Promise<TestDriver> {
  const options = { partitions: PARTITIONS, commitIntervalMs: 10, changelogIntervalMs: 1_000, checkpointIntervalMs };
  return TestDriver.open({ features: [tally], ...options });
}

async function act(driver: TestDriver, what: Exclude<Step['do'], 'click'>): Promise<void> {
  if (what === 'run') await driver.run();
  if (what === 'later') {
    driver.clock.advance(1_000);
    await driver.run();
  }
  if (what === 'fold and crash') await driver.foldOnly();
  if (what === 'wipe and crash') await driver.loseCheckpoints();
  if (what === 'take over') {
    const former = await driver.takeOver();
    for (const zombie of former) {
      while ((await zombie.foldOnce()) > 0);
      driver.clock.advance(10);
      await assert.doesNotReject(
        zombie.commitIfDue().catch((error: { code?: string }) => assert.equal(error.code, 'fenced')),
      );
      await zombie.close();
    }
  }
  if (what.includes('crash')) await driver.crash();
}

function byHand(truth: Map<string, Tally>, key: string, amount: number | null, offset: number): void {
  if (amount === 0) {
    if (!truth.has(key)) truth.set(key, { count: 0, sum: 0, last: [key] });
    return;
  }
  const { count, sum, last } = truth.get(key) ?? { count: 0, sum: 0, last: [key] };
  if (amount === null || count === 3) truth.delete(key);
  else truth.set(key, { count: count + 1, sum: sum / 3 + amount, last: [...last, String(offset)].slice(-3) });
}

function sorted<T>(map: ReadonlyMap<string, T>): [string, T][] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1));
}

describe('a keyed fold', () => {
  const using = (what: string, work: (driver: TestDriver) => Promise<void>) =>
    it(what, async () => {
      const driver = await open();
      try {
        await work(driver);
      } finally {
        await driver.close();
      }
    });

  using('emits once per commit and key, dated by its oldest record', async (driver) => {
    const at = driver.clock.now();
    await driver.pipe(clicks, 'a', { amount: 3 });
    driver.clock.advance(50);
    await driver.pipe(clicks, 'a', { amount: 6 });
    await driver.run();
    const found = await driver.records(tallies);
    assert.deepEqual(
      found.map(({ key, value, timestamp }) => [key, value?.sum, timestamp - at]),
      [['a', 7, 0]],
    );
  });

  using('says nothing about a record that changes nothing', async (driver) => {
    await driver.pipe(clicks, 'a', { amount: 3 });
    await driver.run();
    await driver.pipe(clicks, 'a', { amount: 0 });
    await driver.run();
    assert.equal((await driver.records(tallies)).length, 1);
  });

  using('I6: turns each record that it cannot read into one dead letter, and continues', async (driver) => {
    await driver.pipe(clicks, 'a', Buffer.from('nonsense'));
    await driver.pipe(clicks, 'a', Buffer.from([0, 0, 0, 0, 9, 1]));
    await driver.pipe(clicks, null, { amount: 1 }, { partition: 0 });
    const right = partitionOf(PARTITIONS, Buffer.from('a'));
    await driver.pipe(clicks, 'a', { amount: 1 }, { partition: 1 - right });
    await driver.pipe(clicks, 'a', { amount: 3 });
    await driver.run();
    await driver.crash();
    await driver.run();
    assert.deepEqual((await driver.records(deadLetterTopic)).map(({ value }) => value?.reason_code).sort(), [
      'no_key',
      'unknown_framing',
      'unknown_schema',
      'wrong_partition',
    ]);
    assert.equal(driver.states(tally).get('a')?.sum, 3);
  });

  using('leaves no row of a deleted key in the changelog, and not before it may go', async (driver) => {
    const rows = async () => {
      const topic = { ...tallies, name: 'test.tally-changelog' };
      const kept = new Map<string, boolean>();
      const partition = partitionOf(PARTITIONS, Buffer.from('a'));
      const at = { topic: topic.name, partition };
      const { earliest, lastStable } = await driver.log.offsets(at);
      const reader = driver.log.reader([{ ...at, offset: earliest }]);
      while (reader.position(at) < lastStable)
        for (const { bytes, count, keyStart, keyEnd, valueStart } of await reader.poll())
          for (let i = 0; i < count; i++)
            kept.set(bytes.toString('utf8', keyStart[i]!, keyEnd[i]!), valueStart[i]! >= 0);
      await reader.close();
      return kept.get('k/a');
    };
    await driver.pipe(clicks, 'a', { amount: 1 });
    await act(driver, 'later');
    assert.equal(await rows(), true);
    await driver.pipe(clicks, 'a', null);
    await act(driver, 'later');
    assert.equal(await rows(), true, 'the row says that the key is deleted');
    await act(driver, 'later');
    assert.equal(await rows(), false, 'then it goes');
    const { length } = await driver.records(tallies);
    await act(driver, 'later');
    assert.equal((await driver.records(tallies)).length, length, 'and nothing more is written');
  });

  using('I9: refuses state that another version or another schema made', async (driver) => {
    await driver.pipe(clicks, 'a', { amount: 1 });
    await driver.run();
    await assert.rejects(driver.crash([defineKeyedFold({ ...TALLY, version: 2 })]), { code: 'state' });
  });

  using('names the record that a fold cannot take, and what its state lacks', async (driver) => {
    const wrong = defineKeyedFold({ ...TALLY, fold: () => ({ count: 1, sum: 2 }) as Tally });
    await driver.crash([wrong]);
    await driver.pipe(clicks, 'a', { amount: 1 });
    await assert.rejects(driver.run(), {
      code: 'internal',
      message: /^tally cannot fold clicks\[\d\]@0 \(key a\): not a shop.Tally: last must be array \(it is missing\)$/,
    });
    const surplus = defineKeyedFold({ ...TALLY, fold: (state) => ({ ...state, more: 1 }) });
    await driver.crash([surplus]);
    await assert.rejects(driver.run(), { message: /not a shop.Tally: it has a field "more", which the schema lacks/ });
  });

  it('needs a name that fits into topics', () => {
    assert.throws(() => defineKeyedFold({ ...TALLY, name: 'Tally' }), /fold name "Tally"/);
  });
});
