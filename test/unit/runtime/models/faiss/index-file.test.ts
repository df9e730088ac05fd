/** FAISS can read our files, and a damaged one is refused before FAISS sees it. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildIndex } from '../../../../../runtime/models/faiss/build-index.js';
import { planBuild } from '../../../../../runtime/models/faiss/build-plan.js';
import { FlatWriter } from '../../../../../runtime/models/faiss/flat-writer.js';
import {
  FLAT_DATA_AT,
  readIndexFile,
  vectorOffsets,
  writeBreadth,
} from '../../../../../runtime/models/faiss/index-file.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { withoutNative } from './native.js';
import { clusteredVectors, writeFlat } from './vectors.js';

const DIMENSION = 12;
const COUNT = 700;
const vectors = clusteredVectors({ seed: 3, count: COUNT, dimension: DIMENSION });
let folder: string;
let flat: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faiss-file-'));
  flat = join(folder, 'flat.faiss');
  await writeFlat(flat, vectors, DIMENSION);
});
after(() => rm(folder, { recursive: true }));

async function built(kind: 'hnsw' | 'ivf'): Promise<string> {
  const out = join(folder, `${kind}.faiss`);
  const plan = planBuild(kind, { vectors: flat, out, dimension: DIMENSION, count: COUNT });
  await buildIndex({ plan, threads: 1 });
  return out;
}

/** Checks that every vector is where the file says. */
async function assertVectors(path: string): Promise<void> {
  const offsetOf = await vectorOffsets(path, await readIndexFile(path));
  const bytes = await readFile(path);
  for (let position = 0; position < COUNT; position++) {
    const at = offsetOf(position);
    const own = new Float32Array(Uint8Array.from(bytes.subarray(at, at + DIMENSION * 4)).buffer);
    assert.deepEqual(own, vectors.slice(position * DIMENSION, (position + 1) * DIMENSION), `position ${position}`);
  }
}

async function assertDamaged(path: string, bytes: Buffer, what: RegExp): Promise<void> {
  await writeFile(path, bytes);
  await assert.rejects(
    readIndexFile(path),
    (error: Error) => hasCode(error, 'invalid_data') && what.test(error.message),
  );
}

test('a flat file: its header byte by byte, and its vectors', async () => {
  const bytes = await readFile(flat);
  assert.equal(bytes.length, FLAT_DATA_AT + COUNT * DIMENSION * 4);
  assert.equal(bytes.toString('latin1', 0, 4), 'IxFI');
  assert.deepEqual([bytes.readInt32LE(4), bytes.readBigInt64LE(8)], [DIMENSION, BigInt(COUNT)]);
  assert.deepEqual([bytes.readUInt8(32), bytes.readInt32LE(33)], [1, 0]);
  assert.equal(bytes.readBigUInt64LE(37), BigInt(COUNT * DIMENSION));
  const { kind, metric, dimension, count, breadth } = await readIndexFile(flat);
  assert.deepEqual(
    { kind, metric, dimension, count, breadth },
    { kind: 'flat', metric: 'inner_product', dimension: DIMENSION, count: COUNT, breadth: null },
  );
  await assertVectors(flat);
});

test('a file that is cut anywhere, or has bytes after its end, is damaged', async () => {
  const bytes = await readFile(flat);
  const path = join(folder, 'damaged.faiss');
  for (const length of [0, 3, 36, 44, 45, 46, bytes.length - 4, bytes.length - 1])
    await assertDamaged(path, bytes.subarray(0, length), /cut short/);
  await assertDamaged(path, Buffer.concat([bytes, Buffer.alloc(1)]), /1 bytes follow/);
});

test('impossible letters, counts and dimensions are named', async () => {
  const bytes = await readFile(flat);
  const path = join(folder, 'damaged.faiss');
  const changed = (change: (copy: Buffer) => void) => {
    const copy = Buffer.from(bytes);
    change(copy);
    return copy;
  };
  await assertDamaged(
    path,
    changed((copy) => copy.write('IxPQ', 0)),
    /begins with "IxPQ"/,
  );
  await assertDamaged(
    path,
    changed((copy) => copy.writeInt32LE(0, 4)),
    /0 numbers/,
  );
  await assertDamaged(
    path,
    changed((copy) => copy.writeInt32LE(-5, 4)),
    /-5 numbers/,
  );
  await assertDamaged(
    path,
    changed((copy) => copy.writeBigInt64LE(2n ** 60n, 8)),
    /it claims to contain 115292150460684\d+ vectors/,
  );
  await assertDamaged(
    path,
    changed((copy) => copy.writeBigUInt64LE(2n ** 63n, 37)),
    /contains a length/,
  );
  await assertDamaged(
    path,
    changed((copy) => copy.writeUInt8(0, 32)),
    /not trained/,
  );
  await assertDamaged(
    path,
    changed((copy) => copy.writeInt32LE(7, 33)),
    /metric is number 7/,
  );
  await assert.rejects(readIndexFile(join(folder, 'nowhere')), /cannot be opened/);
});

test('a row of another dimension, or with NaN, is not written', async () => {
  const writer = await FlatWriter.create(join(folder, 'rows.faiss'), 'inner_product', 3);
  await assert.rejects(writer.add(new Float32Array(2)), /cannot be indexed/);
  await assert.rejects(writer.add(Float32Array.from([1, Number.NaN, 0])), /cannot be indexed/);
  await assert.rejects(writer.add(Float32Array.from([1, Number.NEGATIVE_INFINITY, 0])), /cannot be indexed/);
  await writer.add(Float32Array.from([3e38, 3e38, 3e38]));
  await writer.finish();
  assert.equal((await readIndexFile(join(folder, 'rows.faiss'))).count, 1);
  await assert.rejects(FlatWriter.create(join(folder, 'none.faiss'), 'l2', 0), /0 numbers/);
});

test('hnsw: structure, vectors, and setting the search breadth', { skip: withoutNative }, async () => {
  const path = await built('hnsw');
  const { kind, breadth, count } = await readIndexFile(path);
  assert.deepEqual({ kind, breadth, count }, { kind: 'hnsw', breadth: 16, count: COUNT });
  const former = await readFile(path);
  await writeBreadth(path, 77);
  assert.equal((await readIndexFile(path)).breadth, 77);
  const now = await readFile(path);
  assert.equal(now.filter((byte, i) => byte !== former[i]).length, 1, 'nothing else has changed');
  await assertVectors(path);
  await truncate(path, now.length - 1);
  await assert.rejects(readIndexFile(path), /cut short/);
});

test('ivf: structure, vectors in their lists, and setting the number of lists to search', {
  skip: withoutNative,
}, async () => {
  const path = await built('ivf');
  const { kind, breadth, lists } = await readIndexFile(path);
  assert.deepEqual({ kind, breadth, lists }, { kind: 'ivf', breadth: 1, lists: 16 });
  await writeBreadth(path, 9);
  assert.equal((await readIndexFile(path)).breadth, 9);
  assert.equal((await readFile(path)).readBigUInt64LE(45), 9n);
  await assertVectors(path);
  await assert.rejects(writeBreadth(path, 17), /does not fit/);
  await assert.rejects(writeBreadth(flat, 9), /does not fit/);
  const bytes = await readFile(path);
  await assertDamaged(path, bytes.subarray(0, bytes.length - 8), /cut short/);
});
