/** Writes dead letters of sinks. A letter's id and key are the record's coordinates, so that a second one is no other. */
import { createHash } from 'node:crypto';
import type { Clock } from '../runtime/clock.js';
import type { Log, LogWriter } from '../runtime/log.js';
import type { Codec } from '../schemas/codec.js';
import type { DeadLetter } from '../schemas/records.js';
import { deadLetters } from '../topics/events.js';
import type { PoisonRow } from './backlog.js';

const INPUT_KEPT_BYTES = 64 * 1024;

export class DeadLetterWriter {
  readonly #log: Log;
  readonly #codec: Codec;
  readonly #clock: Clock;
  #writer: LogWriter | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(log: Log, codec: Codec, clock: Clock) {
    this.#log = log;
    this.#codec = codec;
    this.#clock = clock;
  }

  /** Resolves when the log has them. After an error the caller writes the same ones again: the outcome is unknown. */
  async write(job: string, rows: readonly PoisonRow[]): Promise<void> {
    // One after the other: a flush sends whatever is buffered, and an error must reach those whose letters it was.
    const turn = this.#last.then(() => this.#write(job, rows));
    this.#last = turn.catch(() => {});
    await turn;
  }

  async #write(job: string, rows: readonly PoisonRow[]): Promise<void> {
    this.#writer ??= await this.#log.writer([deadLetters.name]);
    for (const row of rows) {
      const letter = deadLetter(job, row, this.#clock.now());
      const value = this.#codec.encode('DeadLetter', letter);
      this.#writer.add(deadLetters.name, Buffer.from(letter.id), value, { timestamp: letter.created_at });
    }
    await this.#writer.flush();
  }

  async close(): Promise<void> {
    await this.#last;
    await this.#writer?.close();
    this.#writer = null;
  }
}

/** `job`: who could not use the record. */
export function deadLetter(job: string, { columns, row, poison }: PoisonRow, nowMs: number): DeadLetter {
  const input = range(columns.bytes, columns.valueStart[row]!, columns.valueEnd[row]!) ?? Buffer.alloc(0);
  const source = { topic: columns.topic, partition: columns.partition, offset: columns.offsets[row]! };
  return {
    id: `${source.topic}/${source.partition}/${source.offset}`,
    kind: 'record',
    job_id: null,
    job_name: job,
    source,
    record_key: range(columns.bytes, columns.keyStart[row]!, columns.keyEnd[row]!),
    size: input.length,
    sha256: createHash('sha256').update(input).digest('hex'),
    input: input.subarray(0, INPUT_KEPT_BYTES),
    input_json: null,
    reason_code: poison.reason,
    error: poison.error,
    stack: null,
    attempts: 1,
    created_at: nowMs,
    state: 'open',
    redrive_run_id: null,
  };
}

function range(bytes: Buffer, start: number, end: number): Buffer | null {
  return start < 0 ? null : bytes.subarray(start, end);
}
