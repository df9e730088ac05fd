/** Synthetic terms of many languages through capture and build: how long it takes, and how much memory. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings } from '../../../assembly/settings.js';
import { Codec } from '../../../schemas/codec.js';
import { snapshotter } from '../../../snapshotters/stopwords/snapshotter.js';
import { Random } from '../../support/random.js';
import { TermCounts, termColumns } from '../../support/term-records.js';
import type { Figure, Report } from '../bench.js';

const LANGUAGES = 50;
const TERMS = 150_000;
const SOURCES = 5;
const DOCUMENTS_PER_SOURCE = 1_000_000;
const SECONDS_MAX = 60;
const LETTERS = 26;
const MIB = 2 ** 20;

export async function measureScale(seed: number, say: (line: string) => void): Promise<Report> {
  // Publishes every candidate that may be published.
  const settings = loadSettings({ STOPWORDS_CONFIDENCE_MIN: '0' });
  const codec = new Codec();
  const random = new Random(seed);
  const capture = snapshotter.createCapture(codec, settings);
  let capturedMs = 0;
  let bytesRead = 0;
  for (let number = 0; number < LANGUAGES; number++) {
    if (number % 10 === 0) say(`${number} of ${LANGUAGES} languages captured`);
    const columns = termColumns(codec, syntheticTerms(languageName(number), random).records());
    bytesRead += columns.bytes.length;
    const startedMs = performance.now();
    for (let row = 0; row < columns.count; row++) capture.add(columns, row);
    capturedMs += performance.now() - startedMs;
  }
  const folder = await mkdtemp(join(tmpdir(), 'stopwords-'));
  try {
    let startedMs = performance.now();
    const saved = capture.save();
    const savedMs = performance.now() - startedMs;
    startedMs = performance.now();
    const report = await snapshotter.build(capture, { folder, settings, previous: null, progress: () => undefined });
    const builtMs = performance.now() - startedMs;
    const figures: Figure[] = [
      {
        name: 'capture and build',
        value: (capturedMs + builtMs) / 1_000,
        unit: 's',
        aim: { atMost: SECONDS_MAX },
      },
      { name: '  capture', value: capturedMs / 1_000, unit: 's' },
      { name: '  build', value: builtMs / 1_000, unit: 's' },
      { name: 'save for a checkpoint', value: savedMs / 1_000, unit: 's' },
      { name: 'records read', value: bytesRead / MIB, unit: 'MiB' },
      { name: 'held by the capture', value: capture.bytes / MIB, unit: 'MiB' },
      { name: 'saved', value: saved.length / MIB, unit: 'MiB' },
      { name: 'words published', value: report.counts['words']!, unit: '' },
      { name: 'peak memory of the process', value: process.resourceUsage().maxRSS / 1_024, unit: 'MiB' },
    ];
    return {
      title: `stopwords, scale: ${LANGUAGES} languages of ${TERMS} terms each, ${SOURCES} sources, seed ${seed}`,
      figures,
      notes: ['Excludes reading from the log and publishing. The memory includes the generator.'],
    };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function languageName(number: number): string {
  return String.fromCharCode(97 + Math.floor(number / LETTERS), 97 + (number % LETTERS));
}

/** Frequencies by Zipf's law, rare words longer, sources each slightly different. */
function syntheticTerms(language: string, random: Random): TermCounts {
  const counts = new TermCounts(language);
  for (let source = 0; source < SOURCES; source++) counts.totals.set(`source-${source}`, DOCUMENTS_PER_SOURCE);
  for (let rank = 0; rank < TERMS; rank++) {
    const term = nameOf(rank);
    for (let source = 0; source < SOURCES; source++) {
      const documents = Math.floor((DOCUMENTS_PER_SOURCE * (0.25 + random.unit())) / (rank + 2));
      if (documents > 0) counts.set(term, `source-${source}`, documents);
    }
  }
  return counts;
}

/** a, b, …, z, aa, ab, … */
function nameOf(rank: number): string {
  let name = '';
  for (let left = rank; left >= 0; left = Math.floor(left / LETTERS) - 1)
    name = String.fromCharCode(97 + (left % LETTERS)) + name;
  return name;
}
