/** The snapshotter from records to files, in memory except for the folder. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSettings, type Settings } from '../../../../assembly/settings.js';
import { WORDS_FILE, type Word } from '../../../../publishing/versions/artefacts/words.js';
import { MANIFEST_FILE, type Manifest } from '../../../../publishing/versions/manifest.js';
import { Codec } from '../../../../schemas/codec.js';
import type { BuildContext, BuildReport } from '../../../../snapshotters/snapshotter.js';
import { snapshotter } from '../../../../snapshotters/stopwords/snapshotter.js';
import { type TermCounts, termColumns } from '../../../support/term-records.js';

export type Line = Word & { readonly language: string };

export interface BuiltFiles {
  readonly report: BuildReport;
  readonly text: string;
  readonly lines: readonly Line[];
  readonly progress: readonly (readonly [phase: string, done: number, total: number | null])[];
}

export interface BuildOptions {
  readonly settings?: Settings;
  readonly previous?: BuildContext['previous'];
}

/** Errors: those of the build. */
export async function build(counts: readonly TermCounts[], options: BuildOptions = {}): Promise<BuiltFiles> {
  const { settings = loadSettings({}), previous = null } = options;
  const codec = new Codec();
  const capture = snapshotter.createCapture(codec, settings);
  for (const language of counts) {
    const columns = termColumns(codec, language.records());
    for (let row = 0; row < columns.count; row++) capture.add(columns, row);
  }
  const folder = await mkdtemp(join(tmpdir(), 'stopwords-'));
  try {
    const told: [string, number, number | null][] = [];
    const progress: BuildContext['progress'] = (...said) => told.push(said);
    const report = await snapshotter.build(capture, { folder, settings, previous, progress });
    const text = await readFile(join(folder, WORDS_FILE), 'utf8');
    const lines = text.split('\n').slice(0, -1);
    return { report, text, lines: lines.map((line) => JSON.parse(line) as Line), progress: told };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** A build as the current version; `change` may damage its file. The folder is removed after `use`. */
export async function withPrevious<T>(
  { report, text }: BuiltFiles,
  use: (previous: NonNullable<BuildContext['previous']>, path: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'stopwords-v3-'));
  try {
    const path = join(folder, WORDS_FILE);
    await writeFile(path, text);
    const { settings, counts, figures, checks } = report;
    const manifest: Manifest = {
      artefact: 'stopwords',
      run_id: 'run-3',
      created_at: '2025-06-01T02:00:00.000Z',
      code_version: '0.1.0',
      inputs: [],
      settings,
      counts,
      figures,
      checks,
      files: [{ name: WORDS_FILE, bytes: Buffer.byteLength(text), sha256: '' }],
    };
    await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
    return await use({ version: 3, folder, manifest }, path);
  } finally {
    await rm(folder, { recursive: true });
  }
}
