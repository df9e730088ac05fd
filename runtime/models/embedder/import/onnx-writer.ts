/**
 * Writes an ONNX model: the few messages of onnx.proto that a graph of standard operators needs, in protobuf's wire
 * format. Field numbers are those of onnx.proto (IR version 8).
 */
const FLOAT = 1;
const INT64 = 7;
const IR_VERSION = 8;
export const OPSET = 17;
/** protobuf's limit for one message. */
const BYTES_MAX = 2 ** 31 - 1;

type Attribute = { readonly i: number } | { readonly f: number } | { readonly ints: readonly number[] };

/** Messages are lists of pieces, so that weights are not copied from one into the next. */
class Message {
  readonly pieces: Uint8Array[] = [];
  length = 0;

  #push(piece: Uint8Array): this {
    this.pieces.push(piece);
    this.length += piece.length;
    return this;
  }

  #varint(value: number): this {
    const bytes: number[] = [];
    let rest = BigInt.asUintN(64, BigInt(value));
    for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
    bytes.push(Number(rest));
    return this.#push(Uint8Array.from(bytes));
  }

  int(field: number, value: number): this {
    return this.#varint(field << 3).#varint(value);
  }

  float(field: number, value: number): this {
    return this.#varint((field << 3) | 5).#push(new Uint8Array(Float32Array.of(value).buffer));
  }

  bytes(field: number, value: Uint8Array): this {
    return this.#varint((field << 3) | 2)
      .#varint(value.length)
      .#push(value);
  }

  text(field: number, value: string): this {
    return this.bytes(field, Buffer.from(value));
  }

  message(field: number, value: Message): this {
    this.#varint((field << 3) | 2).#varint(value.length);
    for (const piece of value.pieces) this.#push(piece);
    return this;
  }
}

export class OnnxWriter {
  readonly #graph = new Message();
  readonly #name: string;
  #names = 0;

  constructor(name: string) {
    this.#name = name;
    this.#graph.text(2, name);
  }

  /** Adds an operator with one output; returns the name of the output. */
  node(operator: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    return this.named(`${operator.toLowerCase()}_${++this.#names}`, operator, inputs, attributes);
  }

  /** The same with an output named by the caller. */
  named(
    output: string,
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
  ): string {
    const node = new Message();
    for (const input of inputs) node.text(1, input);
    node.text(2, output).text(3, output).text(4, operator);
    for (const [name, value] of Object.entries(attributes)) node.message(5, attributeOf(name, value));
    this.#graph.message(1, node);
    return output;
  }

  floats(name: string, shape: readonly number[], values: Float32Array): string {
    const { buffer, byteOffset, byteLength } = values;
    return this.#initializer(name, shape, FLOAT, new Uint8Array(buffer, byteOffset, byteLength));
  }

  ints(name: string, values: readonly number[]): string {
    return this.#initializer(name, [values.length], INT64, new Uint8Array(BigInt64Array.from(values, BigInt).buffer));
  }

  /** A number without dimensions. */
  scalar(name: string, value: number): string {
    return this.floats(name, [], Float32Array.of(value));
  }

  #initializer(name: string, shape: readonly number[], type: number, raw: Uint8Array): string {
    const tensor = new Message();
    for (const length of shape) tensor.int(1, length);
    this.#graph.message(5, tensor.int(2, type).text(8, name).bytes(9, raw));
    return name;
  }

  /** An input of integers; a dimension is a length or a name. */
  input(name: string, shape: readonly (number | string)[]): string {
    this.#graph.message(11, valueInfo(name, INT64, shape));
    return name;
  }

  output(name: string, shape: readonly (number | string)[]): void {
    this.#graph.message(12, valueInfo(name, FLOAT, shape));
  }

  /** The file, in pieces. Throws RangeError above 2 GiB. */
  finish(): readonly Uint8Array[] {
    const model = new Message()
      .int(1, IR_VERSION)
      .text(2, 'freshet')
      .message(7, this.#graph)
      .message(8, new Message().text(1, '').int(2, OPSET));
    if (model.length > BYTES_MAX) throw new RangeError(`${this.#name} has ${model.length} bytes, more than 2 GiB`);
    return model.pieces;
  }
}

function attributeOf(name: string, value: Attribute): Message {
  const message = new Message().text(1, name);
  if ('i' in value) return message.int(3, value.i).int(20, 2);
  if ('f' in value) return message.float(2, value.f).int(20, 1);
  for (const one of value.ints) message.int(8, one);
  return message.int(20, 7);
}

function valueInfo(name: string, type: number, shape: readonly (number | string)[]): Message {
  const dimensions = new Message();
  for (const length of shape)
    dimensions.message(1, typeof length === 'number' ? new Message().int(1, length) : new Message().text(2, length));
  const tensor = new Message().int(1, type).message(2, dimensions);
  return new Message().text(1, name).message(2, new Message().message(1, tensor));
}
