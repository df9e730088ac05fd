/** Sharing tasks among members of one process: exclusive, even and stable. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeDisk } from '../../../../../runtime/log/embedded/disk.js';
import { Groups, share } from '../../../../../runtime/log/embedded/groups.js';
import { ShownOffsets } from '../../../../../runtime/log/embedded/shown-offsets.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { eventually } from '../../../../conformance/log-rows.js';
import { Random } from '../../../../support/random.js';
import { makeFolder } from './folders.js';

test('every task is assigned once, shares differ by at most one, and no task moves needlessly', () => {
  const random = new Random(11);
  let before: number[][] = [[]];
  for (let round = 0; round < 500; round++) {
    const tasks = 12;
    const shares = share(tasks, before);
    assert.deepEqual(
      shares.flat().sort((a, b) => a - b),
      Array.from({ length: tasks }, (_, i) => i),
    );
    const sizes = shares.map((part) => part.length);
    assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, sizes.join());
    const most = Math.ceil(tasks / before.length);
    for (const [i, had] of before.entries()) {
      const kept = had.filter((task) => shares[i]!.includes(task)).length;
      assert.ok(kept >= Math.min(had.length, Math.floor(tasks / before.length)), `${kept} of ${had} kept`);
      assert.ok(shares[i]!.length <= most);
    }
    before = shares.filter(() => random.below(4) > 0);
    if (before.length === 0 || (before.length < 9 && random.below(2) === 0)) before.push([]);
  }
});

async function makeGroups() {
  const shown = new ShownOffsets(nodeDisk, await makeFolder(), silentLogger);
  return new Groups(shown, silentLogger);
}

interface Heard {
  readonly events: string[];
  onRevoked: () => Promise<void>;
  onAssigned: () => Promise<void>;
}

function join(groups: Groups, name: string, heard: Heard, tasks = 4) {
  return groups.join({
    group: 'g',
    tasks,
    partitionsOf: () => [],
    onRevoked: async () => {
      heard.events.push(`${name} revoked`);
      await heard.onRevoked();
    },
    onAssigned: async ({ tasks: given }) => {
      heard.events.push(`${name} has ${given.join()}`);
      await heard.onAssigned();
    },
    onFailed: (error) => heard.events.push(`${name} failed: ${error.message}`),
  });
}

const quiet = async () => undefined;

test('no member is assigned anything before all have given up their tasks', async () => {
  const groups = await makeGroups();
  let release: () => void = () => undefined;
  let held = true;
  const events: string[] = [];
  const holdBack = () =>
    held
      ? new Promise<void>((resolve) => {
          release = resolve;
        })
      : quiet();
  const first = join(groups, 'a', { events, onAssigned: quiet, onRevoked: holdBack });
  await eventually('a has its tasks', async () => events.length === 1);
  assert.equal(await first.confirmed(), true);
  const second = join(groups, 'b', { events, onAssigned: quiet, onRevoked: quiet });
  await eventually('a is asked', async () => events.length === 2);
  assert.equal(await first.confirmed(), false, 'the generation has ended');
  assert.equal(await second.confirmed(), false, 'it has no generation yet');
  assert.deepEqual(events, ['a has 0,1,2,3', 'a revoked']);
  held = false;
  release();
  await eventually('both have tasks', async () => events.length === 4);
  assert.deepEqual(events.slice(2), ['a has 0,1', 'b has 2,3']);
  assert.equal(await first.confirmed(), true);
  await second.leave();
  await eventually('a has all tasks again', async () => events.at(-1) === 'a has 0,1,2,3');
  await groups.close();
  assert.equal(events.at(-1), 'a revoked');
  assert.equal(await first.confirmed(), false);
});

test('a member that cannot take its tasks is removed, and the others get them', async () => {
  const groups = await makeGroups();
  const events: string[] = [];
  const bad = async () => {
    throw new Error('no memory');
  };
  const first = join(groups, 'a', { events, onAssigned: bad, onRevoked: quiet });
  join(groups, 'b', { events, onAssigned: quiet, onRevoked: quiet });
  await eventually('b has all', async () => events.includes('b has 0,1,2,3'));
  assert.ok(events.includes('a failed: no memory'));
  assert.equal(await first.confirmed(), false);
  await first.leave();
  await groups.close();
});

test('members must agree on the number of tasks while the group has any; an empty group starts over', async () => {
  const groups = await makeGroups();
  const heard = { events: [], onAssigned: quiet, onRevoked: quiet };
  const first = join(groups, 'a', heard);
  assert.throws(
    () => join(groups, 'b', heard, 5),
    (error) => hasCode(error, 'state'),
  );
  await first.leave();
  await join(groups, 'b', heard, 5).leave();
  await groups.close();
});
