/** Operations become few steps, if their order does not matter. The conformance suites test the results. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { planBatch, sinkName } from '../../../../runtime/stores/batch-plan.js';
import type { StoreOperation } from '../../../../runtime/stores/online-store.js';

const zadd = (key: string, member: string, score = 1): StoreOperation => ({ op: 'zadd', key, member, score });
const hset = (key: string, field: string, value = 'v'): StoreOperation => ({ op: 'hset', key, field, value });
const regroup = (member: string, group: string | null, groups = 'groups', prefix = 'in:'): StoreOperation => ({
  op: 'regroup',
  groups,
  prefix,
  member,
  group,
  score: 1,
});
const shape = (operations: readonly StoreOperation[]) =>
  planBatch(operations).steps.map(({ op, key }) => `${op} ${key}`);

test('a popularity batch, whose operations alternate between three keys, is three steps', () => {
  const operations = Array.from({ length: 500 }, (_, i) => [
    zadd('all', `p${i}`),
    regroup(`p${i}`, `c${i % 3}`),
    hset('day', `p${i}`),
  ]).flat();
  assert.deepEqual(shape(operations), ['zadd all', 'regroup groups', 'hset day']);
});

test('an operation never overtakes another one on its key', () => {
  const operations: StoreOperation[] = [
    zadd('a', 'm'),
    hset('b', 'f'),
    { op: 'zrem', key: 'a', member: 'm' },
    zadd('a', 'm'),
    hset('b', 'g'),
    zadd('a', 'n'),
    { op: 'del', key: 'a' },
    zadd('a', 'o'),
  ];
  assert.deepEqual(shape(operations), ['zadd a', 'hset b', 'zrem a', 'zadd a', 'del a', 'zadd a']);
});

test('a member regrouped twice is in the step once, with its last group', () => {
  const [step] = planBatch([regroup('p', 'a'), regroup('q', 'a'), regroup('p', null)]).steps;
  assert.ok(step?.op === 'regroup');
  assert.deepEqual(
    [step.members, step.groups],
    [
      ['p', 'q'],
      [null, 'a'],
    ],
  );
});

test('if a regroup may touch other writes of the batch, nothing is reordered', () => {
  const between = (other: StoreOperation) => shape([regroup('p', 'a'), other, regroup('q', 'a')]);
  assert.equal(between(zadd('elsewhere', 'm')).length, 2);
  assert.equal(between(zadd('in:a', 'm')).length, 3);
  assert.equal(between({ op: 'del', key: 'in:never-mentioned' }).length, 3);
  assert.equal(between(regroup('p', 'a', 'groups', 'in:deeper:')).length, 3);
  assert.equal(between(regroup('p', 'a', 'other groups')).length, 3);
  assert.equal(shape([regroup('p', 'a', 'in:groups'), hset('x', 'f'), regroup('q', 'a', 'in:groups')]).length, 3);
});

test('a plan names the kinds that keys must have beforehand', () => {
  const plan = planBatch([
    zadd('set', 'm'),
    hset('hash', 'f'),
    { op: 'del', key: 'deleted' },
    zadd('deleted', 'm'),
    { op: 'hreplace', key: 'replaced', fields: [['f', 'v']] },
    hset('replaced', 'g'),
    regroup('p', 'a'),
    regroup('q', null),
  ]);
  assert.deepEqual([...plan.sortedSets].sort(), ['in:a', 'set']);
  assert.deepEqual([...plan.hashes].sort(), ['groups', 'hash']);
});

test('names of sinks cannot collide', () => {
  const names = [
    sinkName({ sink: 'a', topic: 'b:1', partition: 2 }),
    sinkName({ sink: 'a:b', topic: '1', partition: 2 }),
    sinkName({ sink: 'a', topic: 'b', partition: 12 }),
  ];
  assert.equal(new Set(names).size, names.length);
});
