/** The data that members of a group exchange can be read by kafkajs, which stands for other software. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import kafkajs from 'kafkajs';
import {
  decodeClaim,
  decodeTasks,
  encodeAssignment,
  encodeSubscription,
} from '../../../../../../runtime/log/kafka/wire/group-bytes.js';

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol;

describe('bytes of the group protocol', () => {
  test('a subscription carries topics for others and the claim for us', () => {
    const encoded = encodeSubscription(['events', 'products'], 7, [1, 4]);
    assert.deepEqual(decodeClaim('m', encoded), { memberId: 'm', generation: 7, tasks: [1, 4] });
    assert.deepEqual(MemberMetadata.decode(encoded)?.topics, ['events', 'products']);
  });

  test('an assignment carries partitions for others and the tasks for us', () => {
    const partitions = [
      { topic: 'events', partition: 3 },
      { topic: 'products', partition: 0 },
      { topic: 'events', partition: 5 },
    ];
    const encoded = encodeAssignment(partitions, [3, 5]);
    assert.deepEqual(decodeTasks(encoded), [3, 5]);
    assert.deepEqual(MemberAssignment.decode(encoded)?.assignment, { events: [3, 5], products: [0] });
  });

  test('what other software writes claims nothing and breaks nothing', () => {
    const foreign = MemberMetadata.encode({ version: 1, topics: ['x'], userData: Buffer.from('not json') });
    const nothing = { memberId: 'm', generation: -1, tasks: [] };
    for (const bytes of [foreign, Buffer.alloc(0), Buffer.from([0]), Buffer.from('garbage of some length')])
      assert.deepEqual(decodeClaim('m', bytes), nothing);
    const data = MemberMetadata.encode({
      version: 1,
      topics: [],
      userData: Buffer.from('{"generation":"x","tasks":{}}'),
    });
    assert.deepEqual(decodeClaim('m', data), nothing);
    assert.deepEqual(decodeTasks(Buffer.alloc(0)), []);
  });
});
