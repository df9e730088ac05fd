/**
 * A Kafka cluster of several brokers that answers exactly as a test wants: enough of the protocol for reading, and for
 * transactions (fake-transactions.ts). It is for cases that a single real broker cannot show: leaders and coordinators
 * that move, truncated answers, logs with holes.
 */
import { createServer, type Server, type Socket } from 'node:net';
import { FrameAssembler } from '../../../runtime/log/kafka/wire/frames.js';
import { RequestWriter, ResponseReader } from '../../../runtime/log/kafka/wire/wire.js';
import { FakeTransactions } from './fake-transactions.js';

export interface FakePartition {
  leader: number;
  /** Finished record batches with their first and last offsets. */
  batches: { readonly first: number; readonly last: number; readonly bytes: Buffer }[];
  earliest: number;
  lastStable: number;
  highWatermark: number;
}

export interface AskedPartition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly bytesMax: number;
}

export interface AskedFetch {
  readonly node: number;
  readonly partitions: readonly AskedPartition[];
}

const NOT_LEADER = 6;
const UNKNOWN_TOPIC = 3;
const OUT_OF_RANGE = 1;
const VERSIONS = Array.from({ length: 40 }, (_, apiKey) => apiKey);

export class FakeKafka {
  readonly topics = new Map<string, FakePartition[]>();
  readonly transactions = new FakeTransactions(
    (topic, partition) => this.topics.get(topic)?.[partition],
    (node) => this.#nodes.get(node)?.port ?? 0,
  );
  /** Every fetch so far. */
  readonly fetches: AskedFetch[] = [];
  metadataAsked = 0;
  /** Number of times that metadata still has no topics, as from a broker that has just started. */
  forgetful = 0;
  /** A fetch answers with this instead of the truth, once: the error of every partition. */
  nextFetchError = 0;
  /** Throttle time of every answer, ms. */
  throttleMs = 0;
  /** Bytes of one answer, over all partitions. */
  answerBytesMax = Number.POSITIVE_INFINITY;
  readonly #nodes = new Map<
    number,
    { readonly server: Server; readonly port: number; readonly sockets: Set<Socket> }
  >();

  static async open(nodes: number): Promise<FakeKafka> {
    const kafka = new FakeKafka();
    for (let id = 1; id <= nodes; id++) await kafka.start(id);
    return kafka;
  }

  get brokers(): string {
    return [...this.#nodes.values()].map(({ port }) => `127.0.0.1:${port}`).join(',');
  }

  async start(id: number): Promise<void> {
    const sockets = new Set<Socket>();
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      const frames = new FrameAssembler((frame) => this.#answer(id, socket, frame));
      socket.on('data', (chunk) => frames.push(chunk, chunk.length));
      socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    this.#nodes.set(id, { server, port: typeof address === 'object' ? address!.port : 0, sockets });
  }

  /** The broker is gone, and metadata no longer lists it. */
  async stop(id: number): Promise<void> {
    const node = this.#nodes.get(id)!;
    this.#nodes.delete(id);
    for (const socket of node.sockets) socket.destroy();
    await new Promise((resolve) => node.server.close(resolve));
  }

  async close(): Promise<void> {
    for (const id of [...this.#nodes.keys()]) await this.stop(id);
  }

  #answer(node: number, socket: Socket, frame: Buffer): void {
    const request = new ResponseReader(frame);
    request.int32();
    const apiKey = request.int16();
    request.int16();
    const answer = new RequestWriter(1024).int32(0).int32(request.int32());
    request.nullableString();
    if (apiKey === 18) apiVersions(answer);
    else if (apiKey === 3) this.#metadata(request, answer);
    else if (apiKey === 2) this.#listOffsets(request, answer);
    else if (this.transactions.knows(apiKey)) this.transactions.respond(apiKey, node, request, answer);
    else if (apiKey !== 1) throw new Error(`request ${apiKey} is not supported here`);
    // A fetch without new records is answered later.
    const waitMs = apiKey === 1 ? this.#fetch(node, request, answer) : 0;
    if (waitMs === 0) send(socket, answer);
    else setTimeout(() => send(socket, answer), waitMs).unref();
  }

  #metadata(request: ResponseReader, answer: RequestWriter): void {
    this.metadataAsked++;
    const asked = request.array(() => request.string());
    answer.int32(0).array([...this.#nodes], ([id, { port }]) => {
      answer.int32(id).string('127.0.0.1').int32(port).string(null);
    });
    answer.string('fake').int32(1);
    const knows = this.forgetful === 0;
    this.forgetful = Math.max(0, this.forgetful - 1);
    answer.array(asked, (topic) => {
      const partitions = knows ? this.topics.get(topic) : undefined;
      answer
        .int16(partitions === undefined ? UNKNOWN_TOPIC : 0)
        .string(topic)
        .int8(0);
      answer.array(partitions ?? [], (found) => {
        answer.int16(0).int32(partitions!.indexOf(found)).int32(found.leader).int32(0).int32(0).int32(0);
      });
    });
  }

  #listOffsets(request: ResponseReader, answer: RequestWriter): void {
    request.int32();
    const committed = request.int8() === 1;
    request.int32();
    const topic = request.string();
    request.int32();
    const index = request.int32();
    const time = request.int64();
    const partition = this.topics.get(topic)?.[index];
    const end = committed ? partition?.lastStable : partition?.highWatermark;
    answer.int32(0).int32(1).string(topic).int32(1).int32(index);
    answer.int16(partition === undefined ? UNKNOWN_TOPIC : 0).int64(-1);
    answer.int64((time === -2 ? partition?.earliest : end) ?? -1);
  }

  /** Returns how long the answer is delayed, ms. */
  #fetch(node: number, request: ResponseReader, answer: RequestWriter): number {
    request.int32();
    const maxWaitMs = request.int32();
    request.int32();
    request.int32();
    const committed = request.int8() === 1;
    request.int64();
    const asked = request
      .array(() => {
        const topic = request.string();
        return request.array(() => {
          const partition = request.int32();
          request.int32();
          const offset = request.int64();
          request.int64();
          return { topic, partition, offset, bytesMax: request.int32() };
        });
      })
      .flat();
    this.fetches.push({ node, partitions: asked });
    answer.int32(this.throttleMs).int16(0).int32(0);
    let anything = false;
    let bytesLeft = this.answerBytesMax;
    answer.array(asked, (place) => {
      const partition = this.topics.get(place.topic)?.[place.partition];
      const error = this.nextFetchError || errorOf(partition, node, place.offset);
      const until = committed ? partition?.lastStable : partition?.highWatermark;
      const limit = Math.min(place.bytesMax, bytesLeft);
      const records =
        error === 0 ? cut(partition!, place.offset, until!, limit, bytesLeft === this.answerBytesMax) : EMPTY;
      bytesLeft = Math.max(0, bytesLeft - records.length);
      anything ||= error !== 0 || records.length > 0;
      answer.string(place.topic).int32(1).int32(place.partition).int16(error);
      answer
        .int64(partition?.highWatermark ?? -1)
        .int64(partition?.lastStable ?? -1)
        .int64(partition?.earliest ?? -1);
      answer.int32(-1).int32(-1).bytes(records);
    });
    this.nextFetchError = 0;
    return anything ? 0 : maxWaitMs;
  }
}

const EMPTY = Buffer.alloc(0);

function errorOf(partition: FakePartition | undefined, node: number, offset: number): number {
  if (partition === undefined) return UNKNOWN_TOPIC;
  if (partition.leader !== node) return NOT_LEADER;
  return offset < partition.earliest || offset > partition.highWatermark ? OUT_OF_RANGE : 0;
}

/** As brokers do: whole batches from the one with the offset, cut at the limit; the answer's first is always whole. */
function cut({ batches }: FakePartition, offset: number, until: number, limit: number, first: boolean): Buffer {
  const found = batches.filter((batch) => batch.last >= offset && batch.first < until).map(({ bytes }) => bytes);
  const all = Buffer.concat(found);
  return all.subarray(0, first ? Math.max(limit, found[0]?.length ?? 0) : limit);
}

function apiVersions(answer: RequestWriter): void {
  answer.int16(0).array(VERSIONS, (apiKey) => answer.int16(apiKey).int16(0).int16(20));
  answer.int32(0);
}

function send(socket: Socket, answer: RequestWriter): void {
  const bytes = answer.finish();
  bytes.writeInt32BE(bytes.length - 4, 0);
  socket.write(bytes);
}
