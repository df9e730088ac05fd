/**
 * The same encoder, slow and obvious, in float64: every imported model is compared with it before use. Devlin et al.
 * 2019 (post-norm transformer), Reimers and Gurevych 2019 (pooling).
 */
import type { Pooling } from '../model-files.js';
import type { Bert, BertLayer, Linear } from './bert.js';

/** The L2-normalised sentence vector of these token ids (each below the vocabulary's size), without padding. */
export function bertReference(bert: Bert, pooling: Pooling, ids: readonly number[]): Float64Array {
  const { hidden } = bert.config;
  let rows = ids.map((id, place) => {
    const x = new Float64Array(hidden);
    for (let i = 0; i < hidden; i++)
      x[i] = bert.words.values[id * hidden + i]! + bert.types.values[i]! + bert.positions.values[place * hidden + i]!;
    return norm(x, bert.norm, bert.config.epsilon);
  });
  for (const layer of bert.layers) rows = encoded(bert, layer, rows);
  const sum = new Float64Array(hidden);
  for (const row of pooling === 'mean' ? rows : rows.slice(0, 1))
    for (let i = 0; i < hidden; i++) sum[i] = sum[i]! + row[i]!;
  const length = Math.hypot(...sum);
  return sum.map((value) => value / length);
}

function encoded({ config }: Bert, layer: BertLayer, rows: Float64Array[]): Float64Array[] {
  const { hidden, heads, epsilon, activation } = config;
  const size = hidden / heads;
  const query = rows.map((x) => linear(x, layer.query));
  const key = rows.map((x) => linear(x, layer.key));
  const value = rows.map((x) => linear(x, layer.value));
  const activate = activation === 'gelu' ? gelu : (x: number) => Math.max(0, x);
  return rows.map((x, at) => {
    const mixed = new Float64Array(hidden);
    for (let head = 0; head < heads; head++) {
      const from = head * size;
      const weights = softmax(key.map((other) => dot(query[at]!, other, from, size) / Math.sqrt(size)));
      for (const [other, weight] of weights.entries())
        for (let i = from; i < from + size; i++) mixed[i] = mixed[i]! + weight * value[other]![i]!;
    }
    const y = norm(add(linear(mixed, layer.attention), x), layer.attentionNorm, epsilon);
    return norm(add(linear(linear(y, layer.up).map(activate), layer.down), y), layer.norm, epsilon);
  });
}

function linear(x: Float64Array, { weight, bias }: Linear): Float64Array {
  const out = new Float64Array(bias.values.length);
  for (let row = 0; row < out.length; row++) {
    let sum = bias.values[row]!;
    const start = row * x.length;
    for (let i = 0; i < x.length; i++) sum += weight.values[start + i]! * x[i]!;
    out[row] = sum;
  }
  return out;
}

function add(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

function dot(a: Float64Array, b: Float64Array, from: number, size: number): number {
  let sum = 0;
  for (let i = from; i < from + size; i++) sum += a[i]! * b[i]!;
  return sum;
}

function norm(x: Float64Array, { weight, bias }: Linear, epsilon: number): Float64Array {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  const variance = x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + epsilon);
  return x.map((value, i) => (value - mean) * scale * weight.values[i]! + bias.values[i]!);
}

function softmax(scores: readonly number[]): number[] {
  const most = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - most));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
}

function gelu(x: number): number {
  return 0.5 * x * (1 + erf(x / Math.SQRT2));
}

/** Abramowitz and Stegun 7.1.26: the error is at most 1.5e-7, which is enough here. */
function erf(x: number): number {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const polynomial = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}
