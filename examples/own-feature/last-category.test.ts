/** Without a broker and without waiting: the test pipes records in, moves the clock, crashes, and reads records out. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Event, producerTopics } from 'freshet-pipeline';
import { TestDriver } from 'freshet-pipeline/testing';
import { lastCategories, lastCategory } from './last-category.js';

const view = (event_id: string, category: string, ts: number): Event => ({
  event_id,
  user_id: 'u-42',
  product_id: 'p1',
  category,
  event_type: 'view',
  ts,
});

test('the newest view wins over late ones, and a crash changes nothing', async () => {
  const driver = await TestDriver.open({ features: [lastCategory] });
  try {
    const now = driver.clock.now();
    await driver.pipe(producerTopics.events, 'u-42', view('1', 'shoes', now));
    await driver.run();
    await driver.pipe(producerTopics.events, 'u-42', view('2', 'hats', now + 2));
    await driver.foldOnly();
    await driver.crash();
    await driver.pipe(producerTopics.events, 'u-42', view('3', 'coats', now + 1));
    await driver.run();
    assert.deepEqual(await driver.table(lastCategories), new Map([['u-42', { category: 'hats', ts: now + 2 }]]));

    await driver.pipe(producerTopics.events, 'u-42', null);
    await driver.run();
    assert.equal(driver.states(lastCategory).size, 0, 'a forgotten user is forgotten here too');
  } finally {
    await driver.close();
  }
});
