/** The newest vector of every product, deletions, models, unreadable records, savepoints. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../../../runtime/process/errors.js';
import { EmbeddingsCapture } from '../../../../snapshotters/faiss/embeddings-capture.js';
import { columnsOf } from '../../../support/columns.js';
import { codec, type EmbeddingRecord, embeddingColumns } from './build.js';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faiss-capture-'));
});
after(() => rm(folder, { recursive: true }));

function created(memoryBytes = 1e9): EmbeddingsCapture {
  return new EmbeddingsCapture(codec, { folder, memoryBytes });
}

function addTo(capture: EmbeddingsCapture, records: readonly EmbeddingRecord[]): void {
  const columns = embeddingColumns(records);
  for (let row = 0; row < columns.count; row++) capture.add(columns, row);
}

/** All its contents: model and dimension, product, vector. */
function contents(capture: EmbeddingsCapture): [string, string, number[]][] {
  return capture
    .groups()
    .flatMap((group) =>
      [...capture.rowsOf(group)].map((row): [string, string, number[]] => {
        const vector = new Float32Array(group.dimension);
        capture.readVector(row, vector);
        return [`${group.model}/${group.dimension}`, capture.idOf(row), [...vector]];
      }),
    )
    .sort(([a, b], [c, d]) => (a + b < c + d ? -1 : 1));
}

const record = fc.record({
  id: fc.constantFrom('a', 'b', 'ä', 'c', 'aa', '\u{1f600}'),
  vector: fc.option(
    fc
      .integer({ min: 1, max: 3 })
      .chain((dimension) =>
        fc
          .array(fc.integer({ min: -3, max: 3 }), { minLength: dimension, maxLength: dimension })
          .map((numbers) => Float32Array.from(numbers)),
      ),
    { freq: 3, nil: null },
  ),
  model: fc.constantFrom('m1', 'm2'),
});

test('any records in any order leave the newest of each product, also after a savepoint', () => {
  fc.assert(
    fc.property(fc.array(record, { maxLength: 60 }), fc.nat(60), (records, cut) => {
      const truth = new Map<string, [string, string, number[]]>();
      for (const { id, vector, model } of records)
        if (vector === null) truth.delete(id);
        else truth.set(id, [`${model}/${vector.length}`, id, [...vector]]);
      const expected = [...truth.values()].sort(([a, b], [c, d]) => (a + b < c + d ? -1 : 1));

      const whole = created();
      addTo(whole, records);
      assert.deepEqual(contents(whole), expected);

      // A crash after the savepoint, when some more records had arrived.
      const first = created();
      addTo(first, records.slice(0, cut));
      const saved = first.save();
      addTo(first, records.slice(cut));
      const second = created();
      second.restore(saved);
      addTo(second, records.slice(cut));
      assert.deepEqual(contents(second), expected);
      for (const one of [whole, second, first]) one.discard();
    }),
    { seed: 8, numRuns: 150 },
  );
  assert.deepEqual(readdirSync(folder), [], 'no spool is left');
});

test('products are in byte order', () => {
  const capture = created();
  const ids = ['b', 'a', 'Z', 'ab', '\u{1f600}', '\ufffd', 'é', 'a\nb', '"'];
  addTo(
    capture,
    ids.map((id) => ({ id, vector: Float32Array.of(1) })),
  );
  const rows = capture.rowsOf(capture.groups()[0]!);
  const sorted = [...ids].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  assert.deepEqual(
    [...rows].map((row) => capture.idOf(row)),
    sorted,
  );
  capture.discard();
});

test('the place of a deleted or replaced vector is reused: the spool grows only with live vectors', () => {
  const capture = created();
  const vector = new Float32Array(1000).fill(1);
  for (let round = 0; round < 30; round++)
    addTo(
      capture,
      Array.from({ length: 40 }, (_, i) => ({
        id: `p${(i + round * 7) % 400}`,
        vector: round % 3 === 2 ? null : vector,
      })),
    );
  for (let i = 0; i < 400; i++) addTo(capture, [{ id: `p${i}`, vector: i % 2 === 0 ? vector : null }]);
  assert.equal(capture.groups()[0]!.products, 200);
  assert.ok(capture.spooledBytes <= 400 * vector.byteLength, `${capture.spooledBytes}`);
  const before = capture.spooledBytes;
  for (let i = 0; i < 200; i += 2) addTo(capture, [{ id: `p${i}`, vector: null }]);
  addTo(
    capture,
    Array.from({ length: 100 }, (_, i) => ({ id: `q${i}`, vector })),
  );
  assert.equal(capture.spooledBytes, before);
  capture.discard();
});

test('unreadable records are counted, with the reason for the first; the others stay', () => {
  const capture = created();
  const value = codec.encode('Embedding', { product_id: 'a', content_hash: 'h', model: 'm1', vector: Buffer.alloc(8) });
  const vector = (bytes: number, model = 'm1') =>
    codec.encode('Embedding', { product_id: 'a', content_hash: 'h', model, vector: Buffer.alloc(bytes) });
  const add = (key: string | Buffer | null, bytes: Buffer | null) =>
    capture.add(columnsOf('embeddings', 0, [{ key, value: bytes, timestamp: 0, offset: 0 }]), 0);
  add('a', value);
  const wrong: [string | Buffer | null, Buffer | null, RegExp][] = [
    [null, value, /no key/],
    ['', value, /key is empty/],
    ['x'.repeat(257), null, /257 bytes/],
    [Buffer.from([0xff]), value, /not UTF-8/],
    ['b', value, /differs from its key/],
    ['a', value.subarray(0, value.length - 3), /cut short/],
    ['a', Buffer.from('nonsense'), /framings/],
    ['a', vector(0), /0 bytes/],
    ['a', vector(6), /6 bytes/],
    ['a', vector(4097 * 4), /16388 bytes/],
    ['a', vector(4, ''), /does not name a model/],
  ];
  for (const [i, [key, bytes]] of wrong.entries()) {
    add(key, bytes);
    assert.equal(capture.refused.count, i + 1);
  }
  for (const [key, bytes, what] of wrong) {
    const fresh = created();
    fresh.add(columnsOf('embeddings', 0, [{ key, value: bytes, timestamp: 0, offset: 0 }]), 0);
    assert.match(fresh.refused.first!, what);
    assert.deepEqual(fresh.groups(), []);
  }
  assert.equal(capture.groups()[0]!.products, 1);
  capture.discard();
});

test('too many products for the allowed memory: the error says which setting to raise', () => {
  const capture = created(1_000_000);
  const many = Array.from({ length: 20_000 }, (_, i) => ({ id: `product-${i}`, vector: Float32Array.of(i) }));
  assert.throws(
    () => addTo(capture, many),
    (error: Error) => hasCode(error, 'settings') && /SNAPSHOT_MEMORY_MB/.test(error.message),
  );
  capture.discard();
});

test('a savepoint whose spool is gone, or with foreign bytes, is refused', () => {
  const capture = created();
  addTo(capture, [{ id: 'a', vector: Float32Array.of(1, 2) }]);
  const saved = capture.save();
  assert.throws(
    () => created().restore(saved.subarray(0, saved.length - 1)),
    (error) => hasCode(error, 'invalid_data'),
  );
  assert.throws(
    () => created().restore(Buffer.from('something else')),
    (error) => hasCode(error, 'invalid_data'),
  );
  assert.throws(
    () => created().restore(Buffer.alloc(0)),
    (error) => hasCode(error, 'invalid_data'),
  );
  capture.discard();
  assert.throws(
    () => created().restore(saved),
    (error: Error) => hasCode(error, 'invalid_data') && /are gone/.test(error.message),
  );
});

test('leftovers of runs that never resumed are removed after a day', async () => {
  const left = join(folder, `${'0'.repeat(16)}.vectors`);
  const recent = join(folder, `${'1'.repeat(16)}.vectors`);
  await writeFile(left, 'x');
  await writeFile(recent, 'x');
  const longAgo = new Date(Date.now() - 2 * 86_400_000);
  await utimes(left, longAgo, longAgo);
  const capture = created();
  addTo(capture, [{ id: 'a', vector: Float32Array.of(1) }]);
  assert.deepEqual([existsSync(left), existsSync(recent)], [false, true]);
  capture.discard();
  await rm(recent);
});
