/** I24: a capture is what the topics held at the noted ends, neither more nor less, however often it was cut short. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, type TestContext, test } from 'node:test';
import fc from 'fast-check';
import type { LogReader } from '../../../runtime/log/log.js';
import { systemClock } from '../../../runtime/process/clock.js';
import { hasCode } from '../../../runtime/process/errors.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import { Codec } from '../../../schemas/codec.js';
import { type CaptureLog, captureTopics } from '../../../snapshotters/capture.js';
import { CaptureSavepoint } from '../../../snapshotters/capture-savepoint.js';
import { MemoryLog } from '../../support/memory-log.js';
import { CountingCapture } from '../../support/snapshots/counting.js';

const TOPIC = 'terms';
const ROW_BYTES = 100;
const codec = new Codec();

async function topicOf(partitions: number): Promise<MemoryLog> {
  const log = new MemoryLog();
  await log.admin.createTopic({
    name: TOPIC,
    partitions,
    cleanup: 'compact',
    retentionMs: -1,
    logAppendTime: false,
    settings: {},
  });
  return log;
}

async function put(log: MemoryLog, keys: readonly string[], size = ROW_BYTES): Promise<void> {
  const writer = await log.writer([TOPIC]);
  for (const key of keys) writer.add(TOPIC, Buffer.from(key), Buffer.alloc(size));
  await writer.flush();
}

async function drop(log: MemoryLog, key: string): Promise<void> {
  const writer = await log.writer([TOPIC]);
  writer.add(TOPIC, Buffer.from(key), null);
  await writer.flush();
}

const keys = (count: number, prefix = 'k') => Array.from({ length: count }, (_, i) => `${prefix}${i}`);

interface Scene {
  readonly path: string;
  capture(over?: {
    log?: CaptureLog;
    path?: string;
    runId?: string;
    fingerprint?: string;
    savepointMs?: number;
    progress?: (done: number, total: number) => void;
    signal?: AbortSignal;
  }): ReturnType<typeof captureTopics<CountingCapture>>;
}

async function sceneOf(t: TestContext, log: MemoryLog): Promise<Scene> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-capture-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const ownPath = join(folder, 'capture.savepoint');
  return {
    path: ownPath,
    capture: ({ path = ownPath, runId = 'run', fingerprint = 'code', ...over } = {}) =>
      captureTopics({
        job: 'counting',
        topics: [TOPIC],
        log,
        codec,
        createCapture: () => new CountingCapture(),
        savepoint: new CaptureSavepoint({ path, runId, fingerprint, logger: silentLogger }),
        savepointMs: 0,
        fetchBytes: 5 * ROW_BYTES,
        clock: systemClock,
        logger: silentLogger,
        progress: () => undefined,
        signal: new AbortController().signal,
        ...over,
      }),
  };
}

/** The log, whose readers end the capture after some polls. */
function endingAfter(log: MemoryLog, polls: number, stop: AbortController): CaptureLog {
  return {
    admin: log.admin,
    partitionCount: (topic) => log.partitionCount(topic),
    offsets: (at) => log.offsets(at),
    reader: (start, options): LogReader => {
      const reader = log.reader(start, options);
      let left = polls;
      return {
        ...reader,
        poll: () => {
          if (--left === 0) stop.abort();
          return reader.poll();
        },
      };
    },
  };
}

describe('a capture', () => {
  let log: MemoryLog;
  beforeEach(async () => {
    log = await topicOf(3);
  });

  test('is the newest value of every key, deleted ones left out', async (t) => {
    await put(log, keys(50));
    await put(log, ['k1', 'k2'], 7);
    await drop(log, 'k3');
    const captured = (await (await sceneOf(t, log)).capture())!;
    assert.equal(captured.capture.sizes.size, 49);
    assert.equal(captured.capture.sizes.get('k1'), 7);
    assert.equal(captured.records, 53);
    assert.deepEqual(
      captured.inputs.map(({ topic, partition, from, to }) => ({ topic, partition, from, to })),
      await Promise.all(
        [0, 1, 2].map(async (partition) => {
          const { earliest, lastStable } = await log.offsets({ topic: TOPIC, partition });
          return { topic: TOPIC, partition, from: earliest, to: lastStable };
        }),
      ),
    );
  });

  test('of an empty topic is empty, and done at once', async (t) => {
    const captured = (await (await sceneOf(t, log)).capture())!;
    assert.equal(captured.records, 0);
    assert.ok(captured.inputs.every(({ from, to }) => from === 0 && to === 0));
  });

  test('ends behind aborted transactions at the end of a topic', async (t) => {
    await put(log, keys(10));
    const added = [0, 1, 2].map((partition) => {
      return { topic: TOPIC, partition, key: Buffer.from('never'), value: Buffer.alloc(1), timestamp: 1 };
    });
    log.beginTransaction('zombie', added);
    log.endTransaction('zombie', 'aborted');
    const captured = (await (await sceneOf(t, log)).capture())!;
    assert.equal(captured.records, 10);
    assert.ok(!captured.capture.sizes.has('never'));
    for (const { partition, to } of captured.inputs)
      assert.equal(to, (await log.offsets({ topic: TOPIC, partition })).highWatermark);
  });

  test('ends before an open transaction', async (t) => {
    await put(log, keys(10));
    const open = { topic: TOPIC, partition: 0, key: Buffer.from('open'), value: Buffer.alloc(1), timestamp: 1 };
    log.beginTransaction('slow', [open]);
    await put(log, keys(10, 'later'));
    const captured = (await (await sceneOf(t, log)).capture())!;
    assert.ok(!captured.capture.sizes.has('open'));
    assert.equal(captured.inputs[0]!.to, (await log.offsets({ topic: TOPIC, partition: 0 })).lastStable);
  });

  test('holds nothing of what was written while it was read', async (t) => {
    await put(log, keys(60));
    let more = 0;
    const progress = (done: number, total: number) => {
      assert.ok(done <= total);
      // A reader answers at once here: what is written now stands in the very next answer.
      void put(log, keys(30, `new${more++}-`));
    };
    const captured = (await (await sceneOf(t, log)).capture({ progress }))!;
    assert.ok(more > 3);
    assert.equal(captured.records, 60);
    assert.deepEqual([...captured.capture.sizes.keys()].sort(), keys(60).sort());
  });

  test('continues from its savepoint, to the ends recorded first, and reads nothing twice', async (t) => {
    await put(log, keys(90));
    const { capture } = await sceneOf(t, log);
    const stop = new AbortController();
    assert.equal(await capture({ log: endingAfter(log, 3, stop), signal: stop.signal }), null);
    await put(log, keys(40, 'later'));
    const captured = (await capture())!;
    assert.deepEqual([...captured.capture.sizes.keys()].sort(), keys(90).sort());
    assert.equal(captured.records, 90);
    assert.ok(captured.recordsRead > 0 && captured.recordsRead < 90, `${captured.recordsRead} read again`);
    const again = (await capture())!;
    assert.equal(again.recordsRead, 0);
    assert.equal(again.records, 90);
    assert.deepEqual(again.inputs, captured.inputs);
  });

  test('equals an uninterrupted one wherever it was cut short', async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(20), fc.option(fc.nat(9))), { maxLength: 80 }),
        fc.array(fc.integer({ min: 1, max: 6 }), { maxLength: 5 }),
        async (changes, cuts) => {
          const own = await topicOf(2);
          for (const [key, size] of changes) {
            if (size === null) await drop(own, `k${key}`);
            else await put(own, [`k${key}`], size);
          }
          const scene = await sceneOf(t, own);
          const whole = (await scene.capture({ runId: 'other' }))!;
          for (const polls of cuts) {
            const stop = new AbortController();
            await scene.capture({ log: endingAfter(own, polls, stop), signal: stop.signal });
          }
          const cut = (await scene.capture())!;
          assert.deepEqual([...cut.capture.sizes].sort(), [...whole.capture.sizes].sort());
          assert.equal(cut.records, whole.records);
        },
      ),
      { seed: 5, numRuns: 30 },
    );
  });

  describe('throws away a savepoint', () => {
    /** A capture cut short; then `harm`; the next one must start from the beginning. */
    async function assertBeginsAnew(
      t: TestContext,
      harm: (scene: Scene) => Promise<unknown>,
      over: Parameters<Scene['capture']>[0] = {},
    ): Promise<void> {
      await put(log, keys(60));
      const scene = await sceneOf(t, log);
      const stop = new AbortController();
      await scene.capture({ log: endingAfter(log, 3, stop), signal: stop.signal });
      await harm(scene);
      const captured = (await scene.capture(over))!;
      assert.equal(captured.recordsRead, captured.records);
      assert.equal(captured.records, captured.capture.sizes.size);
    }

    test('that is cut short', (t) =>
      assertBeginsAnew(t, async ({ path }) => truncate(path, (await readFile(path)).length - 40)));
    test('that is empty', (t) => assertBeginsAnew(t, ({ path }) => truncate(path, 0)));
    test('with one wrong bit', (t) =>
      assertBeginsAnew(t, async ({ path }) => {
        const bytes = await readFile(path);
        bytes[bytes.length >> 1]! ^= 1;
        await writeFile(path, bytes);
      }));
    test('of another run', (t) => assertBeginsAnew(t, async () => undefined, { runId: 'next' }));
    test('of other code or settings', (t) => assertBeginsAnew(t, async () => undefined, { fingerprint: 'newer' }));
    test('of a topic that was recreated in the meantime', (t) =>
      assertBeginsAnew(t, async () => {
        await log.recreate(TOPIC);
        await put(log, keys(70));
      }));
    test('whose position retention has passed', (t) =>
      assertBeginsAnew(t, async () => {
        for (const partition of [0, 1, 2]) {
          const at = { topic: TOPIC, partition };
          log.truncate(at, (await log.offsets(at)).lastStable - 1);
        }
      }));
  });

  test('of a topic that is recreated in the meantime is refused', async (t) => {
    await put(log, keys(10));
    const progress = (done: number, total: number) => {
      if (done === total) void log.recreate(TOPIC);
    };
    const { capture } = await sceneOf(t, log);
    await assert.rejects(capture({ progress }), (error) => hasCode(error, 'state') && /recreated/.test(String(error)));
  });

  test('continues when its savepoint cannot be written', async (t) => {
    await put(log, keys(30));
    const scene = await sceneOf(t, log);
    const notAFolder = join(scene.path, '..', 'full');
    await writeFile(notAFolder, '');
    assert.equal((await scene.capture({ path: join(notAFolder, 'capture.savepoint') }))?.records, 30);
  });
});
