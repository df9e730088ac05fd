/**
 * I1, I2: one user with half of the traffic, one product with the other half: correct figures, without a record per
 * event.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Affinity, Event, Popularity } from '../../schemas/records.js';
import { events } from '../../topics/events.js';
import { agrees } from '../support/agreement.js';
import { Driver } from '../support/driver.js';
import { Random } from '../support/random.js';
import { seed } from './harness/report.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const EVENTS = 24_000;
const ROUNDS = 12;

test('a key with half of the traffic is written once per commit, counted correctly, and restored to the same bits', async () => {
  const driver = await Driver.open({ now: NOW, interactionsIntervalMs: 60_000, changelogIntervalMs: 5_000 });
  try {
    const random = new Random(seed);
    let commits = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const writer = await driver.log.writer([events.name]);
      for (let n = 0; n < EVENTS / ROUNDS; n++) {
        const isHotUser = n % 2 === 0;
        const event: Event = {
          event_id: `${round}-${n}`,
          user_id: isHotUser ? 'hot' : `u${random.below(500)}`,
          product_id: isHotUser ? `p${random.below(300)}` : 'hot',
          category: `c${random.below(20)}`,
          event_type: 'purchase',
          ts: driver.clock.now() - random.below(20) * DAY_MS,
        };
        writer.add(events.name, Buffer.from(event.user_id), driver.codec.encode('Event', event));
      }
      await writer.flush();
      await writer.close();
      await driver.run();
      commits++;
      driver.clock.advance(2_000);
      if (round === ROUNDS / 2) await driver.crash();
    }
    driver.clock.advance(2 * HOUR_MS);
    await driver.run();
    await agrees(driver);

    const affinity = await driver.records<Affinity>(driver.topics.affinity.name);
    const ofHotUser = affinity.filter(({ key }) => key === 'hot').length;
    assert.ok(ofHotUser <= commits, `${ofHotUser} records of the hot user for ${commits} commits`);
    const hop = await driver.records(driver.topics.productActivity.name);
    const ofHotProduct = hop.filter(({ key }) => key === 'hot').length;
    const tasks = 2;
    assert.ok(ofHotProduct <= tasks * commits, `${ofHotProduct} records of the hot product for ${commits} commits`);
    const popularity = await driver.table<Popularity>(driver.topics.popularity.name);
    assert.equal(popularity.get('hot')?.purchases, EVENTS / 2);

    const before = driver.stateHashes();
    await driver.crash();
    assert.deepEqual(driver.stateHashes(), before);
  } finally {
    await driver.close();
  }
});
