/**
 * The marker: the progress of a task, written in every commit's transaction under one key of its changelog partition.
 */
import { avroType, type Codec } from '../../schemas/codec.js';
import type { RecordColumns, TopicPartition } from '../log/log.js';

export const MARKER_KEY = Buffer.from('!marker');

export interface MarkerPart {
  topic: string;
  partition: number;
  offset: number;
  clock: number;
  restore_from: number;
  restore_clock: number;
  oldest_due: number;
  swept_day: number;
}

export interface Marker {
  application: string;
  task: number;
  incarnation: string;
  fingerprint: string;
  sequence: number;
  parts: MarkerPart[];
  tables: { topic: string; offsets: number[] }[];
}

/** The part of a marker about one input partition. */
export function markerPartOf(marker: Marker, input: TopicPartition): MarkerPart | undefined {
  return marker.parts.find(({ topic, partition }) => topic === input.topic && partition === input.partition);
}

export function isMarker(batch: RecordColumns, row: number): boolean {
  const start = batch.keyStart[row]!;
  if (start < 0 || batch.keyEnd[row]! - start !== MARKER_KEY.length) return false;
  return batch.bytes.compare(MARKER_KEY, 0, MARKER_KEY.length, start, batch.keyEnd[row]!) === 0;
}

/** Internal records always use single-object encoding: their schemas are not public. */
export function encodeMarker(marker: Marker, codec: Codec): Buffer {
  return Buffer.concat([codec.prefix('Marker'), avroType('Marker').toBuffer(marker)]);
}

export function decodeMarker(batch: RecordColumns, row: number, codec: Codec): Marker {
  return codec.decode('Marker', batch.bytes, batch.valueStart[row]!, batch.valueEnd[row]!) as Marker;
}
