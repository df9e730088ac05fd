import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { estimate } from '../../../cli/doctor/estimate.js';
import { shownSettings } from '../../../cli/doctor.js';
import { loadSettings } from '../../../cli/settings.js';

const DAY_MS = 86_400_000;
const SETTINGS = { duplicateHorizonMs: DAY_MS / 4, changelogIntervalMs: 30_000 };

describe('estimate', () => {
  it('needs little for an empty log', () => {
    const counts = { events: 0, eventsSpanMs: 0, products: 0, changelogs: 0 };
    assert.deepEqual(estimate(counts, SETTINGS), { memoryMb: 160, restoreSeconds: 0 });
  });

  it('follows the formula', () => {
    const counts = { events: 90e6, eventsSpanMs: 90 * DAY_MS, products: 100_000, changelogs: 50e6 };
    const { memoryMb, restoreSeconds } = estimate(counts, SETTINGS);
    assert.equal(memoryMb, 160 + 9_000 + 15 + 20);
    const refolded = 1e6 / 1_440;
    assert.ok(Math.abs(restoreSeconds - (200 + refolded / 150_000)) < 1e-9);
  });

  it('does not mistake a burst for a rate, and never counts more events than exist', () => {
    const counts = { events: 1_000, eventsSpanMs: 10, products: 0, changelogs: 0 };
    assert.ok(estimate(counts, SETTINGS).restoreSeconds <= 1_000 / 150_000);
  });
});

describe('shownSettings', () => {
  it('marks defaults and hides secrets', () => {
    const environment = { PORT: '9000', REDIS_URL: 'redis://:hunter2@cache:6379' };
    const shown = shownSettings(environment, loadSettings(environment));
    const of = (name: string) => shown.find((setting) => setting.name === name);
    assert.deepEqual(of('PORT'), { name: 'PORT', value: '9000', source: 'given' });
    assert.deepEqual(of('HOST'), { name: 'HOST', value: '127.0.0.1', source: 'default' });
    assert.deepEqual(of('KAFKA_BROKERS'), { name: 'KAFKA_BROKERS', value: null, source: 'default' });
    assert.deepEqual(of('REDIS_URL'), { name: 'REDIS_URL', value: 'redis://***@cache:6379', source: 'given' });
    assert.ok(!JSON.stringify(shown).includes('hunter2'));
  });

  it('shows the given values if they are invalid', () => {
    const shown = shownSettings({ PORT: 'x' }, null);
    assert.deepEqual(
      shown.filter(({ value }) => value !== null),
      [{ name: 'PORT', value: 'x', source: 'given' }],
    );
  });
});
