/** Topics as they are in the log: those that are declared, then all others. */
import type { Log } from '../../runtime/log/log.js';
import type { TopicDeclaration } from '../../topics/topic.js';

interface PartitionState {
  readonly partition: number;
  readonly earliest: number;
  readonly last_stable: number;
  readonly high_watermark: number;
}

/** A topic; without partitions if it does not exist yet. */
export interface TopicState {
  readonly name: string;
  readonly doc: string;
  readonly key: string;
  readonly schema: string;
  readonly cleanup: string;
  readonly owner: string;
  readonly partitions: number;
  readonly offsets: readonly PartitionState[];
}

/** In the order of the declarations; topics of others by name. */
export async function topicStates(log: Log, declarations: readonly TopicDeclaration[]): Promise<TopicState[]> {
  const existing = new Set(await log.admin.listTopics());
  const others = [...existing].filter((name) => !declarations.some((declared) => declared.name === name)).sort();
  const ours = declarations.map(async ({ name, doc, key, schema, cleanup, owner }) => {
    const offsets = existing.has(name) ? await offsetsOf(log, name) : [];
    return { name, doc, key, schema, cleanup, owner, partitions: offsets.length, offsets };
  });
  const theirs = others.map(async (name) => {
    const offsets = await offsetsOf(log, name);
    const cleanup = (await log.admin.describeTopic(name))?.cleanup ?? '';
    const unknown = { doc: 'A topic of others.', key: '', schema: '', owner: 'others' };
    return { name, ...unknown, cleanup, partitions: offsets.length, offsets };
  });
  return await Promise.all([...ours, ...theirs]);
}

async function offsetsOf(log: Log, topic: string): Promise<PartitionState[]> {
  const partitions = Array.from({ length: await log.partitionCount(topic) }, (_, partition) => partition);
  return await Promise.all(
    partitions.map(async (partition) => {
      const { earliest, lastStable, highWatermark } = await log.offsets({ topic, partition });
      return { partition, earliest, last_stable: lastStable, high_watermark: highWatermark };
    }),
  );
}
