import assert from 'node:assert/strict';
import { it } from 'node:test';
import { listenForStop } from '../../../cli/stop-signal.js';

it('the first signal asks, its repetition is ignored, and a later one ends at once', (t) => {
  let nowMs = 1_000;
  const exits: unknown[] = [];
  t.mock.method(performance, 'now', () => nowMs);
  t.mock.method(process, 'exit', (code: unknown) => exits.push(code));
  const stop = listenForStop();
  try {
    assert.equal(stop.received, null);
    process.emit('SIGINT');
    assert.equal(stop.received, 'SIGINT');
    assert.ok(stop.signal.aborted);
    nowMs += 20;
    process.emit('SIGINT');
    assert.deepEqual(exits, []);
    nowMs += 500;
    process.emit('SIGTERM');
    assert.deepEqual(exits, [143]);
  } finally {
    stop.close();
  }
  assert.equal(process.listenerCount('SIGINT'), 0);
});
