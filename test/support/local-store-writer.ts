/**
 * A process that writes batches into a local store until it is killed, and prints the offset at which each one ended as
 * soon as it is acknowledged. A batch writes the same number everywhere, and moves a member to a group of that name.
 * Arguments: folder, bytes from which a snapshot is written.
 */
import { writeSync } from 'node:fs';
import { silentLogger } from '../../runtime/process/logger.js';
import { openLocalStore } from '../../runtime/stores/local/local-store.js';
import type { StoreOperation } from '../../runtime/stores/online-store.js';

export const WRITER_SINK = { sink: 'writer', topic: 't', partition: 0 };
export const WRITER_KEYS = 50;

/** The operations of batch `n`. */
export function writerBatch(n: number): StoreOperation[] {
  return [
    ...Array.from(
      { length: WRITER_KEYS },
      (_, i): StoreOperation => ({ op: 'hset', key: `hash:${i}`, field: 'n', value: String(n) }),
    ),
    { op: 'zadd', key: 'set', member: 'm', score: n },
    { op: 'regroup', groups: 'groups', prefix: 'in:', member: 'm', group: String(n), score: n },
    { op: 'set', key: `only:${n}`, value: 'x'.repeat(500) },
    { op: 'del', key: `only:${n - 100}` },
  ];
}

if (process.argv[1]?.endsWith('local-store-writer.js')) {
  const [folder = '', rotateBytesMin = ''] = process.argv.slice(2);
  const store = await openLocalStore(folder, silentLogger, { rotateBytesMin: Number(rotateBytesMin) });
  const { epoch, nextOffset } = await store.open(WRITER_SINK);
  for (let n = nextOffset; ; n++) {
    const batch = { id: WRITER_SINK, epoch, expectedOffset: n, nextOffset: n + 1, incarnation: 'life', at: 1 };
    try {
      const result = await store.apply(batch, writerBatch(n));
      if (result !== 'applied') throw new Error(result);
    } catch (error) {
      const held = { offset: (await store.position(WRITER_SINK))?.nextOffset, n: await store.hget('hash:0', 'n') };
      writeSync(1, `failed ${JSON.stringify({ ...held, message: error instanceof Error ? error.message : '' })}\n`);
      break;
    }
    writeSync(1, `${n + 1}\n`);
  }
  await store.close();
}
