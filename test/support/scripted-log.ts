/** The in-memory log with a script: a test makes the next flush stall or fail, and counts what was opened. */
import type {
  Log,
  LogReader,
  LogWriter,
  ReaderOptions,
  TopicPartition,
  TransactionalWriter,
} from '../../runtime/log/log.js';
import { allTopics } from '../../topics/all.js';
import { MemoryLog } from './memory-log.js';

/** Runs before the next flush or commit writes. */
type Step = () => Promise<void>;

interface Written {
  readonly partition: number;
  readonly key: string | null;
  readonly value: Buffer | null;
}

export class ScriptedLog extends MemoryLog {
  readonly transactionalIds: string[] = [];
  /** Sizes of all flushes and commits so far, in records. */
  readonly flushes: number[] = [];
  writersOpened = 0;
  writersOpen = 0;
  readersOpen = 0;
  readonly #steps: Step[] = [];

  /** A log with these topics, by default all declared ones, with four partitions each. */
  static async of(names: readonly string[] = allTopics().map(({ name }) => name)): Promise<ScriptedLog> {
    const log = new ScriptedLog();
    log.now = () => Date.UTC(2025, 5, 1);
    const config = { partitions: 4, cleanup: 'delete', retentionMs: -1, logAppendTime: true, settings: {} } as const;
    for (const name of names) await log.admin.createTopic({ name, ...config });
    return log;
  }

  /** The next flush fails with this error and writes nothing. */
  failNext(error: Error): void {
    this.#steps.push(() => Promise.reject(error));
  }

  /** The next flush waits until the returned function is called; `begun` resolves once it has been reached. */
  holdNext(): { begun: Promise<void>; release: () => void } {
    let release = () => {};
    let begin = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    this.#steps.push(() => {
      begin();
      return held;
    });
    return { begun, release };
  }

  override reader(start: readonly (TopicPartition & { offset: number })[], options?: ReaderOptions): LogReader {
    const reader = super.reader(start, options);
    this.readersOpen++;
    return Object.assign(reader, {
      close: async () => {
        this.readersOpen--;
      },
    });
  }

  override async writer(topics: readonly string[]): Promise<LogWriter> {
    const writer = await super.writer(topics);
    const flush = writer.flush.bind(writer);
    return Object.assign(writer, { flush: this.#scripted(writer, flush), close: this.#counted() });
  }

  override async transactionalWriter(id: string, topics: readonly string[]): Promise<TransactionalWriter> {
    const writer = await super.transactionalWriter(id, topics);
    this.transactionalIds.push(id);
    const commit = writer.commit.bind(writer);
    return Object.assign(writer, { commit: this.#scripted(writer, commit), close: this.#counted() });
  }

  #counted(): () => Promise<void> {
    this.writersOpened++;
    this.writersOpen++;
    return async () => {
      this.writersOpen--;
    };
  }

  #scripted(writer: { readonly bufferedRecords: number }, write: () => Promise<void>): () => Promise<void> {
    return async () => {
      const size = writer.bufferedRecords;
      await this.#steps.shift()?.();
      await write();
      this.flushes.push(size);
    };
  }
}

/** Everything committed in a topic, by partition and offset. */
export async function written(log: Log, topic: string): Promise<Written[]> {
  const found: Written[] = [];
  for (let partition = 0; partition < (await log.partitionCount(topic)); partition++) {
    const { earliest } = await log.offsets({ topic, partition });
    const reader = log.reader([{ topic, partition, offset: earliest }], { isolation: 'read_committed', maxWaitMs: 1 });
    for (const columns of await reader.poll()) {
      for (let row = 0; row < columns.count; row++) {
        const key = columns.keyStart[row]!;
        const value = columns.valueStart[row]!;
        found.push({
          partition,
          key: key < 0 ? null : columns.bytes.toString('utf8', key, columns.keyEnd[row]!),
          value: value < 0 ? null : Buffer.from(columns.bytes.subarray(value, columns.valueEnd[row]!)),
        });
      }
    }
    await reader.close();
  }
  return found;
}

/** Writes one record, bypassing any script. */
export async function append(
  log: MemoryLog,
  topic: string,
  key: Buffer | null,
  value: Buffer | null,
  partition?: number,
): Promise<void> {
  const writer = await MemoryLog.prototype.writer.call(log, [topic]);
  writer.add(topic, key, value, partition === undefined ? {} : { partition });
  await writer.flush();
}
