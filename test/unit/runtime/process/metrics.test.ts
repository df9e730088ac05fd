import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createMetrics, declareMetrics } from '../../../../runtime/process/metrics.js';

const shop = declareMetrics((make) => ({ sales: make.counter('shop_sales_total', 'Sales.', ['counter']) }));

test('a room has its own set in each process, made once', async () => {
  const [one, other] = [createMetrics(), createMetrics()];
  shop(one).sales.inc({ counter: 'left' });
  shop(one).sales.inc({ counter: 'left' });
  assert.equal(shop(one), shop(one));
  assert.match(await one.registry.metrics(), /^shop_sales_total\{counter="left"\} 2$/m);
  assert.doesNotMatch(await other.registry.metrics(), /shop_sales_total/);
});

test('what is declared is shown before it is first counted', async () => {
  assert.match(await createMetrics([shop]).registry.metrics(), /^# HELP shop_sales_total Sales\.$/m);
});

test('a name that is declared twice is refused', () => {
  const again = declareMetrics((make) => ({ sold: make.gauge('shop_sales_total', 'Sold.', []) }));
  assert.throws(() => createMetrics([shop, again]), /shop_sales_total/);
});
