/** What the process of a snapshot does, in whichever process it runs: capture, build, check, finish the folder. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MANIFEST_FILE, type Manifest } from '../publishing/versions/manifest.js';
import type { Clock } from '../runtime/process/clock.js';
import type { Logger } from '../runtime/process/logger.js';
import type { Codec } from '../schemas/codec.js';
import { projectRoot } from '../schemas/project-root.js';
import { type Built, beginAttempt, finishBuild, finishedBuild } from './build-folder.js';
import { type CaptureLog, captureTopics } from './capture.js';
import { CaptureSavepoint } from './capture-savepoint.js';
import type { ChildJob } from './child-messages.js';
import { faultPoint } from './fault-points.js';
import type { BuildContext, Snapshotter } from './snapshotter.js';

interface MakeOptions {
  readonly snapshotter: Snapshotter;
  readonly job: Omit<ChildJob, 'module'>;
  readonly log: CaptureLog;
  readonly codec: Codec;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly progress: (phase: string, done: number, total: number | null) => void;
  /** Ends a capture, with a savepoint. A build is not interrupted: its input is in the savepoint. */
  readonly signal: AbortSignal;
}

const SAVEPOINT = 'capture.savepoint';

/**
 * Null when the signal ended it. A finished folder of the same run is returned as it is. Errors: those of the capture
 * and of the build.
 */
export async function makeSnapshot(o: MakeOptions): Promise<Built | null> {
  const { snapshotter, job, codec, clock, logger } = o;
  const { runId, runFolder, settings } = job;
  const finished = await finishedBuild(runFolder, runId);
  if (finished !== null) {
    logger.info({ event: 'build_found', job_name: snapshotter.name, run_id: runId });
    return finished;
  }
  const { attempt, folder } = await beginAttempt(runFolder);
  const codeVersion = packageVersion();
  const captured = await captureTopics({
    ...o,
    job: snapshotter.name,
    topics: snapshotter.topics,
    createCapture: () => snapshotter.createCapture(codec, settings),
    savepoint: new CaptureSavepoint({
      path: join(runFolder, SAVEPOINT),
      runId,
      fingerprint: fingerprintOf([codeVersion, settings]),
      logger,
    }),
    ...job.pace,
    progress: (done, total) => o.progress('capture', done, total),
  });
  if (captured === null) return null;
  const { capture, inputs, records } = captured;
  o.progress('build', 0, null);
  const context: BuildContext = { folder, settings, previous: await previousOf(job), progress: o.progress };
  const report = await snapshotter.build(capture, context);
  await faultPoint('build.done', snapshotter.name);
  const about = {
    artefact: snapshotter.artefact,
    run_id: runId,
    created_at: new Date(clock.now()).toISOString(),
    code_version: codeVersion,
    inputs,
  };
  return finishBuild(runFolder, attempt, about, report, records);
}

/** Null also when its folder is missing or on another machine. */
async function previousOf({ previous }: MakeOptions['job']): Promise<BuildContext['previous']> {
  if (previous === null) return null;
  try {
    const manifest = JSON.parse(await readFile(join(previous.folder, MANIFEST_FILE), 'utf8')) as Manifest;
    return { ...previous, manifest };
  } catch {
    return null;
  }
}

function fingerprintOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex');
}

function packageVersion(): string {
  const text = readFileSync(join(projectRoot, 'package.json'), 'utf8');
  return z.object({ version: z.string() }).parse(JSON.parse(text)).version;
}
