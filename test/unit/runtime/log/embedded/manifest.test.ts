/** I14: the list of closed segments, written by several at once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { nodeDisk } from '../../../../../runtime/log/embedded/disk.js';
import { writeManifest } from '../../../../../runtime/log/embedded/manifest.js';
import { SerialQueue } from '../../../../../runtime/log/embedded/queue.js';
import { readSealed } from '../../../../../runtime/log/embedded/sealed-file.js';
import type { Partition } from '../../../../../runtime/log/embedded/topic.js';
import { makeFolder } from './folders.js';

test('a compaction that began before a sync takes nothing from the list that the sync has written', async () => {
  const folder = await makeFolder();
  const segment = (baseOffset: number, lastCommit: number) => ({
    baseOffset,
    lastCommit,
    fingerprint: async () => ({ size: 10, header: 1 }),
  });
  const partition = {
    folder,
    topic: { deleted: false },
    segments: [segment(0, 3), segment(5, 8), segment(9, 12)],
    manifestWrites: new SerialQueue(),
    listedCommit: 0,
  } as unknown as Partition;
  const listed = async () => {
    const saved = await readSealed<{ closed: [number, number, number][] }>(nodeDisk, join(folder, 'segments.json'));
    return saved!.closed.map(([baseOffset]) => baseOffset);
  };
  await writeManifest(nodeDisk, partition, 5);
  assert.deepEqual(await listed(), [0], 'what is not synced is not listed');
  await writeManifest(nodeDisk, partition, 8);
  assert.deepEqual(await listed(), [0, 5]);
  await writeManifest(nodeDisk, partition, 5);
  assert.deepEqual(await listed(), [0, 5], 'the transaction log says by now that the second one is on disk');
});
