/** A BERT encoder: its description in config.json, and its weights by name. */
import { FreshetError } from '../../../process/errors.js';
import type { Safetensors, Tensor } from './safetensors.js';

export interface BertConfig {
  readonly layers: number;
  readonly hidden: number;
  readonly heads: number;
  readonly intermediate: number;
  readonly vocabulary: number;
  readonly positions: number;
  readonly types: number;
  readonly epsilon: number;
  readonly activation: 'gelu' | 'relu';
}

/** A linear layer: y = W x + b, with W stored by rows of outputs, as in PyTorch. */
export interface Linear {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

export interface BertLayer {
  readonly query: Linear;
  readonly key: Linear;
  readonly value: Linear;
  readonly attention: Linear;
  readonly attentionNorm: Linear;
  readonly up: Linear;
  readonly down: Linear;
  readonly norm: Linear;
}

export interface Bert {
  readonly config: BertConfig;
  readonly words: Tensor;
  readonly positions: Tensor;
  readonly types: Tensor;
  readonly norm: Linear;
  readonly layers: readonly BertLayer[];
}

/** Throws FreshetError('settings') for another architecture, ('invalid_data') for an invalid config.json. */
export function bertConfig(config: Readonly<Record<string, unknown>>, file: string): BertConfig {
  const type = config['model_type'];
  if (type !== 'bert')
    throw new FreshetError(
      'settings',
      `${file} describes ${type === undefined ? 'no known architecture' : `a model of type "${String(type)}"`}; only ` +
        '"bert" can be imported. Export it to ONNX with another tool and put the result in the folder as model.onnx.',
    );
  const position = config['position_embedding_type'] ?? 'absolute';
  if (position !== 'absolute')
    throw new FreshetError('settings', `${file} uses ${String(position)} positions; only absolute ones are supported.`);
  const activation = config['hidden_act'] ?? 'gelu';
  if (activation !== 'gelu' && activation !== 'relu')
    throw new FreshetError(
      'settings',
      `${file} uses the activation ${String(activation)}; only gelu and relu are supported.`,
    );
  const count = (name: string, otherwise?: number) => {
    const value = config[name] ?? otherwise;
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    throw new FreshetError(
      'invalid_data',
      `${file}: ${name} must be a whole number above 0, not ${JSON.stringify(value)}.`,
    );
  };
  const hidden = count('hidden_size');
  const heads = count('num_attention_heads');
  if (hidden % heads !== 0)
    throw new FreshetError('invalid_data', `${file}: hidden_size ${hidden} cannot be divided by ${heads} heads.`);
  const epsilon = config['layer_norm_eps'] ?? 1e-12;
  if (typeof epsilon !== 'number' || !(epsilon > 0))
    throw new FreshetError('invalid_data', `${file}: layer_norm_eps must be a number above 0.`);
  return {
    layers: count('num_hidden_layers'),
    hidden,
    heads,
    intermediate: count('intermediate_size'),
    vocabulary: count('vocab_size'),
    positions: count('max_position_embeddings'),
    types: count('type_vocab_size', 2),
    epsilon,
    activation,
  };
}

/** Reads the weights from a file. Throws FreshetError('invalid_data') naming the first missing or wrong one. */
export function bertWeights(config: BertConfig, file: Safetensors): Bert {
  const { hidden, intermediate, vocabulary, positions, types } = config;
  const prefix = file.has('bert.embeddings.word_embeddings.weight') ? 'bert.' : '';
  const linear = (name: string, outputs: number, inputs: number): Linear => ({
    weight: file.tensor(`${prefix}${name}.weight`, [outputs, inputs]),
    bias: file.tensor(`${prefix}${name}.bias`, [outputs]),
  });
  const norm = (name: string): Linear => ({
    weight: file.tensor(`${prefix}${name}.weight`, [hidden]),
    bias: file.tensor(`${prefix}${name}.bias`, [hidden]),
  });
  const table = (name: string, rows: number) => file.tensor(`${prefix}embeddings.${name}.weight`, [rows, hidden]);
  return {
    config,
    words: table('word_embeddings', vocabulary),
    positions: table('position_embeddings', positions),
    types: table('token_type_embeddings', types),
    norm: norm('embeddings.LayerNorm'),
    layers: Array.from({ length: config.layers }, (_, i) => {
      const layer = `encoder.layer.${i}`;
      return {
        query: linear(`${layer}.attention.self.query`, hidden, hidden),
        key: linear(`${layer}.attention.self.key`, hidden, hidden),
        value: linear(`${layer}.attention.self.value`, hidden, hidden),
        attention: linear(`${layer}.attention.output.dense`, hidden, hidden),
        attentionNorm: norm(`${layer}.attention.output.LayerNorm`),
        up: linear(`${layer}.intermediate.dense`, intermediate, hidden),
        down: linear(`${layer}.output.dense`, hidden, intermediate),
        norm: norm(`${layer}.output.LayerNorm`),
      };
    }),
  };
}
