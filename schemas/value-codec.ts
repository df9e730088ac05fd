/**
 * Typed Avro values of any schema, for topics that users declare themselves: the same two framings as codec.ts, without
 * its closed list of names and its hot path.
 */
import avro from 'avsc';
import { crc64Avro, SchemaError, type SchemaLookup } from './codec.js';

const SINGLE_OBJECT_BYTES = 10;
const CONFLUENT_BYTES = 5;

/** An Avro schema and the TypeScript type of its values; longs are numbers, exact to 2^53. */
export class AvroSchema<T> {
  readonly name: string;
  /** The JSON that is registered. */
  readonly json: string;
  /** CRC-64-AVRO, little endian, hex. */
  readonly fingerprint: string;
  readonly type: avro.Type;
  /** Schemas of older values in the topic; without a registry, this is the only way to know them. */
  readonly older: readonly avro.Type[];

  constructor(schema: object, older: readonly object[] = []) {
    this.type = parse(schema);
    this.name = this.type.name ?? this.type.typeName;
    this.json = JSON.stringify(schema);
    this.fingerprint = fingerprintOf(this.type);
    this.older = older.map(parse);
  }

  /** The bare body. Throws SchemaError naming the first field that does not fit or that the schema lacks. */
  toBody(value: T): Buffer {
    let problem = '';
    const fits = this.type.isValid(value, {
      noUndeclaredFields: true,
      errorHook: (path, found: unknown, wanted) => {
        problem ||= `${path.length === 0 ? 'it' : path.join('.')} ${problemOf(found, wanted)}`;
      },
    });
    if (!fits) throw new SchemaError('undecodable', `not a ${this.name}: ${problem}`);
    return this.type.toBuffer(value);
  }

  fromBody(bytes: Buffer): T {
    return plain(this.type.fromBuffer(bytes)) as T;
  }
}

/**
 * A custom Avro schema. `older`: earlier versions whose values may still be in the topic; a field that they lack needs
 * a default. Throws SchemaError when one is not an Avro schema, or cannot be read as the newest one.
 */
export function avroSchema<T>(schema: object, older: readonly object[] = []): AvroSchema<T> {
  const made = new AvroSchema<T>(schema, older);
  for (const writer of made.older) resolverOf(made.type, writer);
  return made;
}

/** Frames values of one schema when writing and resolves them when reading; one per process. */
export class ValueCodec<T> {
  readonly schema: AvroSchema<T>;
  readonly #lookup: SchemaLookup | null;
  /** Precedes the body of every value that is written. */
  readonly prefix: Buffer;
  /** By fingerprint or by id. `own`: nothing to resolve; null: an unknown schema. */
  readonly #writers = new Map<string | number, avro.Resolver | 'own' | null>();

  /** `id`: the schema's id in the registry; values are then written in Confluent framing. */
  constructor(schema: AvroSchema<T>, lookup: SchemaLookup | null = null, id: number | null = null) {
    this.schema = schema;
    this.#lookup = lookup;
    this.prefix = id === null ? singleObjectPrefix(schema) : confluentPrefix(id);
    for (const older of schema.older) this.#writers.set(fingerprintOf(older), resolverOf(schema.type, older));
    this.#writers.set(schema.fingerprint, 'own');
    if (id !== null) this.#writers.set(id, 'own');
  }

  /** Throws SchemaError when the value does not fit the schema. */
  encode(value: T): Buffer {
    return Buffer.concat([this.prefix, this.schema.toBody(value)]);
  }

  /** Fetches the writer schemas that these values need. Throws when the registry cannot be reached (transient). */
  async prepare(bytes: Buffer, count: number, starts: Int32Array, ends: Int32Array): Promise<void> {
    if (this.#lookup === null) return;
    for (let i = 0; i < count; i++) {
      const start = starts[i]!;
      if (start < 0 || ends[i]! - start < CONFLUENT_BYTES || bytes[start] !== 0) continue;
      const id = bytes.readUInt32BE(start + 1);
      if (!this.#writers.has(id)) this.#writers.set(id, await this.#learn(id));
    }
  }

  /** Throws SchemaError. */
  decode(bytes: Buffer, start = 0, end = bytes.length): T {
    const { resolver, body } = this.#writerOf(bytes, start, end);
    try {
      return plain(this.schema.type.fromBuffer(bytes.subarray(body, end), resolver, false)) as T;
    } catch (error) {
      throw new SchemaError('undecodable', `not a ${this.schema.name}: ${messageOf(error)}`);
    }
  }

  async #learn(id: number): Promise<avro.Resolver | null> {
    const json = await this.#lookup!.schemaById(id);
    try {
      return json === null ? null : resolverOf(this.schema.type, parse(JSON.parse(json) as object));
    } catch {
      return null;
    }
  }

  #writerOf(bytes: Buffer, start: number, end: number): { resolver: avro.Resolver | undefined; body: number } {
    const length = end - start;
    const first = length > 0 ? bytes[start]! : -1;
    const isSingle = first === 0xc3 && length >= SINGLE_OBJECT_BYTES && bytes[start + 1] === 1;
    if (!isSingle && (first !== 0 || length < CONFLUENT_BYTES))
      throw new SchemaError('unknown_framing', 'the value starts with neither C3 01 nor 0 and a schema id');
    const body = start + (isSingle ? SINGLE_OBJECT_BYTES : CONFLUENT_BYTES);
    const writer = isSingle ? bytes.toString('hex', start + 2, body) : bytes.readUInt32BE(start + 1);
    const resolver = this.#writers.get(writer);
    if (resolver) return { resolver: resolver === 'own' ? undefined : resolver, body };
    const known = isSingle ? 'is not among those given with the schema' : 'cannot be read with it, or needs a registry';
    throw new SchemaError('unknown_schema', `not a ${this.schema.name}: its writer's schema ${writer} ${known}`);
  }
}

function parse(schema: object): avro.Type {
  try {
    return avro.Type.forSchema(schema as avro.Schema, { wrapUnions: false });
  } catch (error) {
    throw new SchemaError('unknown_schema', `not an Avro schema: ${messageOf(error)}`);
  }
}

function resolverOf(own: avro.Type, writer: avro.Type): avro.Resolver {
  try {
    return own.createResolver(writer);
  } catch (error) {
    throw new SchemaError('unknown_schema', `values of an older ${own.name} cannot be read: ${messageOf(error)}`);
  }
}

/** avsc decodes records into objects of its own classes: no object written by hand would be deeply equal to one. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Buffer.isBuffer(value)) return value;
  if (Array.isArray(value)) return value.map(plain);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]));
}

function fingerprintOf(type: avro.Type): string {
  return crc64Avro(JSON.stringify(type.schema())).toString('hex');
}

function singleObjectPrefix(schema: AvroSchema<unknown>): Buffer {
  return Buffer.concat([Buffer.from([0xc3, 0x01]), Buffer.from(schema.fingerprint, 'hex')]);
}

function confluentPrefix(id: number): Buffer {
  const prefix = Buffer.alloc(CONFLUENT_BYTES);
  prefix.writeUInt32BE(id, 1);
  return prefix;
}

function problemOf(value: unknown, wanted: avro.Type): string {
  const fields = (wanted as { fields?: { name: string }[] }).fields?.map(({ name }) => name);
  const isObject = typeof value === 'object' && value !== null;
  const strange = fields && isObject ? Object.keys(value).find((name) => !fields.includes(name)) : undefined;
  if (strange !== undefined) return `has a field "${strange}", which the schema lacks`;
  return `must be ${wanted.name ?? wanted.typeName.replace('union:unwrapped', 'of the union')} (it is ${shown(value)})`;
}

function shown(value: unknown): string {
  const text = value === undefined ? 'missing' : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 57)}…` : text;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
