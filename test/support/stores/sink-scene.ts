/** A fault test of sinks: an embedded log with feature topics, sinks into real stores, and the checker beside them. */

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { Layout } from '../../../publishing/layout.js';
import type { GroupSink } from '../../../publishing/live/materialise.js';
import { sinkMetrics } from '../../../publishing/live/metrics.js';
import { affinityOnline, affinityRows } from '../../../publishing/sinks/affinity.js';
import { popularityOnline, popularityRows } from '../../../publishing/sinks/popularity.js';
import { onlineSinkStore, type SinkStore } from '../../../publishing/sinks/sink-store.js';
import { tableSinkStore } from '../../../publishing/sinks/table-sink-store.js';
import { openEmbeddedLog } from '../../../runtime/log/embedded/log.js';
import type { Log } from '../../../runtime/log/log.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import type { Database } from '../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import { allTopics } from '../../../topics/all.js';
import { applyTopics } from '../../../topics/apply.js';
import { featureSet } from '../../../topics/feature-set.js';
import { seed } from '../../faults/harness/report.js';
import type { CutProxy } from '../proxy.js';
import { endsOf, HALF_LIFE_MS, PACE, popularity, type Rig, rig, TroubledStore, write } from '../publishing.js';
import { FEATURE_TOPICS, FeatureWriter, newestRows, POPULARITY } from './feature-rows.js';
import { assertNothing, checkOnline, checkTables, type Findings } from './store-checker.js';

/** As in publishing, but with waits short enough for a test, and more batches than one would need. */
const SCENE_PACE = {
  ...PACE,
  rowsMax: 20,
  pressedRowsMax: 80,
  waitingBytesMax: 64 * 1024,
  checkMs: 100,
  backoffMs: { first: 10, most: 200 },
};

export interface SinkScene extends Rig {
  readonly log: Log;
  readonly writer: FeatureWriter;
  /** What the sinks of this store applied, newest last. */
  readonly stores: readonly TroubledStore[];
  /** Attempts that failed so far. */
  failures(): Promise<number>;
  /** Waits until the store itself says that it has everything, then compares all of it with the topics. */
  settled(): Promise<void>;
}

const SET = featureSet(1);
export const layout = new Layout();

export const keys = layout.features(SET);

/** Both features into Redis. */
export function onlineScene(t: TestContext, store: OnlineStore): Promise<SinkScene> {
  const sinks = [popularityOnline(SET, layout, HALF_LIFE_MS), affinityOnline(SET, layout)] as const;
  const stores = sinks.map((sink) => new TroubledStore(onlineSinkStore(store, sink as (typeof sinks)[0])));
  return openScene(t, sinks, stores, async (log) => checkOnline(store, layout, await newestRows(log)));
}

/** Both features into Postgres, where migrations must have been applied. `by` is the checker's own way to it. */
export function tableScene(t: TestContext, database: Database, by: Database): Promise<SinkScene> {
  const sinks = [popularityRows(SET), affinityRows(SET)] as const;
  const stores = sinks.map((sink) => new TroubledStore(tableSinkStore(database, sink as (typeof sinks)[0])));
  return openScene(t, sinks, stores, async (log) => checkTables(by, await newestRows(log)));
}

async function openScene(
  t: TestContext,
  sinks: readonly { readonly topic: GroupSink['topic'] }[],
  stores: readonly TroubledStore[],
  check: (log: Log) => Promise<Findings>,
): Promise<SinkScene> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-faults-'));
  const log = await openEmbeddedLog(folder, silentLogger);
  await applyTopics(log.admin, allTopics(), { kind: log.kind });
  const group = sinks.map(({ topic }, i) => ({ topic, store: stores[i]!, forgetsUnseen: true }));
  const made = rig(t, log, group, { pace: SCENE_PACE });
  t.after(async () => {
    await made.materialiser.stop();
    await log.close();
    await rm(folder, { recursive: true, force: true });
  });
  const settled = async () => {
    await made.events.until('the store has everything', () => hasAll(log, stores));
    assertNothing('in the store, against the topics', await check(log));
  };
  const failures = async () => {
    const { values } = await sinkMetrics(made.metrics).failures.get();
    return values.reduce((sum, { value }) => sum + value, 0);
  };
  return { ...made, log, writer: new FeatureWriter(log, seed), stores, failures, settled };
}

async function hasAll(log: Log, stores: readonly SinkStore[]): Promise<boolean> {
  for (const [i, topic] of FEATURE_TOPICS.entries()) {
    for (const { partition, offset } of await endsOf(log, topic)) {
      const held = await stores[i]!.position({ sink: 'test', topic, partition }).catch(() => null);
      if (held === null || held.nextOffset < offset || held.incarnation !== '') return false;
    }
  }
  return true;
}

const ROUNDS = 4;

/**
 * Cuts the connection when a batch was applied and its answer is on the way, then cuts everything while more comes. The
 * sink must find out by itself that the batch is there.
 */
export async function loseAnswers(
  { log, writer, materialiser, stores, settled }: SinkScene,
  proxy: CutProxy,
): Promise<void> {
  await materialiser.start();
  await settled();
  for (let round = 0; round < ROUNDS; round++) {
    const mark = `marked${round}`;
    const lost = proxy.loseAnswerTo(mark);
    await writer.write(50);
    await write(log, POPULARITY, 'Popularity', [[mark, popularity(mark)]]);
    await lost;
    proxy.down();
    await writer.write(50);
    proxy.up();
    await settled();
  }
  let unheard = 0;
  for (const { applied } of stores) {
    const ends = new Map<number, number>();
    for (const { id, expectedOffset, nextOffset } of applied) {
      const end = ends.get(id.partition) ?? 0;
      assert.ok(expectedOffset >= end, 'a batch went backward');
      if (expectedOffset > end) unheard++;
      ends.set(id.partition, nextOffset);
    }
  }
  assert.ok(unheard >= ROUNDS, `only ${unheard} batches were applied without our being told`);
}
