/** Outgoing records, by partition; they are encoded at once into the batches that will be sent. */
import { partitionOf } from '../../../../topics/partition.js';
import { FreshetError } from '../../../process/errors.js';
import { type AddOptions, RECORD_BYTES_MAX } from '../../log.js';
import { RecordBatchBuilder } from '../../record-batch.js';

/** Below the brokers' default limit of 1 MiB (`max.message.bytes`), with room for what they add to the size. */
const BATCH_BYTES_MAX = 900 * 1024;
/** Maximum size of length, time, offset delta and header count of a record. */
const RECORD_OVERHEAD_BYTES_MAX = 32;
const POOLED_BUILDERS_MAX = 64;
const NO_KEY = new Uint8Array(0);

/** One partition's lane through a writer. */
export interface Lane {
  readonly topic: string;
  readonly partition: number;
  /** Sequence number of the next record under the writer's current identity. */
  sequence: number;
}

/** The records of one flush for one partition: batches in order, none of them empty. */
export interface Parcel {
  readonly lane: Lane;
  readonly batches: RecordBatchBuilder[];
}

interface OpenLane extends Lane {
  filling: RecordBatchBuilder[];
}

export class Outbox {
  readonly #topics = new Map<string, OpenLane[]>();
  readonly #pool: RecordBatchBuilder[] = [];
  #filled: OpenLane[] = [];
  #lastTopic = '';
  #lastLanes: OpenLane[] = [];
  #records = 0;
  #bytes = 0;

  constructor(partitionCounts: ReadonlyMap<string, number>) {
    for (const [topic, count] of partitionCounts) {
      const lanes = Array.from({ length: count }, (_, partition) => ({ topic, partition, sequence: 0, filling: [] }));
      this.#topics.set(topic, lanes);
    }
  }

  get topics(): Iterable<string> {
    return this.#topics.keys();
  }

  get records(): number {
    return this.#records;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Copies one record. Throws 'record_too_large', 'unknown_topic', 'invalid_data' for an unknown partition. */
  add(topic: string, key: Uint8Array | null, value: Uint8Array | null, options?: AddOptions): void {
    const size = (key === null ? 0 : key.length) + (value === null ? 0 : value.length);
    if (size > RECORD_BYTES_MAX)
      throw new FreshetError(
        'record_too_large',
        `A record of ${size} bytes for ${topic}: at most ${RECORD_BYTES_MAX} are allowed.`,
      );
    const lanes = topic === this.#lastTopic ? this.#lastLanes : this.#find(topic);
    const lane = lanes[options?.partition ?? partitionOf(lanes.length, key ?? NO_KEY)];
    if (lane === undefined)
      throw new FreshetError(
        'invalid_data',
        `${topic} has no partition ${options?.partition}: it has ${lanes.length}.`,
      );
    let batch = lane.filling.at(-1);
    if (batch === undefined || batch.size + size + RECORD_OVERHEAD_BYTES_MAX > BATCH_BYTES_MAX) {
      if (batch === undefined) this.#filled.push(lane);
      batch = this.#pool.pop() ?? new RecordBatchBuilder();
      lane.filling.push(batch);
      this.#bytes += batch.size;
    }
    const before = batch.size;
    batch.add(key, value, options?.timestamp ?? Date.now());
    this.#bytes += batch.size - before;
    this.#records++;
  }

  /** Returns everything that was added; the outbox is then empty. */
  take(): Parcel[] {
    const parcels = this.#filled.map((lane) => {
      const batches = lane.filling;
      lane.filling = [];
      return { lane, batches };
    });
    this.#filled = [];
    this.#records = 0;
    this.#bytes = 0;
    return parcels;
  }

  /** Reclaims a batch whose bytes are no longer needed. */
  recycle(batch: RecordBatchBuilder): void {
    batch.reset();
    if (this.#pool.length < POOLED_BUILDERS_MAX) this.#pool.push(batch);
  }

  discard(): void {
    for (const { batches } of this.take()) for (const batch of batches) this.recycle(batch);
  }

  /** A new identity counts from 0 in every partition. */
  restartSequences(): void {
    for (const lanes of this.#topics.values()) for (const lane of lanes) lane.sequence = 0;
  }

  #find(topic: string): OpenLane[] {
    const lanes = this.#topics.get(topic);
    if (lanes === undefined)
      throw new FreshetError('unknown_topic', `This writer was not opened for topic "${topic}".`);
    this.#lastTopic = topic;
    this.#lastLanes = lanes;
    return lanes;
  }
}
