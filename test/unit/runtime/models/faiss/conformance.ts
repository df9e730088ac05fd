/** The contract of every engine for a flat index, written once. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type OpenIndex, openIndex } from '../../../../../runtime/models/faiss/open-index.js';
import type { Engine } from '../../../../../runtime/models/faiss/vector-index.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { clusteredVectors, nearest, writeFlat } from './vectors.js';

const DIMENSION = 32;
const COUNT = 3_000;

export function vectorIndexConformance(engine: Engine): void {
  describe(`a flat index, engine ${engine}`, () => {
    const vectors = clusteredVectors({ seed: 11, count: COUNT, dimension: DIMENSION });
    const queries = clusteredVectors({ seed: 12, count: 200, dimension: DIMENSION });
    let folder: string;
    let path: string;
    let index: OpenIndex;
    const query = (i: number) => queries.subarray(i * DIMENSION, (i + 1) * DIMENSION);

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'faiss-conformance-'));
      path = join(folder, 'flat.faiss');
      await writeFlat(path, vectors, DIMENSION);
      index = await openIndex({ path, engine, logger: silentLogger });
    });
    after(async () => {
      await index.close();
      await rm(folder, { recursive: true });
    });

    test('describes itself', () => {
      const { kind, metric, dimension, count } = index;
      assert.deepEqual(
        { kind, metric, dimension, count, engine: index.engine },
        { kind: 'flat', metric: 'inner_product', dimension: DIMENSION, count: COUNT, engine },
      );
    });

    test('finds the nearest, one query at a time', async () => {
      for (let i = 0; i < 20; i++) {
        const { positions, scores } = await index.search(query(i), 1, 10);
        assert.deepEqual([...positions], nearest(vectors, query(i), 10));
        for (let j = 1; j < 10; j++) assert.ok(scores[j]! <= scores[j - 1]!, 'best first');
      }
    });

    test('finds the same for many queries in one call', async () => {
      const { positions } = await index.search(queries, 200, 5);
      for (let i = 0; i < 200; i++)
        assert.deepEqual([...positions.subarray(i * 5, i * 5 + 5)], nearest(vectors, query(i), 5), `query ${i}`);
    });

    test('concurrent searches, each with its own k, get their own answers', async () => {
      const found = await Promise.all(Array.from({ length: 100 }, (_, i) => index.search(query(i), 1, 1 + (i % 7))));
      for (const [i, { positions, scores }] of found.entries()) {
        assert.deepEqual([...positions], nearest(vectors, query(i), 1 + (i % 7)), `query ${i}`);
        assert.equal(scores.length, 1 + (i % 7));
      }
    });

    test('a vector of the index finds itself with a score of 1', async () => {
      const own = vectors.subarray(77 * DIMENSION, 78 * DIMENSION);
      const { positions, scores } = await index.search(own, 1, 1);
      assert.equal(positions[0], 77);
      assert.ok(Math.abs(scores[0]! - 1) < 1e-5);
    });

    test('invalid searches are refused before they reach the process', async () => {
      const pid = index.pid;
      const refused = async (vector: Float32Array, count: number, k: number, what: RegExp) =>
        assert.rejects(
          index.search(vector, count, k),
          (error: Error) => hasCode(error, 'invalid_data') && what.test(error.message),
        );
      await refused(query(0), 1, 0, /k is 0/);
      await refused(query(0), 1, 1.5, /k is 1.5/);
      await refused(query(0), 1, 4_000, /1 to 2048 is allowed/);
      await refused(query(0), 0, 1, /0 queries/);
      await refused(query(0), 2, 1, /32 in all/);
      await refused(query(0).subarray(1), 1, 1, /31 in all/);
      await refused(
        query(0).map((value, i) => (i === 5 ? Number.NaN : value)),
        1,
        1,
        /number 5 is NaN/,
      );
      await refused(
        query(0).map((value, i) => (i === 6 ? Number.POSITIVE_INFINITY : value)),
        1,
        1,
        /number 6 is Infinity/,
      );
      await index.search(query(0), 1, 1);
      assert.deepEqual([index.pid, index.restarts], [pid, 0]);
    });

    test('ten vectors: a search may return all of them, but no more', async () => {
      const small = join(folder, 'ten.faiss');
      await writeFlat(small, vectors.subarray(0, 10 * DIMENSION), DIMENSION);
      const ten = await openIndex({ path: small, engine, logger: silentLogger });
      try {
        const { positions } = await ten.search(query(0), 1, 10);
        assert.deepEqual(
          [...positions].sort((a, b) => a - b),
          Array.from({ length: 10 }, (_, i) => i),
        );
        await assert.rejects(ten.search(query(0), 1, 11), /1 to 10 is allowed/);
      } finally {
        await ten.close();
      }
    });

    test('indexes with squared distances can be searched too', async () => {
      const other = join(folder, 'l2.faiss');
      await writeFlat(other, vectors, DIMENSION, 'l2');
      const l2 = await openIndex({ path: other, engine, logger: silentLogger });
      try {
        const { positions, scores } = await l2.search(query(3), 1, 10);
        assert.deepEqual([...positions], nearest(vectors, query(3), 10, 'l2'));
        assert.ok(scores[0]! > 0 && scores[9]! >= scores[0]!, 'nearest first');
      } finally {
        await l2.close();
      }
    });

    test('a closed index says so; closing twice is harmless', async () => {
      const other = await openIndex({ path, engine, logger: silentLogger });
      const waiting = other.search(query(0), 1, 1);
      waiting.catch(() => undefined);
      await other.close();
      await other.close();
      await assert.rejects(waiting, (error) => hasCode(error, 'state'));
      await assert.rejects(other.search(query(0), 1, 1), (error) => hasCode(error, 'state'));
    });
  });
}
