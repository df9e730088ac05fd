/**
 * What the documents of one commit add to and remove from terms, net: the content of the re-key hop. A frequent word is
 * one number, however many documents of the commit contain it, and a document in which only a few words changed
 * contributes only these. Kept until the commit is in the log, so that an uncommitted write can be repeated.
 */
import type { Output } from '../../runtime/tasks/processor.js';
import { capacityFor, DueSet, enlarged, IntList } from '../../runtime/tasks/state/columns.js';
import { AvroWriter } from '../../schemas/avro-writer.js';
import type { Kinds } from './kinds.js';
import { SHARDS, TOTALS_SHARD } from './shards.js';
import type { Vocabulary } from './vocabulary.js';

const NONE = -1;
/** A record is closed above this; the next one continues with further terms under the same key. */
const RECORD_BYTES_MAX = 256 * 1024;
const NOTHING = Buffer.alloc(0);
/** Positions within a change, after the term. */
const KIND = 1;
const DOCUMENTS = 2;
const NEXT = 3;

export class TermChanges {
  readonly #vocabulary: Vocabulary;
  readonly #kinds: Kinds;
  readonly #writer = new AvroWriter();
  readonly #body = new AvroWriter();
  /** Open addressing over (kind, term): number of the change. */
  #slots = new Int32Array(4096).fill(NONE);
  #used = 0;
  /** Four per change, so that they lie in one cache line: term, kind, documents, the next change of its group. */
  #changes = new Int32Array(4 * 2049);
  /** Language · 256 + shard. */
  readonly #groups = new DueSet();
  #head = new Int32Array(0);
  /** Kinds that gained or lost documents, and how many. */
  readonly #moved = new DueSet();
  #movedBy = new Int32Array(64);
  readonly #sources = new IntList();
  #columnOf = new Int32Array(64).fill(NONE);

  constructor(vocabulary: Vocabulary, kinds: Kinds) {
    this.#vocabulary = vocabulary;
    this.#kinds = kinds;
  }

  /** The number of documents of a kind changes by `by`. */
  addDocuments(kind: number, by: number): void {
    if (kind >= this.#movedBy.length)
      this.#movedBy = enlarged(this.#movedBy, capacityFor(kind + 1, this.#movedBy.length));
    if (this.#moved.add(kind)) this.#movedBy[kind] = 0;
    this.#movedBy[kind]! += by;
  }

  /** The number of documents of a kind that contain the term changes by `by`. */
  add(kind: number, term: number, by: number): void {
    const slots = this.#slots;
    const changes = this.#changes;
    const mask = slots.length - 1;
    let slot = spread(kind, term) & mask;
    for (let change = slots[slot]!; change !== NONE; change = slots[slot]!) {
      const at = change * 4;
      if (changes[at] === term && changes[at + KIND] === kind) {
        changes[at + DOCUMENTS]! += by;
        return;
      }
      slot = (slot + 1) & mask;
    }
    const change = this.#used++;
    slots[slot] = change;
    const at = change * 4;
    changes[at] = term;
    changes[at + KIND] = kind;
    changes[at + DOCUMENTS] = by;
    if (this.#used * 2 > slots.length) this.#grow();
  }

  /** `clockMs`, `sinceMs`: log times of the newest and the oldest document in the commit. */
  emit(topic: string, prefix: Uint8Array, clockMs: number, sinceMs: number, out: Output): void {
    const vocabulary = this.#vocabulary;
    const changes = this.#changes;
    this.#group();
    for (let i = 0; i < this.#groups.size; i++) {
      const group = this.#groups.at(i);
      const language = Math.floor(group / SHARDS);
      const key = Buffer.from(`${this.#kinds.languageName(language)}/${group % SHARDS}`);
      const moved = group % SHARDS === TOTALS_SHARD ? this.#movedIn(language) : [];
      this.#collectSources(group, moved);
      let change = this.#head[group]!;
      let withTotals = moved.length > 0;
      while (withTotals || change !== NONE) {
        const body = this.#body.begin(NOTHING);
        let terms = 0;
        for (; change !== NONE && body.size < RECORD_BYTES_MAX; change = changes[change * 4 + NEXT]!) {
          const term = changes[change * 4]!;
          body.bytes(vocabulary.arena, vocabulary.startOf(term), vocabulary.endOf(term));
          body.long(this.#columnOf[changes[change * 4 + KIND]!]!).long(changes[change * 4 + DOCUMENTS]!);
          terms++;
        }
        const writer = this.#writer.begin(prefix).long(clockMs).long(sinceMs);
        this.#writeSources(writer, withTotals);
        withTotals = false;
        const written = body.finish();
        if (terms > 0) writer.long(terms).raw(written, 0, written.length);
        out.add(topic, key, writer.long(0).finish());
      }
    }
  }

  /** Chains the changes that did not cancel out, by language and shard. */
  #group(): void {
    const changes = this.#changes;
    this.#groups.clear();
    for (let i = 0; i < this.#moved.size; i++) {
      const kind = this.#moved.at(i);
      if (this.#movedBy[kind] !== 0) this.#touch(this.#kinds.languageOf(kind) * SHARDS + TOTALS_SHARD);
    }
    for (let change = 0; change < this.#used; change++) {
      const at = change * 4;
      if (changes[at + DOCUMENTS] === 0) continue;
      const language = this.#kinds.languageOf(changes[at + KIND]!);
      const group = language * SHARDS + this.#vocabulary.shardOf(changes[at]!);
      this.#touch(group);
      changes[at + NEXT] = this.#head[group]!;
      this.#head[group] = change;
    }
  }

  #touch(group: number): void {
    if (group >= this.#head.length) this.#head = enlarged(this.#head, capacityFor(group + 1, this.#head.length));
    if (this.#groups.add(group)) this.#head[group] = NONE;
  }

  committed(): void {
    this.#groups.clear();
    this.#moved.clear();
    this.#used = 0;
    this.#slots.fill(NONE);
  }

  #movedIn(language: number): number[] {
    return [...this.#moved.ids].filter(
      (kind) => this.#kinds.languageOf(kind) === language && this.#movedBy[kind] !== 0,
    );
  }

  /** Gives a column to every kind of the group that changed. */
  #collectSources(group: number, moved: readonly number[]): void {
    if (this.#columnOf.length < this.#kinds.count) this.#columnOf = new Int32Array(2 * this.#kinds.count).fill(NONE);
    for (let i = 0; i < this.#sources.length; i++) this.#columnOf[this.#sources.at(i)] = NONE;
    this.#sources.clear();
    for (const kind of moved) this.#collect(kind);
    for (let change = this.#head[group]!; change !== NONE; change = this.#changes[change * 4 + NEXT]!)
      this.#collect(this.#changes[change * 4 + KIND]!);
  }

  #collect(kind: number): void {
    if (this.#columnOf[kind] !== NONE) return;
    this.#columnOf[kind] = this.#sources.length;
    this.#sources.push(kind);
  }

  #writeSources(writer: AvroWriter, withTotals: boolean): void {
    const count = this.#sources.length;
    if (count > 0) writer.long(count);
    for (let i = 0; i < count; i++) writer.string(this.#kinds.sourceOf(this.#sources.at(i)));
    writer.long(0);
    if (withTotals) {
      writer.long(count);
      for (let i = 0; i < count; i++) {
        const kind = this.#sources.at(i);
        writer.long(this.#moved.has(kind) ? this.#movedBy[kind]! : 0);
      }
    }
    writer.long(0);
  }

  #grow(): void {
    const slots = new Int32Array(this.#slots.length * 2).fill(NONE);
    const mask = slots.length - 1;
    for (let change = 0; change < this.#used; change++) {
      let slot = spread(this.#changes[change * 4 + KIND]!, this.#changes[change * 4]!) & mask;
      while (slots[slot] !== NONE) slot = (slot + 1) & mask;
      slots[slot] = change;
    }
    this.#slots = slots;
    this.#changes = enlarged(this.#changes, 4 * ((slots.length >> 1) + 1));
  }
}

function spread(kind: number, term: number): number {
  const hash = Math.imul(term + Math.imul(kind, 0x9e3779b1), 0x85ebca6b);
  return hash ^ (hash >>> 15);
}
