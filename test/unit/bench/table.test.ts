import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { numberText, tableOf } from '../../bench/table.js';

describe('tables of benches', () => {
  it('aligns figures and shows whether an aim is reached', () => {
    const text = tableOf({
      title: 'engine: 2 events',
      figures: [
        { name: 'events per second', value: 41234.4, unit: 'events/s', aim: { atLeast: 35_000 } },
        { name: 'p99', value: 512.345, unit: 'ms', aim: { atMost: 400 } },
        { name: 'commits', value: 3, unit: '' },
      ],
      notes: ['One machine.'],
    });
    assert.equal(
      text,
      [
        'engine: 2 events',
        '  events per second  41,234 events/s  ok, aim ≥ 35,000',
        '  p99                   512 ms        MISSED, aim ≤ 400',
        '  commits                 3',
        '  One machine.',
        '',
      ].join('\n'),
    );
  });

  it('shows numbers of any size', () => {
    assert.deepEqual([0, 1e-12, 0.5, 12.345, 999.6, 1_234_567, Number.NaN].map(numberText), [
      '0',
      '1.0e-12',
      '0.5',
      '12.3',
      '1000',
      '1,234,567',
      'none',
    ]);
  });
});
