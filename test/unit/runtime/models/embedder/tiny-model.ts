/** A BERT of a few kilobytes with seeded random weights, in the layout of sentence-transformers. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Pooling } from '../../../../../runtime/models/embedder/model-files.js';
import { Random } from '../../../../support/random.js';

export const HIDDEN = 16;
const INTERMEDIATE = 24;
const LAYERS = 2;
export const WORDS = ['oak', 'desk', 'lamp', 'steel', 'bottle', 'water', 'chair', 'green', '##s', 'a'] as const;
const SPECIAL = ['[PAD]', '[UNK]', '[CLS]', '[SEP]'] as const;
const VOCABULARY: readonly string[] = [...SPECIAL, ...WORDS];

export const TINY_CONFIG = {
  _name_or_path: 'made/for tests',
  model_type: 'bert',
  hidden_size: HIDDEN,
  num_attention_heads: 4,
  num_hidden_layers: LAYERS,
  intermediate_size: INTERMEDIATE,
  vocab_size: VOCABULARY.length,
  max_position_embeddings: 20,
  type_vocab_size: 2,
  layer_norm_eps: 1e-12,
  hidden_act: 'gelu',
};

export type Weights = Map<string, { readonly shape: readonly number[]; readonly values: Float32Array }>;

export function tinyWeights(seed = 7): Weights {
  const random = new Random(seed);
  const weights: Weights = new Map();
  const add = (name: string, ...shape: number[]) => {
    const count = shape.reduce((product, length) => product * length, 1);
    const middle = name.endsWith('LayerNorm.weight') ? 1 : 0;
    const values = Float32Array.from({ length: count }, () => middle + random.unit() - 0.5);
    weights.set(name, { shape, values });
  };
  const linear = (name: string, outputs: number, inputs: number) => {
    add(`${name}.weight`, outputs, inputs);
    add(`${name}.bias`, outputs);
  };
  const norm = (name: string) => {
    add(`${name}.weight`, HIDDEN);
    add(`${name}.bias`, HIDDEN);
  };
  add('embeddings.word_embeddings.weight', VOCABULARY.length, HIDDEN);
  add('embeddings.position_embeddings.weight', TINY_CONFIG.max_position_embeddings, HIDDEN);
  add('embeddings.token_type_embeddings.weight', 2, HIDDEN);
  norm('embeddings.LayerNorm');
  for (let i = 0; i < LAYERS; i++) {
    const layer = `encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) linear(`${layer}.attention.self.${part}`, HIDDEN, HIDDEN);
    linear(`${layer}.attention.output.dense`, HIDDEN, HIDDEN);
    norm(`${layer}.attention.output.LayerNorm`);
    linear(`${layer}.intermediate.dense`, INTERMEDIATE, HIDDEN);
    linear(`${layer}.output.dense`, HIDDEN, INTERMEDIATE);
    norm(`${layer}.output.LayerNorm`);
  }
  return weights;
}

/** The file; a `dtype` other than F32 rounds the weights. */
export function safetensorsOf(weights: Weights, dtype: 'F32' | 'BF16' = 'F32'): Buffer {
  const header: Record<string, unknown> = { __metadata__: { format: 'pt' } };
  const pieces: Buffer[] = [];
  let at = 0;
  for (const [name, { shape, values }] of weights) {
    const bytes = Buffer.from(values.buffer.slice(0));
    const piece =
      dtype === 'F32' ? bytes : Buffer.concat(Array.from(values, (_, i) => bytes.subarray(4 * i + 2, 4 * i + 4)));
    header[name] = { dtype, shape, data_offsets: [at, at + piece.length] };
    pieces.push(piece);
    at += piece.length;
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...pieces]);
}

const TOKENIZER = {
  version: '1.0',
  truncation: { max_length: 4, strategy: 'LongestFirst', stride: 0 },
  padding: null,
  added_tokens: SPECIAL.map((content, id) => ({
    id,
    content,
    single_word: false,
    lstrip: false,
    rstrip: false,
    normalized: false,
    special: true,
  })),
  normalizer: {
    type: 'BertNormalizer',
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: 'BertPreTokenizer' },
  post_processor: {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '[CLS]', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '[SEP]', type_id: 0 } },
    ],
    pair: [],
    special_tokens: {
      '[CLS]': { id: '[CLS]', ids: [2], tokens: ['[CLS]'] },
      '[SEP]': { id: '[SEP]', ids: [3], tokens: ['[SEP]'] },
    },
  },
  decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
  model: {
    type: 'WordPiece',
    unk_token: '[UNK]',
    continuing_subword_prefix: '##',
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(VOCABULARY.map((word, id) => [word, id])),
  },
};

export interface TinyModel {
  readonly folder: string;
  readonly weights: Weights;
  /** Rewrites a file of the folder. */
  write(name: string, content: string | Uint8Array): Promise<void>;
}

/** Gives the work a folder with model.safetensors and all small files, and removes it afterwards. */
export async function withTinyModel(
  options: { readonly pooling?: Pooling; readonly seed?: number; readonly config?: Record<string, unknown> },
  work: (model: TinyModel) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-model-'));
  const weights = tinyWeights(options.seed);
  const write = (name: string, content: string | Uint8Array) => writeFile(join(folder, name), content);
  const json = (name: string, value: unknown) => write(name, JSON.stringify(value));
  try {
    await mkdir(join(folder, '1_Pooling'));
    await write('model.safetensors', safetensorsOf(weights));
    await json('config.json', { ...TINY_CONFIG, ...options.config });
    await json('tokenizer.json', TOKENIZER);
    await json('tokenizer_config.json', { model_max_length: 512 });
    await json('sentence_bert_config.json', { max_seq_length: 12, do_lower_case: false });
    await json('modules.json', [
      { idx: 0, name: '0', path: '', type: 'sentence_transformers.models.Transformer' },
      { idx: 1, name: '1', path: '1_Pooling', type: 'sentence_transformers.models.Pooling' },
      { idx: 2, name: '2', path: '2_Normalize', type: 'sentence_transformers.models.Normalize' },
    ]);
    await json('1_Pooling/config.json', {
      word_embedding_dimension: HIDDEN,
      pooling_mode_mean_tokens: options.pooling !== 'cls',
      pooling_mode_cls_token: options.pooling === 'cls',
    });
    await work({ folder, weights, write });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The tokenizer's output for words of the vocabulary. */
export function idsOf(text: string): number[] {
  const words = text.split(' ').map((word) => Math.max(1, VOCABULARY.indexOf(word)));
  return [2, ...words, 3];
}
