/**
 * The state of an erasure request, worked out from existing data and stored nowhere: the request in `erasures`, the cut
 * in the log, the markers of the tasks that fold it, the feature topics, and the position of each store. So any process
 * can answer, even after restarts and for requests that other processes accepted.
 *
 *   request ──► cut ──► task has folded it and emitted ──► newest feature records ──► sinks have passed those ──► rows
 *
 * Following offsets, not rows, is what makes the answer true: an existing row may be an old one or one written after
 * the cut, and only the order of the log shows which.
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

/** How often to check again while waiting. */
const LOOK_MS = 100;

export class ErasureReader {
  readonly #o: LookOptions;

  constructor(options: LookOptions) {
    this.#o = options;
  }

  /**
   * The state of the newest erasure of the subject; waits up to `waitMs` for it to finish. Null if none was requested.
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
