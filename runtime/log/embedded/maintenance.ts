/** Keeps a log from growing for ever: closes segments that are due, removes expired ones and compacts the others. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../process/clock.js';
import { messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { Committer } from './committer.js';
import { closedSegments, compactPartition } from './compaction.js';
import type { Disk } from './disk.js';
import { writeManifest } from './manifest.js';
import { SerialQueue } from './queue.js';
import type { Segment } from './segment.js';
import type { Partition } from './topic.js';
import { compacts, expires } from './topic-config.js';

interface MaintenanceOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly committer: Committer;
  readonly partitions: () => Iterable<Partition>;
  /** Time between two rounds, ms. */
  readonly intervalMs: number;
}

export class Maintenance {
  readonly #o: MaintenanceOptions;
  readonly #rounds = new SerialQueue();
  #timer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: MaintenanceOptions) {
    this.#o = options;
  }

  start(): void {
    if (this.#closed) return;
    this.#timer = setTimeout(() => {
      void this.run()
        .catch(() => undefined)
        .then(() => this.start());
    }, this.#o.intervalMs).unref();
  }

  /** One round over all partitions, now. Failures are logged; the first error is thrown when the others are done. */
  run(): Promise<void> {
    return this.#rounds.run(() => this.#run());
  }

  /** Runs `work` between two rounds. */
  exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#rounds.run(work);
  }

  async #run(): Promise<void> {
    // A round without work awaits no I/O: a caller that starts one after another must not starve everything else.
    await nextTurn();
    const { committer, clock } = this.#o;
    const now = clock.now();
    const errors = await this.#each(async (partition) => {
      const closed = await closedSegments(partition, committer.durableCommit);
      if (mustRoll(partition, closed, now)) await committer.rollNow(partition);
    });
    // Only synced segments may be replaced: after a power loss the transaction log could refer to the old ones.
    await committer.sync();
    errors.push(...(await this.#each((partition) => this.#maintain(partition, now))));
    if (errors.length > 0) throw errors[0];
  }

  /** Errors are logged; the other partitions get their turn. */
  async #each(work: (partition: Partition) => Promise<void>): Promise<unknown[]> {
    const errors: unknown[] = [];
    for (const partition of [...this.#o.partitions()]) {
      if (this.#closed) break;
      try {
        await work(partition);
      } catch (error) {
        errors.push(error);
        this.#o.logger.error({ event: 'log_maintenance_failed', partition: partition.name }, messageOf(error));
      }
    }
    return errors;
  }

  async #maintain(partition: Partition, now: number): Promise<void> {
    const { disk, committer, logger } = this.#o;
    const { durableCommit } = committer;
    const closed = await closedSegments(partition, durableCommit);
    const { config, limits } = partition.topic;
    const gone = expires(config)
      ? expired(partition, closed, now, config.retentionMs, limits.retentionBytes)
      : expired(partition, closed, now, -1, -1);
    if (gone.length > 0) await this.#removeSegments(partition, gone);
    if (!compacts(config)) return;
    const done = await compactPartition(disk, partition, now, durableCommit);
    if (done !== null) logger.debug({ event: 'log_compacted', partition: partition.name, ...done }, 'compacted');
  }

  /** Makes `before` the first offset of a partition and removes the segments that are entirely below it. */
  deleteRecords(partition: Partition, before: number): Promise<void> {
    return this.exclusive(async () => {
      partition.checkAlive();
      // Never above the part that is on disk: after a power loss the start would be above the end.
      const start = Math.min(before, partition.nextOffset);
      await this.#o.committer.sync();
      await partition.raiseStart(start);
      const closed = await closedSegments(partition, this.#o.committer.durableCommit);
      const gone = expired(partition, closed, 0, -1, -1);
      if (gone.length > 0) await this.#removeSegments(partition, gone);
    });
  }

  /** Oldest first: a crash can leave a log without its beginning, but never one with a gap. */
  async #removeSegments(partition: Partition, segments: readonly Segment[]): Promise<void> {
    const { disk, committer } = this.#o;
    partition.replace(segments, null);
    for (const segment of segments) await segment.retire();
    await writeManifest(disk, partition, committer.durableCommit);
    for (const segment of segments) await segment.remove();
  }

  async close(): Promise<void> {
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#rounds.idle();
  }
}

/** Smaller segments are not worth a compaction, bytes. */
const GARBAGE_BYTES_MIN = 1024 * 1024;

/**
 * Brokers close a segment when the next record arrives; here the segment of an idle topic is closed too, so that its
 * last records are compacted and expire in time. A segment of a compacted topic is also closed when it has grown as
 * large as the rest: at most about half of what is stored are values that have been replaced.
 */
function mustRoll({ active, topic }: Partition, closed: readonly Segment[], now: number): boolean {
  if (active.size === 0) return false;
  const { config, limits } = topic;
  const ageMs = now - active.facts.firstAppendMs;
  const rest = closed.reduce((sum, { size }) => sum + size, 0);
  if (compacts(config) && active.size >= Math.max(GARBAGE_BYTES_MIN, rest)) return true;
  if (ageMs >= limits.segmentMs || (compacts(config) && ageMs >= limits.compactionLagMsMax)) return true;
  return expires(config) && config.retentionMs >= 0 && active.index.maxTimestamp < now - config.retentionMs;
}

/** The oldest closed segments that contain nothing that may still be read or must be kept. */
function expired(
  partition: Partition,
  closed: readonly Segment[],
  now: number,
  retentionMs: number,
  retentionBytes: number,
): Segment[] {
  let bytes = partition.active.size + closed.reduce((sum, segment) => sum + segment.size, 0);
  const keep = closed.findIndex((segment, i) => {
    const endOffset = (closed[i + 1] ?? partition.segments[partition.segments.indexOf(segment) + 1]!).baseOffset;
    const isOld = retentionMs >= 0 && segment.index.maxTimestamp < now - retentionMs;
    const isTooMuch = retentionBytes >= 0 && bytes - segment.size >= retentionBytes;
    bytes -= segment.size;
    return !(isOld || isTooMuch || endOffset <= partition.start);
  });
  return keep === -1 ? [...closed] : closed.slice(0, keep);
}
