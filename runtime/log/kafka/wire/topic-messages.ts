/** Creating, deleting and describing topics. AlterConfigs is left out: it would replace all settings of a topic. */
import { type Exchange, RequestWriter } from './wire.js';

const ANSWER_TIMEOUT_MS = 15_000;
const BROKER_TIMEOUT_MS = 10_000;
const TOPIC_RESOURCE = 2;

interface NewTopic {
  readonly name: string;
  readonly partitions: number;
  readonly replicas: number;
  readonly settings: readonly (readonly [name: string, value: string])[];
}

export function createTopic(topic: NewTopic): Exchange<{ readonly error: number; readonly message: string | null }> {
  const writer = new RequestWriter().int32(1).string(topic.name).int32(topic.partitions).int16(topic.replicas).int32(0);
  writer.array(topic.settings, ([name, value]) => writer.string(name).string(value));
  writer.int32(BROKER_TIMEOUT_MS).int8(0);
  return {
    apiKey: 19,
    version: 4,
    name: 'CreateTopics',
    body: [writer.finish()],
    timeoutMs: ANSWER_TIMEOUT_MS,
    decode: (reader) => {
      reader.throttle();
      const answers = reader.array(() => {
        reader.string();
        return { error: reader.int16(), message: reader.nullableString() };
      });
      return answers[0] ?? { error: -1, message: null };
    },
  };
}

export function deleteTopic(name: string): Exchange<number> {
  return {
    apiKey: 20,
    version: 3,
    name: 'DeleteTopics',
    body: [new RequestWriter().int32(1).string(name).int32(BROKER_TIMEOUT_MS).finish()],
    timeoutMs: ANSWER_TIMEOUT_MS,
    decode: (reader) => {
      reader.throttle();
      const errors = reader.array(() => {
        reader.string();
        return reader.int16();
      });
      return errors[0] ?? -1;
    },
  };
}

export interface TopicSetting {
  readonly name: string;
  readonly value: string;
  /** Set for this topic, not inherited from the broker. */
  readonly own: boolean;
}

const SOURCE_TOPIC = 1;

export function describeTopic(
  name: string,
): Exchange<{ readonly error: number; readonly message: string | null; readonly settings: readonly TopicSetting[] }> {
  const writer = new RequestWriter().int32(1).int8(TOPIC_RESOURCE).string(name).int32(-1).int8(0);
  return {
    apiKey: 32,
    version: 2,
    name: 'DescribeConfigs',
    body: [writer.finish()],
    timeoutMs: ANSWER_TIMEOUT_MS,
    decode: (reader) => {
      reader.throttle();
      const answers = reader.array(() => {
        const error = reader.int16();
        const message = reader.nullableString();
        reader.int8();
        reader.string();
        const settings = reader.array(() => {
          const setting = reader.string();
          const value = reader.string();
          reader.boolean();
          const source = reader.int8();
          reader.boolean();
          reader.array(() => {
            reader.string();
            reader.nullableString();
            reader.int8();
          });
          return { name: setting, value, own: source === SOURCE_TOPIC };
        });
        return { error, message, settings };
      });
      return answers[0] ?? { error: -1, message: null, settings: [] };
    },
  };
}
