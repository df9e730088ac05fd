/**
 * Reads compacted topics as they are at one moment: the last stable offset of every partition is recorded first, then
 * everything from the earliest offset exactly to there is read. Positions also move past control and aborted records,
 * so the capture waits for an offset, never for a last record. Every few seconds everything is saved in a savepoint;
 * the next process of the same run continues from it, up to the same ends.
 *
 *   valid savepoint: positions, ends and contents from it ───────┐
 *   else: ends recorded now, positions at the logs' starts ──────┴─► read ─► savepoint ─► read ─► … ─► complete
 */
import type { ManifestInput } from '../publishing/versions/manifest.js';
import type { Log, LogAdmin, LogReader, RecordColumns } from '../runtime/log/log.js';
import type { Clock } from '../runtime/process/clock.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Codec } from '../schemas/codec.js';
import type { CapturePlace, CaptureSavepoint, SavepointHead } from './capture-savepoint.js';
import { faultPoint } from './fault-points.js';
import type { Capture } from './snapshotter.js';

/** The part of a log that a capture needs. */
export type CaptureLog = Pick<Log, 'partitionCount' | 'offsets' | 'reader'> & {
  readonly admin: Pick<LogAdmin, 'topicId'>;
};

interface CaptureOptions<C extends Capture> {
  readonly job: string;
  readonly topics: readonly string[];
  readonly log: CaptureLog;
  readonly codec: Codec;
  readonly createCapture: () => C;
  readonly savepoint: CaptureSavepoint;
  readonly savepointMs: number;
  /** Maximum number of bytes requested from one partition at a time: the source also serves live readers. */
  readonly fetchBytes: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Offsets passed, out of all between the starts and the ends. */
  readonly progress: (done: number, total: number) => void;
  /** Ends the capture early; a savepoint is written then. */
  readonly signal: AbortSignal;
}

interface Captured<C> {
  readonly capture: C;
  readonly inputs: readonly ManifestInput[];
  /** Records added, in this process and before. */
  readonly records: number;
  /** Of these, the records read by this process. */
  readonly recordsRead: number;
}

const POLL_WAIT_MS = 250;
/** A large capture is written less often, so that at most this share of the time goes into writing it. */
const WRITING_SHARE_MAX = 0.05;

/** A capture in progress. */
interface Under<C> {
  readonly capture: C;
  readonly topicIds: readonly (string | null)[];
  readonly places: CapturePlace[];
  records: number;
}

/**
 * Null when the signal ended it. Errors: 'offset_out_of_range' when a topic lost records in the meantime, 'state' when
 * it was recreated, 'unknown_topic', those of the log and the registry.
 */
export async function captureTopics<C extends Capture>(o: CaptureOptions<C>): Promise<Captured<C> | null> {
  const under = (await resumed(o)) ?? (await begun(o));
  const before = under.records;
  await faultPoint('capture.noted', o.job);
  await read(o, under);
  await save(o, under);
  if (o.signal.aborted) return null;
  await refuseNewTopics(o, under);
  await faultPoint('capture.done', o.job);
  const inputs = under.places.map(({ topic, partition, from, to, at }) => ({ topic, partition, from, to, at }));
  return { capture: under.capture, inputs, records: under.records, recordsRead: under.records - before };
}

async function begun<C extends Capture>(o: CaptureOptions<C>): Promise<Under<C>> {
  const topicIds = await idsOf(o);
  const places: CapturePlace[] = [];
  for (const topic of o.topics) {
    const partitions = await o.log.partitionCount(topic);
    for (let partition = 0; partition < partitions; partition++) {
      const { earliest, lastStable } = await o.log.offsets({ topic, partition });
      // Where retention passes an open transaction, the log's start may lie above its stable end.
      const to = Math.max(earliest, lastStable);
      const at = new Date(o.clock.now()).toISOString();
      places.push({ topic, partition, from: earliest, to, at, position: earliest });
    }
  }
  return { capture: o.createCapture(), topicIds, places, records: 0 };
}

/** Null if there is no savepoint, or one that is in doubt and discarded. */
async function resumed<C extends Capture>(o: CaptureOptions<C>): Promise<Under<C> | null> {
  const found = await o.savepoint.read();
  if (found === null) return null;
  const { head, contents } = found;
  const problem = await problemWith(o, head);
  if (problem !== null) {
    await o.savepoint.discard(problem);
    return null;
  }
  const capture = o.createCapture();
  try {
    capture.restore(contents);
  } catch (error) {
    await o.savepoint.discard(messageOf(error));
    return null;
  }
  const left = head.places.reduce((sum, { position, to }) => sum + to - position, 0);
  o.logger.info({ event: 'capture_resumed', job_name: o.job, records: head.records, offsets_left: left });
  return {
    capture,
    topicIds: head.topic_ids,
    places: head.places.map((place) => ({ ...place })),
    records: head.records,
  };
}

/** Why a savepoint cannot be continued; null if it can. */
async function problemWith<C extends Capture>(o: CaptureOptions<C>, head: SavepointHead): Promise<string | null> {
  const ids = await idsOf(o);
  for (const [i, topic] of o.topics.entries()) {
    if (head.topic_ids[i] !== ids[i]) return `${topic} was recreated in the meantime`;
    const known = head.places.filter((place) => place.topic === topic).length;
    if (known !== (await o.log.partitionCount(topic))) return `${topic} has another number of partitions now`;
  }
  for (const { topic, partition, position, to } of head.places) {
    const { earliest, highWatermark, compacted = 0 } = await o.log.offsets({ topic, partition });
    if (to > highWatermark) return `${topic}[${partition}] ends at ${highWatermark}, before the noted end ${to}`;
    if (position < to && compacted > to)
      return `${topic}[${partition}] was compacted past the noted end ${to}: values from before it may be gone`;
    if (position < to && position < earliest)
      return `${topic}[${partition}] begins at ${earliest}: what follows offset ${position} is gone`;
  }
  return null;
}

function idsOf({ log, topics }: Pick<CaptureOptions<Capture>, 'log' | 'topics'>): Promise<(string | null)[]> {
  return Promise.all(topics.map((topic) => log.admin.topicId(topic)));
}

/** Records of a topic that was deleted and recreated in the meantime would be mixed with those of the previous one. */
async function refuseNewTopics<C extends Capture>(o: CaptureOptions<C>, { topicIds }: Under<C>): Promise<void> {
  for (const [i, id] of (await idsOf(o)).entries())
    if (id !== topicIds[i])
      throw new FreshetError('state', `${o.topics[i]} was recreated while it was read; run again.`);
}

async function read<C extends Capture>(o: CaptureOptions<C>, under: Under<C>): Promise<void> {
  const total = under.places.reduce((sum, { from, to }) => sum + to - from, 0);
  const tell = () =>
    o.progress(
      under.places.reduce((sum, { from, position }) => sum + position - from, 0),
      total,
    );
  tell();
  const behind = under.places.filter(({ position, to }) => position < to);
  if (behind.length === 0) return;
  const starts = behind.map(({ topic, partition, position, to }) => ({
    topic,
    partition,
    offset: position,
    until: to,
  }));
  const reader = o.log.reader(starts, {
    isolation: 'read_committed',
    maxWaitMs: POLL_WAIT_MS,
    maxBytesPerPartition: o.fetchBytes,
  });
  let nextSaveMs = o.clock.elapsed() + o.savepointMs;
  try {
    while (!o.signal.aborted && behind.some(({ position, to }) => position < to)) {
      for (const batch of await reader.poll()) await take(o, under, reader, batch);
      tell();
      await faultPoint('capture.read', o.job);
      if (o.clock.elapsed() < nextSaveMs) continue;
      const started = o.clock.elapsed();
      await save(o, under);
      const tookMs = o.clock.elapsed() - started;
      nextSaveMs = started + Math.max(o.savepointMs, tookMs / WRITING_SHARE_MAX);
    }
  } finally {
    await reader.close();
  }
}

/** Adds the rows below the recorded end, and pauses the partition when it is reached. */
async function take<C extends Capture>(
  { codec }: CaptureOptions<C>,
  under: Under<C>,
  reader: LogReader,
  batch: RecordColumns,
): Promise<void> {
  const place = under.places.find((one) => one.topic === batch.topic && one.partition === batch.partition)!;
  if (place.position >= place.to) return;
  await codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
  for (let row = 0; row < batch.count && batch.offsets[row]! < place.to; row++) {
    under.capture.add(batch, row);
    under.records++;
  }
  place.position = Math.min(batch.nextOffset, place.to);
  if (place.position >= place.to) reader.pause(batch);
}

/** A savepoint only saves time: a disk that refuses it does not end the capture. */
async function save<C extends Capture>(o: CaptureOptions<C>, { capture, topicIds, places, records }: Under<C>) {
  try {
    await o.savepoint.write({ topic_ids: [...topicIds], places, records }, capture.save());
  } catch (error) {
    o.logger.warn({ event: 'capture_checkpoint_failed', job_name: o.job, error: messageOf(error) });
  }
  await faultPoint('capture.saved', o.job);
}
