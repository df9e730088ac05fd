/** Documents to document frequencies: from memory, compared with scikit-learn's CountVectorizer, and on real Kafka. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Codec } from '../../schemas/codec.js';
import { projectRoot } from '../../schemas/project-root.js';
import { PYTHON_SETTINGS } from '../support/python.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { corpusOnKafka } from './corpus-kafka.js';
import { benchDocuments } from './corpus-texts.js';
import type { CorpusDone, CorpusInput, CorpusReady } from './corpus-worker.js';
import { Worker } from './worker.js';

const DOCUMENTS = 100_000;
const AIM = 28_000;
const CORES = 2;
/** CountVectorizer keeps everything in memory. */
const PEER_DOCUMENTS_MAX = 50_000;

export const corpus: Bench = {
  name: 'corpus',
  what: 'documents of 100 words in ten languages, 10 % changes, 2 % deletions, to document frequencies',
  async run({ events, seed, kafka, say }: BenchOptions): Promise<Report[]> {
    const documents = events ?? DOCUMENTS;
    const figures: Figure[] = [];
    const notes = [
      'a tenth of the documents is Japanese, split by ICU; "whole": term changes are also counted and written',
    ];
    const given = { documents, withLanguage: true };
    say('from memory, one core');
    const [one] = await inMemory([{ ...given, seed, whole: false }]);
    const [whole] = await inMemory([{ ...given, seed, whole: true }]);
    figures.push(rate('one core: documents per second', documents, [one!]));
    figures.push(rate('one core, whole', documents, [whole!]));
    say(`from memory, ${CORES} processes`);
    const parts = Array.from({ length: CORES }, (_, i) => ({ ...given, seed: seed + i }));
    const both = await inMemory(parts.map((part) => ({ ...part, whole: false })));
    figures.push({ ...rate(`${CORES} cores: documents per second`, documents, both), aim: { atLeast: AIM } });
    const bothWhole = await inMemory(parts.map((part) => ({ ...part, whole: true })));
    figures.push(rate(`${CORES} cores, whole`, documents, bothWhole));
    say('from memory, languages detected');
    const [detected] = await inMemory([{ documents, seed, whole: false, withLanguage: false }]);
    figures.push(rate('one core, every language detected', documents, [detected!]));
    figures.push(...kept(whole!, documents));
    say('scikit-learn’s CountVectorizer');
    const peer = await countVectorizer(Math.min(documents, PEER_DOCUMENTS_MAX), seed);
    if (typeof peer === 'string') notes.push(`no CountVectorizer: ${peer}`);
    else {
      figures.push({ name: `CountVectorizer ${peer.version}, one core`, value: peer.perSecond, unit: 'texts/CPU-s' });
      const ratio = documents / one!.cpuSeconds / peer.perSecond;
      figures.push({ name: 'ratio of ours to theirs, per CPU-second', value: ratio, unit: '×' });
      notes.push('CountVectorizer counts once, subtracts nothing, and does not split Japanese');
    }
    if (kafka) figures.push(...(await corpusOnKafka({ documents, seed, members: CORES }, say)));
    return [{ title: `corpus: ${documents} documents per core`, figures, notes }];
  },
};

/** Runs a worker per part, all at once. */
async function inMemory(parts: readonly CorpusInput[]): Promise<CorpusDone[]> {
  const workers = parts.map((part) => new Worker('corpus-worker', part));
  try {
    await Promise.all(workers.map((worker) => worker.next<CorpusReady>('ready')));
    for (const worker of workers) worker.send({ kind: 'go' });
    return await Promise.all(workers.map((worker) => worker.next<CorpusDone>('done')));
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

function rate(name: string, documents: number, done: readonly CorpusDone[]): Figure {
  const seconds = Math.max(...done.map((one) => one.seconds));
  return { name, value: (documents * done.length) / seconds, unit: 'documents/s' };
}

function kept({ held, bytesIn, bytesOut, cpuSeconds, memoryMib }: CorpusDone, documents: number): Figure[] {
  return [
    { name: 'documents per CPU-second, whole', value: documents / cpuSeconds, unit: 'documents/CPU-s' },
    { name: 'state per document', value: held.bytes / held.documents, unit: 'B' },
    { name: '  of it term lists', value: held.listBytes / held.documents, unit: 'B' },
    { name: 'bytes in per document', value: bytesIn / documents, unit: 'B' },
    ...Object.entries(bytesOut).map(([topic, bytes]) => ({ name: `  ${topic}`, value: bytes / documents, unit: 'B' })),
    { name: 'peak memory', value: memoryMib, unit: 'MiB' },
  ];
}

/** The same texts, once each; a sentence if it cannot be run. */
async function countVectorizer(
  documents: number,
  seed: number,
): Promise<{ readonly perSecond: number; readonly version: string } | string> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-corpus-'));
  try {
    const texts = [...benchDocuments({ seed, documents, withLanguage: true, codec: new Codec() })]
      .filter(({ text }) => text !== null)
      .map(({ text }) => JSON.stringify(text));
    const file = join(folder, 'texts.jsonl');
    await writeFile(file, texts.join('\n'));
    const script = join(projectRoot, 'test', 'bench', 'corpus.py');
    const env = { ...process.env, ...PYTHON_SETTINGS, OMP_NUM_THREADS: '1' };
    const { stdout } = await promisify(execFile)('python3', [script, file], { env });
    const { seconds, version } = JSON.parse(stdout) as { seconds: number; version: string };
    return { perSecond: texts.length / seconds, version };
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    return (stderr?.trim() || message).split('\n').at(-1)!;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
