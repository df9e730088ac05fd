/** The classic group protocol, and the offsets that a group shows. */
import type { TopicPartition } from '../../log.js';
import { byTopic, type Exchange, RequestWriter, type ResponseReader } from './wire.js';

const ANSWER_MARGIN_MS = 5_000;
const NO_INSTANCE = null;

interface JoinRequest {
  readonly group: string;
  /** '' for a new member. */
  readonly memberId: string;
  readonly sessionTimeoutMs: number;
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocol: string;
  readonly metadata: Buffer;
}

export interface JoinAnswer {
  readonly error: number;
  readonly generation: number;
  readonly leaderId: string;
  readonly memberId: string;
  /** All members, for the leader only. */
  readonly members: readonly { readonly memberId: string; readonly metadata: Buffer }[];
}

/** Answered when every member has joined, or after the rebalance timeout. */
export function joinGroup(request: JoinRequest): Exchange<JoinAnswer> {
  const writer = new RequestWriter(256 + request.metadata.length)
    .string(request.group)
    .int32(request.sessionTimeoutMs)
    .int32(request.rebalanceTimeoutMs)
    .string(request.memberId)
    .string(NO_INSTANCE)
    .string(request.protocolType)
    .int32(1)
    .string(request.protocol)
    .bytes(request.metadata);
  return {
    apiKey: 11,
    version: 5,
    name: 'JoinGroup',
    body: [writer.finish()],
    timeoutMs: request.rebalanceTimeoutMs + ANSWER_MARGIN_MS,
    decode: (reader) => {
      reader.throttle();
      const error = reader.int16();
      const generation = reader.int32();
      reader.nullableString();
      const leaderId = reader.string();
      const memberId = reader.string();
      const members = reader.array(() => {
        const id = reader.string();
        reader.nullableString();
        return { memberId: id, metadata: reader.bytes() };
      });
      return { error, generation, leaderId, memberId, members };
    },
  };
}

export interface MemberKey {
  readonly group: string;
  readonly generation: number;
  readonly memberId: string;
}

/** The leader sends the assignments of all members, the others none; answered once the leader's have arrived. */
export function syncGroup(
  member: MemberKey,
  assignments: readonly { readonly memberId: string; readonly assignment: Buffer }[],
  timeoutMs: number,
): Exchange<{ readonly error: number; readonly assignment: Buffer }> {
  const writer = memberWriter(member).string(NO_INSTANCE);
  writer.array(assignments, ({ memberId, assignment }) => writer.string(memberId).bytes(assignment));
  return {
    apiKey: 14,
    version: 3,
    name: 'SyncGroup',
    body: [writer.finish()],
    timeoutMs: timeoutMs + ANSWER_MARGIN_MS,
    decode: (reader) => {
      reader.throttle();
      return { error: reader.int16(), assignment: reader.bytes() };
    },
  };
}

export function heartbeat(member: MemberKey): Exchange<number> {
  return {
    apiKey: 12,
    version: 3,
    name: 'Heartbeat',
    body: [memberWriter(member).string(NO_INSTANCE).finish()],
    decode: errorOnly,
  };
}

export function leaveGroup(group: string, memberId: string): Exchange<number> {
  return {
    apiKey: 13,
    version: 3,
    name: 'LeaveGroup',
    body: [new RequestWriter().string(group).int32(1).string(memberId).string(NO_INSTANCE).finish()],
    decode: errorOnly,
  };
}

/** Returns the first error of any partition. */
export function commitOffsets(
  member: MemberKey,
  offsets: readonly (TopicPartition & { readonly offset: number })[],
): Exchange<number> {
  const writer = memberWriter(member);
  writer.array(byTopic(offsets), ([topic, places]) => {
    writer.string(topic).array(places, ({ partition, offset }) => writer.int32(partition).int64(offset).string(''));
  });
  return {
    apiKey: 8,
    version: 5,
    name: 'OffsetCommit',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      const errors = reader.array(() => {
        reader.string();
        return reader.array(() => {
          reader.int32();
          return reader.int16();
        });
      });
      return errors.flat().find((error) => error !== 0) ?? 0;
    },
  };
}

interface CommittedOffset extends TopicPartition {
  /** -1 if there is none. */
  readonly offset: number;
  readonly error: number;
}

export function committedOffsets(
  group: string,
  partitions: readonly TopicPartition[],
): Exchange<{ readonly error: number; readonly offsets: readonly CommittedOffset[] }> {
  const writer = new RequestWriter().string(group);
  writer.array(byTopic(partitions), ([topic, places]) => {
    writer.string(topic).array(places, ({ partition }) => writer.int32(partition));
  });
  return {
    apiKey: 9,
    version: 4,
    name: 'OffsetFetch',
    body: [writer.finish()],
    decode: (reader) => {
      reader.throttle();
      const offsets = reader.array(() => {
        const topic = reader.string();
        return reader.array(() => {
          const partition = reader.int32();
          const offset = reader.int64();
          reader.nullableString();
          return { topic, partition, offset, error: reader.int16() };
        });
      });
      return { error: reader.int16(), offsets: offsets.flat() };
    },
  };
}

function memberWriter({ group, generation, memberId }: MemberKey): RequestWriter {
  return new RequestWriter().string(group).int32(generation).string(memberId);
}

function errorOnly(reader: ResponseReader): number {
  reader.throttle();
  return reader.int16();
}
