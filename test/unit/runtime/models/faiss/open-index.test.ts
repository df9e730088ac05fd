/** The life cycle of an index process: killed, stopped, overloaded, damaged, and replaced by the next one. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFile, mkdtemp, open, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type OpenIndex, openIndex } from '../../../../../runtime/models/faiss/open-index.js';
import { FreshetError, hasCode, isTransient } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { ENGINES } from './native.js';
import { clusteredVectors, nearest, writeFlat } from './vectors.js';

const DIMENSION = 32;
const COUNT = 5_000;
const vectors = clusteredVectors({ seed: 21, count: COUNT, dimension: DIMENSION });
const queries = clusteredVectors({ seed: 22, count: 64, dimension: DIMENSION });
const query = (i: number) => queries.subarray((i % 64) * DIMENSION, ((i % 64) + 1) * DIMENSION);
let folder: string;
let path: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'faiss-open-'));
  path = join(folder, 'index.faiss');
  await writeFlat(path, vectors, DIMENSION);
});
after(() => rm(folder, { recursive: true }));

async function opened<T>(
  options: Partial<Parameters<typeof openIndex>[0]>,
  use: (index: OpenIndex) => Promise<T>,
): Promise<T> {
  const index = await openIndex({ path, logger: silentLogger, engine: 'exact', ...options });
  try {
    return await use(index);
  } finally {
    await index.close();
  }
}

/** Searches repeatedly until stopped; returns the outcome of each search. */
class Load {
  answered = 0;
  readonly errors: Error[] = [];
  slowestMs = 0;
  #stop = false;
  readonly #done: Promise<void>[];

  constructor(search: (i: number) => Promise<unknown>, callers: number) {
    this.#done = Array.from({ length: callers }, (_, i) => this.#run(search, i));
  }

  async stop(): Promise<this> {
    this.#stop = true;
    await Promise.all(this.#done);
    return this;
  }

  async answeredMore(than: number): Promise<void> {
    while (this.answered <= than) await new Promise((resolve) => setImmediate(resolve));
  }

  async #run(search: (i: number) => Promise<unknown>, first: number): Promise<void> {
    for (let i = first; !this.#stop; i += 8) {
      const began = performance.now();
      try {
        await search(i);
        this.answered++;
        this.slowestMs = Math.max(this.slowestMs, performance.now() - began);
      } catch (error) {
        this.errors.push(error as Error);
      }
    }
  }
}

for (const engine of ENGINES)
  describe(`engine ${engine}`, () => {
    test('I31: killed under load: searches in progress fail, all others are answered, the next process is up within a second', () =>
      opened({ engine }, async (index) => {
        const load = new Load(async (i) => {
          const { positions } = await index.search(query(i), 1, 3);
          assert.deepEqual([...positions], nearest(vectors, query(i), 3));
        }, 8);
        await load.answeredMore(20);
        for (let kill = 1; kill <= 2; kill++) {
          const { pid } = index;
          process.kill(pid!, 'SIGKILL');
          await load.answeredMore(load.answered + 20);
          assert.notEqual(index.pid, pid);
          assert.equal(index.restarts, kill);
        }
        const { errors, slowestMs } = await load.stop();
        assert.ok(errors.length >= 1 && errors.length <= 2 * 8, `${errors.length} were told`);
        for (const error of errors) {
          assert.ok(isTransient(error), error.message);
          assert.match(error.message, /process of the index ended \(SIGKILL\)/);
        }
        assert.ok(slowestMs < 2_000, `searches that waited for the next process were answered (${slowestMs} ms)`);
      }));

    test('the next index is loaded alongside: no search is dropped, then the first is closed', () =>
      opened({ engine }, async (first) => {
        const other = join(folder, `next-${engine}.faiss`);
        await copyFile(path, other);
        let current: OpenIndex = first;
        const load = new Load(async (i) => {
          const { positions } = await current.search(query(i), 1, 3);
          assert.deepEqual([...positions], nearest(vectors, query(i), 3));
        }, 8);
        await load.answeredMore(20);
        const next = await openIndex({ path: other, engine, logger: silentLogger });
        assert.notEqual(next.pid, first.pid);
        current = next;
        await load.answeredMore(load.answered + 20);
        assert.equal(first.waiting, 0);
        await first.close();
        await load.answeredMore(load.answered + 20);
        const { errors } = await load.stop();
        await next.close();
        assert.deepEqual(errors, []);
      }));
  });

test('a process that hangs is ended, and its searches fail', () =>
  opened({ stuckMs: 50 }, async (index) => {
    const { pid } = index;
    process.kill(pid!, 'SIGSTOP');
    await assert.rejects(index.search(query(0), 1, 1), (error) => isTransient(error));
    await index.search(query(0), 1, 1);
    assert.notEqual(index.pid, pid);
  }));

test('a search waits for a limited time, and does not delay later ones', () =>
  opened({ timeoutMs: 40 }, async (index) => {
    process.kill(index.pid!, 'SIGSTOP');
    await assert.rejects(index.search(query(0), 1, 1), (error) => hasCode(error, 'timeout') && isTransient(error));
    process.kill(index.pid!, 'SIGCONT');
    let found: number[] = [];
    while (found.length === 0)
      found = await index.search(query(1), 1, 3).then(
        ({ positions }) => [...positions],
        () => [],
      );
    assert.deepEqual(found, nearest(vectors, query(1), 3));
    assert.equal(index.restarts, 0);
  }));

test('the number of waiting searches is limited', () =>
  opened({ waitingMax: 3 }, async (index) => {
    process.kill(index.pid!, 'SIGSTOP');
    const first = index.search(query(0), 1, 1);
    const waiting = [1, 2, 3].map((i) => index.search(query(i), 1, 1));
    await assert.rejects(index.search(query(4), 1, 1), (error) => hasCode(error, 'unavailable'));
    process.kill(index.pid!, 'SIGCONT');
    for (const found of await Promise.all([first, ...waiting])) assert.equal(found.positions.length, 1);
  }));

test('a damaged file is refused when it is opened', async () => {
  const damaged = join(folder, 'damaged.faiss');
  await copyFile(path, damaged);
  await truncate(damaged, 10_000);
  await assert.rejects(openIndex({ path: damaged, logger: silentLogger }), (error) => hasCode(error, 'invalid_data'));
  const empty = join(folder, 'empty.faiss');
  await writeFlat(empty, new Float32Array(0), DIMENSION);
  await assert.rejects(openIndex({ path: empty, logger: silentLogger }), /contains no vectors/);
});

test('files are verified before the index is loaded, and only then', async () => {
  const own = join(folder, 'verified.faiss');
  await copyFile(path, own);
  const bytes = await readFile(own);
  const mark = { path: own, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  await opened({ path: own, verify: [mark] }, async (index) => {
    const file = await open(own, 'r+');
    await file.write(Buffer.of(1), 0, 1, bytes.length - 4);
    await file.close();
    process.kill(index.pid!, 'SIGKILL');
    while (index.restarts === 0) await index.search(query(0), 1, 1).catch(() => undefined);
    await index.search(query(0), 1, 1);
  });
  const refused = (verify: typeof mark, what: RegExp) =>
    assert.rejects(
      openIndex({ path: own, logger: silentLogger, engine: 'exact', verify: [verify] }),
      (error: Error) => hasCode(error, 'invalid_data') && what.test(error.message),
    );
  await refused(mark, /checksum is not that of its manifest/);
  await refused({ ...mark, bytes: mark.bytes + 1 }, /has \d+ bytes, its manifest says/);
  await refused({ ...mark, path: join(folder, 'nowhere') }, /nowhere cannot be opened/);
});

test('a file damaged later does not stop a healthy process; once it is needed, searches fail with a reason', async () => {
  const own = join(folder, 'later.faiss');
  await copyFile(path, own);
  const errors: unknown[] = [];
  const logger = { ...silentLogger, error: (line: unknown) => errors.push(line) };
  await opened({ path: own, timeoutMs: 500, logger }, async (index) => {
    await truncate(own, 10_000);
    await index.search(query(0), 1, 1);
    process.kill(index.pid!, 'SIGKILL');
    const told = await index.search(query(0), 1, 1).catch((error: unknown) => error);
    assert.ok(told instanceof FreshetError && told.transient);
    while (errors.length === 0) await assert.rejects(index.search(query(0), 1, 1), (error) => isTransient(error));
    assert.match(JSON.stringify(errors[0]), /index_failed.*cut short/);
    const again = await index.search(query(0), 1, 1).catch((error: unknown) => error);
    assert.match((again as Error).message, /not answered within 500 ms: its process is being restarted/);
    await copyFile(path, own);
    let found = false;
    while (!found)
      found = await index.search(query(0), 1, 1).then(
        () => true,
        () => false,
      );
  });
});
