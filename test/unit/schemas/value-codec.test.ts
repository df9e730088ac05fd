import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Codec, type SchemaName, schemaJson } from '../../../schemas/codec.js';
import type { Event } from '../../../schemas/records.js';
import { AvroSchema, avroSchema, ValueCodec } from '../../../schemas/value-codec.js';

interface Visit {
  page: string;
  seconds: number | null;
  tags: string[];
  by: Record<string, number>;
}

const FIELDS = [
  { name: 'page', type: 'string' },
  { name: 'seconds', type: ['null', 'double'], default: null },
  { name: 'tags', type: { type: 'array', items: 'string' }, default: [] },
  { name: 'by', type: { type: 'map', values: 'int' }, default: {} },
];
const record = (fields: object[]) => ({ type: 'record', name: 'Visit', namespace: 'shop', fields });
const Visit = avroSchema<Visit>(record(FIELDS));
const visit: Visit = { page: '/', seconds: 1.5, tags: ['a'], by: { x: 1 } };
const event: Event = { event_id: 'e', user_id: 'u', product_id: 'p', category: null, event_type: 'view', ts: 1 };

/** A registry with these schemas, and the ids that were requested. */
function registry(schemas: Readonly<Record<number, string>>) {
  const asked: number[] = [];
  const schemaById = async (id: number) => {
    asked.push(id);
    return schemas[id] ?? null;
  };
  return { asked, schemaById };
}

const prepare = (codec: ValueCodec<Visit>, value: Buffer) =>
  codec.prepare(value, 1, Int32Array.of(0), Int32Array.of(value.length));

describe('values of any schema', () => {
  it('equal byte for byte what Codec writes and reads', () => {
    const name: SchemaName = 'Event';
    const codec = new ValueCodec(new AvroSchema<Event>(JSON.parse(schemaJson(name)) as object));
    const bytes = codec.encode(event);
    assert.deepEqual(bytes, new Codec().encode(name, event));
    assert.deepEqual(codec.decode(new Codec().encode(name, event)), event);
  });

  it('are decoded as plain objects', () => {
    const codec = new ValueCodec(Visit);
    assert.deepEqual(codec.decode(codec.encode(visit)), visit);
  });

  it('are found between other bytes', () => {
    const codec = new ValueCodec(Visit);
    const bytes = codec.encode(visit);
    const among = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('yy')]);
    assert.deepEqual(codec.decode(among, 2, 2 + bytes.length), visit);
  });

  const wrong: [string, unknown, RegExp][] = [
    ['of another type', { ...visit, page: 1 }, /^not a shop\.Visit: page must be string \(it is 1\)$/],
    ['missing', { seconds: null, tags: [], by: {} }, /page must be string \(it is missing\)/],
    ['within a list', { ...visit, tags: ['a', 2] }, /tags\.1 must be string \(it is 2\)/],
    ['that the schema lacks', { ...visit, colour: 'red' }, /it has a field "colour", which the schema lacks/],
  ];
  for (const [what, value, message] of wrong)
    it(`are refused with the field that is ${what}`, () => {
      assert.throws(() => new ValueCodec(Visit).encode(value as Visit), { name: 'SchemaError', message });
    });

  it('are written in the registry framing when there is an id, and read in both', () => {
    const framed = new ValueCodec(Visit, null, 7);
    const bytes = framed.encode(visit);
    assert.deepEqual([...bytes.subarray(0, 5)], [0, 0, 0, 0, 7]);
    assert.deepEqual(framed.decode(bytes), visit);
    assert.deepEqual(framed.decode(new ValueCodec(Visit).encode(visit)), visit);
  });

  it('of another writer are resolved by the schema in the registry, which is requested once', async () => {
    const older = avroSchema<{ page: string }>(record(FIELDS.slice(0, 1)));
    const bytes = new ValueCodec(older, null, 3).encode({ page: '/old' });
    const lookup = registry({ 3: older.json });
    const codec = new ValueCodec(Visit, lookup);
    await prepare(codec, bytes);
    await prepare(codec, bytes);
    assert.deepEqual(codec.decode(bytes), { page: '/old', seconds: null, tags: [], by: {} });
    assert.deepEqual(lookup.asked, [3]);
  });

  it('of an older schema are resolved without a registry when it is given', () => {
    const former = record(FIELDS.slice(0, 1));
    const bytes = new ValueCodec(avroSchema<{ page: string }>(former)).encode({ page: '/old' });
    assert.throws(() => new ValueCodec(Visit).decode(bytes), { problem: 'unknown_schema' });
    const codec = new ValueCodec(avroSchema<Visit>(record(FIELDS), [former]));
    assert.deepEqual(codec.decode(bytes), { page: '/old', seconds: null, tags: [], by: {} });
  });

  const unreadable: [string, Buffer, string][] = [
    ['no framing', Buffer.from('{}'), 'unknown_framing'],
    ['nothing', Buffer.alloc(0), 'unknown_framing'],
    ['half a prefix', Buffer.from([0xc3, 1, 2]), 'unknown_framing'],
    ['an unknown id', Buffer.from([0, 0, 0, 0, 9, 0]), 'unknown_schema'],
    ['a body cut short', new ValueCodec(Visit).encode(visit).subarray(0, 12), 'undecodable'],
  ];
  for (const [what, bytes, problem] of unreadable)
    it(`are refused with the reason: ${what}`, async () => {
      const codec = new ValueCodec(Visit, registry({}));
      await prepare(codec, bytes);
      assert.throws(() => codec.decode(bytes), { name: 'SchemaError', problem });
    });

  it('a schema that is invalid, or cannot read its older one, is refused when it is created', () => {
    assert.throws(() => avroSchema({ type: 'recrod' }), { name: 'SchemaError', message: /not an Avro schema/ });
    const incompatible = record([{ name: 'page', type: 'int' }]);
    assert.throws(() => avroSchema(record(FIELDS), [incompatible]), {
      message: /values of an older .* cannot be read/,
    });
  });

  it('a registry that does not answer is distinguished from one that does not know the id', async () => {
    const down = { schemaById: () => Promise.reject(new Error('down')) };
    await assert.rejects(prepare(new ValueCodec(Visit, down), Buffer.from([0, 0, 0, 0, 1, 0])), /down/);
  });
});
