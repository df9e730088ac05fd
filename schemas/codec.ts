/**
 * Framing and resolution of Avro values. Two framings are read everywhere, distinguished by their first byte:
 * single-object encoding (C3 01, CRC-64-AVRO fingerprint little endian; Avro specification 1.11) and the Confluent wire
 * format (0, 4-byte schema id big endian). With a registry, public topics are written in the Confluent format.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import avro from 'avsc';
import { projectRoot } from './project-root.js';

const SCHEMA_FILES = {
  Event: 'events/event.avsc',
  Product: 'events/product.avsc',
  Document: 'events/document.avsc',
  User: 'events/user.avsc',
  LateEvent: 'events/late-event.avsc',
  Erasure: 'events/erasure.avsc',
  Skip: 'events/skip.avsc',
  Popularity: 'features/popularity.avsc',
  Affinity: 'features/affinity.avsc',
  Interactions: 'features/interactions.avsc',
  Embedding: 'features/embedding.avsc',
  ProductActivity: 'features/product-activity.avsc',
  ActivityRow: 'features/activity-row.avsc',
  PopularityRow: 'features/popularity-row.avsc',
  Terms: 'features/terms.avsc',
  TermChanges: 'features/term-changes.avsc',
  DocumentTerms: 'features/document-terms.avsc',
  TermRow: 'features/term-row.avsc',
  Marker: 'features/marker.avsc',
  DeadLetter: 'jobs/dead-letter.avsc',
  RunRequest: 'jobs/run-request.avsc',
  RunResult: 'jobs/run-result.avsc',
  Release: 'publishing/release.avsc',
} as const;

export type SchemaName = keyof typeof SCHEMA_FILES;
const SCHEMA_NAMES = Object.keys(SCHEMA_FILES) as SchemaName[];

/** Why a value could not be read; becomes the reason code of a dead letter. */
type SchemaProblem = 'unknown_framing' | 'unknown_schema' | 'undecodable';

export class SchemaError extends Error {
  readonly problem: SchemaProblem;
  constructor(problem: SchemaProblem, message: string) {
    super(message);
    this.name = 'SchemaError';
    this.problem = problem;
  }
}

/** Looks up writer schemas by Confluent id. Null: the registry does not know the id. Throws when it is unreachable. */
export interface SchemaLookup {
  schemaById(id: number): Promise<string | null>;
}

interface Known {
  readonly json: string;
  readonly type: avro.Type;
  readonly fingerprint: Buffer;
  readonly singleObjectPrefix: Buffer;
}

const CRC64_EMPTY = 0xc15d213aa4d7a795n;
const CRC64_TABLE: bigint[] = Array.from({ length: 256 }, (_, i) => {
  let fp = BigInt(i);
  for (let j = 0; j < 8; j++) fp = (fp >> 1n) ^ (fp & 1n ? CRC64_EMPTY : 0n);
  return fp;
});

/** CRC-64-AVRO (Rabin) of a schema's parsing canonical form, 8 bytes little endian. Source: Avro specification. */
export function crc64Avro(text: string): Buffer {
  let fp = CRC64_EMPTY;
  for (const byte of Buffer.from(text, 'utf8')) fp = (fp >> 8n) ^ CRC64_TABLE[Number((fp ^ BigInt(byte)) & 0xffn)]!;
  const out = Buffer.alloc(8);
  out.writeBigUInt64LE(fp);
  return out;
}

/** Int64 as a JavaScript number: all our longs are times, counts and offsets below 2^53. */
function parse(json: string): avro.Type {
  return avro.Type.forSchema(JSON.parse(json) as avro.Schema, { wrapUnions: false });
}

const known = new Map<SchemaName, Known>();

function load(name: SchemaName): Known {
  let entry = known.get(name);
  if (entry === undefined) {
    const json = readFileSync(join(projectRoot, 'schemas', SCHEMA_FILES[name]), 'utf8');
    const type = parse(json);
    const fingerprint = crc64Avro(JSON.stringify(type.schema()));
    const singleObjectPrefix = Buffer.concat([Buffer.from([0xc3, 0x01]), fingerprint]);
    entry = { json, type, fingerprint, singleObjectPrefix };
    known.set(name, entry);
  }
  return entry;
}

/** The schema exactly as in its file. */
export function schemaJson(name: SchemaName): string {
  return load(name).json;
}

export function avroType(name: SchemaName): avro.Type {
  return load(name).type;
}

/** Frames values when writing and finds their body when reading; one per process. */
export class Codec {
  readonly #lookup: SchemaLookup | null;
  readonly #writers = new Map<string, avro.Type>();
  readonly #writersById = new Map<number, avro.Type | null>();
  readonly #sameById = new Map<SchemaName, Set<number>>();
  readonly #resolvers = new Map<string, avro.Resolver>();
  readonly #prefixes = new Map<SchemaName, Buffer>();

  /** `ids`: registry ids of our schemas; values of the schemas listed here are written in Confluent framing. */
  constructor(lookup: SchemaLookup | null = null, ids: ReadonlyMap<SchemaName, number> = new Map()) {
    this.#lookup = lookup;
    for (const name of SCHEMA_NAMES) {
      const { type, fingerprint, singleObjectPrefix } = load(name);
      this.#writers.set(fingerprint.toString('hex'), type);
      const id = ids.get(name);
      this.#prefixes.set(name, id === undefined ? singleObjectPrefix : confluentPrefix(id));
      this.#sameById.set(name, new Set(id === undefined ? [] : [id]));
      if (id !== undefined) this.#writersById.set(id, type);
    }
  }

  /** The framing in front of the body of every value that we write with this schema. */
  prefix(name: SchemaName): Buffer {
    return this.#prefixes.get(name)!;
  }

  /** Encodes with framing. Throws SchemaError when the value does not fit the schema. */
  encode(name: SchemaName, value: unknown): Buffer {
    const type = load(name).type;
    let body: Buffer;
    try {
      body = type.toBuffer(value);
    } catch (error) {
      throw new SchemaError('undecodable', `not a ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
    return Buffer.concat([this.prefix(name), body]);
  }

  /**
   * Where the body starts if the value was written with exactly our schema, otherwise -1 (then use `decode` or
   * `rewrite`). Hot path: no allocation.
   */
  bodyStart(name: SchemaName, bytes: Buffer, start: number, end: number): number {
    const first = start < end ? bytes[start]! : -1;
    if (first === 0xc3) {
      if (end - start < 10 || bytes[start + 1] !== 1) return -1;
      const own = load(name).fingerprint;
      for (let i = 0; i < 8; i++) if (bytes[start + 2 + i] !== own[i]) return -1;
      return start + 10;
    }
    if (first === 0 && end - start >= 5 && this.#sameById.get(name)!.has(bytes.readUInt32BE(start + 1)))
      return start + 5;
    return -1;
  }

  /** Decodes bytes[start..end) into the shape of our schema, whichever known schema wrote it. Throws SchemaError. */
  decode(name: SchemaName, bytes: Buffer, start = 0, end = bytes.length): unknown {
    const own = load(name);
    const same = this.bodyStart(name, bytes, start, end);
    try {
      if (same >= 0) return own.type.fromBuffer(bytes.subarray(same, end));
      const { writer, body } = this.#writerOf(bytes, start, end);
      return own.type.fromBuffer(bytes.subarray(body, end), this.#resolver(own.type, name, writer), false);
    } catch (error) {
      if (error instanceof SchemaError) throw error;
      throw new SchemaError('undecodable', `not a ${name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  /**
   * Decodes bytes[start..end) into the shape of the schema that wrote it: one of ours, or one that the registry has and
   * `prepare` has fetched. Throws SchemaError.
   */
  decodeAsWritten(bytes: Buffer, start = 0, end = bytes.length): unknown {
    const { writer, body } = this.#writerOf(bytes, start, end);
    try {
      return writer.fromBuffer(bytes.subarray(body, end));
    } catch (error) {
      throw new SchemaError('undecodable', error instanceof Error ? error.message : String(error));
    }
  }

  /** The same value as a bare body of our schema, so that fast readers need only one schema. Throws SchemaError. */
  rewrite(name: SchemaName, bytes: Buffer, start: number, end: number): Buffer {
    return load(name).type.toBuffer(this.decode(name, bytes, start, end));
  }

  /**
   * Fetches the writer schemas that a batch needs and we have not seen. `starts` and `ends` delimit the values. Throws
   * when the registry cannot be reached (transient); an id that it does not know is remembered as unknown.
   */
  async prepare(bytes: Buffer, count: number, starts: Int32Array, ends: Int32Array): Promise<void> {
    if (this.#lookup === null) return;
    let last = -1;
    for (let i = 0; i < count; i++) {
      const start = starts[i]!;
      if (start < 0 || ends[i]! - start < 5 || bytes[start] !== 0) continue;
      const id = bytes.readUInt32BE(start + 1);
      if (id === last) continue;
      last = id;
      if (!this.#writersById.has(id)) await this.#learn(id);
    }
  }

  async #learn(id: number): Promise<void> {
    const json = await this.#lookup!.schemaById(id);
    if (json === null) {
      this.#writersById.set(id, null);
      return;
    }
    let type: avro.Type;
    try {
      type = parse(json);
    } catch {
      this.#writersById.set(id, null);
      return;
    }
    this.#writersById.set(id, type);
    const canonical = crc64Avro(JSON.stringify(type.schema()));
    for (const name of SCHEMA_NAMES) if (load(name).fingerprint.equals(canonical)) this.#sameById.get(name)!.add(id);
  }

  #writerOf(bytes: Buffer, start: number, end: number): { writer: avro.Type; body: number } {
    const first = start < end ? bytes[start]! : -1;
    if (first === 0xc3 && end - start >= 10 && bytes[start + 1] === 1) {
      const fingerprint = bytes.toString('hex', start + 2, start + 10);
      const writer = this.#writers.get(fingerprint);
      if (writer !== undefined) return { writer, body: start + 10 };
      throw new SchemaError('unknown_schema', `no schema with fingerprint ${fingerprint} in schemas/`);
    }
    if (first === 0 && end - start >= 5) {
      const id = bytes.readUInt32BE(start + 1);
      const writer = this.#writersById.get(id);
      if (writer) return { writer, body: start + 5 };
      throw new SchemaError(
        'unknown_schema',
        this.#lookup === null
          ? `schema id ${id} needs a registry: set SCHEMA_REGISTRY_URL`
          : `the registry has no schema with id ${id}`,
      );
    }
    throw new SchemaError(
      'unknown_framing',
      'the value starts with neither C3 01 nor 0, so it has none of the Avro framings',
    );
  }

  #resolver(own: avro.Type, name: SchemaName, writer: avro.Type): avro.Resolver {
    const key = `${name}/${crc64Avro(JSON.stringify(writer.schema())).toString('hex')}`;
    let resolver = this.#resolvers.get(key);
    if (resolver === undefined) {
      resolver = own.createResolver(writer);
      this.#resolvers.set(key, resolver);
    }
    return resolver;
  }
}

function confluentPrefix(id: number): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(id, 1);
  return prefix;
}

/**
 * A function that decodes framed values of one schema, given as JSON. Throws SchemaError for a text that is no schema;
 * so does the function for a value that is not of it.
 */
export function decoderOf(schemaText: string): (bytes: Buffer) => unknown {
  let type: avro.Type;
  try {
    type = parse(schemaText);
  } catch (error) {
    throw new SchemaError('unknown_schema', `not an Avro schema: ${error instanceof Error ? error.message : error}`);
  }
  return (bytes) => {
    const body = bytes[0] === 0xc3 && bytes[1] === 1 ? 10 : bytes[0] === 0 ? 5 : -1;
    if (body < 0) throw new SchemaError('unknown_framing', 'the value has none of the Avro framings');
    try {
      return type.fromBuffer(bytes.subarray(body));
    } catch (error) {
      throw new SchemaError('undecodable', error instanceof Error ? error.message : String(error));
    }
  };
}
