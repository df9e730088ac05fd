/**
 * The thread that runs a model. onnxruntime-node computes on the calling thread, tens of milliseconds for a batch of 16
 * texts, and tokenising is plain JavaScript: in the main thread both would block everything else.
 *
 * Calls are split into batches, and the call with the fewest batches left goes first: a single query waits for one
 * batch, not for thousands of products ahead of it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { FreshetError, messageOf } from '../../process/errors.js';
import type { Encoder, EncoderBatch } from './embedder.js';
import type { FromThread, Refusal, ThreadOptions, ToThread } from './messages.js';

interface Call {
  readonly id: number;
  readonly vectors: Float32Array<ArrayBuffer>;
  readonly batches: EncoderBatch[];
}

const port = parentPort!;
const { folder, threads } = workerData as ThreadOptions;
const calls: Call[] = [];
let running = false;

function say(message: FromThread, moved: ArrayBuffer[] = []): void {
  port.postMessage(message, moved);
}

function refusalOf(error: unknown): Refusal {
  return { code: error instanceof FreshetError ? error.code : 'internal', message: messageOf(error) };
}

async function open(): Promise<Encoder> {
  if (folder === null) return new (await import('./hashed.js')).HashedModel();
  // Loaded only when used: the native part is not available everywhere.
  const { OnnxModel } = await import('./onnx-model.js');
  return OnnxModel.open({ folder, threads });
}

function admit(encoder: Encoder, id: number, texts: readonly string[]): void {
  try {
    const batches = encoder.plan(texts);
    calls.push({ id, batches, vectors: new Float32Array(texts.length * encoder.dimension) });
  } catch (error) {
    say({ type: 'failed', id, error: refusalOf(error) });
  }
}

/** Runs batches until none is left. Messages are handled between two batches. */
async function work(encoder: Encoder): Promise<void> {
  if (running) return;
  running = true;
  while (calls.length > 0) {
    const call = calls.reduce((least, one) => (one.batches.length < least.batches.length ? one : least));
    const batch = call.batches.shift();
    try {
      if (batch !== undefined) place(await batch.run(), batch, call, encoder.dimension);
    } catch (error) {
      drop(call.id);
      say({ type: 'failed', id: call.id, error: refusalOf(error) });
    }
    if (call.batches.length === 0 && drop(call.id))
      say({ type: 'vectors', id: call.id, vectors: call.vectors }, [call.vectors.buffer]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  running = false;
}

function place(vectors: Float32Array, { rows }: EncoderBatch, call: Call, dimension: number): void {
  for (const [i, row] of rows.entries())
    call.vectors.set(vectors.subarray(i * dimension, (i + 1) * dimension), row * dimension);
}

function drop(id: number): boolean {
  const at = calls.findIndex((call) => call.id === id);
  if (at >= 0) calls.splice(at, 1);
  return at >= 0;
}

try {
  const encoder = await open();
  const { model, dimension, kind } = encoder;
  port.on('message', (message: ToThread) => {
    if (message.type === 'embed') {
      admit(encoder, message.id, message.texts);
      void work(encoder);
    } else if (message.type === 'forget') drop(message.id);
    else {
      calls.length = 0;
      void encoder.close().finally(() => port.close());
    }
  });
  say({ type: 'ready', info: { model, dimension, kind } });
} catch (error) {
  say({ type: 'refused', error: refusalOf(error) });
  port.close();
}
