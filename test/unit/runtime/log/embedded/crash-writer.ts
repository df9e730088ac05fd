/**
 * A process that writes transactions until it is killed: `node crash-writer.js <folder>`. Prints `<writer> <n>` after
 * each acknowledged commit. Commit n of a writer puts 1 + n mod 3 rows into each partition of `rows`, and n under the
 * writer's name into the compacted topic `latest`.
 */
import { writeSync } from 'node:fs';
import { type EmbeddedLog, openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { PARTITIONS, WRITERS } from './crash-plan.js';
import { readPartition, tableOf, topicConfig } from './support.js';

async function writeForever(log: EmbeddedLog, name: string): Promise<void> {
  const writer = await log.transactionalWriter(name, ['rows', 'latest']);
  await writer.init();
  const last = tableOf(await readPartition(log, 'latest')).get(name);
  for (let n = last === undefined ? 0 : Number(last) + 1; ; n++) {
    for (let partition = 0; partition < PARTITIONS; partition++)
      for (let i = 0; i <= n % 3; i++) writer.add('rows', Buffer.from(name), Buffer.from(`${n} ${i}`), { partition });
    writer.add('latest', Buffer.from(name), Buffer.from(String(n)), { partition: 0 });
    await writer.commit();
    writeSync(1, `${name} ${n}\n`);
  }
}

async function maintainForever(log: EmbeddedLog): Promise<void> {
  for (;;) await log.maintain();
}

const folder = process.argv[2]!;
const log = await openEmbeddedLog(folder, silentLogger, {
  syncIntervalMs: 5,
  defaults: { 'segment.bytes': '3000', 'min.cleanable.dirty.ratio': '0' },
});
if ((await log.admin.listTopics()).length === 0) {
  await log.admin.createTopic(topicConfig('latest', { cleanup: 'compact' }));
  await log.admin.createTopic(topicConfig('rows', { partitions: PARTITIONS }));
}
await Promise.all([...WRITERS.map((name) => writeForever(log, name)), maintainForever(log)]);
