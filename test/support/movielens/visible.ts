/**
 * Waits until everything produced so far can be read in both stores. It does not rely on time: it waits for offsets,
 * from the events through the markers of the tasks to the positions of the sinks.
 */
import type { Log, TopicPartition } from '../../../runtime/log/log.js';
import type { Database } from '../../../runtime/stores/database.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import { decodeMarker, isMarker } from '../../../runtime/tasks/marker.js';
import { Codec } from '../../../schemas/codec.js';
import { featureSet } from '../../../topics/feature-set.js';
import { workEnds } from '../../bench/feed.js';

type Position = TopicPartition & { readonly offset: number };

const POLL_MS = 50;
const APPLICATION = 'features.v1';

export interface Places {
  readonly log: Log;
  readonly online: OnlineStore;
  readonly database: Database;
}

/** After `msMax`, throws with what was still missing. */
export async function untilVisible({ log, online, database }: Places, msMax: number): Promise<void> {
  const deadline = Date.now() + msMax;
  const topics = featureSet(1).topics;
  await untilFolded(log, topics.activityChangelog.name, await workEnds(log, 'events'), deadline);
  const { productActivity, popularityChangelog } = topics;
  await untilFolded(log, popularityChangelog.name, await workEnds(log, productActivity.name), deadline);
  const written = [...(await workEnds(log, topics.popularity.name)), ...(await workEnds(log, topics.affinity.name))];
  await until('Redis', deadline, written, async ({ topic, partition }) => {
    const held = await online.position({ sink: `${APPLICATION}.redis`, topic, partition });
    return held?.nextOffset ?? 0;
  });
  await until('Postgres', deadline, written, async ({ topic, partition }) => {
    const [row] = await database.query<{ next_offset: number }>(
      'SELECT next_offset FROM sink_offsets WHERE sink = $1 AND topic = $2 AND partition = $3',
      [`${APPLICATION}.postgres`, topic, partition],
    );
    return row?.next_offset ?? 0;
  });
}

/** Follows a changelog until its markers show that every input was folded up to its end and committed. */
async function untilFolded(log: Log, changelog: string, ends: readonly Position[], deadline: number): Promise<void> {
  const codec = new Codec();
  const missing = new Map(ends.map((end) => [`${end.topic}/${end.partition}`, end.offset]));
  for (const [at, offset] of missing) if (offset === 0) missing.delete(at);
  const partitions = await log.partitionCount(changelog);
  const reader = log.reader(
    Array.from({ length: partitions }, (_, partition) => ({ topic: changelog, partition, offset: 0 })),
  );
  try {
    while (missing.size > 0) {
      if (Date.now() > deadline)
        throw new Error(`${changelog}: no marker has reached ${JSON.stringify([...missing])} in time`);
      for (const batch of await reader.poll()) {
        for (let row = 0; row < batch.count; row++) {
          if (!isMarker(batch, row)) continue;
          for (const { topic, partition, offset } of decodeMarker(batch, row, codec).parts)
            if (offset >= (missing.get(`${topic}/${partition}`) ?? Infinity)) missing.delete(`${topic}/${partition}`);
        }
      }
    }
  } finally {
    await reader.close();
  }
}

async function until(
  store: string,
  deadline: number,
  ends: readonly Position[],
  reached: (at: Position) => Promise<number>,
): Promise<void> {
  for (const end of ends) {
    for (let offset = await reached(end); offset < end.offset; offset = await reached(end)) {
      if (Date.now() > deadline)
        throw new Error(
          `${store} is at ${offset} of ${end.offset} of ${end.topic}[${end.partition}]: it did not get there in time`,
        );
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}
