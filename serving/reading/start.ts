/** The start of a read of raw records, from its query. */
import type { Log } from '../../runtime/log/log.js';
import { Problem } from '../problem.js';
import type { Position } from './raw-reader.js';

export interface StartQuery {
  readonly partition?: number;
  readonly offset?: number;
  readonly from?: 'beginning' | 'end';
  readonly positions?: string;
}

/** Throws Problem(400) for a query that contradicts itself or names partitions or offsets that do not exist. */
export async function startPositions(log: Log, topic: string, query: StartQuery): Promise<Position[]> {
  const { partition, offset, from, positions } = query;
  const ways = [offset, from, positions].filter((way) => way !== undefined).length;
  if (ways > 1 || (positions !== undefined && partition !== undefined))
    throw new Problem(400, 'Give the start in one way: "from", or "partition" and "offset", or "positions".');
  if (offset !== undefined && partition === undefined)
    throw new Problem(400, '"offset" needs "partition": an offset belongs to a partition.');
  const partitions = await log.partitionCount(topic);
  if (positions !== undefined || offset !== undefined) {
    const wanted = positions === undefined ? [{ partition: partition!, offset: offset! }] : parsePositions(positions);
    for (const position of wanted) await checkPosition(log, topic, partitions, position);
    return wanted;
  }
  const chosen = partition === undefined ? Array.from({ length: partitions }, (_, number) => number) : [partition];
  return await Promise.all(
    chosen.map(async (number) => {
      checkPartition(topic, partitions, number);
      const { earliest, lastStable } = await log.offsets({ topic, partition: number });
      return { partition: number, offset: from === 'end' ? lastStable : earliest };
    }),
  );
}

function parsePositions(text: string): Position[] {
  const positions = text.split(',').map((pair) => {
    const [partition, offset] = pair.split(':').map(Number);
    return { partition: partition!, offset: offset! };
  });
  if (new Set(positions.map(({ partition }) => partition)).size < positions.length)
    throw new Problem(400, '"positions" names a partition twice.');
  return positions;
}

async function checkPosition(log: Log, topic: string, partitions: number, position: Position): Promise<void> {
  const { partition, offset } = position;
  checkPartition(topic, partitions, partition);
  const { earliest, highWatermark } = await log.offsets({ topic, partition });
  if (offset < earliest || offset > highWatermark)
    throw new Problem(
      410,
      `Partition ${partition} of ${topic} has the offsets ${earliest} to ${highWatermark}, not ${offset}: start with one of these, or with from=beginning.`,
    );
}

function checkPartition(topic: string, partitions: number, partition: number): void {
  if (partition >= partitions)
    throw new Problem(400, `Topic ${topic} has the partitions 0 to ${partitions - 1}, not ${partition}.`);
}
