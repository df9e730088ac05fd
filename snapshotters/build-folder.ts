/**
 * Turns the files of a build into a finished folder: hashed, synced, described, and only then renamed to its final
 * name.
 *
 *   <run>/attempt-<random>/build/…files, manifest.json   what is being built; gone with the next attempt
 *   <run>/attempt-<random>/report.json
 *   <run>/finished/                                      the same folder, renamed: whole or not there
 */
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { MANIFEST_FILE, type Manifest, type ManifestFile } from '../publishing/versions/manifest.js';
import { FreshetError } from '../runtime/process/errors.js';
import { faultPoint } from './fault-points.js';
import type { BuildReport } from './snapshotter.js';

/** A finished folder and its report. */
export interface Built {
  /** Holds the data files and manifest.json. */
  readonly folder: string;
  readonly manifest: Manifest;
  readonly summary: readonly string[];
  readonly result: Readonly<Record<string, number>>;
  /** Records captured. */
  readonly records: number;
}

const FINISHED = 'finished';
const ATTEMPT = 'attempt-';
const BUILD = 'build';
const REPORT = 'report.json';

/** Only what is checked before it is used; the manifest itself was written by us. */
const reportSchema = z.object({
  manifest: z.object({
    run_id: z.string(),
    files: z.array(z.object({ name: z.string(), bytes: z.number(), sha256: z.string() })),
  }),
  summary: z.array(z.string()),
  result: z.record(z.string(), z.number()),
  records: z.number(),
});

/** An empty folder for a build; remains of earlier attempts are removed. */
export async function beginAttempt(runFolder: string): Promise<{ readonly attempt: string; readonly folder: string }> {
  await mkdir(runFolder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(runFolder))
    if (name.startsWith(ATTEMPT)) await rm(join(runFolder, name), { recursive: true, force: true });
  const attempt = join(runFolder, ATTEMPT + randomBytes(4).toString('hex'));
  const folder = join(attempt, BUILD);
  await mkdir(folder, { recursive: true });
  return { attempt, folder };
}

/**
 * Hashes and syncs the files, writes the manifest, and renames the folder. Errors: 'internal' when the build named a
 * file that does not exist, or left one that it did not name: a version consists of its manifest's files and no others.
 */
export async function finishBuild(
  runFolder: string,
  attempt: string,
  about: Omit<Manifest, 'files' | keyof Pick<BuildReport, 'settings' | 'counts' | 'figures' | 'checks'>>,
  report: BuildReport,
  records: number,
): Promise<Built> {
  const folder = join(attempt, BUILD);
  const named = [...new Set(report.files)].sort();
  const found = (await readdir(folder)).sort();
  if (named.join('\n') !== found.join('\n'))
    throw new FreshetError('internal', `the build names the files ${named.join(', ')}, but wrote ${found.join(', ')}`);
  const files: ManifestFile[] = [];
  for (const name of named) files.push(await synced(folder, name));
  const { settings, counts, figures, checks, summary, result } = report;
  const manifest: Manifest = { ...about, settings, counts, figures, checks, files };
  await writeSynced(join(folder, MANIFEST_FILE), manifest);
  await writeSynced(join(attempt, REPORT), { manifest, summary, result, records });
  await syncFolder(folder);
  await syncFolder(attempt);
  await faultPoint('build.synced', about.run_id);
  const finished = join(runFolder, FINISHED);
  // A folder that was found damaged, or whose build was moved out.
  await rm(finished, { recursive: true, force: true });
  await rename(attempt, finished);
  await syncFolder(runFolder);
  await faultPoint('build.finished', about.run_id);
  return { folder: join(finished, BUILD), manifest, summary, result, records };
}

/** What an earlier process of the run has finished, with every byte checked; null if there is nothing. */
export async function finishedBuild(runFolder: string, runId: string): Promise<Built | null> {
  const folder = join(runFolder, FINISHED, BUILD);
  try {
    const report = readReport(await readFile(join(runFolder, FINISHED, REPORT), 'utf8'));
    const { manifest } = report;
    if (manifest.run_id !== runId) return null;
    for (const expected of manifest.files) {
      const { bytes, sha256 } = await hashed(join(folder, expected.name));
      if (bytes !== expected.bytes || sha256 !== expected.sha256) return null;
    }
    const written = await readFile(join(folder, MANIFEST_FILE), 'utf8');
    return written === textOf(manifest) ? { ...report, folder } : null;
  } catch {
    // Missing or incomplete: it is built again.
    return null;
  }
}

function readReport(text: string): Omit<Built, 'folder'> {
  const report = JSON.parse(text) as Omit<Built, 'folder'>;
  reportSchema.parse(report);
  return report;
}

async function synced(folder: string, name: string): Promise<ManifestFile> {
  const path = join(folder, name);
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
  return { name, ...(await hashed(path)) };
}

async function hashed(path: string): Promise<{ bytes: number; sha256: string }> {
  const sha = createHash('sha256');
  let bytes = 0;
  await pipeline(createReadStream(path), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      sha.update(chunk);
      bytes += chunk.length;
    }
  });
  return { bytes, sha256: sha.digest('hex') };
}

async function writeSynced(path: string, value: unknown): Promise<void> {
  await writeFile(path, textOf(value), { flush: true });
}

function textOf(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** Makes names in a folder durable; systems that cannot do so (Windows) do not need it. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
