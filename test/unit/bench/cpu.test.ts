import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { it } from 'node:test';
import { cpuSecondsOf, peakMemoryMib, stopwatch } from '../../bench/cpu.js';

it('processor time grows with work and agrees from inside and outside', {
  skip: !existsSync('/proc/self/stat') && 'no /proc',
}, () => {
  const before = cpuSecondsOf(process.pid)!;
  const spent = stopwatch();
  let x = 0;
  while (spent().cpuSeconds < 0.3) x += Math.sqrt(x + 1);
  const outside = cpuSecondsOf(process.pid)! - before;
  assert.ok(Math.abs(outside - spent().cpuSeconds) < 0.1, `${outside} outside, ${spent().cpuSeconds} inside`);
  assert.ok(peakMemoryMib() > 20);
  assert.equal(cpuSecondsOf(2 ** 30), null);
});
