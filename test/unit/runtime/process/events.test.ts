import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EventBus, NamedEvent } from '../../../../runtime/process/events.js';
import { listener, type Said } from '../../../support/listener.js';

const sold = new NamedEvent<{ readonly what: string }>('sold');
const closed = new NamedEvent<number>('closed');

test('listeners of an event are called in their order, before emit returns; others are not', () => {
  const events = new EventBus(listener([]));
  const heard: unknown[] = [];
  events.on(sold, ({ what }) => void heard.push(`first ${what}`));
  events.on(closed, (at) => void heard.push(at));
  events.on(sold, ({ what }) => void heard.push(`then ${what}`));
  events.emit(sold, { what: 'a lamp' });
  assert.deepEqual(heard, ['first a lamp', 'then a lamp']);
});

test('a listener that fails, at once or later, harms neither the engine nor the others: it is logged', async () => {
  const said: Said[] = [];
  const events = new EventBus(listener(said));
  const heard: string[] = [];
  events.on(sold, () => {
    throw new Error('no paper');
  });
  events.on(sold, () => Promise.reject(new Error('no line')));
  events.on(sold, ({ what }) => void heard.push(what));
  events.emit(sold, { what: 'a lamp' });
  assert.deepEqual(heard, ['a lamp']);
  await new Promise(setImmediate);
  assert.deepEqual(
    said.map(({ event, of, error }) => [event, of, error]),
    [
      ['listener_failed', 'sold', 'no paper'],
      ['listener_failed', 'sold', 'no line'],
    ],
  );
});
