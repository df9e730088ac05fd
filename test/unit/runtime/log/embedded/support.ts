/** Topics in one line, and reading a partition to its current end. */
import type { Log, TopicConfig } from '../../../../../runtime/log/log.js';
import { type Row, rowsOf } from '../../../../conformance/log-rows.js';

export function topicConfig(name: string, more: Partial<TopicConfig> = {}): TopicConfig {
  return { name, partitions: 1, cleanup: 'delete', retentionMs: -1, logAppendTime: false, settings: {}, ...more };
}

/** All records of a partition at this moment. */
export async function readPartition(log: Log, topic: string, partition = 0): Promise<Row[]> {
  const { earliest, highWatermark } = await log.offsets({ topic, partition });
  const reader = log.reader([{ topic, partition, offset: earliest }]);
  const rows: Row[] = [];
  while (reader.position({ topic, partition }) < highWatermark)
    for (const columns of await reader.poll()) rows.push(...rowsOf(columns));
  await reader.close();
  return rows;
}

/** The latest value per key, without tombstones. */
export function tableOf(rows: readonly Row[]): Map<string, string> {
  const table = new Map<string, string>();
  for (const { key, value } of rows) {
    if (value === null) table.delete(key!);
    else table.set(key!, value);
  }
  return table;
}
