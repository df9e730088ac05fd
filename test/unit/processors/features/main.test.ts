/** Versions of the features application next to each other: the same results under names that never meet. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReporting } from '../../../../assembly/reporting.js';
import { loadSettings } from '../../../../assembly/settings.js';
import { createProcessors } from '../../../../processors/features/main.js';
import type { Membership, MembershipOptions, TransactionalWriter } from '../../../../runtime/log/log.js';
import { systemClock } from '../../../../runtime/process/clock.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { Codec } from '../../../../schemas/codec.js';
import type { Popularity } from '../../../../schemas/records.js';
import { allTopics } from '../../../../topics/all.js';
import { declaredState } from '../../../../topics/apply.js';
import { events } from '../../../../topics/events.js';
import { featureSet } from '../../../../topics/feature-set.js';
import { RUNNING_SETS } from '../../../../topics/running.js';
import { MemoryLog } from '../../../support/memory-log.js';
import { Events } from '../../../support/publishing.js';
import { append, written } from '../../../support/scripted-log.js';

/** Notes who joins and who writes. */
class NotingLog extends MemoryLog {
  readonly groups: string[] = [];
  readonly transactionalIds: string[] = [];

  override join(options: MembershipOptions): Promise<Membership> {
    this.groups.push(options.group);
    return super.join(options);
  }

  override transactionalWriter(id: string, topics: readonly string[]): Promise<TransactionalWriter> {
    this.transactionalIds.push(id);
    return super.transactionalWriter(id, topics);
  }
}

test('two versions fold the same events, each in its own group, with its own ids, into its own topics', async () => {
  const log = new NotingLog();
  const sets = [featureSet(1), featureSet(2)] as const;
  for (const topic of allTopics({ ...RUNNING_SETS, features: sets }))
    await log.admin.createTopic(declaredState(topic, topic.partitions === 'default' ? 2 : topic.partitions));
  const codec = new Codec();
  const settings = loadSettings({ COMMIT_INTERVAL_MS: '5' });
  const shared = { log, codec, settings, ...openReporting(silentLogger), clock: systemClock };
  const processors = sets.map((set) => createProcessors({ ...shared, set }));
  const waits = new Events();
  try {
    for (const one of processors) await one.start();
    for (let i = 0; i < 20; i++) {
      const event = { event_id: `e${i}`, user_id: `u${i % 7}`, product_id: `p${i % 3}`, event_type: 'view' };
      const value = codec.encode('Event', { ...event, category: null, ts: Date.now() });
      await append(log, events.name, Buffer.from(event.user_id), value);
    }
    const views = async (topic: string) => {
      const newest = new Map<string, number>();
      for (const { key, value } of await written(log, topic))
        newest.set(key!, (codec.decode('Popularity', value!) as Popularity).views);
      return newest;
    };
    const expected = new Map([7, 7, 6].map((count, i) => [`p${i}`, count]));
    for (const { topics } of sets) {
      const { name } = topics.popularity;
      const total = async () => [...(await views(name)).values()].reduce((sum, count) => sum + count, 0);
      await waits.until(`20 views in ${name}`, async () => (await total()) === 20);
      assert.deepEqual(new Map([...(await views(name))].sort()), expected);
    }
  } finally {
    for (const one of processors) await one.stop();
  }
  assert.deepEqual(log.groups, ['features.v1', 'features.v2']);
  const ids = (version: number) => [
    ...[0, 1].map((task) => `features.v${version}.activity-${task}`),
    ...[0, 1, 2, 3].map((task) => `features.v${version}.popularity-${task}`),
  ];
  assert.deepEqual([...new Set(log.transactionalIds)].sort(), [...ids(1), ...ids(2)]);
});
