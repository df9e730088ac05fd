/** A task's own partition of its changelog: read to its end to restore the task or to settle a commit. */
import type { Codec } from '../../schemas/codec.js';
import type { Log, PartitionOffsets, RecordColumns, TopicPartition } from '../log/log.js';
import type { Clock } from '../process/clock.js';
import { FreshetError } from '../process/errors.js';
import { decodeMarker, isMarker, type Marker } from './marker.js';
import { checkStopped, readStretches } from './stretches.js';

/** Transaction time-out of a vanished owner (5 s), the broker's own check interval (10 s), and a reserve. */
const STABLE_WAIT_MS = 30_000;
const STABLE_POLL_MS = 50;

interface ChangelogOptions {
  readonly task: string;
  readonly place: TopicPartition;
  readonly log: Log;
  readonly codec: Codec;
  readonly clock: Clock;
}

interface FoundMarker {
  readonly marker: Marker;
  readonly offset: number;
}

export class Changelog {
  readonly place: TopicPartition;
  readonly #o: ChangelogOptions;

  constructor(options: ChangelogOptions) {
    this.place = options.place;
    this.#o = options;
  }

  offsets(): Promise<PartitionOffsets> {
    return this.#o.log.offsets(this.place);
  }

  /**
   * Waits until no transaction is open and returns the end. Reading past an open transaction would miss its records,
   * which appear when it commits. Errors: 'state' when another producer's transaction hangs.
   */
  async stableEnd(signal?: AbortSignal | undefined): Promise<number> {
    const { clock, task } = this.#o;
    const deadline = clock.elapsed() + STABLE_WAIT_MS;
    for (;;) {
      const { lastStable, highWatermark } = await this.offsets();
      if (lastStable >= highWatermark) return highWatermark;
      checkStopped(task, signal);
      if (clock.elapsed() > deadline)
        throw new FreshetError(
          'state',
          `${task}: a transaction of another producer hangs in ${this.place.topic}[${this.place.partition}] ` +
            `at offset ${lastStable}; end it with "kafka-transactions.sh abort", then restart`,
        );
      await clock.sleep(STABLE_POLL_MS, signal);
    }
  }

  /** The newest marker between these offsets; `others` is called for the rows of the state. */
  async newestMarker(
    start: number,
    end: number,
    signal?: AbortSignal | undefined,
    others: (batch: RecordColumns, row: number) => void = () => undefined,
  ): Promise<FoundMarker | null> {
    let newest: FoundMarker | null = null;
    const { task, log, codec } = this.#o;
    await readStretches(log, [{ ...this.place, start, end }], task, signal, (batch) => {
      for (let row = 0; row < batch.count; row++)
        if (isMarker(batch, row)) newest = { marker: decodeMarker(batch, row, codec), offset: batch.offsets[row]! };
        else others(batch, row);
    });
    return newest;
  }
}
