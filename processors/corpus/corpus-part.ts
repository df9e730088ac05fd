/**
 * One partition of `documents`, folded: how every document is counted, and how a commit changed the number of documents
 * with a term. A changed document removes its old terms and adds the new ones, a deleted one removes them; nothing else
 * is read for it.
 *
 * Exactly once over a compacted input differs from exactly once over events. With events, rows that the changelog does
 * not have yet are folded again from the input. Here an overwritten value may be gone by then: of a document changed at
 * offset 5 and again at 9, only 9 remains after compaction. If the task had committed in between, the hop already
 * contains "minus the old, plus that of 5"; a restore that folded 9 on top of a row from before 5 would never remove
 * 5's terms, and nobody could notice. So at every marker the changelog must contain what the hop contains up to that
 * marker:
 *
 * - The row of each changed document is written by emit(), in the transaction that carries its changes to the hop; a
 *   deleted one gets a null. Nothing is ever dirty, and the newest rows at a marker are the state at that marker.
 * - So a restore folds nothing. Each record between restore_from and the marker is already counted in its row, or in
 * the   deletion of a row that no longer exists. Folded once more, bad records would be rejected twice, and an older
 * value of a   deleted document would return unless its deletion is still in the log.
 * - So there is no checkpoint either: it would be older than the marker, and the way from one to the other is the
 * input,   with the same hole. The part has no save and load.
 * - And the outcome must depend only on the newest record of a key, because only that one is certain to exist: a record
 *   that cannot be used goes to the dead letters and removes what its document was before. Otherwise a replay over the
 *   compacted topic would end without a document that the live fold still has.
 *
 * `covers` of a row is the input offset after its commit; rows of one commit share it. Live records are above it.
 */
import { createHash } from 'node:crypto';
import type { RecordColumns, TopicPartition } from '../../runtime/log/log.js';
import type { RecordProblem } from '../../runtime/log/record-problem.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { FoldMode, Output, Part } from '../../runtime/tasks/processor.js';
import { Rejects } from '../../runtime/tasks/rejects.js';
import type { Codec } from '../../schemas/codec.js';
import type { CorpusTopics } from '../../topics/corpus.js';
import { DocumentRows } from './document-rows.js';
import { DocumentStates } from './document-states.js';
import { DocumentTerms } from './document-terms.js';
import { DocumentView } from './document-view.js';
import { Kinds } from './kinds.js';
import { detectLanguage, isDetectorLoaded, loadDetector } from './language.js';
import { TermChanges } from './term-changes.js';
import { Vocabulary } from './vocabulary.js';

/** Outcome of a record. cut: counted or changed, with the terms that fit; unchanged: nothing that is counted. */
const CORPUS_OUTCOMES = ['counted', 'changed', 'unchanged', 'deleted', 'cut', 'dead_letter'] as const;
export type CorpusOutcome = (typeof CORPUS_OUTCOMES)[number];

/** Longer than any `<language>/<source>`. */
const KIND_BYTES_MAX = 512;

interface CorpusPartOptions {
  readonly input: TopicPartition;
  readonly partitions: number;
  /** Partition of the changelog that only this part's task writes. */
  readonly changelogPartition: number;
  readonly topics: CorpusTopics;
  readonly codec: Codec;
  readonly onDocuments: (outcome: CorpusOutcome, documents: number) => void;
}

export class CorpusPart implements Part {
  readonly input: TopicPartition;
  readonly #o: CorpusPartOptions;
  readonly #view: DocumentView;
  readonly #rejects: Rejects;
  readonly #kinds = new Kinds();
  readonly #vocabulary = new Vocabulary();
  readonly #terms = new DocumentTerms(this.#vocabulary);
  readonly #changes = new TermChanges(this.#vocabulary, this.#kinds);
  readonly #documents = new DocumentStates(this.#changes);
  readonly #rows: DocumentRows;
  readonly #kindName = Buffer.alloc(KIND_BYTES_MAX);
  readonly #counts = new Map<CorpusOutcome, number>();
  /** Next input offset. */
  #position = 0;
  /** Largest `covers` of a restored row. */
  #covered = 0;
  /** Log times of the oldest and the newest document since the last commit. */
  #since = Number.POSITIVE_INFINITY;
  #latest = 0;

  constructor(options: CorpusPartOptions) {
    this.#o = options;
    this.input = options.input;
    this.#view = new DocumentView(options.codec, options.partitions);
    this.#rejects = new Rejects({ job: 'corpus', encode: (letter) => options.codec.encode('DeadLetter', letter) });
    this.#rows = new DocumentRows({
      topic: options.topics.documentsChangelog.name,
      partition: options.changelogPartition,
      inputPartition: options.input.partition,
      codec: options.codec,
      vocabulary: this.#vocabulary,
      kinds: this.#kinds,
      documents: this.#documents,
    });
  }

  /**
   * None: nothing here depends on time, and the times of documents come from their producers. A document from the next
   * century would hold up the emitter's clock.
   */
  get clock(): number {
    return -1;
  }

  /** Nothing here expires. */
  get sweptDay(): number {
    return 0;
  }

  /** Documents that are counted, their terms' memory, and all memory, bytes; for estimates. */
  get held(): { readonly documents: number; readonly listBytes: number; readonly bytes: number } {
    const { size, listBytes, bytesHeld } = this.#documents;
    return { documents: size, listBytes, bytes: bytesHeld + this.#vocabulary.bytesHeld };
  }

  async prepare(batch: RecordColumns): Promise<void> {
    await this.#o.codec.prepare(batch.bytes, batch.count, batch.valueStart, batch.valueEnd);
    if (!isDetectorLoaded() && this.#view.someLackLanguage(batch)) await loadDetector();
  }

  fold(batch: RecordColumns, from: number, to: number, mode: FoldMode): void {
    if (mode.restoring) return;
    for (let i = from; i < to; i++) {
      const logTime = batch.timestamps[i]!;
      const outcome = this.#foldRow(batch, i);
      this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1);
      if (logTime < this.#since) this.#since = logTime;
      if (logTime > this.#latest) this.#latest = logTime;
      this.#position = batch.offsets[i]! + 1;
    }
    for (const [outcome, documents] of this.#counts) this.#o.onDocuments(outcome, documents);
    this.#counts.clear();
  }

  #foldRow(batch: RecordColumns, i: number): CorpusOutcome {
    const offset = batch.offsets[i]!;
    if (offset < this.#covered)
      throw new FreshetError(
        'internal',
        `${batch.topic}[${batch.partition}]@${offset} comes again: the changelog counts all below ${this.#covered}`,
      );
    const wrongKey = this.#view.checkKey(batch, i);
    if (wrongKey !== null) return this.#reject(batch, i, wrongKey);
    const document = this.#documents.obtain(batch.bytes, batch.keyStart[i]!, batch.keyEnd[i]!);
    if (batch.valueStart[i]! < 0) return this.#documents.remove(document) ? 'deleted' : 'unchanged';
    const problem = this.#view.read(batch, i);
    if (problem !== null) {
      this.#documents.remove(document);
      return this.#reject(batch, i, problem);
    }
    const { bytes, textStart, textEnd } = this.#view;
    this.#terms.read(bytes, textStart, textEnd);
    const { terms, count, isCut } = this.#terms;
    const isNew = this.#documents.kindOf(document) < 0;
    if (!this.#documents.set(document, this.#readKind(), terms, count)) return 'unchanged';
    return isCut ? 'cut' : isNew ? 'counted' : 'changed';
  }

  #reject(batch: RecordColumns, i: number, problem: RecordProblem): 'dead_letter' {
    this.#rejects.deadLetter(batch, i, problem);
    return 'dead_letter';
  }

  /** The kind of the document in view. */
  #readKind(): number {
    const { bytes, textStart, textEnd, sourceStart, sourceEnd, language } = this.#view;
    const name = this.#kindName;
    let length = name.write(language ?? detectLanguage(bytes, textStart, textEnd), 0, 'latin1');
    name[length++] = 0x2f;
    length += bytes.copy(name, length, sourceStart, sourceEnd);
    return this.#kinds.choose(name, length);
  }

  isDue(): boolean {
    return this.#documents.changed.size > 0 || this.#rejects.size > 0;
  }

  emit(asOf: number, out: Output): void {
    const { topics, codec } = this.#o;
    this.#rejects.emit(out);
    const since = Math.max(0, Math.min(this.#since, asOf));
    const prefix = codec.prefix('TermChanges');
    this.#changes.emit(topics.termChanges.name, prefix, Math.min(this.#latest, asOf), since, out);
    const { changed } = this.#documents;
    for (let i = 0; i < changed.size; i++) this.#rows.write(changed.at(i), this.#position, asOf, out);
  }

  committed(): void {
    this.#rejects.committed();
    this.#changes.committed();
    this.#documents.changed.clear();
    this.#since = Number.POSITIVE_INFINITY;
    this.#latest = 0;
  }

  oldestDue(position: number): number {
    return position;
  }

  /** Every row is in the changelog with the commit that changed it. */
  get dirtyRows(): number {
    return 0;
  }

  beginFlush(): void {
    // Nothing is ever dirty; that a flush is complete only moves restore_from.
  }

  flush(): void {
    // See beginFlush.
  }

  get flushComplete(): boolean {
    return true;
  }

  beginRestore(): void {
    // Rows are taken over as they come.
  }

  restoreRow(batch: RecordColumns, row: number): void {
    this.#covered = Math.max(this.#covered, this.#rows.restore(batch, row));
  }

  replayHorizon(): number | null {
    return null;
  }

  endRestore(): void {
    this.#position = this.#covered;
  }

  tableChanged(): void {
    // It reads no tables.
  }

  stateHash(): string {
    const lines: string[] = [];
    for (let document = 0; document < this.#documents.ids.count; document++) {
      const kind = this.#documents.kindOf(document);
      if (kind < 0) continue;
      const terms = [...this.#documents.termsOf(document)].map((term) => this.#vocabulary.stringOf(term));
      const language = this.#kinds.languageName(this.#kinds.languageOf(kind));
      const fields = [this.#documents.ids.stringOf(document), language, this.#kinds.sourceOf(kind), ...terms.sort()];
      lines.push(JSON.stringify(fields));
    }
    return createHash('sha256').update(lines.sort().join('\n')).digest('hex');
  }
}
