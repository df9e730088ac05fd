/**
 * Topic `releases`: which version is current, for everyone who reads topics. Written after the online store has
 * followed. Records from several writers may arrive in any order, and compaction keeps the last. So every reconciler
 * also reads the topic and rewrites records that are missing or out of order.
 */
import type { Log, LogReader, LogWriter, RecordColumns } from '../../runtime/log/log.js';
import { RECORD_BYTES_MAX } from '../../runtime/log/log.js';
import { hasCode } from '../../runtime/process/errors.js';
import { compareTokens, type SwitchToken } from '../../runtime/stores/switch-token.js';
import type { Codec } from '../../schemas/codec.js';
import type { Release } from '../../schemas/records.js';
import { featureSet } from '../../topics/feature-set.js';
import { releases } from '../../topics/releases.js';
import type { Artefact } from '../layout.js';
import type { CurrentHead } from './heads.js';

const AT = { topic: releases.name, partition: 0 } as const;
const MANIFEST_BYTES_MAX = RECORD_BYTES_MAX / 2;

/** The content of a record of the topic. */
export interface ReleasedSwitch extends SwitchToken {
  readonly current: number | null;
}

export class Releases {
  readonly #log: Log;
  readonly #codec: Codec;
  #writer: LogWriter | null = null;
  #reader: LogReader | null = null;
  /** The incarnation of the topic being read. */
  #life: string | null = null;
  /** Per artefact: the record that compaction would keep, and the one with the newest token. */
  readonly #last = new Map<string, ReleasedSwitch>();
  readonly #newest = new Map<string, ReleasedSwitch>();
  #turn: Promise<void> = Promise.resolve();

  constructor(log: Log, codec: Codec) {
    this.#log = log;
    this.#codec = codec;
  }

  /** Resolves when the log has the record. */
  write(head: CurrentHead): Promise<void> {
    return this.#inTurn(async () => {
      this.#writer ??= await this.#log.writer([releases.name]);
      this.#writer.add(releases.name, Buffer.from(head.artefact), this.#codec.encode('Release', releaseOf(head)));
      await this.#writer.flush();
    });
  }

  /** Reads up to the current end of the topic. */
  catchUp(): Promise<void> {
    return this.#inTurn(() => this.#catchUp());
  }

  /** The record that compaction keeps, as of the last catchUp; null if none. */
  last(artefact: Artefact): ReleasedSwitch | null {
    return this.#last.get(artefact) ?? null;
  }

  /** The record with the newest token; null if none. */
  newest(artefact: Artefact): ReleasedSwitch | null {
    return this.#newest.get(artefact) ?? null;
  }

  async close(): Promise<void> {
    await this.#inTurn(async () => {
      await this.#writer?.close();
      await this.#reader?.close();
      this.#writer = null;
      this.#reader = null;
    });
  }

  async #catchUp(): Promise<void> {
    const life = await this.#log.admin.topicId(releases.name);
    const { earliest, lastStable } = await this.#log.offsets(AT);
    // Another topic of the same name, or a truncated one: read from its start.
    if (life !== this.#life || (this.#reader !== null && this.#reader.position(AT) > lastStable)) await this.#forget();
    this.#life = life;
    this.#reader ??= this.#log.reader([{ ...AT, offset: earliest }], { isolation: 'read_committed' });
    try {
      while (this.#reader.position(AT) < lastStable) for (const batch of await this.#reader.poll()) this.#take(batch);
    } catch (error) {
      if (hasCode(error, 'offset_out_of_range')) await this.#forget();
      throw error;
    }
  }

  #take({ count, bytes, keyStart, keyEnd, valueStart, valueEnd }: RecordColumns): void {
    for (let row = 0; row < count; row++) {
      const key = bytes.toString('utf8', keyStart[row], keyEnd[row]);
      const start = valueStart[row]!;
      if (start < 0) this.#last.delete(key);
      else this.#see(key, this.#codec.decode('Release', bytes, start, valueEnd[row]));
    }
  }

  async #forget(): Promise<void> {
    await this.#reader?.close();
    this.#reader = null;
    this.#last.clear();
  }

  #see(artefact: string, record: unknown): void {
    const { timeline, seq, current } = record as Release;
    const switched = { timeline, seq, current };
    this.#last.set(artefact, switched);
    if (compareTokens(switched, this.#newest.get(artefact) ?? null) > 0) this.#newest.set(artefact, switched);
  }

  #inTurn(work: () => Promise<void>): Promise<void> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }
}

function releaseOf({ artefact, timeline, seq, current, manifest }: CurrentHead): Release {
  const whole = JSON.stringify(manifest);
  // A record has a size limit; the figures are also in Postgres and in the folder.
  const text = Buffer.byteLength(whole) <= MANIFEST_BYTES_MAX ? whole : JSON.stringify({ ...manifest, figures: {} });
  return {
    artefact,
    timeline,
    seq,
    current,
    candidate: null,
    share: 0,
    manifest: text,
    topics: topicsOf(artefact, current),
  };
}

/** Topics that only this version writes. */
function topicsOf(artefact: Artefact, version: number): string[] {
  const { topics } = featureSet(version);
  return artefact === 'popularity' || artefact === 'affinity' || artefact === 'interactions'
    ? [topics[artefact].name]
    : [];
}
