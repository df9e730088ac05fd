/**
 * Versions of stopwords for tests: builds whose every word says of which build it is, so that half of one and half of
 * another would be seen, and readers that look for just that.
 */

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { type Artefact, Layout } from '../../publishing/layout.js';
import { migrateUp } from '../../publishing/migrations/migrate.js';
import { createFeatureReader, type FeatureReader } from '../../publishing/reading/reader.js';
import { createVersions, type VersionsOptions, type VersionsPace } from '../../publishing/versions/create.js';
import { MANIFEST_FILE, type Manifest } from '../../publishing/versions/manifest.js';
import type { Pinned } from '../../publishing/versions/pins.js';
import type { Build, Versions } from '../../publishing/versions/versions.js';
import { type Clock, systemClock } from '../../runtime/process/clock.js';
import { silentLogger } from '../../runtime/process/logger.js';
import type { Database } from '../../runtime/stores/database.js';
import type { OnlineStore } from '../../runtime/stores/online-store.js';
import { artifactsFolder } from '../../runtime/stores/settings.js';
import { parseToken, type SwitchToken } from '../../runtime/stores/switch-token.js';
import type { Release } from '../../schemas/records.js';
import type { MemoryLog } from './memory-log.js';
import { codec, endsOf, memoryLog } from './publishing.js';

/** Short waits. */
const PACE: VersionsPace = { checkMs: 20, retainMs: 50, followMsMax: 5_000, retryMs: 10 };
/** Every build has these, and of `odd` builds one more: languages come and go with versions. */
export const LANGUAGES = ['de', 'en', 'fr', 'zh-Hant'] as const;
export const SOMETIMES = 'pt';
const WORDS = 40;

export interface Scene {
  readonly database: Database;
  readonly store: OnlineStore;
  readonly layout: Layout;
  readonly log: MemoryLog;
  readonly root: string;
  /** Where unfinished folders lie. */
  readonly work: string;
  /** One process's machine; `over` exchanges parts of it. */
  machine(over?: Partial<VersionsOptions>): Versions;
  reader(pinned?: Pinned, store?: OnlineStore): FeatureReader;
  /** A finished folder: build `number`, from 1, of a run of its own unless one is named. */
  build(number: number, runId?: string): Promise<Build>;
}

/** A migrated database of its own is needed; its tables of versions are emptied. Keys get a prefix of their own. */
export async function scene(
  t: TestContext,
  database: Database,
  store: OnlineStore,
  {
    clock = systemClock,
    keyPrefix = `v${randomBytes(4).toString('hex')}:`,
  }: { clock?: Clock; keyPrefix?: string } = {},
): Promise<Scene> {
  const root = await mkdtemp(join(tmpdir(), 'freshet-versions-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  await migrateUp(database);
  await database.execute(
    'TRUNCATE versions, version_heads, version_pins, stopwords, als_user_factors, als_item_factors, faiss_indexes, erased_subjects',
  );
  const settings = loadSettings({ REDIS_KEY_PREFIX: keyPrefix, ARTIFACTS_DIR: join(root, 'artifacts') });
  const work = join(artifactsFolder(settings), '.work');
  const log = await memoryLog(1);
  const machine = (over: Partial<VersionsOptions> = {}) => {
    const made = createVersions({
      ...{ database, store, log, codec, settings, clock, pace: PACE },
      ...openReporting(silentLogger),
      ...over,
    });
    t.after(() => made.stop());
    return made;
  };
  return {
    ...{ database, store, layout: new Layout(keyPrefix), log, root, work, machine },
    reader: (pinned = {}, from = store) => createFeatureReader({ store: from, database, keyPrefix, clock, pinned }),
    build: (number, runId = `run-${number}-${randomBytes(3).toString('hex')}`) =>
      finishedFolder(join(work, runId), number, runId),
  };
}

/** Confidence of word i of build n: it tells the build in its whole part of thousandths of thousandths. */
function confidenceOf(number: number): number {
  return Number((number / 1_000_000).toFixed(6));
}

/** The build that all words are of; fails when they are not of one. */
export function buildOf(words: Readonly<Record<string, number>>): number {
  const builds = new Set(Object.values(words).map((confidence) => Math.round(confidence * 1_000_000)));
  assert.equal(builds.size, 1, `words of builds ${[...builds].join(' and ')} were read at once`);
  const [number] = [...builds];
  assert.equal(Object.keys(words).length, WORDS, `build ${number} was read in part`);
  for (const word of Object.keys(words))
    assert.ok(word.endsWith(`.${number}`), `${word} stands among those of ${number}`);
  return number!;
}

export function hasSometimes(number: number): boolean {
  return number % 2 === 1;
}

async function finishedFolder(folder: string, number: number, runId: string): Promise<Build> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const lines: string[] = [];
  const languages = [...LANGUAGES, ...(hasSometimes(number) ? [SOMETIMES] : [])].sort();
  for (const language of languages)
    for (let i = 0; i < WORDS; i++) {
      const word = { language, word: `w${i}.${number}`, confidence: confidenceOf(number), idf: 1 + i / 7 };
      lines.push(JSON.stringify({ ...word, document_frequency: 1_000 + i }));
    }
  return writeBuild(folder, runId, `${lines.join('\n')}\n`);
}

/** A folder with this text as its words, and a manifest that fits. */
export async function writeBuild(folder: string, runId: string, text: string): Promise<Build> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = { name: 'stopwords.jsonl', bytes: Buffer.byteLength(text), sha256: sha256(text) };
  const manifest: Manifest = {
    artefact: 'stopwords',
    run_id: runId,
    created_at: '2026-01-02T03:04:05.000Z',
    code_version: '0.0.0',
    inputs: [{ topic: 'terms', partition: 0, from: 0, to: 7, at: '2026-01-02T03:04:00.000Z' }],
    settings: { STOPWORDS_WORDS_MAX: 3000 },
    counts: { words: text.split('\n').length - 1 },
    figures: {},
    checks: [{ name: 'count', passed: true, figure: 1, sentence: 'enough' }],
    files: [file],
  };
  await writeFile(join(folder, file.name), text);
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
  return { artefact: 'stopwords', folder, manifest };
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** The record of `releases` that compaction would keep; null: none. */
export async function lastRelease(log: MemoryLog, artefact = 'stopwords'): Promise<Release | null> {
  const [end] = await endsOf(log, 'releases');
  const reader = log.reader([{ topic: 'releases', partition: 0, offset: 0 }]);
  let last: Release | null = null;
  while (reader.position({ topic: 'releases', partition: 0 }) < end!.offset)
    for (const { count, bytes, valueStart, valueEnd } of await reader.poll())
      for (let row = 0; row < count; row++) {
        const release = codec.decode('Release', bytes, valueStart[row]!, valueEnd[row]!) as Release;
        if (release.artefact === artefact) last = release;
      }
  return last;
}

/** Writes a record of `releases` by hand, as a late writer would. */
export async function writeRelease(log: MemoryLog, release: Partial<Release>): Promise<void> {
  const writer = await log.writer(['releases']);
  const rest = { candidate: null, share: 0, manifest: '{}', topics: [] };
  const value = codec.encode('Release', { artefact: 'stopwords', current: 1, ...rest, ...release });
  writer.add('releases', Buffer.from('stopwords'), value);
  await writer.flush();
}

/** What the store has followed. */
export async function heldToken(
  { store, layout }: Scene,
  artefact: Artefact = 'stopwords',
): Promise<SwitchToken | null> {
  return parseToken(await store.get(layout.versionSequence(artefact)));
}

/** Everything under the scene's prefix, fences too: as FLUSHALL would, but for nobody else. */
export async function emptyStore({ store, layout }: Scene): Promise<void> {
  const prefix = layout.currentVersion('stopwords').replace('meta:stopwords:current', '');
  await store.discard(await store.keys(prefix));
}
