/** Opens the embedder that the settings select, in a separate thread, and warns if it is only the hashed one. */
import { Worker } from 'node:worker_threads';
import { FreshetError, messageOf } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { Metrics } from '../../process/metrics.js';
import type { Embedder, ModelInfo } from './embedder.js';
import type { FromThread, ThreadOptions, ToThread } from './messages.js';
import { embedderMetrics } from './metrics.js';

const PROGRAM = new URL('./thread.js', import.meta.url);

interface EmbedderOptions {
  /** In the layout of sentence-transformers; null: the hashed model. */
  readonly modelFolder: string | null;
  /** Threads per operator of the model. */
  readonly threads: number;
  readonly logger: Logger;
  readonly metrics: Metrics;
  /** Another program for the thread; for tests. */
  readonly program?: URL;
}

interface Waiting {
  resolve(vectors: Float32Array): void;
  reject(error: Error): void;
}

interface Thread {
  readonly worker: Worker;
  readonly ended: Promise<void>;
}

/**
 * Resolves when the model is loaded. Throws 'settings' when the folder or a file in it is missing or asks for something
 * unsupported; 'invalid_data' when a file is damaged.
 */
export async function openEmbedder(options: EmbedderOptions): Promise<Embedder> {
  const { modelFolder, threads, logger, metrics, program = PROGRAM } = options;
  const embedder = await ThreadedEmbedder.open({ folder: modelFolder, threads }, program);
  const { model, kind, dimension } = embedder;
  embedderMetrics(metrics).model.set({ model, kind }, 1);
  if (kind === 'onnx') logger.info({ event: 'embedding_model', model, kind, dimension });
  else
    logger.warn({
      event: 'embedding_model',
      model,
      kind,
      dimension,
      note: 'lexical only: similar texts share words or parts of words, synonyms do not match; EMBEDDING_MODEL_DIR is not set',
    });
  return embedder;
}

class ThreadedEmbedder implements Embedder {
  readonly model: string;
  readonly dimension: number;
  readonly kind: ModelInfo['kind'];
  readonly #options: ThreadOptions;
  readonly #program: URL;
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;
  /** Null: it has died, and has not been needed since. */
  #thread: Promise<Thread> | null = null;
  #isClosed = false;

  private constructor(options: ThreadOptions, program: URL, info: ModelInfo) {
    this.#options = options;
    this.#program = program;
    this.model = info.model;
    this.dimension = info.dimension;
    this.kind = info.kind;
  }

  static async open(options: ThreadOptions, program: URL): Promise<ThreadedEmbedder> {
    const { info, worker } = await startThread(options, program);
    const embedder = new ThreadedEmbedder(options, program, info);
    embedder.#thread = Promise.resolve(embedder.#adopt(worker));
    return embedder;
  }

  async embed(texts: readonly string[], signal?: AbortSignal): Promise<Float32Array> {
    this.#checkOpen(signal);
    if (texts.length === 0) return new Float32Array(0);
    this.#thread ??= this.#restart();
    const { worker } = await this.#thread;
    this.#checkOpen(signal);
    const id = ++this.#calls;
    const say = (message: ToThread) => worker.postMessage(message);
    return new Promise((resolve, reject) => {
      const abort = () => {
        say({ type: 'forget', id });
        this.#waiting.get(id)?.reject(new FreshetError('state', 'the embedding was stopped'));
      };
      const settle = () => {
        this.#waiting.delete(id);
        signal?.removeEventListener('abort', abort);
      };
      this.#waiting.set(id, {
        resolve: (vectors) => {
          settle();
          resolve(vectors);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      });
      signal?.addEventListener('abort', abort, { once: true });
      say({ type: 'embed', id, texts });
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const thread = this.#thread;
    this.#thread = null;
    this.#refuseAll(new FreshetError('state', 'the embedder is closed'));
    if (thread === null) return;
    const { worker, ended } = await thread;
    worker.postMessage({ type: 'close' } satisfies ToThread);
    await ended;
  }

  #checkOpen(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new FreshetError('state', 'the embedder is closed');
    if (signal?.aborted) throw new FreshetError('state', 'the embedding was stopped');
  }

  async #restart(): Promise<Thread> {
    try {
      const { info, worker } = await startThread(this.#options, this.#program);
      if (info.model !== this.model) {
        await worker.terminate();
        throw new FreshetError('state', `the model has changed from ${this.model} to ${info.model}: restart`);
      }
      return this.#adopt(worker);
    } catch (error) {
      this.#thread = null;
      throw error;
    }
  }

  #adopt(worker: Worker): Thread {
    let problem = 'it ended';
    worker.on('message', (message: FromThread) => {
      if (message.type === 'vectors') this.#waiting.get(message.id)?.resolve(message.vectors);
      else if (message.type === 'failed')
        this.#waiting.get(message.id)?.reject(new FreshetError(message.error.code, message.error.message));
    });
    worker.on('error', (error) => {
      problem = messageOf(error);
    });
    const ended = new Promise<void>((resolve) => {
      worker.once('exit', () => {
        if (!this.#isClosed) this.#thread = null;
        this.#refuseAll(new FreshetError('unavailable', `the embedder's thread has died: ${problem}`));
        resolve();
      });
    });
    return { worker, ended };
  }

  #refuseAll(error: FreshetError): void {
    for (const waiting of [...this.#waiting.values()]) waiting.reject(error);
  }
}

/** Resolves when the thread has loaded its model. */
async function startThread(options: ThreadOptions, program: URL): Promise<{ worker: Worker; info: ModelInfo }> {
  const worker = new Worker(program, { workerData: options });
  const first = await new Promise<FromThread>((resolve, reject) => {
    const ended = (code: number) =>
      reject(new FreshetError('internal', `the embedder's thread ended with code ${code} before its model was loaded`));
    worker.once('error', reject).once('exit', ended);
    worker.once('message', (message: FromThread) => {
      worker.off('error', reject).off('exit', ended);
      resolve(message);
    });
  });
  if (first.type === 'ready') return { worker, info: first.info };
  const refusal = first.type === 'refused' ? first.error : { code: 'internal' as const, message: 'no message' };
  throw new FreshetError(refusal.code, refusal.message);
}
