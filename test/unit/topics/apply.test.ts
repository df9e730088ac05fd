import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { allTopics } from '../../../topics/all.js';
import {
  applyTopics,
  compareTopic,
  declaredState,
  partitionsOf,
  type TopicAdmin,
  type TopicState,
  TopicsRefusedError,
} from '../../../topics/apply.js';
import { deadLetters, events, products } from '../../../topics/events.js';
import { featureSet } from '../../../topics/feature-set.js';
import { DAY_MS } from '../../../topics/time.js';

class FakeAdmin implements TopicAdmin {
  readonly topics = new Map<string, TopicState>();
  readonly created: string[] = [];

  async describeTopic(name: string): Promise<TopicState | null> {
    return this.topics.get(name) ?? null;
  }

  async createTopic(state: TopicState): Promise<void> {
    assert.ok(!this.topics.has(state.name), `${state.name} exists`);
    this.topics.set(state.name, state);
    this.created.push(state.name);
  }

  change(name: string, over: Partial<TopicState>): void {
    this.topics.set(name, { ...this.topics.get(name)!, ...over });
  }
}

async function applied(options: Parameters<typeof applyTopics>[2] = { kind: 'kafka' }): Promise<FakeAdmin> {
  const admin = new FakeAdmin();
  await applyTopics(admin, allTopics(), options);
  return admin;
}

describe('topics apply', () => {
  test('accepts a topic that another process created meanwhile, unless it must be refused', async () => {
    class Raced extends FakeAdmin {
      constructor(readonly theirs: Partial<TopicState>) {
        super();
      }

      override async createTopic(state: TopicState): Promise<void> {
        await super.createTopic({ ...state, ...this.theirs });
        throw new Error(`${state.name} already exists`);
      }
    }
    const [report] = await applyTopics(new Raced({}), [events], { kind: 'kafka' });
    assert.deepEqual(report, { name: 'events', action: 'same', partitions: 12, differences: [] });
    await assert.rejects(applyTopics(new Raced({ partitions: 5 }), [events], { kind: 'kafka' }), TopicsRefusedError);
    class Broken extends FakeAdmin {
      override async createTopic(): Promise<void> {
        throw new Error('no broker');
      }
    }
    await assert.rejects(applyTopics(new Broken(), [events], { kind: 'kafka' }), /no broker/);
  });

  test('creates missing topics as declared, and nothing the second time', async () => {
    const admin = new FakeAdmin();
    const first = await applyTopics(admin, allTopics(), { kind: 'kafka' });
    assert.ok(first.every(({ action }) => action === 'created'));
    assert.deepEqual(
      admin.created,
      allTopics().map(({ name }) => name),
    );
    assert.deepEqual(admin.topics.get('events'), {
      name: 'events',
      partitions: 12,
      cleanup: 'delete',
      retentionMs: 100 * DAY_MS,
      logAppendTime: true,
      settings: {},
    });
    const { popularity } = featureSet(1).topics;
    assert.deepEqual(admin.topics.get('popularity.v1')?.settings, popularity.settings);
    assert.equal(admin.topics.get('popularity.v1')?.retentionMs, -1);
    const second = await applyTopics(admin, allTopics(), { kind: 'kafka' });
    assert.ok(second.every(({ action, differences }) => action === 'same' && differences.length === 0));
  });

  test('refuses another cleanup policy before anything is created', async () => {
    const admin = new FakeAdmin();
    admin.topics.set('products', { ...declaredState(products, 12), cleanup: 'delete' });
    await assert.rejects(
      applyTopics(admin, [events, products], { kind: 'kafka' }),
      /cleanup.policy delete where compact/,
    );
    assert.deepEqual(admin.created, []);
  });

  test('only compares in a dry run', async () => {
    const admin = new FakeAdmin();
    const reports = await applyTopics(admin, [events], { kind: 'kafka', dryRun: true });
    assert.deepEqual(
      reports.map(({ name, action }) => [name, action]),
      [['events', 'missing']],
    );
    assert.deepEqual(admin.created, []);
  });

  test('takes partition counts from the declaration, the setting or the kind of log', () => {
    assert.equal(partitionsOf(events, { kind: 'kafka' }), 12);
    assert.equal(partitionsOf(events, { kind: 'embedded' }), 4);
    assert.equal(partitionsOf(events, { kind: 'kafka', partitions: 3 }), 3);
    assert.equal(partitionsOf(featureSet(1).topics.productActivity, { kind: 'kafka', partitions: 3 }), 4);
  });

  test('refuses another partition count under keyed state, and then creates nothing', async () => {
    const admin = new FakeAdmin();
    admin.topics.set('events', declaredState(events, 8));
    await assert.rejects(applyTopics(admin, allTopics(), { kind: 'kafka' }), (error) => {
      assert.ok(error instanceof TopicsRefusedError);
      assert.equal(error.refusals.length, 1);
      assert.match(error.message, /"events" has 8 partitions where 12 .*PARTITIONS=8/);
      return true;
    });
    assert.deepEqual(admin.created, []);
    await applyTopics(admin, allTopics(), { kind: 'kafka', partitions: 8 });
    assert.ok(admin.created.length > 0);
  });

  test('reports another partition count where no state depends on it', async () => {
    const admin = await applied();
    admin.change('dead-letters', { partitions: 1 });
    const report = (await applyTopics(admin, [deadLetters], { kind: 'kafka' }))[0];
    assert.equal(report?.action, 'differs');
    assert.deepEqual(report?.differences, ['dead-letters: the partition count is 1, but 12 is declared.']);
    assert.equal(report?.partitions, 1);
  });

  test('refuses producers’ timestamps where log time is needed, unless a setting allows them', async () => {
    const admin = await applied();
    admin.change('events', { logAppendTime: false });
    admin.change('features.v1.product-activity', { logAppendTime: false });
    await assert.rejects(applyTopics(admin, allTopics(), { kind: 'kafka' }), (error) => {
      assert.ok(error instanceof TopicsRefusedError);
      assert.equal(error.refusals.length, 2);
      assert.match(error.message, /ALLOW_CREATE_TIME=true/);
      return true;
    });
    const reports = await applyTopics(admin, allTopics(), { kind: 'kafka', allowCreateTime: true });
    const report = reports.find(({ name }) => name === 'events');
    assert.deepEqual(report?.differences, [
      'events: message.timestamp.type is CreateTime, but LogAppendTime is declared.',
    ]);
  });
});

describe('a difference is one sentence', () => {
  const wanted = declaredState(products, 12);

  test('for each property that differs', () => {
    const found = { ...wanted, cleanup: 'delete' as const, settings: { 'segment.ms': '7' } };
    assert.deepEqual(compareTopic(wanted, found), [
      'products: cleanup.policy is delete, but compact is declared.',
      `products: min.compaction.lag.ms is not set (the broker's default applies), but ${DAY_MS} is declared.`,
      `products: delete.retention.ms is not set (the broker's default applies), but ${7 * DAY_MS} is declared.`,
      'products: segment.ms is 7, but 600000 is declared.',
    ]);
  });

  test('but a property without effect gives none', () => {
    assert.deepEqual(compareTopic(wanted, { ...wanted, retentionMs: 5, settings: { ...wanted.settings, x: 'y' } }), []);
    const changelog = declaredState(featureSet(1).topics.activityChangelog, 12);
    const found = { ...changelog, cleanup: 'delete,compact' as TopicState['cleanup'] };
    assert.deepEqual(compareTopic(changelog, found), []);
    assert.equal(compareTopic(changelog, { ...changelog, retentionMs: 5 }).length, 1);
  });
});
