/** Dead letters and late events, kept until the commit that passes the records they were made from. */
import type { DeadLetter } from '../../schemas/records.js';
import { deadLetters } from '../../topics/events.js';
import { deadLetterOf } from '../log/dead-letter.js';
import type { RecordColumns } from '../log/log.js';
import type { RecordProblem } from '../log/record-problem.js';
import type { Output } from './processor.js';

/** A record that the next commit writes. */
export interface OutputRecord {
  readonly topic: string;
  readonly key: Buffer;
  readonly value: Buffer | null;
  /** ms; kept only by topics with create time. */
  readonly timestamp?: number;
}

interface RejectsOptions {
  /** Name of the job in the dead letters. */
  readonly job: string;
  readonly encode: (letter: DeadLetter) => Buffer;
  /** Prefix of the letters' ids, needed where several jobs may reject one record. */
  readonly idPrefix?: string;
}

export class Rejects {
  readonly #o: RejectsOptions;
  #waiting: OutputRecord[] = [];

  constructor(options: RejectsOptions) {
    this.#o = options;
  }

  get size(): number {
    return this.#waiting.length;
  }

  /** Row `row` becomes a dead letter, dated by its log time. */
  deadLetter(batch: RecordColumns, row: number, problem: RecordProblem): void {
    const { job, encode, idPrefix = '' } = this.#o;
    const timestamp = batch.timestamps[row]!;
    const letter = deadLetterOf(batch, row, { job, ...problem, createdAt: timestamp });
    const id = idPrefix + letter.id;
    this.add({ topic: deadLetters.name, key: Buffer.from(id), value: encode({ ...letter, id }), timestamp });
  }

  add(record: OutputRecord): void {
    this.#waiting.push(record);
  }

  /** Writes all pending records; with the same effect until committed() is called. */
  emit(out: Output): void {
    for (const { topic, key, value, timestamp } of this.#waiting)
      out.add(topic, key, value, timestamp === undefined ? {} : { timestamp });
  }

  committed(): void {
    this.#waiting = [];
  }

  /** All pending records, for callers that write them themselves. */
  take(): readonly OutputRecord[] {
    const taken = this.#waiting;
    this.#waiting = [];
    return taken;
  }
}
