/**
 * The id of a topic; a topic recreated under the same name has another. Metadata returns it from version 10 on (Kafka
 * 2.8), in the flexible encoding: compact lengths, and tagged fields at the end of everything, including the header.
 */
import { type Exchange, RequestWriter, type ResponseReader } from './wire.js';

const METADATA = 3;
const VERSION = 10;
const ID_BYTES = 16;
const NO_ID = '0'.repeat(2 * ID_BYTES);

/** Whether the broker supports the version that topicId needs. */
export const knowsTopicIds: Exchange<boolean> = {
  apiKey: 18,
  version: 0,
  name: 'ApiVersions',
  body: [],
  decode: (reader) => {
    if (reader.int16() !== 0) return false;
    const versions = reader.array(() => ({ key: reader.int16(), least: reader.int16(), most: reader.int16() }));
    return versions.some(({ key, most }) => key === METADATA && most >= VERSION);
  },
};

/** Hexadecimal; null if the cluster gave the topic no id. Never creates a topic. */
export function topicId(topic: string): Exchange<{ readonly error: number; readonly id: string | null }> {
  const name = Buffer.from(topic);
  // The end of the header's tags, then an array of one topic: no id, its name, no tags.
  const writer = new RequestWriter().int8(0).int8(2);
  for (let i = 0; i < ID_BYTES; i++) writer.int8(0);
  let length = name.length + 1;
  for (; length >= 0x80; length >>>= 7) writer.int8(((length & 0x7f) | 0x80) - 0x100);
  writer.int8(length);
  // Topic names are ASCII.
  for (const byte of name) writer.int8(byte);
  writer.int8(0);
  // Do not create it, no authorised operations, no tags.
  writer.int8(0).int8(0).int8(0).int8(0);
  return {
    apiKey: METADATA,
    version: VERSION,
    name: 'Metadata',
    body: [writer.finish()],
    decode: (reader) => {
      skipTags(reader);
      reader.throttle();
      for (let left = compactLength(reader); left > 0; left--) {
        reader.int32();
        skipCompact(reader);
        reader.int32();
        skipCompact(reader);
        skipTags(reader);
      }
      skipCompact(reader);
      reader.int32();
      if (compactLength(reader) < 1) return { error: -1, id: null };
      const error = reader.int16();
      skipCompact(reader);
      const id = reader.source.toString('hex', reader.at, reader.at + ID_BYTES);
      // The rest describes its partitions.
      return { error, id: id === NO_ID ? null : id };
    },
  };
}

function unsigned(reader: ResponseReader): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = reader.int8() & 0xff;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
}

/** −1 for a null. */
function compactLength(reader: ResponseReader): number {
  return unsigned(reader) - 1;
}

function skipCompact(reader: ResponseReader): void {
  const length = compactLength(reader);
  reader.at += Math.max(0, length);
}

function skipTags(reader: ResponseReader): void {
  for (let left = unsigned(reader); left > 0; left--) {
    unsigned(reader);
    const length = unsigned(reader);
    reader.at += length;
  }
}
