/** Behaviour that only a real Kafka has: other software's producers, open transactions, groups in Kafka's tools. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import kafkajs from 'kafkajs';
import { loadSettings } from '../../assembly/settings.js';
import { Cluster } from '../../runtime/log/kafka/client/cluster.js';
import { KafkaMembership } from '../../runtime/log/kafka/client/membership.js';
import { connectionOptions } from '../../runtime/log/kafka/client/options.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log, Membership, MembershipOptions, ReaderOptions } from '../../runtime/log/log.js';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { eventually, type Row, readRows } from '../conformance/log-rows.js';
import { kafkaOrReason } from '../support/services/kafka.js';
import { FOREIGN_CODECS, foreignClient, kickMember, registerForeignCodecs } from '../support/services/kafka-tools.js';

const bytes = (text: string) => Buffer.from(text, 'latin1');
const values = (rows: readonly Row[]) => rows.map(({ value }) => value);

const { kafka, skip } = await kafkaOrReason();
const brokers = kafka?.brokers ?? '';

describe('kafka only', { skip }, () => {
  const run = randomBytes(4).toString('hex');
  let log: Log;
  let count = 0;

  before(async () => {
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger);
  });
  after(async () => {
    await log?.close();
    await kafka?.stop();
  });

  const unique = (what: string) => `own-${run}-${++count}-${what}`;
  const makeTopic = async (what: string, partitions = 1): Promise<string> => {
    const name = unique(what);
    await log.admin.createTopic({
      name,
      partitions,
      cleanup: 'delete',
      retentionMs: -1,
      logAppendTime: false,
      settings: {},
    });
    return name;
  };
  const readerOf = (topic: string, options: ReaderOptions = {}) =>
    log.reader([{ topic, partition: 0, offset: 0 }], { maxWaitMs: 100, ...options });
  const foreignProducer = async (transactionalId: string) => {
    const producer = foreignClient(brokers).producer({
      transactionalId,
      idempotent: true,
      maxInFlightRequests: 1,
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    return producer;
  };

  describe('transactions of others', () => {
    test('I4: an open one holds back the last stable offset, an aborted one is skipped', async () => {
      const topic = await makeTopic('open');
      const place = { topic, partition: 0 };
      const writer = await log.writer([topic]);
      const write = async (value: string) => {
        writer.add(topic, null, bytes(value));
        await writer.flush();
      };
      await write('before');
      const producer = await foreignProducer(unique('foreign'));
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ value: 'aborted 1' }, { value: 'aborted 2' }] });
      await write('between');
      assert.deepEqual(await log.offsets(place), { earliest: 0, lastStable: 1, highWatermark: 4 });

      const committed = readerOf(topic);
      const uncommitted = readerOf(topic, { isolation: 'read_uncommitted' });
      assert.deepEqual(values(await readRows(committed, 1)), ['before']);
      assert.deepEqual(values(await readRows(uncommitted, 4)), ['before', 'aborted 1', 'aborted 2', 'between']);
      for (const columns of await committed.poll()) assert.equal(columns.count, 0);
      assert.equal(committed.position(place), 1);

      await transaction.abort();
      await producer.disconnect();
      assert.deepEqual(values(await readRows(committed, 1)), ['between']);
      await eventually('the position skips the marker', async () => {
        await committed.poll();
        return committed.position(place) === 5;
      });
      assert.deepEqual(await log.offsets(place), { earliest: 0, lastStable: 5, highWatermark: 5 });
      await write('after');
      assert.deepEqual(values(await readRows(committed, 1)), ['after']);
      assert.deepEqual(values(await readRows(readerOf(topic), 3)), ['before', 'between', 'after']);
    });

    test('a vanished owner of our id is fenced and its transaction ended by init', async () => {
      const topic = await makeTopic('vanished');
      const id = unique('id');
      const producer = await foreignProducer(id);
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ value: 'of the vanished' }] });
      const writer = await log.transactionalWriter(id, [topic]);
      await writer.init();
      const { lastStable, highWatermark } = await log.offsets({ topic, partition: 0 });
      assert.equal(lastStable, highWatermark);
      await assert.rejects(transaction.commit());
      writer.add(topic, null, bytes('ours'));
      await writer.commit();
      assert.deepEqual(values(await readRows(readerOf(topic), 1)), ['ours']);
      await producer.disconnect().catch(() => undefined);
    });

    test('I3: our writer is fenced by other software with its id', async () => {
      const topic = await makeTopic('taken');
      const id = unique('id');
      const writer = await log.transactionalWriter(id, [topic]);
      await writer.init();
      writer.add(topic, null, bytes('first'));
      await writer.commit();
      const producer = await foreignProducer(id);
      const transaction = await producer.transaction();
      writer.add(topic, null, bytes('too late'));
      await assert.rejects(writer.commit(), (error) => hasCode(error, 'fenced'));
      await transaction.abort();
      await producer.disconnect();
      assert.deepEqual(values(await readRows(readerOf(topic), 1)), ['first']);
    });
  });

  test('a record that the topic refuses is reported with a sentence, and its transaction is ended', async () => {
    const topic = unique('small');
    const settings = { 'max.message.bytes': '2000' };
    await log.admin.createTopic({
      name: topic,
      partitions: 1,
      cleanup: 'delete',
      retentionMs: -1,
      logAppendTime: false,
      settings,
    });
    const writer = await log.writer([topic]);
    writer.add(topic, null, Buffer.alloc(3000));
    await assert.rejects(
      writer.flush(),
      (error) => hasCode(error, 'record_too_large') && /small\[0\]/.test(String(error)),
    );
    writer.add(topic, null, bytes('fits'));
    await writer.flush();
    const transactional = await log.transactionalWriter(unique('id'), [topic]);
    await transactional.init();
    transactional.add(topic, null, Buffer.alloc(3000));
    await assert.rejects(transactional.commit(), (error) => hasCode(error, 'record_too_large'));
    await eventually('no transaction holds readers back', async () => {
      const { lastStable, highWatermark } = await log.offsets({ topic, partition: 0 });
      return lastStable === highWatermark;
    });
    assert.deepEqual(values(await readRows(readerOf(topic), 1)), ['fits']);
  });

  test('records of all codecs are read, mixed with plain ones', async () => {
    registerForeignCodecs();
    const topic = await makeTopic('codecs');
    const producer = foreignClient(brokers).producer({
      createPartitioner: kafkajs.Partitioners.DefaultPartitioner,
    });
    await producer.connect();
    const expected: string[] = [];
    for (const { name, type } of FOREIGN_CODECS) {
      const messages = Array.from({ length: 50 }, (_, i) => ({
        key: `${name} ${i}`,
        value: `${name} ${i} `.repeat(20),
      }));
      await producer.send({ topic, compression: type, messages });
      expected.push(...messages.map(({ value }) => value));
    }
    await producer.disconnect();
    const rows = await readRows(readerOf(topic), expected.length);
    assert.deepEqual(values(rows), expected);
    for (const row of rows) assert.ok(row.value!.startsWith(`${row.key} `));
    const middle = await readRows(log.reader([{ topic, partition: 0, offset: 75 }]), expected.length - 75);
    assert.deepEqual(values(middle), expected.slice(75));
  });

  describe('groups', () => {
    class Member {
      held: number[] = [];
      readonly history: string[] = [];
      failure: Error | null = null;
      membership!: Membership;

      static async join(group: string, topic: string, tasks = 6, through: Pick<Log, 'join'> = log): Promise<Member> {
        const member = new Member();
        member.membership = await through.join({
          group,
          tasks,
          partitionsOf: (task) => [{ topic, partition: task }],
          sessionTimeoutMs: 6000,
          onRevoked: async () => {
            member.history.push('revoked');
            member.held = [];
          },
          onAssigned: async (assignment) => {
            member.held = [...assignment.tasks];
            member.history.push(member.held.join());
          },
          onFailed: (error) => {
            member.failure = error;
          },
        });
        return member;
      }
    }
    const shared =
      (members: readonly Member[], tasks = 6) =>
      async () => {
        const sizes = members.map(({ held }) => held.length);
        const all = new Set(members.flatMap(({ held }) => held));
        return (
          all.size === tasks && sizes.reduce((a, b) => a + b) === tasks && Math.max(...sizes) - Math.min(...sizes) <= 1
        );
      };

    test('six tasks among two, three and two members: each keeps as many as possible', async () => {
      const topic = await makeTopic('sticky', 6);
      const group = unique('group');
      const first = await Member.join(group, topic);
      await eventually('the first has all', shared([first]));
      const second = await Member.join(group, topic);
      await eventually('two share', shared([first, second]));
      assert.deepEqual(first.held, [0, 1, 2], 'the first keeps its half');
      const third = await Member.join(group, topic);
      await eventually('three share', shared([first, second, third]));
      assert.deepEqual(
        [first.held, second.held],
        [
          [0, 1],
          [3, 4],
        ],
      );
      await second.membership.leave();
      await eventually('two share again', shared([first, third]));
      assert.deepEqual(first.held.slice(0, 2), [0, 1]);
      for (const task of [2, 5]) assert.ok(third.held.includes(task), 'the third keeps its tasks');
      const again = await Member.join(group, topic);
      await eventually('three share again', shared([first, third, again]));
      for (const member of [first, third, again]) await member.membership.leave();
      for (const member of [first, second, third, again]) assert.equal(member.failure, null);
    });

    test('a member that falls silent loses its tasks when its session ends', async () => {
      const topic = await makeTopic('silent', 4);
      const group = unique('group');
      const first = await Member.join(group, topic, 4);
      // Its connections end silently, as if its machine had failed.
      const { seeds, ...options } = connectionOptions(loadSettings({ KAFKA_BROKERS: brokers }), silentLogger);
      const cluster = await Cluster.open(seeds, options);
      const join = (membership: MembershipOptions) => KafkaMembership.join(cluster, membership, silentLogger);
      const silent = await Member.join(group, topic, 4, { join });
      await eventually('two share', shared([first, silent], 4));
      cluster.close();
      await eventually('the first has all', shared([first], 4));
      await first.membership.leave();
    });

    test('a member dropped by the group gives up its tasks, and joins again as a new one', async () => {
      const topic = await makeTopic('dropped', 3);
      const group = unique('group');
      const member = await Member.join(group, topic, 3);
      await eventually('it has all', shared([member], 3));
      await kickMember(brokers, group);
      const confirmed = await member.membership.confirmed();
      assert.equal(confirmed, false);
      await eventually('it has all again', async () => member.history.length === 3);
      assert.deepEqual(member.history, ['0,1,2', 'revoked', '0,1,2']);
      assert.equal(await member.membership.confirmed(), true);
      assert.equal(member.failure, null);
      await member.membership.leave();
    });

    test('a failing callback ends the membership and says so', async () => {
      const topic = await makeTopic('failing');
      const failures: Error[] = [];
      let revoked = 0;
      const membership = await log.join({
        group: unique('group'),
        tasks: 1,
        partitionsOf: () => [{ topic, partition: 0 }],
        onRevoked: async () => {
          revoked++;
        },
        onAssigned: async () => {
          throw new Error('cannot take this up');
        },
        onFailed: (error) => failures.push(error),
      });
      await eventually('it fails', async () => failures.length === 1);
      assert.match(failures[0]!.message, /cannot take this up/);
      assert.equal(revoked, 1);
      assert.equal(await membership.confirmed(), false);
      await membership.leave();
    });

    test('leaving does not wait for other members that keep the group waiting', async () => {
      const topic = await makeTopic('impatient', 2);
      const group = unique('group');
      let release: () => void = () => undefined;
      const holding = new Promise<void>((resolve) => {
        release = resolve;
      });
      let asked = false;
      let assigned = false;
      const slow = await log.join({
        group,
        tasks: 2,
        partitionsOf: (task) => [{ topic, partition: task }],
        onRevoked: async () => {
          asked = true;
          await holding;
        },
        onAssigned: async () => {
          assigned = true;
        },
        onFailed: (error) => assert.fail(error),
      });
      await eventually('the slow one has its tasks', async () => assigned);
      const second = await Member.join(group, topic, 2);
      await eventually('the slow one is asked to give them up', async () => asked);
      assert.equal(await slow.confirmed(), true, 'it still has them');
      const begun = performance.now();
      await second.membership.leave();
      assert.ok(performance.now() - begun < 3000);
      assert.deepEqual(second.history, []);
      release();
      await slow.leave();
    });

    test("Kafka's own tools show members, partitions and offsets", async () => {
      const topic = await makeTopic('shown', 4);
      const group = unique('group');
      const member = await Member.join(group, topic, 4);
      await eventually('it has all', shared([member], 4));
      await member.membership.showOffsets([{ topic, partition: 2, offset: 17 }]);
      const admin = foreignClient(brokers).admin();
      await admin.connect();
      const description = (await admin.describeGroups([group])).groups[0]!;
      assert.equal(description.protocolType, 'consumer');
      assert.equal(description.state, 'Stable');
      const decoded = kafkajs.AssignerProtocol.MemberAssignment.decode(description.members[0]!.memberAssignment);
      assert.deepEqual(decoded?.assignment, { [topic]: [0, 1, 2, 3] });
      const subscription = kafkajs.AssignerProtocol.MemberMetadata.decode(description.members[0]!.memberMetadata);
      assert.deepEqual(subscription?.topics, [topic]);
      const [shown] = await admin.fetchOffsets({ groupId: group, topics: [topic] });
      assert.equal(shown?.partitions.find(({ partition }) => partition === 2)?.offset, '17');
      await admin.disconnect();
      await member.membership.leave();
    });
  });
});
