/**
 * What has become of a request to forget, told from what is there and kept nowhere: the request in `erasures`, the cut in
 * the log, the markers of the tasks that fold it, the feature topics, and how far each store has come. So any process
 * can answer, also after restarts and for requests of others.
 *
 *   request ──► cut ──► task has folded it and emitted ──► newest feature records ──► sinks have passed those ──► rows
 *
 * The way by offsets, not by rows, is what makes it true: a row that is there may be an old one or one of what came
 * after the cut, and only the order of the log tells which.
 */
import type { Log } from '../../runtime/log/log.js';
import { hasKey, visitRows } from '../../runtime/tasks/scan.js';
import type { Codec } from '../../schemas/codec.js';
import type { Erasure } from '../../schemas/records.js';
import { erasures } from '../../topics/events.js';
import { partitionOf } from '../../topics/partition.js';
import { type Subject, subjectKey } from '../../topics/subject.js';
import type { ErasureStatus } from './certificate.js';
import { Look, type LookOptions } from './look.js';

/** Looks again this often while waiting. */
const LOOK_MS = 100;

export class ErasureReader {
  readonly #o: LookOptions;

  constructor(options: LookOptions) {
    this.#o = options;
  }

  /** Of the features application, those that are looked at. */
  get versions(): readonly number[] {
    return this.#o.versions;
  }

  /**
   * Where the newest erasure of the subject stands; waits up to `waitMs` for its end. Null where none was asked for.
   * Errors: the log's and the stores' own.
   */
  async status(subject: Subject, waitMs: number, signal?: AbortSignal): Promise<ErasureStatus | null> {
    const { clock, log, codec } = this.#o;
    const request = await newestRequest(log, codec, subject);
    if (request === null) return null;
    const look = new Look(this.#o, subject, request);
    const deadline = clock.elapsed() + waitMs;
    for (;;) {
      const status = await look.again();
      if (status.state === 'done' || clock.elapsed() >= deadline || signal?.aborted) return status;
      await clock.sleep(Math.min(LOOK_MS, deadline - clock.elapsed()), signal);
    }
  }
}

async function newestRequest(log: Log, codec: Codec, subject: Subject): Promise<Erasure | null> {
  const key = Buffer.from(subjectKey(subject));
  const topic = erasures.name;
  const partition = partitionOf(await log.partitionCount(topic), key);
  let newest: Buffer | null = null;
  await visitRows(log, { topic, partition, offset: 0 }, (columns, row) => {
    if (!hasKey(columns, row, key)) return true;
    const start = columns.valueStart[row]!;
    newest = start < 0 ? null : Buffer.from(columns.bytes.subarray(start, columns.valueEnd[row]!));
    return true;
  });
  const found = newest as Buffer | null;
  if (found === null) return null;
  await codec.prepare(found, 1, Int32Array.of(0), Int32Array.of(found.length));
  return codec.decode('Erasure', found, 0, found.length) as Erasure;
}
