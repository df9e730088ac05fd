/**
 * The corpus application without a broker: documents go in, the clock moves by hand, and what `terms` says is held
 * against a recount. Over the log in memory, whose topics can be compacted by a call.
 */
import assert from 'node:assert/strict';
import type { CorpusOutcome } from '../../processors/corpus/corpus-part.js';
import { corpusProcessor, corpusTermsProcessor } from '../../processors/corpus/processor.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { createMetrics } from '../../runtime/process/metrics.js';
import { Checkpoints } from '../../runtime/tasks/checkpoints.js';
import type { ProcessorDeclaration } from '../../runtime/tasks/processor.js';
import type { Task } from '../../runtime/tasks/task.js';
import { Codec, type SchemaName } from '../../schemas/codec.js';
import type { DeadLetter, Document, Terms } from '../../schemas/records.js';
import { allTopics } from '../../topics/all.js';
import { corpusSet } from '../../topics/corpus.js';
import { deadLetters, documents } from '../../topics/events.js';
import { ManualClock } from './manual-clock.js';
import { MemoryLog } from './memory-log.js';
import { isBehind, tasksOf } from './tasks.js';

const COMMIT_MS = 100;

/** Documents per source, of a language and of each of its terms. */
export interface Counted {
  readonly totals: Map<string, number>;
  readonly terms: Map<string, Map<string, number>>;
}

export interface SceneOptions {
  readonly partitions?: number;
  readonly intervalMs?: number;
  readonly changelogIntervalMs?: number;
  /** Where tasks keep checkpoints; without it they keep none. */
  readonly checkpointFolder?: string;
  /** Of tasks and test alike. */
  readonly codec?: Codec;
  /** Stands between the tasks and the log. */
  readonly between?: (log: Log) => Log;
}

export class CorpusScene {
  readonly clock = new ManualClock(Date.UTC(2026, 0, 1));
  readonly log = new MemoryLog();
  readonly codec: Codec;
  readonly topics = corpusSet(1).topics;
  readonly outcomes = new Map<CorpusOutcome, number>();
  readonly #o: Required<Omit<SceneOptions, 'checkpointFolder' | 'codec'>>;
  readonly #checkpoints: Checkpoints | null;
  corpus: Task[] = [];
  terms: Task[] = [];

  private constructor(options: SceneOptions) {
    this.#o = {
      partitions: 2,
      intervalMs: 60_000,
      changelogIntervalMs: 30_000,
      between: (log: Log) => log,
      ...options,
    };
    this.codec = options.codec ?? new Codec();
    this.log.now = () => this.clock.now();
    const shared = { logger: silentLogger, metrics: createMetrics(), clock: this.clock, intervalMs: 1 };
    this.#checkpoints =
      options.checkpointFolder === undefined ? null : new Checkpoints({ ...shared, folder: options.checkpointFolder });
  }

  static async open(options: SceneOptions = {}): Promise<CorpusScene> {
    const scene = new CorpusScene(options);
    const { partitions } = scene.#o;
    const names = [documents, deadLetters, ...Object.values(scene.topics)];
    for (const { name, cleanup, logAppendTime } of names)
      await scene.log.admin.createTopic({ name, partitions, cleanup, retentionMs: -1, logAppendTime, settings: {} });
    await scene.crash();
    return scene;
  }

  /** Writes a document, or null to delete it; a Buffer stands as it is. */
  async pipe(
    key: string | Buffer | null,
    value: Partial<Document> | Buffer | null,
    options: { readonly partition?: number } = {},
  ): Promise<void> {
    const bytes =
      value === null || Buffer.isBuffer(value)
        ? value
        : this.codec.encode('Document', {
            doc_id: String(key),
            language: null,
            source: null,
            text: '',
            updated_at: 1,
            ...value,
          });
    const writer = await this.log.writer([documents.name]);
    writer.add(documents.name, key === null ? null : Buffer.from(key), bytes, options);
    await writer.flush();
  }

  /** Folds what there is, without a commit. */
  async fold(tasks: readonly Task[]): Promise<void> {
    for (const task of tasks) while (await isBehind(task, this.log)) await task.foldOnce();
  }

  /** Commits what is due now. */
  async commit(tasks: readonly Task[]): Promise<void> {
    this.clock.advance(COMMIT_MS);
    for (const task of tasks) await task.commitIfDue();
    await this.#checkpoints?.idle();
  }

  /** Folds and commits, documents first, until nothing is left to do but what waits for its time. */
  async run(): Promise<void> {
    for (const tasks of [this.corpus, this.terms]) {
      await this.fold(tasks);
      for (const task of tasks) {
        this.clock.advance(COMMIT_MS);
        while (await task.commitIfDue()) {
          await this.#checkpoints?.idle();
          this.clock.advance(COMMIT_MS);
        }
      }
    }
  }

  /** As run(), until every shard is written too. */
  async settle(): Promise<void> {
    await this.run();
    this.clock.advance(this.#o.intervalMs);
    await this.run();
  }

  /** Ends every task as it is and restores new ones. */
  async crash(): Promise<void> {
    for (const task of [...this.corpus, ...this.terms]) await task.close();
    await this.#checkpoints?.idle();
    const { topics, codec } = this;
    const shared = { application: 'corpus.v1', topics, codec };
    const onDocuments = (outcome: CorpusOutcome, count: number) =>
      void this.outcomes.set(outcome, (this.outcomes.get(outcome) ?? 0) + count);
    this.corpus = this.#tasksOf(corpusProcessor({ ...shared, onDocuments }));
    this.terms = this.#tasksOf(corpusTermsProcessor({ ...shared, intervalMs: this.#o.intervalMs }));
    for (const task of [...this.corpus, ...this.terms]) await task.restore();
  }

  hashes(): string[] {
    return [...this.corpus, ...this.terms].flatMap((task) => task.parts.map((part) => part.stateHash()));
  }

  /** Every committed record of a topic. */
  async records<T>(topic: string): Promise<{ partition: number; offset: number; key: string; value: T | null }[]> {
    const schema = allTopics().find(({ name }) => name === topic)!.schema as SchemaName;
    const found: { partition: number; offset: number; key: string; value: T | null }[] = [];
    for (let partition = 0; partition < this.#o.partitions; partition++) {
      const at = { topic, partition };
      const { earliest, lastStable } = await this.log.offsets(at);
      const reader = this.log.reader([{ ...at, offset: earliest }], { isolation: 'read_committed' });
      while (reader.position(at) < lastStable)
        for (const { bytes, count, offsets, keyStart, keyEnd, valueStart, valueEnd } of await reader.poll())
          for (let i = 0; i < count; i++) {
            const key = bytes.toString('utf8', keyStart[i]!, keyEnd[i]!);
            if (key === '!marker') continue;
            const start = valueStart[i]!;
            const value = start < 0 ? null : (this.codec.decode(schema, bytes, start, valueEnd[i]!) as T);
            found.push({ partition, offset: offsets[i]!, key, value });
          }
    }
    return found;
  }

  async letters(): Promise<DeadLetter[]> {
    return (await this.records<DeadLetter>(deadLetters.name)).map(({ value }) => value!);
  }

  /** The newest record per key of `terms`. */
  async shards(): Promise<Map<string, Terms>> {
    const shards = new Map<string, Terms>();
    for (const { key, value } of await this.records<Terms>(this.topics.terms.name)) {
      if (value === null) shards.delete(key);
      else shards.set(key, value);
    }
    return shards;
  }

  /** What `terms` says, by language. */
  async published(): Promise<Map<string, Counted>> {
    return addUp(await this.shards());
  }

  async close(): Promise<void> {
    for (const task of [...this.corpus, ...this.terms]) await task.close();
    await this.#checkpoints?.idle();
  }

  #tasksOf(declaration: ProcessorDeclaration): Task[] {
    const { partitions, changelogIntervalMs, between } = this.#o;
    return tasksOf(declaration, {
      partitions,
      log: between(this.log),
      codec: this.codec,
      logger: silentLogger,
      metrics: createMetrics(),
      clock: this.clock,
      commitIntervalMs: COMMIT_MS,
      changelogIntervalMs,
      checkpoints: this.#checkpoints,
    });
  }
}

/** What the shards of `terms`, by key, say together, by language. */
export function addUp(shards: ReadonlyMap<string, Terms>): Map<string, Counted> {
  const languages = new Map<string, Counted>();
  for (const [key, { language, shard, sources, totals, terms }] of shards) {
    assert.equal(key, `${language}/${shard}`);
    const counted = obtain(languages, language, newCounted);
    for (const [i, documents] of totals.entries()) if (documents > 0) add(counted.totals, sources[i]!, documents);
    for (const { term, documents: counts } of terms)
      for (const [i, documents] of counts.entries())
        if (documents > 0) add(obtain(counted.terms, term, newCounts), sources[i]!, documents);
  }
  return languages;
}

/** Counts documents from scratch: per language, its documents by source and each of their terms. */
export function recount(
  texts: Iterable<{ readonly language: string; readonly source: string; readonly terms: Iterable<string> }>,
): Map<string, Counted> {
  const languages = new Map<string, Counted>();
  for (const { language, source, terms } of texts) {
    const counted = obtain(languages, language, newCounted);
    add(counted.totals, source, 1);
    for (const term of new Set(terms)) add(obtain(counted.terms, term, newCounts), source, 1);
  }
  return languages;
}

function newCounted(): Counted {
  return { totals: new Map(), terms: new Map() };
}

function newCounts(): Map<string, number> {
  return new Map();
}

function obtain<T>(map: Map<string, T>, key: string, make: () => T): T {
  let value = map.get(key);
  if (value === undefined) {
    value = make();
    map.set(key, value);
  }
  return value;
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
