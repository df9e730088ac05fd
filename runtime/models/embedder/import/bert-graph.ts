/**
 * A BERT encoder as an ONNX graph that includes pooling and the L2 norm. The operators are in the order that
 * onnxruntime's optimiser expects, so that it fuses each group into one Attention, FastGelu or LayerNormalization.
 */
import type { Pooling } from '../model-files.js';
import type { Bert, BertLayer, Linear } from './bert.js';
import { OnnxWriter } from './onnx-writer.js';
import type { Tensor } from './safetensors.js';

/** Subtracted from the score of a masked token: its weight underflows to 0. */
const MASKED = -10_000;

/** The file of the model, in pieces. Throws RangeError above 2 GiB. */
export function bertGraph(bert: Bert, pooling: Pooling): readonly Uint8Array[] {
  const graph = new OnnxWriter('sentence-encoder');
  const ids = graph.input('input_ids', ['batch', 'tokens']);
  const mask = graph.input('attention_mask', ['batch', 'tokens']);
  const types = graph.input('token_type_ids', ['batch', 'tokens']);
  const present = graph.node('Cast', [mask], { to: { i: 1 } });
  const constants = constantsOf(graph, bert);
  const bias = maskBias(graph, mask, constants);
  let x = embedded(graph, bert, ids, types, constants);
  for (const [i, layer] of bert.layers.entries()) x = encoded(graph, layer, `layer.${i}`, x, bias, constants, bert);
  const sentence = pooling === 'mean' ? mean(graph, x, present, constants) : first(graph, x, constants);
  const norm = graph.node('ReduceL2', [sentence], { axes: { ints: [1] }, keepdims: { i: 1 } });
  graph.named('sentence_embedding', 'Div', [sentence, graph.node('Max', [norm, graph.scalar('norm_least', 1e-12)])]);
  graph.output('sentence_embedding', ['batch', bert.config.hidden]);
  return graph.finish();
}

type Constants = ReturnType<typeof constantsOf>;

function constantsOf(graph: OnnxWriter, { config: { hidden, heads } }: Bert) {
  return {
    zero: graph.ints('zero', [0]),
    one: graph.ints('one', [1]),
    two: graph.ints('two', [2]),
    oneNumber: graph.scalar('one_number', 1),
    half: graph.scalar('half', 0.5),
    root2: graph.scalar('root_2', Math.SQRT2),
    masked: graph.scalar('masked', MASKED),
    scale: graph.scalar('scale', Math.sqrt(hidden / heads)),
    split: graph.ints('split', [0, 0, heads, hidden / heads]),
    joined: graph.ints('joined', [0, 0, hidden]),
    leastCount: graph.scalar('count_least', 1e-9),
  };
}

function tensor(graph: OnnxWriter, name: string, { shape, values }: Tensor): string {
  return graph.floats(name, shape, values);
}

function embedded(graph: OnnxWriter, bert: Bert, ids: string, types: string, constants: Constants): string {
  const words = graph.node('Gather', [tensor(graph, 'words', bert.words), ids], { axis: { i: 0 } });
  const kinds = graph.node('Gather', [tensor(graph, 'types', bert.types), types], { axis: { i: 0 } });
  const tokens = graph.node('Shape', [ids], { start: { i: 1 }, end: { i: 2 } });
  const table = tensor(graph, 'positions', bert.positions);
  const places = graph.node('Slice', [table, constants.zero, tokens, constants.zero]);
  const sum = graph.node('Add', [graph.node('Add', [words, kinds]), places]);
  return norm(graph, 'embeddings.norm', sum, bert.norm, bert);
}

/** [batch, 1, 1, tokens]: 0 where there is a token, very low where there is padding. */
function maskBias(graph: OnnxWriter, mask: string, { one, two, oneNumber, masked }: Constants): string {
  const wide = graph.node('Unsqueeze', [graph.node('Unsqueeze', [mask, one]), two]);
  const present = graph.node('Cast', [wide], { to: { i: 1 } });
  return graph.node('Mul', [graph.node('Sub', [oneNumber, present]), masked]);
}

function encoded(
  graph: OnnxWriter,
  layer: BertLayer,
  name: string,
  x: string,
  bias: string,
  constants: Constants,
  bert: Bert,
): string {
  const heads = (part: 'query' | 'key' | 'value', order: readonly number[]) => {
    const split = graph.node('Reshape', [linear(graph, `${name}.${part}`, x, layer[part]), constants.split]);
    return graph.node('Transpose', [split], { perm: { ints: order } });
  };
  const query = heads('query', [0, 2, 1, 3]);
  const key = heads('key', [0, 2, 3, 1]);
  const value = heads('value', [0, 2, 1, 3]);
  const scores = graph.node('Div', [graph.node('MatMul', [query, key]), constants.scale]);
  const weights = graph.node('Softmax', [graph.node('Add', [scores, bias])], { axis: { i: 3 } });
  const mixed = graph.node('Transpose', [graph.node('MatMul', [weights, value])], { perm: { ints: [0, 2, 1, 3] } });
  const joined = graph.node('Reshape', [mixed, constants.joined]);
  const attended = linear(graph, `${name}.attention`, joined, layer.attention);
  const y = norm(graph, `${name}.attention_norm`, graph.node('Add', [attended, x]), layer.attentionNorm, bert);
  const up = activated(graph, linear(graph, `${name}.up`, y, layer.up), constants, bert);
  const down = linear(graph, `${name}.down`, up, layer.down);
  return norm(graph, `${name}.norm`, graph.node('Add', [down, y]), layer.norm, bert);
}

function linear(graph: OnnxWriter, name: string, x: string, { weight, bias }: Linear): string {
  const [outputs, inputs] = weight.shape as readonly [number, number];
  const turned = graph.floats(`${name}.weight`, [inputs, outputs], transposed(weight.values, outputs, inputs));
  return graph.node('Add', [graph.node('MatMul', [x, turned]), tensor(graph, `${name}.bias`, bias)]);
}

function norm(graph: OnnxWriter, name: string, x: string, { weight, bias }: Linear, { config }: Bert): string {
  const inputs = [x, tensor(graph, `${name}.weight`, weight), tensor(graph, `${name}.bias`, bias)];
  return graph.node('LayerNormalization', inputs, { axis: { i: -1 }, epsilon: { f: config.epsilon } });
}

function activated(graph: OnnxWriter, x: string, { root2, oneNumber, half }: Constants, { config }: Bert): string {
  if (config.activation === 'relu') return graph.node('Relu', [x]);
  const erf = graph.node('Add', [graph.node('Erf', [graph.node('Div', [x, root2])]), oneNumber]);
  return graph.node('Mul', [graph.node('Mul', [x, erf]), half]);
}

function mean(graph: OnnxWriter, x: string, present: string, { one, two, leastCount }: Constants): string {
  const wide = graph.node('Unsqueeze', [present, two]);
  const sum = graph.node('ReduceSum', [graph.node('Mul', [x, wide]), one], { keepdims: { i: 0 } });
  const count = graph.node('ReduceSum', [wide, one], { keepdims: { i: 0 } });
  return graph.node('Div', [sum, graph.node('Max', [count, leastCount])]);
}

function first(graph: OnnxWriter, x: string, { zero, one }: Constants): string {
  return graph.node('Squeeze', [graph.node('Gather', [x, zero], { axis: { i: 1 } }), one]);
}

function transposed(values: Float32Array, rows: number, columns: number): Float32Array {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) out[column * rows + row] = values[row * columns + column]!;
  return out;
}
