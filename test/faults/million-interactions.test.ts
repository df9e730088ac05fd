/**
 * I2, I7: a user with a million interactions, most of them in one day, with a quarter of a million products: a crawler.
 * No record exceeds the maximum size, commits stay bounded, and changelog rows are chunked and restore to the same
 * bits.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Log, RECORD_BYTES_MAX, type TransactionalWriter } from '../../runtime/log/log.js';
import type { Affinity, Event, Interactions } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { Driver } from '../support/driver.js';
import { Random } from '../support/random.js';
import { seed } from './harness/report.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVENTS = 1_000_000;
const PRODUCTS = 250_000;
const CATEGORIES = 400;
const PER_WRITE = 50_000;
const ITEMS_MAX = 1_000;
const CATEGORIES_SHOWN = 256;
/** A commit grows with the products one user met in a day, not with the events, because a row is flushed as a whole. */
const COMMIT_BYTES_MAX = 80 * PRODUCTS + 1024 * 1024;

/** Records the size of every commit, and the largest record in it. */
class Scales {
  commitBytes = 0;
  recordBytes = 0;
  changelogRecords = 0;

  /** A wrapper between the tasks and the log. */
  readonly between = (log: Log): Log => ({
    kind: log.kind,
    admin: log.admin,
    partitionCount: (topic) => log.partitionCount(topic),
    offsets: (partition) => log.offsets(partition),
    offsetForTime: (partition, ms) => log.offsetForTime(partition, ms),
    reader: (start, options) => log.reader(start, options),
    writer: (topics) => log.writer(topics),
    transactionalWriter: async (id, topics) => this.#weigh(await log.transactionalWriter(id, topics)),
    join: (options) => log.join(options),
    shownOffsets: (group, partitions) => log.shownOffsets(group, partitions),
    close: () => log.close(),
  });

  #weigh(writer: TransactionalWriter): TransactionalWriter {
    let bytes = 0;
    return {
      add: (topic, key, value, options) => {
        const size = (key?.length ?? 0) + (value?.length ?? 0);
        bytes += size;
        this.recordBytes = Math.max(this.recordBytes, size);
        if (topic.endsWith('activity-changelog')) this.changelogRecords++;
        writer.add(topic, key, value, options);
      },
      get bufferedRecords() {
        return writer.bufferedRecords;
      },
      get bufferedBytes() {
        return writer.bufferedBytes;
      },
      init: () => writer.init(),
      commit: () => {
        this.commitBytes = Math.max(this.commitBytes, bytes);
        bytes = 0;
        return writer.commit();
      },
      discard: () => writer.discard(),
      close: () => writer.close(),
    };
  }
}

async function pipeMillion(driver: Driver, work: () => Promise<void>): Promise<Map<string, number>> {
  const random = new Random(seed);
  const counts = new Map<string, number>();
  const event = { user_id: 'crawler', event_type: 'view' } as Event;
  for (let made = 0; made < EVENTS; ) {
    const writer = await driver.log.writer([events.name]);
    for (let n = 0; n < PER_WRITE; n++, made++) {
      const product = random.below(PRODUCTS);
      event.event_id = `e${made}`;
      event.product_id = `product-${product}`;
      event.category = `category-${product % CATEGORIES}`;
      event.ts = made % 10 === 0 ? NOW - (1 + (made % 80)) * DAY_MS : NOW;
      writer.add(events.name, Buffer.from('crawler'), driver.codec.encode('Event', event));
      counts.set(event.product_id, (counts.get(event.product_id) ?? 0) + 1);
    }
    await writer.flush();
    await writer.close();
    await work();
  }
  return counts;
}

test('a user with a million interactions: bounded records, bounded commits, complete restore', async () => {
  const scales = new Scales();
  const driver = await Driver.open({ now: NOW, partitions: 1, changelogIntervalMs: 30_000, between: scales.between });
  try {
    const counts = await pipeMillion(driver, async () => {
      await driver.run();
      driver.clock.advance(10_000);
    });
    driver.clock.advance(HOUR_MS);
    await driver.run();

    const affinity = (await driver.table<Affinity>(driver.topics.affinity.name)).get('crawler')!;
    const shares = Object.entries(affinity.scores);
    assert.equal(shares.length, CATEGORIES_SHOWN + 1);
    assert.ok('other' in affinity.scores);
    assert.ok(Math.abs(shares.reduce((sum, [, share]) => sum + share, 0) - 1) < 1e-9);
    const interactions = (await driver.table<Interactions>(driver.topics.interactions.name)).get('crawler')!;
    assert.equal(interactions.items.length, ITEMS_MAX);
    assert.equal(interactions.truncated, counts.size - ITEMS_MAX);
    for (const { product_id, count } of interactions.items) assert.equal(count, counts.get(product_id), product_id);

    assert.ok(scales.recordBytes <= RECORD_BYTES_MAX, `largest record ${scales.recordBytes} bytes`);
    assert.ok(scales.changelogRecords > 250, `its day is kept in pieces: ${scales.changelogRecords} changelog records`);

    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
    assert.ok(scales.commitBytes <= COMMIT_BYTES_MAX, `largest commit ${scales.commitBytes} bytes`);

    await driver.pipe(events.name, 'crawler', null);
    driver.clock.advance(HOUR_MS);
    await driver.run();
    assert.equal((await driver.table(driver.topics.affinity.name)).size, 0, 'forgotten');
    assert.equal((await driver.table(driver.topics.interactions.name)).size, 0, 'forgotten');
    await driver.crash();
    assert.ok(scales.recordBytes <= RECORD_BYTES_MAX);
  } finally {
    await driver.close();
  }
});
