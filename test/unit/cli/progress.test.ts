import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { format, Progress } from '../../../cli/progress.js';

function screen(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY });
  const text = () => String(stream.read() ?? '');
  return { stream, text };
}

describe('Progress', () => {
  it('shows nothing within the first second, then count and rate, and takes the line away', () => {
    let now = 0;
    const { stream, text } = screen(true);
    const progress = new Progress(stream, 'records', () => now);
    now = 900;
    progress.add(4_000);
    assert.equal(text(), '');
    now = 2_000;
    progress.add(6_000);
    assert.match(text(), /10,000 records, 5,000\/s/);
    now = 2_100;
    progress.add(1);
    assert.equal(text(), '');
    progress.end();
    assert.equal(text(), '\r\x1b[K');
    assert.equal(progress.rate(), 10_001 / 2.1);
  });

  it('is silent where nobody watches', () => {
    let now = 0;
    const { stream, text } = screen(false);
    const progress = new Progress(stream, 'records', () => now);
    now = 5_000;
    progress.add(1);
    progress.end();
    assert.equal(text(), '');
  });

  it('writes numbers with separators', () => assert.equal(format(1234567.8), '1,234,568'));
});
