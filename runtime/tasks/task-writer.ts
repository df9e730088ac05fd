/**
 * What a task writes. A commit is one transaction that ends with the marker: everything below the offsets in the marker
 * is in the log. A commit of unknown outcome is settled without a restore: the state in memory stays, the group
 * confirms the task, a new writer ends the transaction one way or the other, and the newest marker shows which.
 */
import type { TransactionalWriter } from '../log/log.js';
import { FreshetError, hasCode, isTransient, messageOf } from '../process/errors.js';
import type { Changelog } from './changelog.js';
import { faultPoint } from './fault-points.js';
import { encodeMarker, MARKER_KEY, type Marker } from './marker.js';
import type { Output } from './processor.js';
import type { TaskOptions } from './task-options.js';

const REOPEN_TRIES = 5;
const REOPEN_PAUSE_MS = 500;

/** An acknowledged commit. */
export interface CommitPoint {
  /** Created with the first marker: distinguishes a changelog from a later one of the same name. */
  readonly incarnation: string;
  /** Commits since then. */
  readonly sequence: number;
  /** Its marker is at or after this offset of the changelog. */
  readonly changelogOffset: number;
}

/** The content of a marker, without whose it is. */
export type MarkerContent = Pick<Marker, 'fingerprint' | 'parts' | 'tables'>;

interface TaskWriterOptions
  extends Pick<TaskOptions, 'index' | 'declaration' | 'log' | 'codec' | 'clock' | 'logger' | 'isOurs'> {
  readonly task: string;
  readonly changelog: Changelog;
}

interface Commit {
  /** Emitter's time, ms. */
  readonly now: number;
  /** Whether a later search for the newest marker may start at the current end of the changelog. */
  readonly notesEnd: boolean;
  readonly signal: AbortSignal | undefined;
  /** Adds the records of the commit without its marker; called again if the commit must be repeated. */
  readonly write: (out: Output) => MarkerContent;
}

export class TaskWriter {
  readonly #o: TaskWriterOptions;
  #writer: TransactionalWriter | null = null;
  #at: CommitPoint = { incarnation: '', sequence: 0, changelogOffset: 0 };
  #isClosed = false;

  constructor(options: TaskWriterOptions) {
    this.#o = options;
  }

  /** Fences the previous owner. Errors: 'state' when it was closed in the meantime. */
  async open(): Promise<void> {
    const { task, declaration, log } = this.#o;
    const writer = await log.transactionalWriter(task, declaration.writes);
    this.#writer = writer;
    await writer.init();
    if (!this.#isClosed) return;
    await writer.close();
    throw this.#closed();
  }

  /** The commit that the next one follows. */
  goOnFrom(at: CommitPoint): void {
    this.#at = at;
  }

  /**
   * Resolves when the commit is certainly in the log. Errors: 'fenced' when a newer owner has taken over or the group
   * has assigned the task elsewhere; 'indefinite_commit' when the log has lost an acknowledged commit, or cannot be
   * settled.
   */
  async commit({ now, notesEnd, signal, write }: Commit): Promise<CommitPoint> {
    const { task } = this.#o;
    const end = notesEnd ? await this.#changelogEnd() : null;
    const sequence = this.#at.sequence + 1;
    for (let attempt = 1, isKnown = false; !isKnown; attempt++) {
      this.#write(sequence, now, write);
      await faultPoint('commit.written', task);
      try {
        await this.#writer!.commit();
        isKnown = true;
      } catch (error) {
        if (!hasCode(error, 'indefinite_commit') || attempt > REOPEN_TRIES || this.#isClosed) throw error;
        this.#warn(sequence, error);
        isKnown = await this.#settle(sequence, signal);
      }
    }
    await faultPoint('commit.acknowledged', task);
    this.#at = { ...this.#at, sequence, changelogOffset: end ?? this.#at.changelogOffset };
    return this.#at;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const writer = this.#writer;
    this.#writer = null;
    await writer?.close();
  }

  #write(sequence: number, now: number, write: Commit['write']): void {
    const writer = this.#writer;
    if (writer === null) throw this.#closed();
    const { declaration, index, changelog, codec } = this.#o;
    const { application } = declaration;
    const content = write(writer);
    const marker = { application, task: index, incarnation: this.#at.incarnation, sequence, ...content };
    const { topic, partition } = changelog.place;
    writer.add(topic, MARKER_KEY, encodeMarker(marker, codec), { partition, timestamp: now });
  }

  /** A failure here is not worth an error: null. */
  async #changelogEnd(): Promise<number | null> {
    try {
      return (await this.#o.changelog.offsets()).lastStable;
    } catch (error) {
      if (!isTransient(error)) throw error;
      return null;
    }
  }

  /** Whether a commit of unknown outcome took effect. Waits for a broker for as long as it is away. */
  async #settle(sequence: number, signal: AbortSignal | undefined): Promise<boolean> {
    for (;;) {
      try {
        return await this.#tookEffect(sequence, signal);
      } catch (error) {
        if (!isTransient(error) || this.#isClosed || signal?.aborted) throw error;
        this.#warn(sequence, error);
        await this.#o.clock.sleep(REOPEN_PAUSE_MS, signal);
      }
    }
  }

  /** The group is asked first: a process that was suspended for long would fence its healthy successor. */
  async #tookEffect(sequence: number, signal: AbortSignal | undefined): Promise<boolean> {
    const { task, changelog, isOurs } = this.#o;
    await this.#writer?.close();
    const stillOurs = (await isOurs?.()) ?? true;
    if (!stillOurs || this.#isClosed)
      throw new FreshetError('fenced', `${task}: the group has given it away meanwhile`);
    await this.open();
    const end = await changelog.stableEnd(signal);
    const newest = (await changelog.newestMarker(this.#at.changelogOffset, end))?.marker;
    const last = newest?.sequence ?? 0;
    if (last > sequence || (newest !== undefined && newest.incarnation !== this.#at.incarnation))
      throw new FreshetError('fenced', `${task}: another owner has committed meanwhile`);
    if (last < this.#at.sequence)
      throw new FreshetError('indefinite_commit', `${task}: the changelog has lost a commit that was acknowledged`);
    return last === sequence;
  }

  #warn(sequence: number, error: unknown): void {
    const { task, logger } = this.#o;
    logger.warn({ event: 'commit_outcome_unknown', task, sequence, error: messageOf(error) });
  }

  #closed(): FreshetError {
    return new FreshetError('state', `${this.#o.task}: it was closed`);
  }
}
