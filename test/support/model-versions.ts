/** Versions of models for tests: builds like those of the snapshotters, whose factors identify their build. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelReader } from '../../publishing/reading/models.js';
import { ITEM_FACTORS_FILE, USER_FACTORS_FILE, writeFactors } from '../../publishing/versions/artefacts/factor-file.js';
import { INDEX_FILE } from '../../publishing/versions/artefacts/faiss.js';
import { MANIFEST_FILE, type Manifest } from '../../publishing/versions/manifest.js';
import type { Build } from '../../publishing/versions/versions.js';
import type { WitnessedRead } from './version-chaos.js';

export interface ModelBuild {
  /** The name of its folder; a new one each time by default. */
  readonly runId?: string;
  /** Every factor of user i is this plus i hundredths. */
  readonly number: number;
  readonly users: readonly string[];
  readonly products?: readonly string[];
  readonly factors?: number;
  /** When its inputs were captured, ms. */
  readonly capturedMs?: number;
}

/** The factor that `modelBuild` gives user i of the sorted ids. */
export function factorOf(number: number, i: number): number {
  return Math.fround(number + (i % 100) / 100);
}

/** A finished folder of a recommendation model under `work`. Ids must be in byte order. */
export async function modelBuild(work: string, build: ModelBuild): Promise<Build> {
  const { number, users, products = ['p1', 'p2'], factors = 3, capturedMs = Date.UTC(2026, 0, 2) } = build;
  const { runId = `als-${number}-${randomBytes(3).toString('hex')}` } = build;
  const folder = join(work, runId);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const [file, ids] of [
    [USER_FACTORS_FILE, users],
    [ITEM_FACTORS_FILE, products],
  ] as const)
    await writeFactors(join(folder, file), {
      rows: ids.length,
      factors,
      idOf: (row) => Buffer.from(ids[row]!),
      copyFactors: (row, target, at) => target.fill(factorOf(number, row), at, at + factors),
    });
  const counts = { users: users.length, products: products.length };
  return finish(folder, { artefact: 'als', runId, capturedMs, counts, settings: { ALS_FACTORS: factors } }, [
    USER_FACTORS_FILE,
    ITEM_FACTORS_FILE,
  ]);
}

/** Reads the factors of one user at a time, of models with these users. */
export function readingFactors(reader: ModelReader, users: readonly string[]): WitnessedRead {
  return async (turn) => {
    const i = turn % users.length;
    const { version, factors } = await reader.userFactors(users[i]!);
    assert.ok(factors !== null, `${users[i]} was not there in version ${version}`);
    const build = Math.floor(factors[0]!);
    for (const factor of factors) assert.equal(factor, factorOf(build, i), `factors of ${users[i]} in ${version}`);
    return { version, build };
  };
}

/** A finished folder of a search index, whose file is not an index but contains its number. */
export async function indexBuild(work: string, number: number, over: Partial<Manifest> = {}): Promise<Build> {
  const runId = `faiss-${number}-${randomBytes(3).toString('hex')}`;
  const folder = join(work, runId);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFile(join(folder, INDEX_FILE), `index ${number}`);
  const settings = { model: 'hashed', dimension: 384, kind: 'flat' };
  const facts = { artefact: 'faiss', runId, capturedMs: 0, counts: { products: 10 * number }, settings } as const;
  return finish(folder, facts, [INDEX_FILE], over);
}

interface BuildFacts {
  readonly artefact: 'als' | 'faiss';
  readonly runId: string;
  readonly capturedMs: number;
  readonly counts: Manifest['counts'];
  readonly settings: Manifest['settings'];
}

async function finish(
  folder: string,
  { artefact, runId, capturedMs, counts, settings }: BuildFacts,
  names: readonly string[],
  over: Partial<Manifest> = {},
): Promise<Build> {
  const at = new Date(capturedMs).toISOString();
  const files = names.map(async (name) => {
    const bytes = await readFile(join(folder, name));
    return { name, bytes: (await stat(join(folder, name))).size, sha256: sha256(bytes) };
  });
  const manifest: Manifest = {
    artefact,
    run_id: runId,
    created_at: at,
    code_version: '0.0.0',
    inputs: [{ topic: artefact === 'als' ? 'interactions.v1' : 'embeddings', partition: 0, from: 0, to: 7, at }],
    settings,
    counts,
    figures: {},
    checks: [],
    files: await Promise.all(files),
    ...over,
  };
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
  return { artefact, folder, manifest };
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
