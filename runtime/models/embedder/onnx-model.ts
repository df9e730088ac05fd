/**
 * A sentence-transformers model in ONNX. Its graph returns either whole sentences or tokens; tokens are pooled here as
 * the files say. Texts of one batch have similar lengths, or most of the work would be padding.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-node';
import { FreshetError, messageOf } from '../../process/errors.js';
import { badRow, type Encoder, type EncoderBatch, normalise } from './embedder.js';
import { identityOf, type ModelFiles, type Pooling, readModelFiles } from './model-files.js';
import { loadRuntime, type OnnxRuntime } from './onnx-runtime.js';
import { Tokens } from './tokens.js';

/** Larger batches are slower on shared cores, and a single query waits for one batch. */
const BATCH_TEXTS_MAX = 16;
/** Includes padding. */
const BATCH_TOKENS_MAX = 2_048;
const INPUTS: readonly string[] = ['input_ids', 'attention_mask', 'token_type_ids'];
const SENTENCES = 'sentence_embedding';
const PROBE = 'probe';

interface Output {
  readonly name: string;
  readonly isPooled: boolean;
}

interface OnnxOptions {
  readonly folder: string;
  /** Threads of one operator. */
  readonly threads: number;
}

export class OnnxModel implements Encoder {
  readonly kind = 'onnx';
  readonly #runtime: OnnxRuntime;
  readonly #session: InferenceSession;
  readonly #tokens: Tokens;
  readonly #pooling: Pooling;
  readonly #output: Output;

  private constructor(
    readonly model: string,
    readonly dimension: number,
    runtime: OnnxRuntime,
    session: InferenceSession,
    tokens: Tokens,
    pooling: Pooling,
  ) {
    this.#runtime = runtime;
    this.#session = session;
    this.#tokens = tokens;
    this.#pooling = pooling;
    this.#output = outputOf(session);
  }

  /**
   * Loads the model and embeds one word with it. Throws 'settings' when files are missing or ask for something
   * unsupported, or when onnxruntime-node is not installed; 'invalid_data' when they are damaged.
   */
  static async open({ folder, threads }: OnnxOptions): Promise<OnnxModel> {
    const files = await readModelFiles(folder);
    const tokens = await Tokens.open(files);
    const runtime = await loadRuntime();
    const session = await load(runtime, files, threads);
    try {
      const stranger = session.inputNames.find((name) => !INPUTS.includes(name));
      if (stranger !== undefined)
        throw new FreshetError('settings', `${files.onnx} needs an input "${stranger}", which texts do not provide.`);
      const unprobed = new OnnxModel('', 0, runtime, session, tokens, files.pooling);
      const probe = await unprobed.#run([tokens.of(PROBE)], files.onnx);
      return new OnnxModel(await identityOf(files), probe.length, runtime, session, tokens, files.pooling);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  plan(texts: readonly string[]): EncoderBatch[] {
    const ids = texts.map((text) => this.#tokens.of(text));
    return batchesOf(ids.map(({ length }) => length)).map((rows) => ({
      rows,
      run: () =>
        this.#run(
          rows.map((row) => ids[row]!),
          this.model,
        ),
    }));
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  async #run(ids: readonly (readonly number[])[], name: string): Promise<Float32Array> {
    const tokens = Math.max(...ids.map(({ length }) => length));
    const mask = new BigInt64Array(ids.length * tokens);
    const vectors = await this.#infer(
      feedsOf(this.#runtime, ids, tokens, mask, this.#session.inputNames),
      mask,
      tokens,
      name,
    );
    const dimension = vectors.length / ids.length;
    for (let row = 0; row < ids.length; row++) normalise(vectors, row, dimension);
    if (badRow(vectors, dimension) >= 0)
      throw new FreshetError('invalid_data', `${name} returns vectors that are not numbers: its weights are damaged.`);
    return vectors;
  }

  async #infer(
    feeds: Record<string, Tensor>,
    mask: BigInt64Array,
    tokens: number,
    name: string,
  ): Promise<Float32Array> {
    const { name: output, isPooled } = this.#output;
    let found: Tensor | undefined;
    try {
      found = (await this.#session.run(feeds, [output]))[output];
    } catch (error) {
      throw new FreshetError('invalid_data', `${name} cannot be run: ${messageOf(error)}`);
    }
    if (found === undefined || !(found.data instanceof Float32Array))
      throw new FreshetError('invalid_data', `${name} does not return float32 as "${output}".`);
    return isPooled ? found.data : pooled(found.data, mask, tokens, found.dims.at(-1)!, this.#pooling);
  }
}

async function load(runtime: OnnxRuntime, { onnx }: ModelFiles, threads: number): Promise<InferenceSession> {
  try {
    return await runtime.InferenceSession.create(onnx, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      // Batches have many shapes: an arena would keep the memory of all of them.
      enableCpuMemArena: false,
    });
  } catch (error) {
    throw new FreshetError(
      'invalid_data',
      `${onnx} cannot be loaded: it is damaged or not an ONNX model (${messageOf(error).split('\n')[0]}).`,
      { cause: error },
    );
  }
}

/** The output with whole sentences if the graph has one, else the first one with a vector per token. */
function outputOf({ outputNames, outputMetadata }: InferenceSession): Output {
  const ranked = outputMetadata.map((data, i) => ({
    name: outputNames[i]!,
    rank: data.isTensor ? data.shape.length : 0,
  }));
  const sentences = ranked.find(({ name, rank }) => name === SENTENCES && rank === 2);
  if (sentences !== undefined) return { name: sentences.name, isPooled: true };
  const tokens = ranked.find(({ rank }) => rank === 3);
  if (tokens !== undefined) return { name: tokens.name, isPooled: false };
  if (ranked.length === 1 && ranked[0]!.rank === 2) return { name: ranked[0]!.name, isPooled: true };
  throw new FreshetError('settings', `The model returns ${outputNames.join(', ')}: no vector per text or token.`);
}

/** Also fills the mask. Missing ids are 0, and masked. */
function feedsOf(
  runtime: OnnxRuntime,
  ids: readonly (readonly number[])[],
  tokens: number,
  mask: BigInt64Array,
  names: readonly string[],
): Record<string, Tensor> {
  const padded = new BigInt64Array(mask.length);
  for (const [row, own] of ids.entries())
    for (const [i, id] of own.entries()) {
      padded[row * tokens + i] = BigInt(id);
      mask[row * tokens + i] = 1n;
    }
  const data = { input_ids: padded, attention_mask: mask, token_type_ids: new BigInt64Array(mask.length) };
  const feeds: Record<string, Tensor> = {};
  for (const [name, values] of Object.entries(data))
    if (names.includes(name)) feeds[name] = new runtime.Tensor('int64', values, [ids.length, tokens]);
  return feeds;
}

function pooled(
  data: Float32Array,
  mask: BigInt64Array,
  tokens: number,
  dimension: number,
  pooling: Pooling,
): Float32Array {
  const rows = mask.length / tokens;
  const out = new Float32Array(rows * dimension);
  for (let row = 0; row < rows; row++)
    for (let token = 0; token < (pooling === 'cls' ? 1 : tokens); token++) {
      if (mask[row * tokens + token] === 0n) continue;
      const from = (row * tokens + token) * dimension;
      // The sum has the direction of the mean, and only the direction is kept.
      for (let i = 0; i < dimension; i++) out[row * dimension + i] = out[row * dimension + i]! + data[from + i]!;
    }
  return out;
}

/** Batches of indices of texts with these lengths, longest last. */
export function batchesOf(lengths: readonly number[]): number[][] {
  const order = lengths.map((_, i) => i).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const batches: number[][] = [];
  let batch: number[] = [];
  for (const i of order) {
    const isFull = batch.length === BATCH_TEXTS_MAX || (batch.length + 1) * lengths[i]! > BATCH_TOKENS_MAX;
    if (isFull && batch.length > 0) {
      batches.push(batch);
      batch = [];
    }
    batch.push(i);
  }
  if (batch.length > 0) batches.push(batch);
  return batches;
}
