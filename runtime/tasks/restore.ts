/**
 * How a task is restored, after its writer has fenced the previous owner:
 *
 *   changelog has no open transaction
 *     → valid checkpoint: load it, read the changelog from its recorded offset for the newest marker
 *     → otherwise: read the entire changelog, newest rows and newest marker
 *   → read the input up to the marker, folding without emitting: from the checkpoint, or from where the last complete
 *     flush started (and before that, as far as duplicates reach)
 *
 * Both ways lead to the same bits: state is a function of the input log. A restore writes nothing.
 */
import { randomUUID } from 'node:crypto';
import type { Log, RecordColumns } from '../log/log.js';
import { FreshetError, messageOf } from '../process/errors.js';
import type { Changelog } from './changelog.js';
import type { CheckpointFile, CheckpointHeader } from './checkpoint-file.js';
import type { TaskCheckpoints } from './checkpoints.js';
import { faultPoint } from './fault-points.js';
import { type Marker, markerPartOf } from './marker.js';
import { LIVE, type ProcessorDeclaration } from './processor.js';
import { readStretches } from './stretches.js';
import { foldBatch, type Patience, partOf, prepareBatch, type TrackedPart } from './tracked-part.js';

/** An older checkpoint is not trusted, nor is one from the future, which means that a clock has jumped. */
export const CHECKPOINT_AGE_MS_MAX = 6 * 86_400_000;

interface RestoreOptions extends Patience {
  readonly declaration: ProcessorDeclaration;
  readonly log: Log;
  readonly changelog: Changelog;
  /** Null: the task has no checkpoints. */
  readonly checkpoints: TaskCheckpoints | null;
  /** Id of the changelog topic; null where the log has no ids. */
  readonly changelogId: string | null;
  readonly startParts: () => TrackedPart[];
}

interface Restored {
  readonly from: 'nothing' | 'checkpoint' | 'changelog';
  readonly parts: TrackedPart[];
  readonly marker: Marker | null;
  readonly incarnation: string;
  /** Offset of this marker in the changelog, or of the first one to come. */
  readonly markerOffset: number;
  /** Sequence of the last commit that a checkpoint contains; 0 if there is none. */
  readonly checkpointSequence: number;
  /** Number of input records that were read again. */
  readonly replayed: number;
}

/**
 * Errors: 'state' when the changelog belongs to other folds or settings, has rows of another schema, is held by a hanging
 * transaction, or the task is stopped meanwhile; 'offset_out_of_range' when the input no longer holds what is needed.
 */
export async function restoreTask(options: RestoreOptions): Promise<Restored> {
  const { task, changelog, clock, signal } = options;
  const end = await changelog.stableEnd(signal);
  const found = (await fromCheckpoint(options, end)) ?? (await fromChangelog(options, end));
  const { parts, marker } = found;
  await faultPoint('restore.changelog_read', task);
  const replayed = marker === null ? 0 : await replay(options, parts, marker);
  const now = clock.now();
  for (const tracked of parts) {
    const at = marker === null ? undefined : markerPartOf(marker, tracked.part.input);
    tracked.part.endRestore(at?.clock ?? -1, at?.swept_day ?? -1, now);
    tracked.committed = tracked.position;
    tracked.mode = LIVE;
  }
  return { ...found, incarnation: marker?.incarnation ?? randomUUID(), replayed };
}

type Found = Pick<Restored, 'from' | 'parts' | 'marker' | 'markerOffset' | 'checkpointSequence'>;

async function fromChangelog(options: RestoreOptions, end: number): Promise<Found> {
  const { changelog, signal } = options;
  const parts = options.startParts();
  for (const { part } of parts) part.beginRestore();
  const { earliest } = await changelog.offsets();
  const newest = await changelog.newestMarker(earliest, end, signal, (batch, row) => {
    refuseOtherRows(options.declaration, batch, row);
    for (const { part } of parts) part.restoreRow(batch, row);
  });
  const marker = newest?.marker ?? null;
  await startPositions(options, parts, marker, null);
  const from = marker === null ? 'nothing' : 'changelog';
  return { from, parts, marker, markerOffset: newest?.offset ?? end, checkpointSequence: 0 };
}

/** Null when there is no checkpoint, or one that had to be discarded. */
async function fromCheckpoint(options: RestoreOptions, end: number): Promise<Found | null> {
  const { checkpoints, changelog, task, signal } = options;
  const file = checkpoints === null ? null : await checkpoints.open();
  if (checkpoints === null || file === null) return null;
  try {
    const { header } = file;
    const { earliest } = await changelog.offsets();
    const newest = await changelog.newestMarker(Math.max(earliest, header.changelog_offset), end, signal);
    if (newest === null) {
      await checkpoints.discard('the changelog has no marker at its offset: it was recreated');
      return null;
    }
    const { marker, offset } = newest;
    refuseOtherState(task, marker, options.declaration.fingerprint);
    const problem = await problemWith(options, header, marker);
    if (problem !== null) {
      await checkpoints.discard(problem);
      return null;
    }
    const parts = await load(options, file, marker);
    if (parts === null) return null;
    await startPositions(options, parts, marker, header);
    await faultPoint('restore.checkpoint_loaded', task);
    return { from: 'checkpoint', parts, marker, markerOffset: offset, checkpointSequence: header.sequence };
  } finally {
    await file.close();
  }
}

/** Why a checkpoint cannot be used; null if its header shows no reason. */
async function problemWith(
  { task, log, clock, changelogId }: RestoreOptions,
  header: CheckpointHeader,
  marker: Marker,
): Promise<string | null> {
  if (header.task !== task) return `it is that of ${header.task}`;
  if (header.incarnation !== marker.incarnation) return 'it is of another incarnation';
  if (header.changelog_id !== changelogId) return 'the log has lost commits since it was written';
  if (header.fingerprint !== marker.fingerprint) return 'it was made by other folds or settings';
  if (Math.abs(clock.now() - header.created_at) > CHECKPOINT_AGE_MS_MAX) return 'it is older than six days';
  if (header.sequence > marker.sequence) return 'it is ahead of the changelog, which has lost commits';
  for (const at of marker.parts) {
    const part = header.parts.find(({ topic, partition }) => topic === at.topic && partition === at.partition);
    const name = `${at.topic}[${at.partition}]`;
    if (part === undefined) return `it knows nothing of ${name}`;
    if (part.offset > at.offset) return `it is ahead of the changelog, which has lost commits of ${name}`;
    const { earliest } = await log.offsets(at);
    if (part.offset < at.offset && part.offset < earliest)
      return `${name} begins at ${earliest}: what follows its offset ${part.offset} is gone`;
  }
  return null;
}

/** Null when its columns are damaged or do not fit the parts; it is discarded then. */
async function load(options: RestoreOptions, file: CheckpointFile, marker: Marker): Promise<TrackedPart[] | null> {
  const parts = options.startParts();
  try {
    const columns = await file.columns();
    for (const [i, { part }] of parts.entries())
      part.load!(columns.within(String(i)), markerPartOf(marker, part.input)!);
    return parts;
  } catch (error) {
    await options.checkpoints!.discard(messageOf(error));
    return null;
  }
}

/** Throws FreshetError('state') when the state has another fingerprint. */
export function refuseOtherState(task: string, marker: Marker, fingerprint: string): void {
  if (marker.fingerprint === fingerprint) return;
  throw new FreshetError(
    'state',
    `${task}: its state was made by other folds or settings and cannot go on.\n  state: ${marker.fingerprint}\n` +
      `  code:  ${fingerprint}\nSet the settings back, or start the next version by replay.`,
  );
}

function refuseOtherRows({ changelog, rowPrefix }: ProcessorDeclaration, batch: RecordColumns, row: number): void {
  const start = batch.valueStart[row]!;
  if (rowPrefix === undefined || start < 0) return;
  const end = Math.min(batch.valueEnd[row]!, start + rowPrefix.length);
  if (batch.bytes.compare(rowPrefix, 0, rowPrefix.length, start, end) === 0) return;
  throw new FreshetError(
    'state',
    `${changelog}: its rows have another schema than this code writes, so they are the state of another version of the ` +
      'fold and cannot go on. Go back to that version of the code, or start the next version by replay.',
  );
}

/** Where each part continues to read, and what the records up to the marker may still change. */
async function startPositions(
  { task, declaration, log }: RestoreOptions,
  parts: readonly TrackedPart[],
  marker: Marker | null,
  checkpoint: CheckpointHeader | null,
): Promise<void> {
  if (marker !== null) refuseOtherState(task, marker, declaration.fingerprint);
  for (const tracked of parts) {
    const { input } = tracked.part;
    const available = await log.offsets(input);
    if (marker === null) {
      tracked.position = available.earliest;
      tracked.restoreFrom = available.earliest;
      continue;
    }
    const at = markerPartOf(marker, input);
    if (at === undefined)
      throw new FreshetError('state', `${task}: its marker knows nothing of ${input.topic}[${input.partition}]`);
    if (at.offset > available.highWatermark)
      throw new FreshetError(
        'offset_out_of_range',
        `${task} has read ${input.topic}[${input.partition}] to ${at.offset}, but it ends at ` +
          `${available.highWatermark}: the topic was truncated or recreated. Offsets are never reset; replay into the next version.`,
      );
    tracked.restoreFrom = at.restore_from;
    tracked.restoreClock = at.restore_clock;
    const held = checkpoint?.parts.find((part) => part.topic === input.topic && part.partition === input.partition);
    if (held !== undefined) {
      tracked.position = held.offset;
      tracked.mode = { restoring: true, stateFrom: held.offset, dueFrom: at.oldest_due };
    } else {
      const horizon = tracked.part.replayHorizon(at.restore_clock);
      const ids = horizon === null ? null : await log.offsetForTime(input, horizon);
      tracked.position = Math.min(at.restore_from, at.oldest_due, ids ?? at.restore_from);
      tracked.mode = { restoring: true, stateFrom: at.restore_from, dueFrom: at.oldest_due };
    }
    if (tracked.position < at.offset && tracked.position < available.earliest)
      throw new FreshetError(
        'offset_out_of_range',
        `${task} must read ${input.topic}[${input.partition}] again from ${tracked.position}, but it begins at ` +
          `${available.earliest}: retention has passed it. Offsets are never reset; replay into the next version.`,
      );
  }
}

/** Reads every part up to its marker and leaves later rows to the live reader. Returns the number of rows read. */
async function replay(options: RestoreOptions, parts: readonly TrackedPart[], marker: Marker): Promise<number> {
  const { log, task, signal } = options;
  const endOf = ({ part }: TrackedPart) => markerPartOf(marker, part.input)!.offset;
  const stretches = parts.map((tracked) => ({ ...tracked.part.input, start: tracked.position, end: endOf(tracked) }));
  let rows = 0;
  await readStretches(log, stretches, task, signal, async (batch) => {
    const tracked = partOf(parts, batch);
    await prepareBatch(tracked.part, batch, options);
    foldBatch(tracked, batch);
    rows += batch.count;
  });
  for (const tracked of parts) tracked.position = endOf(tracked);
  return rows;
}
