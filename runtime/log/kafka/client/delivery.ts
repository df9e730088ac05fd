/**
 * Sends parcels to the leaders of their partitions. In every round each leader gets one request with the next batch of
 * each of its partitions; a partition's next batch is sent only when the one before is in the log. Batches carry
 * sequence numbers, so the broker recognises repeated ones: a retry never duplicates or reorders records.
 */
import { systemClock } from '../../../process/clock.js';
import { FreshetError, messageOf } from '../../../process/errors.js';
import type { TopicPartition } from '../../log.js';
import { DUPLICATE_SEQUENCE_NUMBER, KafkaError, LEADER_NOT_AVAILABLE, LinkError, passes } from '../wire/errors.js';
import { type ProducedPartition, produce } from '../wire/produce.js';
import type { ProducerIdentity } from '../wire/transaction-messages.js';
import type { Cluster } from './cluster.js';
import { unknownTopic } from './cluster.js';
import type { Links } from './link.js';
import type { Lane, Outbox, Parcel } from './outbox.js';
import { closedError, pauseMs } from './retry.js';

/** A broker accepts requests up to 100 MiB; more than this at once only delays the answer. */
const REQUEST_BYTES_MAX = 8 * 1024 * 1024;
/** Rounds in a row that a topic may be unknown to the cluster before we believe it. */
const UNKNOWN_ROUNDS_MAX = 5;

interface DeliveryOptions {
  readonly cluster: Cluster;
  readonly links: Links;
  readonly outbox: Outbox;
  readonly transactionalId: string | null;
  readonly identity: ProducerIdentity;
  /** How long to try, ms, and the longest time for one answer. */
  readonly limitMs: number;
  readonly answerTimeoutMs: number;
  readonly signal: AbortSignal;
}

interface Sent {
  readonly parcel: Parcel;
  readonly bytes: Buffer;
}

/**
 * Resolves when every batch is in the log; batches leave their parcels as they arrive there. Throws KafkaError when a
 * broker refuses a batch, 'timeout' after the limit, 'unknown_topic', 'state' when closed meanwhile.
 */
export async function deliver(parcels: readonly Parcel[], options: DeliveryOptions): Promise<void> {
  const { cluster, signal, limitMs } = options;
  const deadline = performance.now() + limitMs;
  let waiting = parcels.filter(({ batches }) => batches.length > 0);
  let unknownRounds = 0;
  for (let troubles = 0; waiting.length > 0; ) {
    const trouble = await sendRound(waiting, options);
    if (signal.aborted) throw closedError('writing');
    waiting = waiting.filter(({ batches }) => batches.length > 0);
    if (trouble === null) {
      troubles = 0;
      continue;
    }
    const waitMs = pauseMs(troubles++);
    if (performance.now() + waitMs > deadline) throw outOfTime(waiting, limitMs, trouble);
    await systemClock.sleep(waitMs, signal);
    const topics = new Set(waiting.map(({ lane }) => lane.topic));
    // Fails while no broker answers, which the next round notices by itself.
    await cluster.refresh(topics).catch(() => undefined);
    const unknown = [...topics].find((topic) => cluster.isUnknown(topic));
    unknownRounds = unknown === undefined ? 0 : unknownRounds + 1;
    if (unknown !== undefined && unknownRounds >= UNKNOWN_ROUNDS_MAX) throw unknownTopic(unknown);
  }
}

/** Returns a retriable error, or null. */
async function sendRound(waiting: readonly Parcel[], options: DeliveryOptions): Promise<unknown> {
  const byLeader = new Map<number, Parcel[]>();
  let trouble: unknown = null;
  for (const parcel of waiting) {
    const { topic, partition } = parcel.lane;
    const leader = options.cluster.leaderOf(topic, partition);
    if (leader === null) trouble = new KafkaError(LEADER_NOT_AVAILABLE, `writing to ${laneText(parcel.lane)}`);
    else if (byLeader.has(leader)) byLeader.get(leader)!.push(parcel);
    else byLeader.set(leader, [parcel]);
  }
  const requests = [...byLeader].map(([leader, parcels]) => sendTo(leader, parcels, options));
  // Await all of them even if one is refused: no request may be in flight when the writer continues.
  const outcomes = await Promise.allSettled(requests);
  for (const outcome of outcomes) {
    const failure = outcome.status === 'rejected' ? outcome.reason : outcome.value;
    if (failure !== null && !passes(failure)) throw failure;
    trouble ??= failure;
  }
  return trouble;
}

/** Returns the first retriable error of a partition, or null; rejects with any other error. */
async function sendTo(leader: number, parcels: readonly Parcel[], options: DeliveryOptions): Promise<unknown> {
  const link = await options.links.to(leader);
  const sent: Sent[] = [];
  let size = 0;
  for (const parcel of parcels) {
    const batch = parcel.batches[0]!;
    if (sent.length > 0 && size + batch.size > REQUEST_BYTES_MAX) break;
    size += batch.size;
    const { identity, transactionalId } = options;
    const stamp = { ...identity, baseSequence: parcel.lane.sequence, transactional: transactionalId !== null };
    sent.push({ parcel, bytes: batch.seal(0, stamp) });
  }
  const batches = sent.map(({ parcel, bytes }) => ({ ...placeOf(parcel.lane), bytes }));
  const answers = await link.send(produce(options.transactionalId, batches, options.answerTimeoutMs));
  const found = new Map(answers.map((answer) => [laneText(answer), answer]));
  let trouble: unknown = null;
  let refused: KafkaError | null = null;
  for (const { parcel } of sent) {
    const failure = judge(parcel.lane, found.get(laneText(parcel.lane)));
    if (failure === null) arrived(parcel, options.outbox);
    else if (passes(failure)) trouble ??= failure;
    else refused ??= failure;
  }
  if (refused !== null) throw refused;
  return trouble;
}

function judge(lane: Lane, answer: ProducedPartition | undefined): KafkaError | null {
  const what = `writing to ${laneText(lane)}`;
  if (answer === undefined) return new KafkaError(LEADER_NOT_AVAILABLE, what);
  if (answer.error === 0 || answer.error === DUPLICATE_SEQUENCE_NUMBER) return null;
  return new KafkaError(answer.error, answer.message === null ? what : `${what} (${answer.message})`);
}

function arrived(parcel: Parcel, outbox: Outbox): void {
  const batch = parcel.batches.shift()!;
  parcel.lane.sequence = (parcel.lane.sequence + batch.count) % 2 ** 31;
  outbox.recycle(batch);
}

function placeOf({ topic, partition }: Lane): TopicPartition {
  return { topic, partition };
}

function laneText({ topic, partition }: TopicPartition): string {
  return `${topic}[${partition}]`;
}

function outOfTime(waiting: readonly Parcel[], limitMs: number, trouble: unknown): FreshetError {
  const where = waiting.map(({ lane }) => laneText(lane)).slice(0, 5);
  const more = waiting.length > where.length ? ` and ${waiting.length - where.length} more` : '';
  return new FreshetError(
    'timeout',
    `Writing to ${where.join(', ')}${more} did not succeed within ${limitMs / 1000} s; last error: ${messageOf(trouble)}`,
    { cause: trouble instanceof LinkError || trouble instanceof KafkaError ? trouble : undefined },
  );
}
