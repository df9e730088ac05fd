/**
 * Offsets that operators have given up, as a topic that every process follows: where a record stops its readers and
 * cannot be repaired, they go on behind it. The topic also is the record of who gave up what, when and why.
 */
import type { Log, TopicPartition } from '../runtime/log/log.js';
import { type SkippedRange, type SkippedRanges, skippingLog } from '../runtime/log/skipping.js';
import type { Clock } from '../runtime/process/clock.js';
import { FreshetError } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Service } from '../runtime/process/service.js';
import { GlobalTable } from '../runtime/tasks/table.js';
import type { Codec } from '../schemas/codec.js';
import type { Skip } from '../schemas/records.js';
import { allTopics } from '../topics/all.js';
import { skips } from '../topics/events.js';
import { isChangelog } from '../topics/topic.js';
import { Fields } from './fields.js';
import { InputError } from './input-error.js';

const REASON_LENGTH_MAX = 500;
/** How long a request waits until this process has read it back, ms. */
const SHOWN_MS_MAX = 10_000;

export type SkipRequest = Pick<Skip, 'topic' | 'partition' | 'from' | 'to' | 'reason'>;

/** Who asks, and when (ms). */
interface SkipOrder {
  readonly by: string;
  readonly at: number;
}

/** A request from JSON. Throws InputError. */
export function readSkip(json: unknown): SkipRequest {
  const fields = new Fields(json, 'a skip');
  const request = {
    topic: fields.text('topic'),
    partition: fields.count('partition'),
    from: fields.count('from'),
    to: fields.count('to'),
    reason: fields.text('reason').trim(),
  };
  fields.end();
  const { from, to, reason } = request;
  if (to <= from)
    throw new InputError(`"to" is the first offset that is read again: it must be above "from", ${from}.`);
  if (reason === '' || reason.length > REASON_LENGTH_MAX)
    throw new InputError(`"reason" must have 1 to ${REASON_LENGTH_MAX} characters: it is kept with the skip.`);
  return request;
}

interface SkipsOptions {
  /** The log itself: its readers see everything. */
  readonly log: Log;
  readonly codec: Codec;
  readonly logger: Logger;
  readonly clock: Clock;
}

/** The log whose readers pass over what was given up, and that, which is to be stopped before the log is closed. */
export async function openSkips(options: SkipsOptions): Promise<{ readonly log: Log; readonly skips: Skips }> {
  const skips = new Skips(options);
  await skips.start();
  return { log: skippingLog(options.log, skips, options.logger), skips };
}

export class Skips implements Service, SkippedRanges {
  readonly #o: SkipsOptions;
  readonly #table: GlobalTable<Skip>;

  constructor(options: SkipsOptions) {
    this.#o = options;
    const { codec } = options;
    this.#table = new GlobalTable({
      ...options,
      topic: skips.name,
      project: ({ bytes, valueStart, valueEnd }, row) =>
        codec.decode('Skip', bytes, valueStart[row]!, valueEnd[row]!) as Skip,
    });
  }

  get name(): string {
    return this.#table.name;
  }

  start(): Promise<void> {
    return this.#table.start();
  }

  stop(): Promise<void> {
    return this.#table.stop();
  }

  /** Everything that was given up, oldest first. */
  list(): Skip[] {
    const all = [...this.#table.changedSince([])].flatMap((key) => this.#table.get(key) ?? []);
    return all.sort((a, b) => a.requested_at - b.requested_at);
  }

  of({ topic, partition }: TopicPartition): SkippedRange[] {
    const here = this.list().filter((skip) => skip.topic === topic && skip.partition === partition);
    return here.map(({ from, to, topic_id: topicId }) => ({ from, to, topicId }));
  }

  /** Called after each change. Returns the function that ends it. */
  subscribe(listener: () => void): () => void {
    return this.#table.subscribe(listener);
  }

  /**
   * Gives up the offsets of a request; resolves once this process has read it back. Throws InputError for what must not
   * or cannot be skipped; 'timeout'; the log's own errors. Repeating a request is harmless.
   */
  async request(wanted: SkipRequest, { by, at }: SkipOrder): Promise<Skip> {
    const { log, codec } = this.#o;
    const { topic, partition, from, to } = wanted;
    await this.#check(wanted);
    const skip: Skip = { ...wanted, topic_id: await log.admin.topicId(topic), requested_at: at, requested_by: by };
    const key = `${topic}/${partition}/${from}-${to}`;
    const shown = this.#shown(key);
    const writer = await log.writer([skips.name]);
    try {
      writer.add(skips.name, Buffer.from(key), codec.encode('Skip', skip));
      await writer.flush();
      await shown.promise;
    } finally {
      shown.end();
      await writer.close();
    }
    return skip;
  }

  async #check({ topic, partition, from, to }: SkipRequest): Promise<void> {
    const declared = allTopics().find(({ name }) => name === topic);
    if (declared === undefined || declared.name === skips.name || isChangelog(declared))
      throw new InputError(
        declared === undefined
          ? `There is no topic ${JSON.stringify(topic.slice(0, 260))}; "freshet topics list" shows them.`
          : `${topic} cannot be skipped: state would be restored from it with records missing.`,
      );
    const partitions = await this.#o.log.partitionCount(topic);
    if (partition >= partitions) throw new InputError(`${topic} has the partitions 0 to ${partitions - 1}.`);
    const { earliest, lastStable } = await this.#o.log.offsets({ topic, partition });
    if (from < earliest || to > lastStable)
      throw new InputError(
        `${topic}[${partition}] holds the offsets ${earliest} to ${lastStable - 1}: skip only these.`,
      );
  }

  #shown(key: string): { readonly promise: Promise<void>; readonly end: () => void } {
    const ended = new AbortController();
    let end = () => ended.abort();
    const promise = new Promise<void>((resolve, reject) => {
      const stop = this.#table.subscribe((changed) => changed === key && resolve());
      end = () => {
        stop();
        ended.abort();
      };
      void this.#o.clock.sleep(SHOWN_MS_MAX, ended.signal).then(() => {
        if (!ended.signal.aborted)
          reject(new FreshetError('timeout', 'the skip is written, but was not read back yet'));
      });
    });
    promise.catch(() => undefined);
    return { promise, end: () => end() };
  }
}
