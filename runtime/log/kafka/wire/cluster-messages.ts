/** Metadata, coordinators, offsets. */
import type { Isolation } from '../../log.js';
import { type Exchange, RequestWriter } from './wire.js';

interface NodeMetadata {
  readonly nodeId: number;
  readonly host: string;
  readonly port: number;
}

interface TopicMetadata {
  readonly error: number;
  readonly topic: string;
  readonly internal: boolean;
  readonly partitions: readonly { readonly error: number; readonly partition: number; readonly leader: number }[];
}

export interface ClusterMetadata {
  readonly nodes: readonly NodeMetadata[];
  readonly controllerId: number;
  readonly topics: readonly TopicMetadata[];
}

/** Null requests all topics. Never creates one. */
export function metadata(topics: readonly string[] | null): Exchange<ClusterMetadata> {
  const writer = new RequestWriter();
  if (topics === null) writer.int32(-1);
  else writer.array(topics, (topic) => writer.string(topic));
  writer.int8(0);
  return {
    apiKey: 3,
    version: 6,
    name: 'Metadata',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      const nodes = reader.array(() => {
        const node = { nodeId: reader.int32(), host: reader.string(), port: reader.int32() };
        reader.nullableString();
        return node;
      });
      reader.nullableString();
      const controllerId = reader.int32();
      const found = reader.array(() => ({
        error: reader.int16(),
        topic: reader.string(),
        internal: reader.boolean(),
        partitions: reader.array(() => {
          const partition = { error: reader.int16(), partition: reader.int32(), leader: reader.int32() };
          for (let list = 0; list < 3; list++) reader.array(() => reader.int32());
          return partition;
        }),
      }));
      return { nodes, controllerId, topics: found };
    },
  };
}

export type CoordinatorKind = 'group' | 'transaction';

export function findCoordinator(
  kind: CoordinatorKind,
  key: string,
): Exchange<NodeMetadata & { readonly error: number }> {
  const writer = new RequestWriter().string(key).int8(kind === 'group' ? 0 : 1);
  return {
    apiKey: 10,
    version: 2,
    name: 'FindCoordinator',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      const error = reader.int16();
      reader.nullableString();
      return { error, nodeId: reader.int32(), host: reader.string(), port: reader.int32() };
    },
  };
}

/** Special values of a time: the end, the start. */
export const AT_END = -1;
export const AT_START = -2;

/** Offset of the first record not older than `time` (ms); -1 if there is none. */
export function listOffset(
  topic: string,
  partition: number,
  time: number,
  isolation: Isolation,
): Exchange<{ readonly error: number; readonly offset: number }> {
  const writer = new RequestWriter().int32(-1).int8(isolation === 'read_committed' ? 1 : 0);
  writer.int32(1).string(topic).int32(1).int32(partition).int64(time);
  return {
    apiKey: 2,
    version: 3,
    name: 'ListOffsets',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      const found = reader.array(() => {
        reader.string();
        return reader.array(() => {
          reader.int32();
          const error = reader.int16();
          reader.int64();
          return { error, offset: reader.int64() };
        });
      });
      return found.flat()[0] ?? { error: -1, offset: -1 };
    },
  };
}
