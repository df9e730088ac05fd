/** Access through the Freshet that holds the data folder. */
import { z } from 'zod';
import { InputError } from '../../ingest/input-error.js';
import { type InputKind, readKeyed } from '../../ingest/records.js';
import { BODY_BYTES_MAX, RAW_RECORDS_MAX, RECORDS_PER_REQUEST_MAX } from '../../serving/limits.js';
import type { Position } from '../../serving/reading/raw-reader.js';
import type { TopicState } from '../../serving/reading/topic-states.js';
import type { LineProblem, LogAccess, ReadAnswer, ReadOptions, RecordSink } from './access.js';
import type { ApiClient } from './api-client.js';
import { keyedRecord } from './keyed-record.js';

const topicsAnswer = z.object({
  topics: z.array(
    z.object({
      name: z.string(),
      doc: z.string(),
      key: z.string(),
      schema: z.string(),
      cleanup: z.string(),
      owner: z.string(),
      partitions: z.number(),
      offsets: z.array(
        z.object({
          partition: z.number(),
          earliest: z.number(),
          last_stable: z.number(),
          high_watermark: z.number(),
        }),
      ),
    }),
  ),
});

const readAnswer = z.object({
  records: z.array(
    z.object({
      partition: z.number(),
      offset: z.number(),
      timestamp: z.string(),
      key: z.string().nullable(),
      key_base64: z.string().exactOptional(),
      value: z.unknown().exactOptional(),
      value_base64: z.string().exactOptional(),
      error: z.string().exactOptional(),
    }),
  ),
  next: z.array(z.object({ partition: z.number(), offset: z.number() })),
});

const receipt = z.object({
  accepted: z.number(),
  rejected: z.array(z.object({ index: z.number(), error: z.string() })),
});

/** The 400 for "all were rejected" also names each of them. */
function isReceipt(body: unknown): boolean {
  return receipt.safeParse(body).success;
}

export class HttpAccess implements LogAccess {
  readonly log = null;
  readonly where: string;
  readonly #client: ApiClient;

  constructor(client: ApiClient) {
    this.#client = client;
    this.where = `the running Freshet at ${client.address}`;
  }

  async topics(): Promise<TopicState[]> {
    return topicsAnswer.parse(await this.#client.get('/v1/topics')).topics;
  }

  async read(topic: string, start: readonly Position[], options: ReadOptions): Promise<ReadAnswer> {
    const query = new URLSearchParams({
      positions: start.map(({ partition, offset }) => `${partition}:${offset}`).join(','),
      limit: String(Math.min(options.limit, RAW_RECORDS_MAX)),
      wait_ms: String(options.waitMs),
    });
    return readAnswer.parse(
      await this.#client.get(`/v1/topics/${encodeURIComponent(topic)}/records?${query}`, options.signal),
    );
  }

  async sink(kind: InputKind): Promise<RecordSink> {
    return new HttpSink(this.#client, kind);
  }

  async close(): Promise<void> {}
}

/** Checks here as well, so that a bad line is found before any later line is sent. */
class HttpSink implements RecordSink {
  readonly #client: ApiClient;
  readonly #kind: InputKind;
  #body: string[] = [];
  #bytes = 0;
  #lineNumbers: number[] = [];

  constructor(client: ApiClient, kind: InputKind) {
    this.#client = client;
    this.#kind = kind;
  }

  get waiting(): number {
    return this.#lineNumbers.length;
  }

  /** Half of the server's limit: the next record may be a large one. */
  get isFull(): boolean {
    return this.#bytes >= BODY_BYTES_MAX / 2 || this.waiting >= RECORDS_PER_REQUEST_MAX;
  }

  add(line: number, json: unknown): void {
    const { key, value } = readKeyed(this.#kind, keyedRecord(json), Date.now());
    const text = JSON.stringify({ key, value });
    const bytes = Buffer.byteLength(text) + 1;
    if (bytes > BODY_BYTES_MAX / 2) throw new InputError(`The record has ${bytes} bytes; at most 512 KiB are allowed.`);
    this.#body.push(text);
    this.#bytes += bytes;
    this.#lineNumbers.push(line);
  }

  async flush(): Promise<{ written: number; rejected: LineProblem[] }> {
    const lines = this.#lineNumbers;
    const body = this.#body.join('\n');
    this.#body = [];
    this.#bytes = 0;
    this.#lineNumbers = [];
    if (lines.length === 0) return { written: 0, rejected: [] };
    const path = `/v1/topics/${encodeURIComponent(this.#kind.topic)}/records`;
    const { accepted, rejected } = receipt.parse(await this.#client.postLines(path, body, isReceipt));
    return { written: accepted, rejected: rejected.map(({ index, error }) => ({ line: lines[index] ?? 0, error })) };
  }

  async close(): Promise<void> {}
}
