/**
 * The work of a task that awaits outcomes (awaited-work.ts):
 *
 *   take: records into a piece → start: the piece is awaited, several at a time → its outcome is there, and those of
 * all   pieces before it → the next commit writes it, with a marker that covers the records of the piece
 */
import { randomUUID } from 'node:crypto';
import type { DeadLetter } from '../../schemas/records.js';
import type { PartitionOffsets, RecordColumns, TopicPartition } from '../log/log.js';
import { FreshetError } from '../process/errors.js';
import type { AwaitedDeclaration, AwaitedWork } from './awaited-work.js';
import type { Changelog } from './changelog.js';
import { faultPoint } from './fault-points.js';
import { type Marker, markerPartOf } from './marker.js';
import type { Output } from './processor.js';
import { type OutputRecord, Rejects } from './rejects.js';
import { refuseOtherState } from './restore.js';
import type { InputOffset, TaskOptions } from './task-options.js';
import type { CommitPoint, MarkerContent } from './task-writer.js';
import { prepareBatch } from './tracked-part.js';
import type { RestoredWork, Work } from './work.js';

const COMMIT_RECORDS_MAX = 2_000;
/** Pieces that may finish before the first one does: one slow answer delays the commit, but not the other pieces. */
const PIECES_MAX = 256;

interface Position extends TopicPartition {
  offset: number;
  /** Largest log time seen, ms. */
  clock: number;
}

interface Piece {
  /** The content of the marker once it is committed. */
  readonly content: MarkerContent;
  /** Null while it is awaited. */
  outcome: readonly OutputRecord[] | null;
}

export class Awaiting implements Work {
  readonly parts = [];
  readonly #task: string;
  readonly #o: TaskOptions;
  readonly #work: AwaitedWork;
  readonly #rejects: Rejects;
  /** Records below this offset have been taken. */
  #read: Position[] = [];
  /** In the order in which they were started. */
  readonly #pieces: Piece[] = [];
  readonly #running = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | null = null;
  /** Outcomes that are available, and the content of their marker. */
  #outcomes: OutputRecord[] = [];
  #reached: MarkerContent = { fingerprint: '', parts: [], tables: [] };
  /** The same for the commit in progress, and for the last one. */
  #writing = { records: 0, content: this.#reached };
  #committed: MarkerContent = this.#reached;
  /** When the end of the changelog was last recorded. */
  #notedAt = Number.NEGATIVE_INFINITY;

  constructor(task: string, options: TaskOptions, declaration: AwaitedDeclaration) {
    this.#task = task;
    this.#o = options;
    const encode = (letter: DeadLetter) => options.codec.encode('DeadLetter', letter);
    const rejects = new Rejects({ job: declaration.name, encode });
    this.#rejects = rejects;
    this.#work = declaration.createWork({ ...options, task, reject: rejects.deadLetter.bind(rejects) });
  }

  positions(): InputOffset[] {
    return this.#committed.parts.map(({ topic, partition, offset }) => ({ topic, partition, offset }));
  }

  /** Errors: 'offset_out_of_range' and 'state' when the marker does not fit the inputs or the work; those of the work. */
  async restore(changelog: Changelog, signal: AbortSignal | undefined): Promise<RestoredWork> {
    const { log, inputs } = this.#o;
    const end = await changelog.stableEnd(signal);
    const found = await changelog.newestMarker((await changelog.offsets()).earliest, end, signal);
    const marker = found?.marker ?? null;
    await faultPoint('restore.changelog_read', this.#task);
    const ends = await Promise.all(inputs.map((input) => log.offsets(input)));
    this.#read = inputs.map((input, i) => this.#startOf(input, marker, ends[i]!));
    const figures = await this.#work.restore(signal);
    const { backlog } = this.#work;
    const complete = this.#work.fingerprint(true);
    if (backlog === undefined && marker !== null) refuseOtherState(this.#task, marker, complete);
    if (marker?.fingerprint !== complete) {
      const stretches = inputs.map((input, i) => ({ ...input, start: ends[i]!.earliest, end: ends[i]!.lastStable }));
      await backlog?.find(stretches, marker === null, signal);
    }
    this.#reached = this.#content();
    // Without a marker the first commit is due at once.
    this.#committed = marker === null ? { ...this.#reached } : this.#reached;
    const { incarnation, sequence } = marker ?? { incarnation: randomUUID(), sequence: 0 };
    const at = { incarnation, sequence, changelogOffset: found?.offset ?? end };
    return { at, figures: { ...figures, waiting: backlog?.size ?? 0 } };
  }

  /** Without a marker, live reading starts after the backlog, or at the first record if there can be no backlog. */
  #startOf(input: TopicPartition, marker: Marker | null, offsets: PartitionOffsets): Position {
    const { earliest, lastStable, highWatermark } = offsets;
    if (marker === null) {
      const offset = this.#work.backlog === undefined ? earliest : lastStable;
      return { ...input, offset, clock: -1 };
    }
    const at = markerPartOf(marker, input);
    const name = `${input.topic}[${input.partition}]`;
    if (at === undefined) throw new FreshetError('state', `${this.#task}: its marker knows nothing of ${name}`);
    if (at.offset > highWatermark || at.offset < earliest)
      throw new FreshetError(
        'offset_out_of_range',
        `${this.#task} has read ${name} to ${at.offset}, but it holds ${earliest} to ${highWatermark}: the topic was ` +
          'truncated or recreated. Offsets are never reset.',
      );
    return { ...input, offset: at.offset, clock: at.clock };
  }

  /** Takes rows until a piece is full and started. */
  async take(batch: RecordColumns, row: number, signal: AbortSignal | undefined): Promise<number> {
    const { clock, logger } = this.#o;
    if (row === 0) await prepareBatch(this.#work, batch, { task: this.#task, clock, logger, signal });
    const position = this.#read.find(({ topic, partition }) => topic === batch.topic && partition === batch.partition)!;
    let at = row;
    for (; at < batch.count && !this.#work.isFull; at++) {
      this.#work.take(batch, at);
      position.offset = batch.offsets[at]! + 1;
      position.clock = Math.max(position.clock, batch.timestamps[at]!);
    }
    if (at === batch.count) position.offset = Math.max(position.offset, batch.nextOffset);
    if (this.#work.isFull) await this.#begin(signal);
    return at;
  }

  /** Starts what was taken, and a piece of the backlog. */
  async proceed(signal: AbortSignal | undefined): Promise<void> {
    await this.#begin(signal);
    if (!this.hasBacklog) return;
    await this.#work.backlog!.take();
    await this.#begin(signal);
  }

  get hasBacklog(): boolean {
    return (this.#work.backlog?.size ?? 0) > 0;
  }

  /** Starts a piece, if there is anything to do, and resolves when there is room for another one. */
  async #begin(signal: AbortSignal | undefined): Promise<void> {
    this.#throwFailure(signal);
    const letters = this.#rejects.take();
    const content = this.#content();
    const awaited = this.#work.begin(signal);
    const before = this.#pieces.at(-1)?.content ?? this.#reached;
    if (awaited !== null || letters.length > 0 || !isSame(content, before)) {
      const piece: Piece = { content, outcome: awaited === null ? letters : null };
      this.#pieces.push(piece);
      if (awaited !== null) this.#await(piece, letters, awaited);
      this.#gather();
    }
    const { concurrency } = this.#work;
    while (this.#failure === null && (this.#running.size >= concurrency || this.#pieces.length >= PIECES_MAX))
      await Promise.race(this.#running);
    this.#throwFailure(signal);
  }

  /** Work that ends because the task is stopped has not failed. */
  #throwFailure(signal: AbortSignal | undefined): void {
    if (this.#failure !== null && !signal?.aborted) throw this.#failure.error;
  }

  #await(piece: Piece, letters: readonly OutputRecord[], awaited: Promise<readonly OutputRecord[]>): void {
    const done = awaited
      .then(
        (records) => {
          piece.outcome = [...letters, ...records];
          this.#gather();
        },
        (error: unknown) => {
          this.#failure ??= { error };
        },
      )
      .finally(() => this.#running.delete(done));
    this.#running.add(done);
  }

  /** Outcomes count in the order of their pieces: a marker that passes a record passes all before it. */
  #gather(): void {
    for (let [first] = this.#pieces; first !== undefined && first.outcome !== null; [first] = this.#pieces) {
      for (const record of first.outcome) this.#outcomes.push(record);
      this.#reached = first.content;
      this.#pieces.shift();
    }
  }

  /** Resolves when a piece has finished; null if none is in progress. */
  get awaited(): Promise<unknown> | null {
    return this.#running.size === 0 ? null : Promise.race(this.#running);
  }

  get hasNews(): boolean {
    return this.#outcomes.length > 0 || this.#reached !== this.#committed;
  }

  get isFull(): boolean {
    return this.#outcomes.length >= COMMIT_RECORDS_MAX;
  }

  isDue(): boolean {
    return this.hasNews;
  }

  beginCommit(): boolean {
    const elapsed = this.#o.clock.elapsed();
    const isTime = elapsed - this.#notedAt >= this.#o.changelogIntervalMs;
    if (isTime) this.#notedAt = elapsed;
    return isTime;
  }

  write(_now: number, out: Output): MarkerContent {
    for (const { topic, key, value, timestamp } of this.#outcomes)
      out.add(topic, key, value, timestamp === undefined ? {} : { timestamp });
    this.#writing = { records: this.#outcomes.length, content: this.#reached };
    return this.#reached;
  }

  committed(_at: CommitPoint): void {
    const { records, content } = this.#writing;
    // Others may have arrived during the commit.
    this.#outcomes = this.#outcomes.slice(records);
    const isComplete = content.fingerprint !== this.#committed.fingerprint;
    this.#committed = content;
    if (isComplete) this.#work.backlog?.completed();
  }

  close(): Promise<void> {
    return this.#work.close();
  }

  /** The content of the marker when everything that was taken is done. */
  #content(): MarkerContent {
    return {
      fingerprint: this.#work.fingerprint(!this.hasBacklog),
      parts: this.#read.map(({ topic, partition, offset, clock }) => ({
        topic,
        partition,
        offset,
        clock,
        restore_from: offset,
        restore_clock: clock,
        oldest_due: offset,
        swept_day: -1,
      })),
      tables: [],
    };
  }
}

function isSame(one: MarkerContent, other: MarkerContent): boolean {
  return one.fingerprint === other.fingerprint && one.parts.every(({ offset }, i) => offset === other.parts[i]!.offset);
}
