/**
 * Feature topics for the benches of stores: rows of popularity and affinity in an embedded log, and the sinks of one
 * store reading them.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReporting } from '../../assembly/reporting.js';
import { DeadLetterWriter } from '../../publishing/live/dead-letters.js';
import { type GroupSink, Materialiser } from '../../publishing/live/materialise.js';
import type { SinkPace } from '../../publishing/live/partition-sink.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log, LogWriter, TopicPartition } from '../../runtime/log/log.js';
import { systemClock } from '../../runtime/process/clock.js';
import { createLogger } from '../../runtime/process/logger.js';
import { Codec } from '../../schemas/codec.js';
import { allTopics } from '../../topics/all.js';
import { applyTopics } from '../../topics/apply.js';
import type { SinkNames } from '../../topics/feature-set.js';
import { featureSet } from '../../topics/feature-set.js';
import { categoryId, productId, userId } from '../support/load.js';
import { Random, Zipf } from '../support/random.js';

/** The average for an event's user under the load of the latency bench. */
export const CATEGORIES_PER_USER = 16;
const CATEGORIES = 50;
const USER_ZIPF = 0.8;
const PRODUCT_ZIPF = 1.05;
/** Rows are built once and written repeatedly, so that building them does not affect the measurement. */
const ROWS = 400_000;

export const POPULARITY = featureSet(1).topics.popularity.name;
export const AFFINITY = featureSet(1).topics.affinity.name;

const logger = createLogger('warn');

export interface LogPlace {
  readonly log: Log;
  close(): Promise<void>;
}

/** An embedded log with all topics, in a temporary folder. */
export async function openLogPlace(): Promise<LogPlace> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
  const log = await openEmbeddedLog(folder, logger);
  await applyTopics(log.admin, allTopics(), { kind: log.kind });
  const close = async () => {
    await log.close();
    await rm(folder, { recursive: true, force: true });
  };
  return { log, close };
}

export interface Sizes {
  readonly users: number;
  readonly products: number;
  readonly seed: number;
}

interface Row {
  readonly key: Buffer;
  readonly value: Buffer;
}

/** Many rows over one buffer: as objects, they would dominate garbage collection. */
class PackedRows {
  readonly #bytes: Buffer;
  /** Where each row's key and value begin; the value ends where the next key begins. */
  readonly #starts: Uint32Array;

  constructor(make: () => Row) {
    this.#starts = new Uint32Array(2 * ROWS + 1);
    let bytes = Buffer.allocUnsafe(1 << 20);
    let at = 0;
    for (let i = 0; i < 2 * ROWS; i += 2) {
      const { key, value } = make();
      if (at + key.length + value.length > bytes.length) bytes = Buffer.concat([bytes], 2 * bytes.length);
      this.#starts[i] = at;
      at += key.copy(bytes, at);
      this.#starts[i + 1] = at;
      at += value.copy(bytes, at);
      this.#starts[i + 2] = at;
    }
    this.#bytes = bytes;
  }

  row(i: number): Row {
    const [start, middle, end] = this.#starts.subarray(2 * i, 2 * i + 3) as unknown as [number, number, number];
    return { key: this.#bytes.subarray(start, middle), value: this.#bytes.subarray(middle, end) };
  }
}

/** Writes rows of both topics in equal numbers, under keys drawn as in the load. */
export class RowWriter {
  readonly #writer: LogWriter;
  readonly #popularity: PackedRows;
  readonly #affinity: PackedRows;
  #at = 0;

  private constructor(writer: LogWriter, popularity: PackedRows, affinity: PackedRows) {
    this.#writer = writer;
    this.#popularity = popularity;
    this.#affinity = affinity;
  }

  static async open(log: Log, { users, products, seed }: Sizes): Promise<RowWriter> {
    const make = new RowMaker(seed);
    const [user, product] = [new Zipf(users, USER_ZIPF), new Zipf(products, PRODUCT_ZIPF)];
    const popularity = new PackedRows(() => make.popularity(productId(product.draw(make.random))));
    const affinity = new PackedRows(() => make.affinity(userId(user.draw(make.random))));
    return new RowWriter(await log.writer([POPULARITY, AFFINITY]), popularity, affinity);
  }

  /** `rows` of each topic; resolves when the log has them. */
  async write(rows: number): Promise<void> {
    const timestamp = Date.now();
    for (let i = 0; i < rows; i++) {
      const at = this.#at++ % ROWS;
      const [product, user] = [this.#popularity.row(at), this.#affinity.row(at)];
      this.#writer.add(POPULARITY, product.key, product.value, { timestamp });
      this.#writer.add(AFFINITY, user.key, user.value, { timestamp });
    }
    await this.#writer.flush();
  }

  close(): Promise<void> {
    return this.#writer.close();
  }
}

class RowMaker {
  readonly random: Random;
  readonly #codec = new Codec();

  constructor(seed: number) {
    this.random = new Random(seed);
  }

  popularity(product_id: string): Row {
    const { random } = this;
    const counts = { views: random.below(1000), add_to_carts: random.below(100), purchases: random.below(30) };
    const category = categoryId(random.below(CATEGORIES));
    const row = { product_id, category, score: random.unit() * 1000, as_of: Date.now(), ...counts };
    return { key: Buffer.from(product_id), value: this.#codec.encode('Popularity', row) };
  }

  affinity(user_id: string): Row {
    const { random } = this;
    const scores: Record<string, number> = {};
    const first = random.below(CATEGORIES);
    for (let rest = 1, i = 0; i < CATEGORIES_PER_USER; i++) {
      const share = rest * 0.3 * random.unit();
      scores[categoryId((first + 3 * i) % CATEGORIES)] = share;
      rest -= share;
    }
    return { key: Buffer.from(user_id), value: this.#codec.encode('Affinity', { user_id, as_of: Date.now(), scores }) };
  }
}

/** The current ends of both topics. */
export async function endsNow(log: Log): Promise<(TopicPartition & { readonly offset: number })[]> {
  const ends = [];
  for (const topic of [POPULARITY, AFFINITY])
    for (let partition = 0; partition < (await log.partitionCount(topic)); partition++)
      ends.push({ topic, partition, offset: (await log.offsets({ topic, partition })).lastStable });
  return ends;
}

/** Sinks of one store, as the publisher runs them. */
export function sinksOf(log: Log, names: SinkNames, sinks: readonly GroupSink[], pace: SinkPace): Materialiser {
  const codec = new Codec();
  return new Materialiser({
    ...names,
    sinks,
    log,
    codec,
    clock: systemClock,
    ...openReporting(logger),
    letters: new DeadLetterWriter(log, codec, systemClock),
    incarnationOf: (topic) => log.admin.topicId(topic),
    pace,
    advanced: () => undefined,
  });
}
