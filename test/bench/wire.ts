/** The speed of the log port itself, without a processor: the log's share of the engine's time. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { applyTopics } from '../../topics/apply.js';
import { topic } from '../../topics/topic.js';
import { type LoadChunk, load } from '../support/load.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { stopwatch } from './cpu.js';
import { openBroker } from './places.js';

const EVENTS = 1_000_000;
const PARTITIONS = 4;
const RECORDS_PER_TRANSACTION = 10_000;
const TRANSACTION_RECORD_BYTES = 60;
const COMMITS = 100;

const plain = { doc: '', key: '', schema: 'Event', cleanup: 'delete', retentionDays: 1, owner: 'bench' } as const;
const input = topic({ ...plain, name: 'bench-input', logAppendTime: true });
const output = topic({ ...plain, name: 'bench-output' });

export const wire: Bench = {
  name: 'wire',
  what: 'raw write, read and transactions through the log port, on Kafka and on the embedded log',
  async run(options: BenchOptions): Promise<Report[]> {
    return [await kafkaReport(options), await embeddedReport(options)];
  },
};

async function kafkaReport(options: BenchOptions): Promise<Report> {
  options.say('Kafka');
  const place = await openBroker();
  try {
    return { title: 'wire: Kafka, per CPU-second of ours', figures: await figuresOf(place.log, options), notes: [] };
  } finally {
    await place.close();
  }
}

async function embeddedReport(options: BenchOptions): Promise<Report> {
  options.say('the embedded log');
  const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
  try {
    const log = await openEmbeddedLog(folder, silentLogger);
    try {
      return { title: 'wire: embedded log, per CPU-second', figures: await figuresOf(log, options), notes: [] };
    } finally {
      await log.close();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function figuresOf(log: Log, { events, seed }: BenchOptions): Promise<Figure[]> {
  await applyTopics(log.admin, [input, output], { kind: log.kind, partitions: PARTITIONS });
  const chunks = [...load({ endMs: Date.now(), events: events ?? EVENTS, seed })];
  return [
    ...(await write(log, chunks)),
    ...(await read(log, chunks)),
    ...(await transactions(log, chunks)),
    ...(await smallCommits(log)),
  ];
}

async function write(log: Log, chunks: readonly LoadChunk[]): Promise<Figure[]> {
  const writer = await log.writer([input.name]);
  const spent = stopwatch();
  for (const { bytes, count, keyStart, keyEnd, valueStart, valueEnd } of chunks) {
    for (let i = 0; i < count; i++) {
      const key = bytes.subarray(keyStart[i]!, keyEnd[i]!);
      writer.add(input.name, key, bytes.subarray(valueStart[i]!, valueEnd[i]!));
    }
    await writer.flush();
  }
  const figures = rates('write', total(chunks), spent());
  await writer.close();
  return figures;
}

async function read(log: Log, chunks: readonly LoadChunk[]): Promise<Figure[]> {
  const start = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic: input.name, partition, offset: 0 }));
  const reader = log.reader(start, { isolation: 'read_committed' });
  const wanted = total(chunks);
  const spent = stopwatch();
  for (let rows = 0; rows < wanted; ) for (const batch of await reader.poll()) rows += batch.count;
  const figures = rates('read', wanted, spent());
  await reader.close();
  return figures;
}

async function transactions(log: Log, chunks: readonly LoadChunk[]): Promise<Figure[]> {
  const writer = await log.transactionalWriter('bench-wire', [output.name]);
  await writer.init();
  const value = Buffer.alloc(TRANSACTION_RECORD_BYTES, 1);
  const spent = stopwatch();
  let waiting = 0;
  for (const { bytes, count, keyStart, keyEnd } of chunks) {
    for (let i = 0; i < count; i++) {
      writer.add(output.name, bytes.subarray(keyStart[i]!, keyEnd[i]!), value);
      if (++waiting < RECORDS_PER_TRANSACTION) continue;
      await writer.commit();
      waiting = 0;
    }
  }
  if (waiting > 0) await writer.commit();
  const figures = rates(`transactions of ${RECORDS_PER_TRANSACTION}`, total(chunks), spent());
  await writer.close();
  return figures;
}

/** The cost of the smallest commit: one record in one partition. */
async function smallCommits(log: Log): Promise<Figure[]> {
  const writer = await log.transactionalWriter('bench-wire', [output.name]);
  await writer.init();
  const spent = stopwatch();
  for (let i = 0; i < COMMITS; i++) {
    writer.add(output.name, Buffer.from('key'), Buffer.from('value'));
    await writer.commit();
  }
  const { seconds } = spent();
  await writer.close();
  return [{ name: 'smallest commit', value: (1000 * seconds) / COMMITS, unit: 'ms' }];
}

function rates(
  what: string,
  records: number,
  { seconds, cpuSeconds }: { seconds: number; cpuSeconds: number },
): Figure[] {
  return [
    { name: what, value: records / seconds, unit: 'records/s' },
    { name: what, value: records / cpuSeconds, unit: 'records/CPU-s' },
  ];
}

function total(chunks: readonly LoadChunk[]): number {
  return chunks.reduce((sum, { count }) => sum + count, 0);
}
