/**
 * Folds documents from memory as a task does, a fetch at a time, including commits: the output of a commit is encoded
 * into record batches, and those of the hop are read and folded by the second half. Only the log itself is missing.
 */
import { CorpusPart } from '../../processors/corpus/corpus-part.js';
import { TermsPart } from '../../processors/corpus/terms-part.js';
import type { RecordColumns } from '../../runtime/log/log.js';
import { RecordBatchBuilder, walkBatches } from '../../runtime/log/record-batch.js';
import { LIVE, type Output, type Part } from '../../runtime/tasks/processor.js';
import { Codec } from '../../schemas/codec.js';
import { corpusSet } from '../../topics/corpus.js';
import { documents } from '../../topics/events.js';
import { benchDocuments } from './corpus-texts.js';
import { peakMemoryMib, stopwatch } from './cpu.js';
import { input, tell } from './worker.js';

export interface CorpusInput {
  readonly documents: number;
  readonly seed: number;
  readonly withLanguage: boolean;
  /** Whether terms are also counted and written, or documents only folded. */
  readonly whole: boolean;
}

export interface CorpusReady {
  readonly kind: 'ready';
}

export interface CorpusDone {
  readonly kind: 'done';
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly memoryMib: number;
  readonly bytesIn: number;
  readonly bytesOut: Readonly<Record<string, number>>;
  readonly commits: number;
  /** The retained state: documents, bytes of their term lists, all bytes. */
  readonly held: { readonly documents: number; readonly listBytes: number; readonly bytes: number };
}

/** The size of a fetch. */
const FETCH_BYTES = 1024 * 1024;
const COMMIT_MS = 100;
const START = Date.UTC(2026, 0, 1);
const topics = corpusSet(1).topics;

class BatchOutput implements Output {
  readonly bytesOut: Record<string, number> = {};
  readonly #hop = new RecordBatchBuilder(FETCH_BYTES);
  readonly #other = new RecordBatchBuilder(FETCH_BYTES);
  #offset = 0;

  add(topic: string, key: Uint8Array | null, value: Uint8Array | null): void {
    const builder = topic === topics.termChanges.name ? this.#hop : this.#other;
    if (builder.size > FETCH_BYTES && builder === this.#other) builder.reset();
    const before = builder.size;
    builder.add(key, value, START);
    this.bytesOut[topic] = (this.bytesOut[topic] ?? 0) + builder.size - before;
  }

  /** What was added to the hop, in the form a reader gets it. */
  takeHop(): RecordColumns {
    const { count } = this.#hop;
    const bytes = count === 0 ? Buffer.alloc(0) : this.#hop.finish(this.#offset, undefined, START);
    const columns = columnsOf(topics.termChanges.name, bytes, this.#offset);
    this.#offset += count;
    this.#hop.reset();
    return columns;
  }
}

function columnsOf(topic: string, bytes: Buffer, fromOffset: number): RecordColumns {
  return walkBatches(bytes, 0, bytes.length, {
    topic,
    partition: 0,
    fromOffset,
    untilOffset: Number.POSITIVE_INFINITY,
    aborted: null,
    checkCrc: true,
    decompress: () => Buffer.alloc(0),
  })[0]!;
}

const wanted = await input<CorpusInput>();
const codec = new Codec();
const batches: RecordColumns[] = [];
let bytesIn = 0;
{
  const builder = new RecordBatchBuilder(2 * FETCH_BYTES);
  let offset = 0;
  const take = () => {
    if (builder.count === 0) return;
    const bytes = builder.finish(offset, undefined, START);
    bytesIn += bytes.length;
    batches.push(columnsOf(documents.name, bytes, offset));
    offset += builder.count;
    builder.reset();
  };
  for (const { key, value } of benchDocuments({ ...wanted, codec })) {
    builder.add(Buffer.from(key), value, START);
    if (builder.size >= FETCH_BYTES) take();
  }
  take();
}

const place = { partition: 0 };
const corpus = new CorpusPart({
  input: { topic: documents.name, ...place },
  partitions: 1,
  changelogPartition: 0,
  topics,
  codec,
  onDocuments: () => undefined,
});
const terms = new TermsPart({
  input: { topic: topics.termChanges.name, ...place },
  changelogPartition: 0,
  topics,
  codec,
  intervalMs: 60_000,
});
for (const part of [corpus, terms] as Part[]) {
  part.beginRestore();
  part.endRestore(-1, -1, START);
}
await corpus.prepare(batches[0]!);
tell({ kind: 'ready' } satisfies CorpusReady);
await new Promise<void>((resolve) => process.once('message', () => resolve()));

const out = new BatchOutput();
const spent = stopwatch();
let now = START;
for (const batch of batches) {
  await corpus.prepare(batch);
  corpus.fold(batch, 0, batch.count, LIVE);
  corpus.emit(now, out);
  corpus.committed();
  const hop = out.takeHop();
  if (wanted.whole) {
    terms.fold(hop, 0, hop.count, LIVE);
    terms.emit(now, out);
    terms.committed();
  }
  now += COMMIT_MS;
}
if (wanted.whole) {
  // The last minute: rows to the changelog, shards to the readers.
  now += 60_000;
  terms.beginFlush(0);
  while (!terms.flushComplete || terms.isDue(now)) {
    terms.emit(now, out);
    terms.flush(5_000, terms.clock, out);
    terms.committed();
  }
}
const { seconds, cpuSeconds } = spent();
tell({
  kind: 'done',
  seconds,
  cpuSeconds,
  memoryMib: peakMemoryMib(),
  bytesIn,
  bytesOut: out.bytesOut,
  commits: batches.length,
  held: corpus.held,
} satisfies CorpusDone);
process.once('SIGTERM', () => process.exit(0));
