/** Lists built by the real snapshotter from real text, compared with lists that people made. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings, type Settings } from '../../../assembly/settings.js';
import { WORDS_FILE, type Word } from '../../../publishing/versions/artefacts/words.js';
import { Codec } from '../../../schemas/codec.js';
import type { BuildContext, BuildReport } from '../../../snapshotters/snapshotter.js';
import { snapshotter } from '../../../snapshotters/stopwords/snapshotter.js';
import { type TermCounts, termColumns } from '../../support/term-records.js';

export interface Lists {
  readonly report: BuildReport;
  readonly byLanguage: ReadonlyMap<string, readonly Word[]>;
}

/** Records, capture, build; the file is read back. */
export async function listsFrom(
  counts: Iterable<TermCounts>,
  settings: Settings = loadSettings({}),
  previous: BuildContext['previous'] = null,
): Promise<Lists> {
  const codec = new Codec();
  const capture = snapshotter.createCapture(codec, settings);
  for (const language of counts) {
    const columns = termColumns(codec, language.records());
    for (let row = 0; row < columns.count; row++) capture.add(columns, row);
  }
  const folder = await mkdtemp(join(tmpdir(), 'stopwords-'));
  try {
    const report = await snapshotter.build(capture, { folder, settings, previous, progress: () => undefined });
    return { report, byLanguage: readLists(await readFile(join(folder, WORDS_FILE), 'utf8')) };
  } finally {
    await rm(folder, { recursive: true });
  }
}

function readLists(text: string): Map<string, Word[]> {
  const lists = new Map<string, Word[]>();
  for (const line of text.split('\n').slice(0, -1)) {
    const { language, ...word } = JSON.parse(line) as Word & { language: string };
    const list = lists.get(language);
    if (list === undefined) lists.set(language, [word]);
    else list.push(word);
  }
  return lists;
}

/** The lists of stopwords-iso, in lower case: used for evaluation, never for training. */
export function referenceLists(): Map<string, ReadonlySet<string>> {
  const lists = createRequire(import.meta.url)('stopwords-iso') as Record<string, readonly string[]>;
  return new Map(
    Object.entries(lists).map(([language, words]) => [language, new Set(words.map((word) => word.toLowerCase()))]),
  );
}

/** The share of the first n words that are on the list; missing words of a short list count as wrong. */
export function precisionAt(n: number, words: readonly string[], reference: ReadonlySet<string>): number {
  return words.slice(0, n).filter((word) => reference.has(word)).length / n;
}
