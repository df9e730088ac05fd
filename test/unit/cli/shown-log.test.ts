import assert from 'node:assert/strict';
import { it } from 'node:test';
import { shownLog } from '../../../cli/shown-log.js';

it('shows a log line in one line, with its fields', () => {
  const line = {
    level: 'WARN',
    timestamp: '2026-12-01T13:42:20.399Z',
    event: 'sink_failed',
    sink: 'a',
    message: 'Away',
  };
  const shown = shownLog(false)(`${JSON.stringify(line)}\n`);
  assert.match(shown, /^\[\d\d:\d\d:\d\d\] WARN: Away \{"event":"sink_failed","sink":"a"\}\n$/);
});
