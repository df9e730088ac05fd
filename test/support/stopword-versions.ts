/**
 * Versions of stopwords for tests: builds whose every word identifies its build, so that a mixture of two would be
 * noticed, and readers that look for exactly that.
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
/** Every build has these, and `odd` builds have one more: languages come and go with versions. */
export const LANGUAGES = ['de', 'en', 'fr', 'zh-Hant'] as const;
export const SOMETIMES = 'pt';
const WORDS = 40;

export interface Scene {
  readonly database: Database;
  readonly store: OnlineStore;
  readonly layout: Layout;
  readonly log: MemoryLog;
  readonly root: string;
  /** Folder of unfinished builds. */
  readonly work: string;
  /** The versions of one process; `over` replaces parts of it. */
  machine(over?: Partial<VersionsOptions>): Versions;
  reader(pinned?: Pinned, store?: OnlineStore): FeatureReader;
  /** A finished folder: build `number`, from 1, of a new run unless one is given. */
  build(number: number, runId?: string): Promise<Build>;
}

/** Needs a migrated private database; its tables of versions are emptied. Keys get a unique prefix. */
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

/** Confidence of the words of build n: in millionths, it is the number of the build. */
function confidenceOf(number: number): number {
  return Number((number / 1_000_000).toFixed(6));
}

/** The build of all words; fails if they are not from the same one. */
export function buildOf(words: Readonly<Record<string, number>>): number {
  const builds = new Set(Object.values(words).map((confidence) => Math.round(confidence * 1_000_000)));
  assert.equal(builds.size, 1, `words of builds ${[...builds].join(' and ')} were read at once`);
  const [number] = [...builds];
  assert.equal(Object.keys(words).length, WORDS, `build ${number} was read in part`);
  for (const word of Object.keys(words))
    assert.ok(word.endsWith(`.${number}`), `${word} is among the words of build ${number}`);
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

/** A folder with this text as its words, and a matching manifest. */
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

/** The record of `releases` that compaction would keep; null if none. */
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

/** Writes a record of `releases` directly, like a late writer. */
export async function writeRelease(log: MemoryLog, release: Partial<Release>): Promise<void> {
  const writer = await log.writer(['releases']);
  const rest = { candidate: null, share: 0, manifest: '{}', topics: [] };
  const value = codec.encode('Release', { artefact: 'stopwords', current: 1, ...rest, ...release });
  writer.add('releases', Buffer.from('stopwords'), value);
  await writer.flush();
}

/** The token that the store has followed. */
export async function heldToken(
  { store, layout }: Scene,
  artefact: Artefact = 'stopwords',
): Promise<SwitchToken | null> {
  return parseToken(await store.get(layout.versionSequence(artefact)));
}

/** Deletes everything under the scene's prefix, fences too: like FLUSHALL, but affecting no one else. */
export async function emptyStore({ store, layout }: Scene): Promise<void> {
  const prefix = layout.currentVersion('stopwords').replace('meta:stopwords:current', '');
  await store.discard(await store.keys(prefix));
}
