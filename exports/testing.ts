/** For tests of your own features: the test driver and its clock (docs/USING.md). */
export { ManualClock } from '../runtime/testing/manual-clock.js';
export { TestDriver, type TestDriverOptions, type WrittenRecord } from '../runtime/testing/test-driver.js';
