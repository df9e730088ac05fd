import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { Codec, schemaJson } from '../../../schemas/codec.js';
import { incompatibilityOf, registerSchemas } from '../../../schemas/register.js';
import { Registry, RegistryError } from '../../../schemas/registry.js';
import { startTestRegistry, type TestRegistry } from '../../support/registry.js';

const EVENT = {
  event_id: 'e1',
  user_id: 'u1',
  product_id: 'p1',
  category: null,
  event_type: 'view',
  ts: 1_700_000_000_000,
};

interface FieldJson {
  name: string;
  type: unknown;
  default?: unknown;
}

/** Our event schema with other fields. */
function eventWith(change: (fields: FieldJson[]) => FieldJson[]): string {
  const schema = JSON.parse(schemaJson('Event')) as { fields: FieldJson[] };
  return JSON.stringify({ ...schema, fields: change(schema.fields) });
}

const withProblem = (problem: string, message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof RegistryError, String(error));
  assert.equal(error.problem, problem);
  assert.match(error.message, message);
  return true;
};

describe('registerSchemas', () => {
  it('registers every subject and returns the ids that the codec writes with', async () => {
    const server = await startTestRegistry();
    try {
      const registry = await Registry.open({ url: server.url });
      const subjects = [
        { subject: 'events-value', schemaName: 'Event' },
        { subject: 'products-value', schemaName: 'Product' },
      ] as const;
      const ids = await registerSchemas(registry, subjects);
      assert.deepEqual([...ids.keys()], ['Event', 'Product']);
      assert.deepEqual(await registry.subjects(), ['events-value', 'products-value']);
      const bytes = new Codec(null, ids).encode('Event', EVENT);
      assert.equal(bytes[0], 0);
      assert.equal(bytes.readUInt32BE(1), ids.get('Event'));
      const again = await registerSchemas(await Registry.open({ url: server.url }), subjects);
      assert.deepEqual([...again], [...ids]);
    } finally {
      await server.close();
    }
  });

  it('registers nothing when one schema is incompatible, and names the field and the rule', async () => {
    const server = await startTestRegistry();
    try {
      const registry = await Registry.open({ url: server.url });
      await registry.register(
        'events-value',
        eventWith((fields) => fields.filter(({ name }) => name !== 'user_id')),
      );
      const attempt = registerSchemas(registry, [
        { subject: 'products-value', schemaName: 'Product' },
        { subject: 'events-value', schemaName: 'Event' },
      ]);
      await assert.rejects(
        attempt,
        withProblem(
          'incompatible',
          /Schema Event .*"events-value" under rule BACKWARD: field "user_id" has no default in the new schema and is missing in the registered schema/,
        ),
      );
      assert.deepEqual(await registry.subjects(), ['events-value']);
    } finally {
      await server.close();
    }
  });

  it('follows the rule of the subject: a dropped field passes BACKWARD and fails FORWARD', async () => {
    const server = await startTestRegistry();
    try {
      const wider = eventWith((fields) => [...fields, { name: 'shop', type: 'string' }]);
      const registry = await Registry.open({ url: server.url });
      await registry.register('events-value', wider);
      const event = { subject: 'events-value', schemaName: 'Event' } as const;
      assert.equal(await incompatibilityOf(registry, event), null);
      server.setLevel('FORWARD');
      assert.match(
        (await incompatibilityOf(registry, event)) ?? '',
        /rule FORWARD: field "shop" has no default in the registered schema and is missing in the new schema/,
      );
      server.setLevel('FULL_TRANSITIVE');
      assert.match((await incompatibilityOf(registry, event)) ?? '', /rule FULL_TRANSITIVE: field "shop"/);
    } finally {
      await server.close();
    }
  });

  it('names a changed type', async () => {
    const server = await startTestRegistry();
    try {
      const registry = await Registry.open({ url: server.url });
      const other = eventWith((fields) =>
        fields.map((field) => (field.name === 'ts' ? { name: 'ts', type: 'string' } : field)),
      );
      await registry.register('events-value', other);
      assert.match(
        (await incompatibilityOf(registry, { subject: 'events-value', schemaName: 'Event' })) ?? '',
        /field "ts" is long in the new schema and string in the registered schema/,
      );
    } finally {
      await server.close();
    }
  });
});

describe('Registry', () => {
  let server: TestRegistry;
  before(async () => {
    server = await startTestRegistry('ada:secret word');
  });
  after(() => server.close());

  it('gives the codec each unknown writer schema once', async () => {
    const registry = await Registry.open({ url: server.url, username: 'ada', password: 'secret word' });
    const wider = eventWith((fields) => [...fields, { name: 'shop', type: 'string', default: 'main' }]);
    const id = await registry.register('wider-value', wider);
    const codec = new Codec(registry);
    const own = new Codec(null, new Map([['Event', id]])).encode('Event', EVENT);
    const value = Buffer.concat([own, Buffer.from('\x08shop', 'latin1')]);
    const starts = new Int32Array([0, 0]);
    const ends = new Int32Array([value.length, value.length]);
    await codec.prepare(value, 2, starts, ends);
    assert.deepEqual({ ...(codec.decode('Event', value) as object) }, EVENT);
    assert.equal(server.requests.filter((request) => request === `GET /schemas/ids/${id}`).length, 1);
  });

  it('returns null for an unknown id', async () => {
    const registry = await Registry.open({ url: server.url.replace('//', '//ada:secret%20word@') });
    assert.equal(await registry.schemaById(4711), null);
  });

  it('distinguishes refused access from no answer, and never shows the password', async () => {
    const wrong = await Registry.open({ url: server.url, username: 'ada', password: 'hunter2' });
    await assert.rejects(
      wrong.schemaById(1),
      withProblem('access', /^The schema registry at http:\/\/127.0.0.1:\d+ refuses access \(401\)/),
    );
    const closed = await startTestRegistry();
    await closed.close();
    const gone = await Registry.open({ url: closed.url.replace('//', '//ada:hunter2@') });
    await assert.rejects(gone.latest('events-value'), (error: unknown) => {
      assert.ok(error instanceof RegistryError);
      assert.equal(error.problem, 'unreachable');
      assert.doesNotMatch(error.message, /hunter2/);
      return true;
    });
  });

  it('reads the 404 of a wrong URL as a wrong URL, not as an unknown schema', async () => {
    const registry = await Registry.open({ url: server.url, username: 'ada', password: 'secret word' });
    server.failWith(404);
    try {
      await assert.rejects(registry.schemaById(9), withProblem('unreachable', /not as a schema registry/));
    } finally {
      server.failWith(null);
    }
  });
});
