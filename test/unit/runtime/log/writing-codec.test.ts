import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { loadSettings } from '../../../../assembly/settings.js';
import { openReadingCodec, openWritingCodec, subjectsOf } from '../../../../runtime/log/writing-codec.js';
import { hasCode, isTransient, messageOf } from '../../../../runtime/process/errors.js';
import { Registry } from '../../../../schemas/registry.js';
import { allTopics } from '../../../../topics/all.js';
import { events, products } from '../../../../topics/events.js';
import { startTestRegistry } from '../../../support/registry.js';

describe('subjectsOf', () => {
  it('names the public topics, and leaves out those private to one application', () => {
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

  it('stops with a sentence on an incompatible change, and distinguishes it from no answer', async () => {
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
        assert.match(
          messageOf(error),
          /Schema Event is not compatible .* field "event_id" is string in the new schema/,
        );
        return true;
      });
    } finally {
      await registry.close();
    }
    await assert.rejects(openWritingCodec(settings, [products]), (error) => hasCode(error, 'connection'));
  });
});

describe('openReadingCodec', () => {
  it('distinguishes a registry that does not answer from one without the schema: only the first is transient', async () => {
    const registry = await startTestRegistry();
    const codec = await openReadingCodec(loadSettings({ SCHEMA_REGISTRY_URL: registry.url }));
    const unknown = Buffer.from([0, 0, 0, 0, 7, 1]);
    const prepare = () => codec.prepare(unknown, 1, Int32Array.of(0), Int32Array.of(unknown.length));
    try {
      registry.failWith(503);
      await assert.rejects(prepare(), (error) => isTransient(error));
      registry.failWith(null);
      await prepare();
      assert.throws(() => codec.decode('Event', unknown), /no schema with id 7/);
    } finally {
      await registry.close();
    }
  });
});
