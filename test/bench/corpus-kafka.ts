/** The corpus application on real Kafka, on the same cores: documents are in the log first, then its members start. */
import type { Log } from '../../runtime/log/log.js';
import { Codec } from '../../schemas/codec.js';
import { corpusSet } from '../../topics/corpus.js';
import { documents } from '../../topics/events.js';
import type { Figure } from './bench.js';
import type { CorpusMemberInput, CorpusPositions } from './corpus-kafka-worker.js';
import { benchDocuments } from './corpus-texts.js';
import { cpuSecondsOf } from './cpu.js';
import { PARTITIONS, prepareTopics } from './engine-run.js';
import { workEnds } from './feed.js';
import { type BrokerPlace, openBroker } from './places.js';
import { Worker } from './worker.js';

const FLUSH_RECORDS = 5_000;

export async function corpusOnKafka(
  sizes: { readonly documents: number; readonly seed: number; readonly members: number },
  say: (line: string) => void,
): Promise<Figure[]> {
  const place = await openBroker();
  try {
    await prepareTopics(place);
    say(`writing ${sizes.documents} documents to Kafka`);
    await feed(place.log, sizes);
    return await run(place, sizes, say);
  } finally {
    await place.close();
  }
}

async function feed(log: Log, sizes: { readonly documents: number; readonly seed: number }): Promise<void> {
  const writer = await log.writer([documents.name]);
  try {
    for (const { key, value } of benchDocuments({ ...sizes, withLanguage: true, codec: new Codec() })) {
      writer.add(documents.name, Buffer.from(key), value);
      if (writer.bufferedRecords >= FLUSH_RECORDS) await writer.flush();
    }
    await writer.flush();
  } finally {
    await writer.close();
  }
}

async function run(
  place: BrokerPlace,
  { documents: count, members }: { readonly documents: number; readonly members: number },
  say: (line: string) => void,
): Promise<Figure[]> {
  const brokerBefore = place.pid === null ? 0 : (cpuSecondsOf(place.pid) ?? 0);
  const settings = { KAFKA_BROKERS: place.brokers, PARTITIONS: String(PARTITIONS) };
  const workers = Array.from(
    { length: members },
    () => new Worker('corpus-kafka-worker', { settings } satisfies CorpusMemberInput),
  );
  const started = performance.now();
  try {
    say(`folding them with ${members} members`);
    await reached(workers, 'corpus', await workEnds(place.log, documents.name));
    const foldSeconds = (performance.now() - started) / 1000;
    const last = await reached(
      workers,
      'corpus-terms',
      await workEnds(place.log, corpusSet(1).topics.termChanges.name),
    );
    const seconds = (performance.now() - started) / 1000;
    const cpuSeconds = last.reduce((sum, { cpuSeconds: spent }) => sum + spent, 0);
    const broker = place.pid === null ? 0 : (cpuSecondsOf(place.pid) ?? 0) - brokerBefore;
    return [
      { name: `Kafka, ${members} members: documents per second`, value: count / foldSeconds, unit: 'documents/s' },
      { name: '  until every term is counted', value: count / seconds, unit: 'documents/s' },
      { name: '  per CPU-second of the members', value: count / cpuSeconds, unit: 'documents/CPU-s' },
      { name: '  broker’s processor time', value: broker, unit: 's' },
      { name: '  peak memory of a member', value: Math.max(...last.map((one) => one.memoryMib)), unit: 'MiB' },
    ];
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

/** Waits until the tasks of a processor, in any process, have committed everything below these offsets. */
async function reached(
  workers: readonly Worker[],
  processor: string,
  ends: readonly { readonly partition: number; readonly offset: number }[],
): Promise<CorpusPositions[]> {
  const offsets = new Map<number, number>();
  for (;;) {
    const told = await Promise.all(workers.map((worker) => worker.next<CorpusPositions>('positions')));
    for (const { positions } of told)
      for (const at of positions)
        if (at.processor === processor) offsets.set(at.partition, Math.max(at.offset, offsets.get(at.partition) ?? 0));
    if (ends.every(({ partition, offset }) => (offsets.get(partition) ?? 0) >= offset)) return told;
  }
}
