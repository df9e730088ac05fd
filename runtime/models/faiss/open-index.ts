/**
 * An index in its own process, and its life cycle:
 *
 *   starting ──ready──► serving ──its process ends──► starting again, at once, then after 0.1, 0.2, 0.4 … 5 s
 *
 * Searches in progress when the process ends are rejected with a transient error; those that arrive meanwhile wait
 * until the next process is ready, or they time out. A second index is a second process: loading it delays no one.
 */
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { type FaissProcess, lost, startFaissProcess } from './faiss-process.js';
import { type IndexFile, readIndexFile } from './index-file.js';
import type { EngineChoice, FileToVerify, FromIndexChild } from './messages.js';
import { firstNotFinite } from './row-reader.js';
import { type Engine, type Found, NEIGHBOURS_MAX, QUERIES_MAX, type VectorIndex } from './vector-index.js';
import { type Batch, deal, type WaitingSearch, WaitingSearches } from './waiting-searches.js';

export interface OpenIndexOptions {
  readonly path: string;
  readonly logger: Logger;
  readonly engine?: EngineChoice;
  /** Threads of one search (default 1: many searches run in sequence, next to other work on the machine). */
  readonly threads?: number;
  /** Queries that may wait (default 4096). */
  readonly waitingMax?: number;
  /** Longest time that a search waits for its turn and its answer, ms (default 2000). */
  readonly timeoutMs?: number;
  /** A process that has not answered for this long is ended, ms (default 15,000). */
  readonly stuckMs?: number;
  /** Files that the process reads in full and verifies before it loads the index (default none). */
  readonly verify?: readonly FileToVerify[];
}

/** An index, with properties for its owner to inspect. */
export interface OpenIndex extends VectorIndex {
  /** Of the process that serves the index; undefined while there is none. */
  readonly pid: number | undefined;
  /** Number of times that its process was restarted. */
  readonly restarts: number;
  readonly waiting: number;
}

const BACKOFF_MS = [0, 100, 200, 400, 800, 1600, 3200, 5000] as const;
/** After a process has served for this long, the next restart has no delay. */
const STEADY_MS = 10_000;
const BATCH_QUERIES_MAX = 256;
/** Most multiplications in an exact batch: half a second. */
const EXACT_WORK_MAX = 5e8;

/**
 * Resolves once the index can be searched. Throws 'invalid_data' for a damaged or empty file, or one that fails
 * verification; 'settings' when no engine here can search it; 'unavailable' when its process ended while loading.
 */
export async function openIndex(options: OpenIndexOptions): Promise<OpenIndex> {
  const file = await readIndexFile(options.path);
  if (file.count === 0) throw new FreshetError('invalid_data', `The index file ${options.path} contains no vectors.`);
  const index = new ServedIndex(options, file);
  await index.start();
  return index;
}

interface UnderWay {
  readonly batch: Batch;
  readonly stuck: NodeJS.Timeout;
}

class ServedIndex implements OpenIndex {
  readonly kind;
  readonly metric;
  readonly dimension: number;
  readonly count: number;
  readonly #o: Required<OpenIndexOptions>;
  readonly #waiting: WaitingSearches;
  #engine: Engine | null = null;
  #process: FaissProcess | null = null;
  #serving = false;
  #underWay: UnderWay | null = null;
  #failures = 0;
  #restarts = 0;
  #restart: NodeJS.Timeout | undefined;
  #steady: NodeJS.Timeout | undefined;
  #closed = false;
  #first: { resolve(): void; reject(error: Error): void } | null = null;

  constructor(options: OpenIndexOptions, { kind, metric, dimension, count }: IndexFile) {
    this.kind = kind;
    this.metric = metric;
    this.dimension = dimension;
    this.count = count;
    this.#o = {
      engine: 'auto',
      threads: 1,
      waitingMax: 4096,
      timeoutMs: 2000,
      stuckMs: 15_000,
      verify: [],
      ...options,
    };
    this.#waiting = new WaitingSearches(this.#o.waitingMax);
  }

  get engine(): Engine {
    return this.#engine ?? 'exact';
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  get restarts(): number {
    return this.#restarts;
  }

  get waiting(): number {
    return this.#waiting.queries;
  }

  start(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#first = { resolve, reject };
      this.#begin();
    });
  }

  search(vectors: Float32Array, queries: number, k: number): Promise<Found> {
    return new Promise((resolve, reject) => {
      if (this.#closed) throw closed();
      this.#check(vectors, queries, k);
      const done = () => clearTimeout(timer);
      const search: WaitingSearch = {
        vectors,
        queries,
        k,
        resolve: (found) => {
          done();
          resolve(found);
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      this.#waiting.add(search);
      // A search in progress keeps its place in the batch; its answer is dropped.
      const timer = setTimeout(() => {
        this.#waiting.remove(search);
        const why = this.#serving ? '' : ': its process is being restarted';
        reject(new FreshetError('timeout', `A search was not answered within ${this.#o.timeoutMs} ms${why}.`));
      }, this.#o.timeoutMs);
      this.#next();
    });
  }

  async close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      clearTimeout(this.#restart);
      clearTimeout(this.#steady);
      this.#first?.reject(closed());
      this.#waiting.rejectAll(closed());
      this.#giveUp(closed());
    }
    await this.#process?.kill();
  }

  #check(vectors: Float32Array, queries: number, k: number): void {
    const wrong = (what: string) => new FreshetError('invalid_data', `The index cannot be searched: ${what}.`);
    if (!Number.isInteger(queries) || queries < 1 || queries > QUERIES_MAX)
      throw wrong(`${queries} queries at once; 1 to ${QUERIES_MAX} are allowed`);
    const most = Math.min(this.count, NEIGHBOURS_MAX);
    if (!Number.isInteger(k) || k < 1 || k > most) throw wrong(`k is ${k}; 1 to ${most} is allowed`);
    if (vectors.length !== queries * this.dimension)
      throw wrong(`its vectors have ${this.dimension} numbers, but ${queries} queries have ${vectors.length} in all`);
    const at = firstNotFinite(vectors);
    if (at >= 0) throw wrong(`number ${at} is ${vectors[at]}`);
  }

  #begin(): void {
    const { path, engine, threads, verify } = this.#o;
    this.#process = startFaissProcess({
      threads,
      onMessage: (message) => this.#take(message),
      onEnd: (how) => this.#ended(how),
    });
    // Verify only once: a replacement process must be ready as soon as possible.
    const first = this.#engine === null;
    this.#process.send({ kind: 'open', path, engine: this.#engine ?? engine, verify: first ? verify : [] });
  }

  #take(message: FromIndexChild): void {
    if (this.#closed) return;
    if (message.kind === 'ready') this.#ready(message);
    else if (message.kind === 'found') this.#answered(message);
    else if (message.kind === 'failed') this.#failed(new FreshetError(message.code, message.message));
  }

  #ready({ engine, dimension, count }: FromIndexChild & { kind: 'ready' }): void {
    if (dimension !== this.dimension || count !== this.count) {
      this.#failed(new FreshetError('invalid_data', `${this.#o.path} has changed to ${count} × ${dimension}.`));
      return;
    }
    this.#engine = engine;
    this.#serving = true;
    this.#steady = setTimeout(() => {
      this.#failures = 0;
    }, STEADY_MS);
    this.#steady.unref();
    this.#first?.resolve();
    this.#first = null;
    this.#next();
  }

  /** It could not load the index, or a search threw: in both cases its process is of no use. */
  #failed(error: FreshetError): void {
    if (this.#first !== null) {
      this.#first.reject(error);
      this.#first = null;
      void this.close();
      return;
    }
    this.#o.logger.error({ event: 'index_failed', path: this.#o.path, error: error.message });
    this.#giveUp(error);
    void this.#process?.kill();
  }

  #ended(how: string): void {
    this.#process = null;
    this.#serving = false;
    clearTimeout(this.#steady);
    if (this.#closed) return;
    this.#giveUp(lost(how));
    if (this.#first !== null) {
      this.#first.reject(new FreshetError('unavailable', `The index could not be loaded: its process ended (${how}).`));
      this.#first = null;
      void this.close();
      return;
    }
    const delayMs = BACKOFF_MS[Math.min(this.#failures++, BACKOFF_MS.length - 1)]!;
    this.#restarts++;
    this.#o.logger.warn({ event: 'index_process_ended', path: this.#o.path, how, restart_in_ms: delayMs });
    this.#restart = setTimeout(() => this.#begin(), delayMs);
  }

  #next(): void {
    if (!this.#serving || this.#underWay !== null) return;
    const batch = this.#waiting.take(this.#batchQueriesMax());
    if (batch === null) return;
    const stuck = setTimeout(() => void this.#process?.kill(), this.#o.stuckMs);
    this.#underWay = { batch, stuck };
    this.#process?.send({ kind: 'search', vectors: batch.vectors, queries: batch.queries, k: batch.k });
  }

  #answered(found: Found): void {
    if (this.#underWay === null) return;
    const { batch, stuck } = this.#underWay;
    clearTimeout(stuck);
    this.#underWay = null;
    // Send the next batch before the callers of this one continue.
    this.#next();
    deal(batch, found);
  }

  #giveUp(error: Error): void {
    if (this.#underWay === null) return;
    const { batch, stuck } = this.#underWay;
    clearTimeout(stuck);
    this.#underWay = null;
    for (const search of batch.searches) search.reject(error);
  }

  #batchQueriesMax(): number {
    if (this.#engine === 'native') return BATCH_QUERIES_MAX;
    return Math.min(BATCH_QUERIES_MAX, Math.max(1, Math.floor(EXACT_WORK_MAX / (this.count * this.dimension))));
  }
}

function closed(): FreshetError {
  return new FreshetError('state', 'The index is closed.');
}
