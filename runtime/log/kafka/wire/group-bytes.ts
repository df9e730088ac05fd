/**
 * The data that members exchange through the coordinator: Kafka's consumer protocol, version 0, so that its tools show
 * the group and its partitions; our tasks are in the user data.
 */
import type { TopicPartition } from '../../log.js';
import { byTopic, RequestWriter, ResponseReader } from './wire.js';

const VERSION = 0;

export interface Claim {
  readonly memberId: string;
  /** Tasks that the member held, and their generation: if two members claim a task, the later generation wins. */
  readonly generation: number;
  readonly tasks: readonly number[];
}

/** A member's subscription with the tasks that it holds, and their generation. */
export function encodeSubscription(topics: readonly string[], generation: number, tasks: readonly number[]): Buffer {
  const writer = new RequestWriter().int16(VERSION);
  writer.array(topics, (topic) => writer.string(topic));
  return writer.bytes(encodeJson({ generation, tasks })).finish();
}

/** A subscription of other software claims nothing. */
export function decodeClaim(memberId: string, subscription: Buffer): Claim {
  const reader = new ResponseReader(subscription);
  const data = tryDecode(() => {
    reader.int16();
    reader.array(() => reader.string());
    return decodeJson(reader.bytes());
  });
  return { memberId, generation: integer(data['generation'], -1), tasks: integers(data['tasks']) };
}

export function encodeAssignment(partitions: readonly TopicPartition[], tasks: readonly number[]): Buffer {
  const writer = new RequestWriter().int16(VERSION);
  writer.array(byTopic(partitions), ([topic, places]) => {
    writer.string(topic).array(places, ({ partition }) => writer.int32(partition));
  });
  return writer.bytes(encodeJson({ tasks })).finish();
}

/** The tasks of an assignment; none if it is empty. */
export function decodeTasks(assignment: Buffer): number[] {
  const reader = new ResponseReader(assignment);
  const data = tryDecode(() => {
    reader.int16();
    reader.array(() => {
      reader.string();
      return reader.array(() => reader.int32());
    });
    return decodeJson(reader.bytes());
  });
  return integers(data['tasks']);
}

function encodeJson(data: object): Buffer {
  return Buffer.from(JSON.stringify(data));
}

function decodeJson(bytes: Buffer): Record<string, unknown> {
  const data: unknown = bytes.length === 0 ? null : JSON.parse(bytes.toString());
  return typeof data === 'object' && data !== null ? { ...data } : {};
}

function tryDecode(decode: () => Record<string, unknown>): Record<string, unknown> {
  try {
    return decode();
  } catch (error) {
    if (error instanceof RangeError || error instanceof SyntaxError) return {};
    throw error;
  }
}

function integer(value: unknown, otherwise: number): number {
  return typeof value === 'number' && Number.isInteger(value) ? value : otherwise;
}

function integers(value: unknown): number[] {
  return Array.isArray(value) ? value.filter((item): item is number => Number.isInteger(item)) : [];
}
