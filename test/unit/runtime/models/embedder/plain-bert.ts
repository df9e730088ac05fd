/** BERT as in the paper, with matrices as arrays of rows: the oracle of the imported model. Shares no code with it. */
import type { Pooling } from '../../../../../runtime/models/embedder/model-files.js';
import { HIDDEN, TINY_CONFIG, type Weights } from './tiny-model.js';

type Matrix = number[][];

export function plainBert(weights: Weights, pooling: Pooling, ids: readonly number[]): number[] {
  const matrix = (name: string): Matrix => {
    const { shape, values } = weights.get(`${name}.weight`)!;
    return Array.from({ length: shape[0]! }, (_, row) => [...values.slice(row * shape[1]!, (row + 1) * shape[1]!)]);
  };
  const vector = (name: string) => [...weights.get(name)!.values];
  const dense = (x: Matrix, name: string): Matrix =>
    x.map((row) => matrix(name).map((w, i) => dot(w, row) + vector(`${name}.bias`)[i]!));
  const norm = (x: Matrix, name: string): Matrix =>
    x.map((row) => {
      const mean = sum(row) / row.length;
      const deviation = Math.sqrt(sum(row.map((v) => (v - mean) ** 2)) / row.length + TINY_CONFIG.layer_norm_eps);
      return row.map((v, i) => ((v - mean) / deviation) * vector(`${name}.weight`)[i]! + vector(`${name}.bias`)[i]!);
    });
  const table = (name: string) => matrix(`embeddings.${name}`);
  let x = norm(
    ids.map((id, at) =>
      table('word_embeddings')[id]!.map(
        (v, i) => v + table('position_embeddings')[at]![i]! + table('token_type_embeddings')[0]![i]!,
      ),
    ),
    'embeddings.LayerNorm',
  );
  for (let l = 0; l < TINY_CONFIG.num_hidden_layers; l++) {
    const layer = `encoder.layer.${l}`;
    const [q, k, v] = ['query', 'key', 'value'].map((part) => dense(x, `${layer}.attention.self.${part}`));
    const size = HIDDEN / TINY_CONFIG.num_attention_heads;
    const mixed = x.map((_, at) =>
      Array.from({ length: HIDDEN }, (__, i) => {
        const from = Math.floor(i / size) * size;
        const part = (row: number[]) => row.slice(from, from + size);
        const raw = k!.map((row) => Math.exp(dot(part(q![at]!), part(row)) / Math.sqrt(size)));
        return sum(raw.map((weight, other) => (weight / sum(raw)) * v![other]![i]!));
      }),
    );
    const attended = dense(mixed, `${layer}.attention.output.dense`);
    const y = norm(plus(attended, x), `${layer}.attention.output.LayerNorm`);
    const up = dense(y, `${layer}.intermediate.dense`).map((row) => row.map(gelu));
    x = norm(plus(dense(up, `${layer}.output.dense`), y), `${layer}.output.LayerNorm`);
  }
  const chosen = pooling === 'cls' ? x.slice(0, 1) : x;
  const pooled = x[0]!.map((_, i) => sum(chosen.map((row) => row[i]!)) / chosen.length);
  return pooled.map((value) => value / Math.sqrt(dot(pooled, pooled)));
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function dot(a: readonly number[], b: readonly number[]): number {
  return sum(a.map((value, i) => value * b[i]!));
}

function plus(a: Matrix, b: Matrix): Matrix {
  return a.map((row, r) => row.map((value, i) => value + b[r]![i]!));
}

/** x · Φ(x), Φ from the series of the error function: exact for the small numbers here. */
function gelu(x: number): number {
  const z = x / Math.SQRT2;
  let term = z;
  let total = z;
  for (let n = 1; n < 60; n++) {
    term *= (-z * z) / n;
    total += term / (2 * n + 1);
  }
  return 0.5 * x * (1 + (2 / Math.sqrt(Math.PI)) * total);
}
