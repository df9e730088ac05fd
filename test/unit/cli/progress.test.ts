import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { format, ProgressLine, Steps } from '../../../cli/progress.js';

function screen(isTTY: boolean) {
  const stream = Object.assign(new PassThrough(), { isTTY });
  const text = () => String(stream.read() ?? '');
  return { stream, text };
}

describe('ProgressLine', () => {
  it('shows nothing within the first second, then count and rate, and removes the line', () => {
    let now = 0;
    const { stream, text } = screen(true);
    const progress = new ProgressLine(stream, 'records', () => now);
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

  it('is silent without a terminal', () => {
    let now = 0;
    const { stream, text } = screen(false);
    const progress = new ProgressLine(stream, 'records', () => now);
    now = 5_000;
    progress.add(1);
    progress.end();
    assert.equal(text(), '');
  });

  it('writes numbers with separators', () => assert.equal(format(1234567.8), '1,234,568'));
});

describe('Steps', () => {
  it('shows the step and its progress, after a second, on a terminal', () => {
    let now = 0;
    const { stream, text } = screen(true);
    const steps = new Steps(stream, () => now);
    steps.at('capture', 1, 2);
    assert.equal(text(), '');
    now = 1_000;
    steps.at('capture', 1_500, 4_000);
    assert.equal(text(), '\r\x1b[Kcapture: 1,500 of 4,000 (37 %)');
    now = 1_300;
    steps.at('build', 0, null);
    assert.equal(text(), '\r\x1b[Kbuild');
    now = 1_600;
    steps.at('build', 12, null);
    assert.equal(text(), '\r\x1b[Kbuild: 12');
    steps.end();
    assert.equal(text(), '\r\x1b[K');
    const silent = screen(false);
    new Steps(silent.stream, () => now - 10_000).at('build', 1, 2);
    assert.equal(silent.text(), '');
  });
});
