/**
 * Writes the sinks' dead letters. A letter's id and key are the record's coordinates, so a second write is harmless.
 */
import { deadLetterOf } from '../../runtime/log/dead-letter.js';
import type { Log, LogWriter } from '../../runtime/log/log.js';
import type { Clock } from '../../runtime/process/clock.js';
import type { Codec } from '../../schemas/codec.js';
import { deadLetters } from '../../topics/events.js';
import type { PoisonRow } from './backlog.js';

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

  /** Resolves when the log has them. After an error the caller writes them again, because the outcome is unknown. */
  async write(job: string, rows: readonly PoisonRow[]): Promise<void> {
    // One at a time: a flush sends everything buffered, and an error must reach the caller whose letters failed.
    const turn = this.#last.then(() => this.#write(job, rows));
    this.#last = turn.catch(() => {});
    await turn;
  }

  async #write(job: string, rows: readonly PoisonRow[]): Promise<void> {
    this.#writer ??= await this.#log.writer([deadLetters.name]);
    for (const { columns, row, poison } of rows) {
      const { reason: code, error: message } = poison;
      const letter = deadLetterOf(columns, row, { job, code, message, createdAt: this.#clock.now() });
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
