/**
 * `freshet model import`: model.safetensors with its config.json → model.onnx, including pooling and the L2 norm. The
 * new file is compared with a float64 reference before it gets its name, so a partial or wrong model is never visible.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { FreshetError } from '../../../process/errors.js';
import { type Pooling, readModelFolder } from '../model-files.js';
import { loadRuntime } from '../onnx-runtime.js';
import { type Bert, type BertConfig, bertConfig, bertWeights } from './bert.js';
import { bertGraph } from './bert-graph.js';
import { bertReference } from './bert-reference.js';
import { OPSET } from './onnx-writer.js';
import { Safetensors } from './safetensors.js';

/** Minimum cosine between the new model and the reference, for every test text. */
export const COSINE_MIN = 0.9999;
/** Lengths of the test texts, in one batch: the shorter ones are padded, so the mask is tested too. */
const TRIED_TOKENS = [3, 7, 12] as const;

interface ImportOptions {
  readonly folder: string;
  /** Reports what would be done and checks all weights, but writes nothing. */
  readonly dryRun?: boolean;
  /** Replaces an existing model.onnx. */
  readonly replace?: boolean;
}

export interface ImportedModel {
  readonly name: string;
  readonly architecture: 'bert';
  readonly config: BertConfig;
  readonly parameters: number;
  readonly pooling: Pooling;
  readonly tokensMax: number;
  readonly opset: number;
  readonly file: string;
  readonly bytes: number;
  /** The lowest of all test texts; null in a dry run. */
  readonly cosine: number | null;
}

/**
 * Throws 'settings' when the model cannot be imported or would be overwritten; 'invalid_data' for damaged files or when
 * the new model does not agree with the reference.
 */
export async function importModel({ folder, dryRun, replace }: ImportOptions): Promise<ImportedModel> {
  const found = await readModelFolder(folder);
  const weights = join(found.transformer, 'model.safetensors');
  const settings = join(found.transformer, 'config.json');
  if (!existsSync(weights))
    throw new FreshetError(
      'settings',
      existsSync(join(found.transformer, 'pytorch_model.bin'))
        ? `${folder} has pytorch_model.bin but no model.safetensors: a pickle is a program, so it is not opened. Save it as safetensors.`
        : `${folder} has no model.safetensors.`,
    );
  if (!existsSync(settings)) throw new FreshetError('settings', `${folder} has no config.json.`);
  const file = join(found.transformer, 'model.onnx');
  if (existsSync(file) && !replace && !dryRun)
    throw new FreshetError('settings', `${file} already exists; --replace overwrites it.`);
  const bert = bertWeights(bertConfig(found.config, settings), await Safetensors.read(weights));
  const pieces = graphOf(bert, found.pooling, weights);
  const cosine = dryRun ? null : await write(file, pieces, (aside) => compare(aside, bert, found.pooling));
  return {
    name: found.name,
    architecture: 'bert',
    config: bert.config,
    parameters: parametersOf(bert),
    pooling: found.pooling,
    tokensMax: found.tokensMax,
    opset: OPSET,
    file,
    bytes: pieces.reduce((sum, { length }) => sum + length, 0),
    cosine,
  };
}

function graphOf(bert: Bert, pooling: Pooling, weights: string): readonly Uint8Array[] {
  try {
    return bertGraph(bert, pooling);
  } catch (error) {
    if (error instanceof RangeError) throw new FreshetError('settings', `${weights} is too large: ${error.message}.`);
    throw error;
  }
}

/** Written aside, synced and checked before it gets its name. */
async function write<T>(file: string, pieces: readonly Uint8Array[], check: (aside: string) => Promise<T>): Promise<T> {
  const aside = `${file}.${randomUUID()}`;
  try {
    const handle = await open(aside, 'wx');
    try {
      for (const piece of together(pieces)) await handle.writeFile(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    const result = await check(aside);
    await rename(aside, file);
    return result;
  } finally {
    await rm(aside, { force: true });
  }
}

/** Joins small pieces: most have a few bytes. */
function* together(pieces: readonly Uint8Array[]): Iterable<Uint8Array> {
  let small: Uint8Array[] = [];
  for (const piece of pieces) {
    if (piece.length < 65_536) {
      small.push(piece);
      continue;
    }
    yield Buffer.concat(small);
    yield piece;
    small = [];
  }
  yield Buffer.concat(small);
}

async function compare(file: string, bert: Bert, pooling: Pooling): Promise<number> {
  const texts = TRIED_TOKENS.map((length) => idsOf(Math.min(length, bert.config.positions), bert.config.vocabulary));
  const vectors = await run(file, texts);
  const { hidden } = bert.config;
  const cosines = texts.map((ids, row) => {
    const reference = bertReference(bert, pooling, ids);
    return reference.reduce((sum, value, i) => sum + value * vectors[row * hidden + i]!, 0);
  });
  const cosine = Math.min(...cosines);
  if (cosine >= COSINE_MIN) return cosine;
  throw new FreshetError(
    'invalid_data',
    `The new model does not agree with the reference (cosine ${cosine}): nothing was kept.`,
  );
}

/** Token ids spread over the vocabulary, the same every time. */
function idsOf(length: number, vocabulary: number): number[] {
  return Array.from({ length }, (_, i) => (Math.imul(i + length, 0x9e3779b1) >>> 0) % vocabulary);
}

async function run(file: string, texts: readonly (readonly number[])[]): Promise<Float32Array> {
  const { InferenceSession, Tensor } = await loadRuntime();
  const session = await InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 3 });
  try {
    const tokens = Math.max(...texts.map(({ length }) => length));
    const padded = (value: (ids: readonly number[], i: number) => number) =>
      new Tensor(
        'int64',
        BigInt64Array.from(texts.flatMap((ids) => Array.from({ length: tokens }, (_, i) => BigInt(value(ids, i))))),
        [texts.length, tokens],
      );
    const answer = await session.run({
      input_ids: padded((ids, i) => ids[i] ?? 0),
      attention_mask: padded((ids, i) => (i < ids.length ? 1 : 0)),
      token_type_ids: padded(() => 0),
    });
    return answer['sentence_embedding']!.data as Float32Array;
  } finally {
    await session.release();
  }
}

function parametersOf({ words, positions, types, norm, layers }: Bert): number {
  const linears = [norm, ...layers.flatMap((layer) => Object.values(layer) as Bert['norm'][])];
  const tensors = [words, positions, types, ...linears.flatMap(({ weight, bias }) => [weight, bias])];
  return tensors.reduce((sum, { values }) => sum + values.length, 0);
}
