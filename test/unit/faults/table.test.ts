/** The table of a run of the fault tests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FaultRow } from '../../faults/harness/report.js';
import { faultTable } from '../../faults/harness/table.js';

const row: FaultRow = {
  fault: 'many-kills',
  seed: 1,
  faults: 60,
  kills: 40,
  events: 12_345,
  lost: 0,
  double: 1,
  wrong: 2,
  stallMs: 8_400,
  restoreSeconds: [0.3, 0.1, 0.2],
};

test('a line per row, one for a file without rows, and the totals', () => {
  const table = faultTable([
    { name: 'many-kills', passed: true, seconds: 61, rows: [row, { ...row, fault: 'another', stallMs: null }] },
    { name: 'broken', passed: false, seconds: 2.5, rows: [] },
  ]);
  const lines = table.split('\n').map((line) => line.split(/\s{2,}/));
  assert.deepEqual(lines.slice(1), [
    ['many-kills', 'ok', '60', '40', '12,345', '0', '1', '2', '8.4', '3', '0.2', '0.3', '61'],
    ['another', 'ok', '60', '40', '12,345', '0', '1', '2', '3', '0.2', '0.3', '61'],
    ['broken', 'FAILED', '2.5'],
    ['all', 'FAILED', '120', '80', '24,690', '0', '2', '4', '8.4', '6', '0.2', '0.3', '63.5'],
  ]);
  const widths = new Set(table.split('\n').map((line) => line.length));
  assert.equal(widths.size, 1, 'columns are aligned');
});
