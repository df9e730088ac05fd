/**
 * The contents of EMBEDDING_MODEL_DIR, in the layout of sentence-transformers: modules.json names the folders of the
 * transformer and the pooling; model.onnx is in the transformer's folder or in onnx/. Missing files have the library's
 * defaults; anything unsupported is refused with a sentence.
 */
import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { FreshetError } from '../../process/errors.js';

export type Pooling = 'mean' | 'cls';

interface ModelFolder {
  readonly folder: string;
  /** The folder of config.json and the weights; usually the folder itself. */
  readonly transformer: string;
  readonly pooling: Pooling;
  /** Longest input in tokens, including special ones. */
  readonly tokensMax: number;
  /** From the files, not from their location: a copy elsewhere is the same model. */
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
}

export interface ModelFiles extends ModelFolder {
  readonly onnx: string;
  readonly tokenizer: string;
}

const TOKENS_MAX = 512;
/** Larger numbers in tokenizer_config.json mean "no known limit". */
const BELIEVABLE_TOKENS = 100_000;
const POOLINGS: readonly (readonly [key: string, pooling: Pooling])[] = [
  ['pooling_mode_mean_tokens', 'mean'],
  ['pooling_mode_cls_token', 'cls'],
];

/** Reads the small files. Throws FreshetError('settings') or ('invalid_data') naming the file and the problem. */
export async function readModelFolder(folder: string): Promise<ModelFolder> {
  if (!existsSync(folder)) throw new FreshetError('settings', `There is no folder ${folder} to read a model from.`);
  const { transformer, pooling } = await modules(folder);
  const config = await optionalJson(join(transformer, 'config.json'));
  const sentence = await optionalJson(join(transformer, 'sentence_bert_config.json'));
  const tokens = await optionalJson(join(transformer, 'tokenizer_config.json'));
  const limits = [sentence['max_seq_length'], tokens['model_max_length']].filter(isTokenCount);
  const positions = [config['max_position_embeddings']].filter(isTokenCount);
  return {
    folder,
    transformer,
    pooling: await poolingOf(pooling),
    tokensMax: Math.min(limits[0] ?? TOKENS_MAX, ...positions),
    name: nameOf(config),
    config,
  };
}

/** The folder with everything needed to run the model. Throws as readModelFolder does. */
export async function readModelFiles(folder: string): Promise<ModelFiles> {
  const found = await readModelFolder(folder);
  const { transformer } = found;
  const onnx = [join(transformer, 'model.onnx'), join(folder, 'onnx', 'model.onnx')].find(existsSync);
  if (onnx === undefined)
    throw new FreshetError(
      'settings',
      existsSync(join(transformer, 'model.safetensors'))
        ? `${folder} has model.safetensors but no model.onnx: run "freshet model import ${folder}" once.`
        : `${folder} has neither model.onnx nor onnx/model.onnx.`,
    );
  const tokenizer = [join(transformer, 'tokenizer.json'), join(folder, 'tokenizer.json')].find(existsSync);
  if (tokenizer === undefined) throw new FreshetError('settings', `${folder} has no tokenizer.json.`);
  return { ...found, onnx, tokenizer };
}

/** Name and hash of everything that affects the vectors: weights, tokenizer, pooling, length. Reads all the files. */
export async function identityOf(files: ModelFiles): Promise<string> {
  const hash = createHash('sha256');
  hash.update(JSON.stringify({ pooling: files.pooling, tokensMax: files.tokensMax, norm: 'L2' }));
  const weights = [files.onnx, `${files.onnx}_data`, `${files.onnx}.data`].filter(existsSync);
  for (const file of [files.tokenizer, ...weights])
    for await (const chunk of createReadStream(file, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return `${files.name}-${hash.digest('hex').slice(0, 12)}`;
}

async function modules(folder: string): Promise<{ transformer: string; pooling: string }> {
  const file = join(folder, 'modules.json');
  const standard = { transformer: folder, pooling: join(folder, '1_Pooling') };
  if (!existsSync(file)) return standard;
  const list = await readJson(file);
  if (!Array.isArray(list)) throw new FreshetError('invalid_data', `${file} is not a list of modules.`);
  let { transformer, pooling } = standard;
  for (const entry of list as { type?: unknown; path?: unknown }[]) {
    const type = String(entry.type).split('.').at(-1)!;
    const path = join(folder, typeof entry.path === 'string' ? entry.path : '');
    if (type === 'Transformer') transformer = path;
    else if (type === 'Pooling') pooling = path;
    else if (type !== 'Normalize')
      throw new FreshetError('settings', `${file} uses a ${type} module, which is not supported.`);
  }
  return { transformer, pooling };
}

async function poolingOf(folder: string): Promise<Pooling> {
  const file = join(folder, 'config.json');
  const config = await optionalJson(file);
  const asked = Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const mode = config['pooling_mode'];
  if (typeof mode === 'string') asked.push(`pooling_mode_${mode}_token${mode === 'mean' ? 's' : ''}`);
  if (asked.length === 0) return 'mean';
  const known = POOLINGS.filter(([key]) => asked.includes(key));
  if (known.length === 1 && asked.every((key) => key === known[0]![0])) return known[0]![1];
  throw new FreshetError('settings', `${file} uses ${asked.join(' and ')}; only mean or cls pooling is supported.`);
}

function nameOf(config: Readonly<Record<string, unknown>>): string {
  const given = config['_name_or_path'];
  const name = typeof given === 'string' ? basename(given) : '';
  const plain = name.replaceAll(/[^\w.-]/g, '-').slice(0, 64);
  return /\w/.test(plain) ? plain : `${String(config['model_type'] ?? 'model').replaceAll(/[^\w.-]/g, '-')}`;
}

function isTokenCount(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 2 && (value as number) <= BELIEVABLE_TOKENS;
}

async function optionalJson(file: string): Promise<Readonly<Record<string, unknown>>> {
  if (!existsSync(file)) return {};
  const value = await readJson(file);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new FreshetError('invalid_data', `${file} is not a JSON object.`);
}

/** Throws FreshetError('invalid_data') when the file is not JSON. */
export async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as unknown;
  } catch (error) {
    throw new FreshetError('invalid_data', `${file} cannot be read as JSON: it is damaged or not a JSON file.`, {
      cause: error,
    });
  }
}
