/**
 * The transaction coordinator of a simulated cluster (FakeKafka): producer ids, epochs, and which records a transaction
 * has written where. It answers like a real one or, once per line of its script, with a given error. Aborted records
 * leave a hole in the log; markers are not written.
 */
import type { RequestWriter, ResponseReader } from '../../../runtime/log/kafka/wire/wire.js';
import type { FakePartition } from './fake-kafka.js';

const PRODUCE = 0;
const FIND_COORDINATOR = 10;
const INIT_PRODUCER_ID = 22;
const ADD_PARTITIONS = 24;
const END_TRANSACTION = 26;
const KEYS: ReadonlySet<number> = new Set([
  PRODUCE,
  FIND_COORDINATOR,
  INIT_PRODUCER_ID,
  ADD_PARTITIONS,
  END_TRANSACTION,
]);

export const ANSWER = {
  CoordinatorLoading: 14,
  CoordinatorNotAvailable: 15,
  NotCoordinator: 16,
  InvalidProducerEpoch: 47,
  InvalidTransactionState: 48,
  ConcurrentTransactions: 51,
} as const;

/** Positions in a record batch. */
const BATCH = { lastOffsetDelta: 23, producerId: 43, producerEpoch: 51, baseSequence: 53 } as const;

interface Transaction {
  readonly producerId: bigint;
  epoch: number;
  state: 'empty' | 'open' | 'committed' | 'aborted';
  /** First offset written in each partition. */
  readonly written: Map<FakePartition, number>;
}

interface Line {
  readonly api: number;
  readonly error: number;
  /** The error comes after the request was carried out. */
  readonly applied: boolean;
}

export class FakeTransactions {
  /** The node that coordinates every transaction. */
  coordinator = 1;
  /** Requests so far, by their key. */
  readonly asked: { readonly api: number; readonly node: number }[] = [];
  /** Transactions committed and aborted so far. */
  readonly ended = { committed: 0, aborted: 0 };
  readonly #find: (topic: string, partition: number) => FakePartition | undefined;
  readonly #portOf: (node: number) => number;
  readonly #transactions = new Map<string, Transaction>();
  readonly #sequences = new Map<string, number>();
  #script: Line[] = [];

  constructor(find: (topic: string, partition: number) => FakePartition | undefined, portOf: (node: number) => number) {
    this.#find = find;
    this.#portOf = portOf;
  }

  /** The next requests of this kind are answered with these errors; `applied`: after they were carried out. */
  answer(api: number, errors: readonly number[], applied = false): void {
    this.#script.push(...errors.map((error) => ({ api, error, applied })));
  }

  knows(apiKey: number): boolean {
    return KEYS.has(apiKey);
  }

  respond(apiKey: number, node: number, request: ResponseReader, answer: RequestWriter): void {
    this.asked.push({ api: apiKey, node });
    if (apiKey === FIND_COORDINATOR) this.#findCoordinator(answer);
    else if (apiKey === PRODUCE) this.#produce(node, request, answer);
    else if (apiKey === INIT_PRODUCER_ID) this.#initProducerId(node, request, answer);
    else if (apiKey === ADD_PARTITIONS) this.#addPartitions(node, request, answer);
    else this.#endTransaction(node, request, answer);
  }

  #findCoordinator(answer: RequestWriter): void {
    const error = this.#scripted(FIND_COORDINATOR, () => 0);
    answer.int32(0).int16(error).string(null);
    answer.int32(this.coordinator).string('127.0.0.1').int32(this.#portOf(this.coordinator));
  }

  #initProducerId(node: number, request: ResponseReader, answer: RequestWriter): void {
    const id = request.nullableString() ?? '';
    const error = this.#asCoordinator(node, INIT_PRODUCER_ID, () => {
      const known = this.#transactions.get(id);
      if (known === undefined) {
        const producerId = BigInt(this.#transactions.size + 1);
        this.#transactions.set(id, { producerId, epoch: 0, state: 'empty', written: new Map() });
      } else {
        if (known.state === 'open') this.#end(known, false);
        known.epoch++;
        known.state = 'empty';
      }
      return 0;
    });
    const { producerId, epoch } = this.#transactions.get(id) ?? { producerId: -1n, epoch: -1 };
    answer.int32(0).int16(error).bigint64(producerId).int16(epoch);
  }

  #addPartitions(node: number, request: ResponseReader, answer: RequestWriter): void {
    const { transaction, epoch } = this.#sender(request);
    const asked = request.array(() => ({ topic: request.string(), partitions: request.array(() => request.int32()) }));
    const error = this.#asCoordinator(node, ADD_PARTITIONS, () => {
      if (transaction?.epoch !== epoch) return ANSWER.InvalidProducerEpoch;
      transaction.state = 'open';
      return 0;
    });
    answer.int32(0).array(asked, ({ topic, partitions }) => {
      answer.string(topic).array(partitions, (partition) => answer.int32(partition).int16(error));
    });
  }

  #endTransaction(node: number, request: ResponseReader, answer: RequestWriter): void {
    const { transaction, epoch } = this.#sender(request);
    const commit = request.boolean();
    const error = this.#asCoordinator(node, END_TRANSACTION, () => {
      if (transaction?.epoch !== epoch) return ANSWER.InvalidProducerEpoch;
      if (transaction.state === 'open') this.#end(transaction, commit);
      return transaction.state === (commit ? 'committed' : 'aborted') ? 0 : ANSWER.InvalidTransactionState;
    });
    answer.int32(0).int16(error);
  }

  #produce(node: number, request: ResponseReader, answer: RequestWriter): void {
    const id = request.nullableString();
    request.int16();
    request.int32();
    const asked = request.array(() => {
      const topic = request.string();
      return { topic, places: request.array(() => ({ partition: request.int32(), bytes: request.bytes() })) };
    });
    answer.array(asked, ({ topic, places }) => {
      answer.string(topic).array(places, ({ partition, bytes }) => {
        const place = `${topic}[${partition}]`;
        const error = this.#scripted(PRODUCE, () =>
          this.#append(node, id ?? '', place, this.#find(topic, partition), bytes),
        );
        answer.int32(partition).int16(error).int64(0).int64(-1).int64(0).int32(0).string(null);
      });
    });
    answer.int32(0);
  }

  #append(node: number, id: string, place: string, partition: FakePartition | undefined, sent: Buffer): number {
    if (partition === undefined) return 3;
    if (partition.leader !== node) return 6;
    const producer = `${sent.readBigInt64BE(BATCH.producerId)}/${sent.readInt16BE(BATCH.producerEpoch)} ${place}`;
    const sequence = sent.readInt32BE(BATCH.baseSequence);
    if (sequence < (this.#sequences.get(producer) ?? 0)) return 0;
    const bytes = Buffer.from(sent);
    const first = partition.highWatermark;
    const count = bytes.readInt32BE(BATCH.lastOffsetDelta) + 1;
    bytes.writeBigInt64BE(BigInt(first), 0);
    this.#sequences.set(producer, sequence + count);
    partition.batches.push({ first, last: first + count - 1, bytes });
    partition.highWatermark = first + count;
    const { written } = this.#transactions.get(id)!;
    if (!written.has(partition)) written.set(partition, first);
    return 0;
  }

  /** Only one writer at a time writes to a partition here: its end is stable once its transaction has ended. */
  #end(transaction: Transaction, commit: boolean): void {
    this.ended[commit ? 'committed' : 'aborted']++;
    transaction.state = commit ? 'committed' : 'aborted';
    for (const [partition, first] of transaction.written) {
      if (!commit) partition.batches = partition.batches.filter((batch) => batch.first < first);
      partition.lastStable = partition.highWatermark;
    }
    transaction.written.clear();
  }

  #sender(request: ResponseReader): { transaction: Transaction | undefined; epoch: number } {
    const transaction = this.#transactions.get(request.string());
    request.bigint64();
    return { transaction, epoch: request.int16() };
  }

  #asCoordinator(node: number, api: number, work: () => number): number {
    return node === this.coordinator ? this.#scripted(api, work) : ANSWER.NotCoordinator;
  }

  #scripted(api: number, work: () => number): number {
    const at = this.#script.findIndex((line) => line.api === api);
    if (at === -1) return work();
    const { error, applied } = this.#script.splice(at, 1)[0]!;
    if (applied) work();
    return error;
  }
}
