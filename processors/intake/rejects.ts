/** What intake sets aside until the next commit: dead letters and late events, written with the commit that passes them. */
import { deadLetterOf } from '../../runtime/log/dead-letter.js';
import type { RecordColumns } from '../../runtime/log/log.js';
import type { Output } from '../../runtime/tasks/processor.js';
import type { Codec } from '../../schemas/codec.js';
import { deadLetters, lateEvents } from '../../topics/events.js';
import type { IntakeProblem } from './event-view.js';

interface Reject {
  readonly topic: string;
  readonly key: Buffer;
  readonly value: Buffer;
  readonly timestamp: number;
}

export class Rejects {
  readonly #codec: Codec;
  readonly #jobName: string;
  #waiting: Reject[] = [];

  /** `jobName`: who rejects. */
  constructor(codec: Codec, jobName: string) {
    this.#codec = codec;
    this.#jobName = jobName;
  }

  get size(): number {
    return this.#waiting.length;
  }

  deadLetter(batch: RecordColumns, row: number, problem: IntakeProblem): void {
    const timestamp = batch.timestamps[row]!;
    const letter = deadLetterOf(batch, row, { job: this.#jobName, ...problem, createdAt: timestamp });
    this.#waiting.push({
      topic: deadLetters.name,
      key: Buffer.from(letter.id),
      value: this.#codec.encode('DeadLetter', letter),
      timestamp,
    });
  }

  late(batch: RecordColumns, row: number, ts: number): void {
    const timestamp = batch.timestamps[row]!;
    const value = this.#codec.encode('LateEvent', {
      event: inputOf(batch, row),
      event_ts: ts,
      log_ts: timestamp,
      topic: batch.topic,
      partition: batch.partition,
      offset: batch.offsets[row]!,
    });
    this.#waiting.push({ topic: lateEvents.name, key: keyOf(batch, row) ?? Buffer.alloc(0), value, timestamp });
  }

  emit(out: Output): void {
    for (const { topic, key, value, timestamp } of this.#waiting) out.add(topic, key, value, { timestamp });
  }

  committed(): void {
    this.#waiting = [];
  }
}

function keyOf(batch: RecordColumns, row: number): Buffer | null {
  const start = batch.keyStart[row]!;
  return start < 0 ? null : Buffer.from(batch.bytes.subarray(start, batch.keyEnd[row]!));
}

function inputOf(batch: RecordColumns, row: number): Buffer {
  const start = batch.valueStart[row]!;
  return start < 0 ? Buffer.alloc(0) : Buffer.from(batch.bytes.subarray(start, batch.valueEnd[row]!));
}
