/** Writes the demo shop and its history to the log, exactly once despite interruptions. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Log, LogWriter } from '../../runtime/log/log.js';
import { FreshetError, isTransient, messageOf } from '../../runtime/process/errors.js';
import type { Logger } from '../../runtime/process/logger.js';
import type { Codec } from '../../schemas/codec.js';
import * as topics from '../../topics/events.js';
import { partitionOf } from '../../topics/partition.js';
import { history } from './history.js';
import { eventRanges, findHistory, type HistoryInLog } from './history-in-log.js';
import { createShop, documents, type Shop } from './shop.js';

/** Records that the history is in the log; if nothing is recorded, the log is searched. */
export interface Marker {
  /** The last text written; null if none. */
  read(): Promise<string | null>;
  write(text: string): Promise<void>;
}

export interface LoadOptions {
  readonly log: Log;
  readonly codec: Codec;
  /** The shop as it would be loaded now. If an earlier one is already in the log, that one is kept. */
  readonly shop: Shop;
  readonly logger: Logger;
  readonly marker: Marker;
  readonly signal?: AbortSignal;
  /** Called after each batch with the number of records written since the previous call. */
  readonly onWritten?: (records: number) => void;
}

interface LoadedHistory {
  /** The shop whose history is in the log: live traffic belongs to it. */
  readonly shop: Shop;
  /** Events written by this call; 0 if they already existed. */
  readonly events: number;
  /** Ends of `events` after the history, by partition: what must be folded before the demo is ready. */
  readonly endOffsets: readonly { readonly partition: number; readonly offset: number }[];
}

interface Remembered {
  readonly seed: number;
  readonly now_ms: number;
  readonly end_offsets: readonly number[];
}

const BATCH_RECORDS = 10_000;
const ATTEMPTS = 8;
const RETRY_MS = 500;

/**
 * Loads products, users, documents and 90 days of events, each event once: whatever an interrupted load has left in the
 * log is found there, and only the rest is written. A shop loaded earlier, with any seed, stays the shop of that log.
 * Errors: those of the log, transient ones after several attempts; an abort by `signal`.
 */
export async function loadHistory(options: LoadOptions): Promise<LoadedHistory> {
  const { log, codec, logger, marker, signal } = options;
  const remembered = await rememberedLoad(options);
  if (remembered !== null) return remembered;
  for (let attempt = 1; ; attempt++) {
    try {
      const inLog = await findHistory(log, codec, signal);
      const shop = inLog === null ? options.shop : createShop(inLog.seed, inLog.nowMs);
      const written = await writeShop(options, shop, inLog);
      const endOffsets = (await eventRanges(log)).map(({ partition, end }) => ({ partition, offset: end }));
      await marker.write(
        JSON.stringify({
          seed: shop.seed,
          now_ms: shop.nowMs,
          end_offsets: endOffsets.map(({ offset }) => offset),
        } satisfies Remembered),
      );
      logger.info(
        { event: 'demo_history_loaded', events: written, seed: shop.seed, resumed: inLog !== null },
        'the demo history is in the log',
      );
      return { shop, events: written, endOffsets };
    } catch (error) {
      if (!isTransient(error) || attempt === ATTEMPTS) throw error;
      logger.warn(
        { event: 'demo_history_retry', attempt, reason: messageOf(error) },
        'loading the demo history failed; it continues from what is in the log',
      );
      await delay(RETRY_MS * attempt, undefined, signal === undefined ? {} : { signal });
    }
  }
}

/** The load recorded by the marker, unless it was another log: shorter, or with another number of partitions. */
async function rememberedLoad({ log, logger, marker }: LoadOptions): Promise<LoadedHistory | null> {
  const text = await marker.read();
  if (text === null) return null;
  const remembered = parseMarker(text);
  const ranges = await eventRanges(log);
  const fits =
    ranges.length === remembered.end_offsets.length &&
    ranges.every(({ partition, end }) => end >= remembered.end_offsets[partition]!);
  if (!fits) {
    logger.warn(
      { event: 'demo_marker_ignored' },
      'the demo history was loaded into a different log; searching this one',
    );
    return null;
  }
  const endOffsets = remembered.end_offsets.map((offset, partition) => ({ partition, offset }));
  return { shop: createShop(remembered.seed, remembered.now_ms), events: 0, endOffsets };
}

function parseMarker(text: string): Remembered {
  try {
    const { seed, now_ms, end_offsets } = JSON.parse(text) as Partial<Remembered>;
    if (Number.isInteger(seed) && Number.isInteger(now_ms) && Array.isArray(end_offsets))
      return { seed: seed!, now_ms: now_ms!, end_offsets };
  } catch {
    // Reported below: to the user it makes no difference whether it is not JSON or not ours.
  }
  throw new FreshetError(
    'state',
    'The marker of the demo history is damaged: delete it, and the log is searched instead.',
  );
}

/** Writes everything except the history events that already exist; returns how many of those were written. */
async function writeShop(options: LoadOptions, shop: Shop, inLog: HistoryInLog | null): Promise<number> {
  const { log, codec, signal, onWritten } = options;
  const names = [topics.products, topics.users, topics.documents, topics.events].map(({ name }) => name);
  const writer = await log.writer(names);
  const partitions = await log.partitionCount(topics.events.name);
  const flush = async () => {
    const records = writer.bufferedRecords;
    signal?.throwIfAborted();
    await writer.flush();
    onWritten?.(records);
  };
  try {
    // The catalogue first: the events' readers need to know their products.
    for (const product of shop.products)
      writer.add(topics.products.name, Buffer.from(product.product_id), codec.encode('Product', product));
    for (const { user } of shop.shoppers)
      writer.add(topics.users.name, Buffer.from(user.user_id), codec.encode('User', user));
    for (const document of documents(shop))
      writer.add(topics.documents.name, Buffer.from(document.doc_id), codec.encode('Document', document));
    await flush();
    let index = 0;
    let written = 0;
    for (const event of history(shop)) {
      const key = Buffer.from(event.user_id);
      const partition = partitionOf(partitions, key);
      if (index++ <= (inLog?.lastIndex[partition] ?? -1)) continue;
      writer.add(topics.events.name, key, codec.encode('Event', event), { partition });
      if (++written % BATCH_RECORDS === 0) await flush();
    }
    await flush();
    return written;
  } finally {
    await closeQuietly(writer);
  }
}

/** A writer that failed may fail again while closing; the first error is the one to report. */
async function closeQuietly(writer: LogWriter): Promise<void> {
  await writer.close().catch(() => undefined);
}
