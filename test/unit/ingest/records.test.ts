import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InputError } from '../../../ingest/input-error.js';
import { documentInput, eventInput, productInput, readKeyed, readWithId, userInput } from '../../../ingest/records.js';
import { Codec } from '../../../schemas/codec.js';

const NOW = Date.UTC(2025, 5, 1);
const EVENT = {
  event_id: 'e1',
  user_id: 'u1',
  product_id: 'p1',
  category: 'shoes',
  event_type: 'view',
  ts: '2025-06-01T00:00:00Z',
};
const PRODUCT = { product_id: 'p1', title: 'A shoe', description: '', category: 'shoes' };

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    assert.match(error.message, /[.]$/, 'a sentence');
    return error.message;
  }
  return assert.fail('accepted');
}

const without = (record: Record<string, unknown>, name: string) => {
  const { [name]: _left, ...rest } = record;
  return rest;
};

describe('events', () => {
  it('reads every field of the schema', () => {
    assert.deepEqual(eventInput.read(EVENT, NOW), { ...EVENT, ts: NOW });
  });

  it('takes a missing category as null', () => {
    assert.equal(eventInput.read(without(EVENT, 'category'), NOW).category, null);
    assert.equal(eventInput.read({ ...EVENT, category: null }, NOW).category, null);
  });

  for (const name of ['event_id', 'user_id', 'product_id', 'event_type', 'ts']) {
    it(`requires ${name}`, () => {
      assert.match(
        refusal(() => eventInput.read(without(EVENT, name), NOW)),
        new RegExp(`"${name}" is missing`),
      );
    });
  }

  for (const name of ['event_id', 'user_id', 'product_id', 'category']) {
    it(`limits ${name} to 1 to 256 bytes of text`, () => {
      const read = (value: unknown) => eventInput.read({ ...EVENT, [name]: value }, NOW);
      assert.match(
        refusal(() => read('')),
        /empty/,
      );
      assert.match(
        refusal(() => read('x'.repeat(257))),
        /257 bytes; at most 256/,
      );
      // 86 characters of three bytes are 258 bytes, though only 86 characters.
      assert.match(
        refusal(() => read('€'.repeat(86))),
        /258 bytes/,
      );
      assert.match(
        refusal(() => read(5)),
        /must be a string \(it is 5\)/,
      );
      assert.match(
        refusal(() => read('a\ud800b')),
        /surrogate/,
      );
      assert.match(
        refusal(() => read('a\0b')),
        /U\+0000/,
      );
      read('€'.repeat(85));
      read('x'.repeat(256));
      read('😀'.repeat(64));
    });
  }

  it('names the event types', () => {
    assert.match(
      refusal(() => eventInput.read({ ...EVENT, event_type: 'click' }, NOW)),
      /"event_type" must be view, add_to_cart or purchase \(it is "click"\)/,
    );
  });

  it('refuses unknown fields', () => {
    assert.match(
      refusal(() => eventInput.read({ ...EVENT, price: 3 }, NOW)),
      /"price" is not a field of an event; .*ts/,
    );
    const proto = JSON.parse(JSON.stringify(EVENT).replace('{', '{"__proto__": {"admin": true}, ')) as unknown;
    assert.match(
      refusal(() => eventInput.read(proto, NOW)),
      /"__proto__" is not a field/,
    );
  });

  it('does not read inherited properties as fields', () => {
    assert.match(
      refusal(() => eventInput.read(Object.create(EVENT), NOW)),
      /"event_id" is missing/,
    );
  });

  for (const value of [null, 1, 'text', [], true]) {
    it(`refuses ${JSON.stringify(value)} as an event`, () => {
      assert.match(
        refusal(() => eventInput.read(value, NOW)),
        /An event must be a JSON object/,
      );
    });
  }

  it('shortens the values in messages', () => {
    const sentence = refusal(() => eventInput.read({ ...EVENT, event_type: 'x'.repeat(10_000) }, NOW));
    assert.ok(sentence.length < 200);
  });

  it('creates records that the codec accepts', () => {
    const codec = new Codec();
    const event = eventInput.read(EVENT, NOW);
    assert.deepEqual({ ...(codec.decode('Event', codec.encode('Event', event)) as object) }, event);
  });
});

describe('catalogue', () => {
  it('fills in the optional fields of a product', () => {
    assert.deepEqual(productInput.read(PRODUCT, NOW), { ...PRODUCT, price: null, updated_at: NOW });
  });

  it('keeps the given fields', () => {
    const given = { ...PRODUCT, price: 9.5, updated_at: 1000 };
    assert.deepEqual(productInput.read(given, NOW), given);
  });

  it('refuses invalid prices', () => {
    for (const price of ['9.5', -1, true, []])
      assert.match(
        refusal(() => productInput.read({ ...PRODUCT, price }, NOW)),
        /"price" must be/,
      );
  });

  it('reads documents', () => {
    const document = { doc_id: 'd1', text: 'Guten Tag' };
    assert.deepEqual(documentInput.read(document, NOW), { ...document, language: null, source: null, updated_at: NOW });
    assert.equal(documentInput.read({ ...document, language: 'de' }, NOW).language, 'de');
    assert.match(
      refusal(() => documentInput.read({ ...document, language: 'German' }, NOW)),
      /ISO 639/,
    );
  });

  it('reads users, active by default', () => {
    const user = { user_id: 'u1', tenant_id: 't1' };
    assert.deepEqual(userInput.read(user, NOW), { ...user, active: true, updated_at: NOW });
    assert.equal(userInput.read({ ...user, active: false }, NOW).active, false);
    assert.match(
      refusal(() => userInput.read({ ...user, active: 'yes' }, NOW)),
      /true or false/,
    );
  });

  it('lets the body repeat the id of the path, but not contradict it', () => {
    assert.equal(readWithId(productInput, 'p1', without(PRODUCT, 'product_id'), NOW).product_id, 'p1');
    assert.equal(readWithId(productInput, 'p1', PRODUCT, NOW).product_id, 'p1');
    assert.match(
      refusal(() => readWithId(productInput, 'p2', PRODUCT, NOW)),
      /id in the path, "p2"/,
    );
    assert.match(
      refusal(() => readWithId(productInput, 'p2', undefined, NOW)),
      /JSON object/,
    );
  });
});

describe('keyed records', () => {
  it('reads the key from the value', () => {
    assert.equal(readKeyed(eventInput, { value: EVENT }, NOW).key, 'u1');
    assert.equal(readKeyed(eventInput, { key: 'u1', value: EVENT }, NOW).key, 'u1');
  });

  it('refuses another key than the value has', () => {
    assert.match(
      refusal(() => readKeyed(eventInput, { key: 'u2', value: EVENT }, NOW)),
      /value's user_id, "u1"/,
    );
  });

  it('deletes by key, but users only by an erasure', () => {
    assert.deepEqual(readKeyed(productInput, { key: 'p1', value: null }, NOW), { key: 'p1', value: null });
    assert.match(
      refusal(() => readKeyed(productInput, { value: null }, NOW)),
      /"key" is missing/,
    );
    assert.match(
      refusal(() => readKeyed(eventInput, { key: 'u1', value: null }, NOW)),
      /erasures/,
    );
  });

  it('requires a value', () => {
    assert.match(
      refusal(() => readKeyed(productInput, { key: 'p1' }, NOW)),
      /"value" is missing/,
    );
    assert.match(
      refusal(() => readKeyed(productInput, PRODUCT, NOW)),
      /not a field of a record/,
    );
  });
});
