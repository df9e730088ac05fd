import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { openReadingCodec, openWritingCodec, subjectsOf } from '../../../cli/open-codec.js';
import { hasCode, messageOf } from '../../../runtime/errors.js';
import { loadSettings } from '../../../runtime/settings.js';
import { Registry } from '../../../schemas/registry.js';
import { allTopics } from '../../../topics/all.js';
import { events, products } from '../../../topics/events.js';
import { startTestRegistry } from '../../support/registry.js';

describe('subjectsOf', () => {
  it('names what others may read, and leaves out what one application keeps to itself', () => {
    const subjects = subjectsOf(allTopics()).map(({ subject }) => subject);
    for (const topic of ['events', 'products', 'popularity.v1', 'affinity.v1', 'dead-letters', 'erasures'])
      assert.ok(subjects.includes(`${topic}-value`), topic);
    assert.ok(!subjects.some((subject) => subject.startsWith('features.')), subjects.join(', '));
  });
});

describe('openWritingCodec', () => {
  it('writes the fingerprint without a registry, and the id with one', async () => {
    const user = { user_id: 'u', tenant_id: 't', active: true, updated_at: 1 };
    const plain = await openWritingCodec(loadSettings({}), allTopics());
    assert.equal(plain.encode('User', user)[0], 0xc3);
    const registry = await startTestRegistry();
    try {
      const settings = loadSettings({ SCHEMA_REGISTRY_URL: registry.url });
      const codec = await openWritingCodec(settings, allTopics());
      assert.equal(codec.encode('User', user)[0], 0);
      assert.equal(codec.prefix('Marker')[0], 0xc3);
      assert.equal((await openReadingCodec(settings)).encode('User', user)[0], 0xc3);
    } finally {
      await registry.close();
    }
  });

  it('stops with a sentence on an incompatible change, and tells it from silence', async () => {
    const registry = await startTestRegistry();
    const settings = loadSettings({ SCHEMA_REGISTRY_URL: registry.url });
    try {
      const other = {
        type: 'record',
        name: 'Event',
        namespace: 'freshet',
        fields: [{ name: 'event_id', type: 'int' }],
      };
      await (await Registry.open({ url: registry.url })).register('events-value', JSON.stringify(other));
      await assert.rejects(openWritingCodec(settings, [events]), (error) => {
        assert.ok(hasCode(error, 'schema'));
        assert.match(messageOf(error), /Schema Event cannot follow .* field "event_id" is string in the new schema/);
        return true;
      });
    } finally {
      await registry.close();
    }
    await assert.rejects(openWritingCodec(settings, [products]), (error) => hasCode(error, 'connection'));
  });
});
