/**
 * The online store in process, kept on disk: the replacement for Redis where there is none. Every call is one step of
 * the event loop, so batches and reads never see each other half done.
 */
import { setImmediate } from 'node:timers/promises';
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { checkFence, planBatch, sinkName } from '../batch-plan.js';
import type { ApplyResult, FencedBatch, OnlineStore, SinkId, SinkPosition, StoreOperation } from '../online-store.js';
import { compareTokens, parseToken, tokenText } from '../switch-token.js';
import type { HeldVersion, PartRead, SwitchResult, VersionedKeys, VersionSwitch } from '../versioned-keys.js';
import { checkSwitch, checksumKey, settingsKey } from '../versioned-keys.js';
import type { JournalOptions } from './journal.js';
import { Journal } from './journal.js';
import type { StateRecord, Value } from './local-state.js';
import { LocalState } from './local-state.js';
import { movesOf, readPart } from './local-versions.js';

/**
 * Opens, or creates, the store in its folder. The folder must not be opened twice: the lock of the data folder
 * ensures that. A batch is acknowledged only once the operating system has it.
 */
export async function openLocalStore(
  folder: string,
  logger: Logger,
  options: JournalOptions = {},
): Promise<OnlineStore> {
  const state = new LocalState();
  const journal = await Journal.open<StateRecord>(folder, options, state, logger);
  return new LocalStore(state, journal);
}

/** Names per page of keyPages(). */
const PAGE_KEYS = 1_000;

class LocalStore implements OnlineStore {
  readonly kind = 'local';
  readonly #state: LocalState;
  readonly #journal: Journal<StateRecord>;
  #closed = false;

  constructor(state: LocalState, journal: Journal<StateRecord>) {
    this.#state = state;
    this.#journal = journal;
  }

  async open(id: SinkId): Promise<SinkPosition> {
    const sink = sinkName(id);
    const old = this.#position(sink);
    const position: SinkPosition = {
      epoch: (old?.epoch ?? 0) + 1,
      nextOffset: old?.nextOffset ?? 0,
      updatedAt: old?.updatedAt ?? 0,
      incarnation: old?.incarnation ?? '',
    };
    this.#commit({ sink, position });
    return position;
  }

  async position(id: SinkId): Promise<SinkPosition | null> {
    return this.#position(sinkName(id));
  }

  async rewind(id: SinkId, epoch: number): Promise<boolean> {
    const sink = sinkName(id);
    const old = this.#position(sink);
    if (old !== null && old.epoch > epoch) return false;
    this.#commit({ sink, position: { epoch, nextOffset: 0, updatedAt: 0, incarnation: '' } });
    return true;
  }

  async apply(batch: FencedBatch, operations: readonly StoreOperation[]): Promise<ApplyResult> {
    checkFence(batch);
    const plan = planBatch(operations);
    const sink = sinkName(batch.id);
    const held = this.#position(sink);
    if (held === null) return 'offset_mismatch';
    if (held.epoch > batch.epoch) return 'fenced';
    if (held.epoch < batch.epoch || held.nextOffset !== batch.expectedOffset) return 'offset_mismatch';
    const key = this.#state.conflict(plan);
    if (key !== null)
      throw new FreshetError('invalid_data', `A batch of ${sink} uses the key ${key} as another kind of value.`);
    const { epoch, nextOffset, incarnation, at } = batch;
    const position: SinkPosition = { epoch, nextOffset, updatedAt: at, incarnation };
    this.#commit({ sink, position, steps: this.#state.resolve(plan.steps) });
    if (this.#journal.outgrown) void this.#journal.rotate(this.#state.capture());
    // Without yielding between batches, a snapshot would never get to write.
    if (this.#journal.rotating) await setImmediate();
    return 'applied';
  }

  async heldVersion(keys: VersionedKeys): Promise<HeldVersion> {
    return this.#held(keys);
  }

  async switchVersion(keys: VersionedKeys, to: VersionSwitch): Promise<SwitchResult> {
    checkSwitch(to);
    // A record that moves values is not absolute: it must not be accepted while a snapshot is being written.
    await this.#journal.settled();
    const held = this.#held(keys);
    if (compareTokens(to.token, held.token) <= 0) return 'older';
    if (to.checksum !== null && this.#text(checksumKey(keys, to.version)) !== to.checksum) return 'not_staged';
    const moves = movesOf(this.#state.values, keys, held.version, to.version);
    if (moves === null) return 'not_staged';
    const set = (key: string, value: string) => ({ op: 'set', key, value }) as const;
    const settings = to.settings === null ? [] : [set(settingsKey(keys, to.version), to.settings)];
    const pointer = [set(keys.current, String(to.version)), set(keys.token, tokenText(to.token))];
    this.#commit({ moves, steps: [...settings, ...pointer] });
    return 'switched';
  }

  async readPart(keys: VersionedKeys, version: number | null, part: string): Promise<PartRead> {
    if (keys.plain === null) throw new FreshetError('invalid_data', `The artefact of ${keys.current} has no parts.`);
    const held = this.#held(keys);
    return { ...readPart(this.#state.values, keys, held.version, version ?? held.version, part), token: held.token };
  }

  async discard(keys: readonly string[], sinks: readonly SinkId[] = []): Promise<void> {
    this.#check();
    const steps = keys.map((key) => ({ op: 'del', key }) as const);
    this.#commit({ steps, forgotten: sinks.map(sinkName) });
  }

  #held(keys: VersionedKeys): HeldVersion {
    const version = this.#text(keys.current);
    return { version: version === null ? null : Number(version), token: parseToken(this.#text(keys.token)) };
  }

  #text(key: string): string | null {
    return this.#value(key, 'string')?.text ?? null;
  }

  async get(key: string): Promise<string | null> {
    return this.#text(key);
  }

  async hget(key: string, field: string): Promise<string | null> {
    return this.#value(key, 'hash')?.fields.get(field) ?? null;
  }

  async hmget(key: string, fields: readonly string[]): Promise<(string | null)[]> {
    const hash = this.#value(key, 'hash')?.fields;
    return fields.map((field) => hash?.get(field) ?? null);
  }

  async hgetall(key: string): Promise<Map<string, string>> {
    return new Map(this.#value(key, 'hash')?.fields);
  }

  async zscore(key: string, member: string): Promise<number | null> {
    return this.#value(key, 'zset')?.set.scores.get(member) ?? null;
  }

  async ztop(key: string, limit: number): Promise<{ member: string; score: number }[]> {
    return this.#value(key, 'zset')?.set.top(limit) ?? [];
  }

  async zcard(key: string): Promise<number> {
    return this.#value(key, 'zset')?.set.size ?? 0;
  }

  async keys(prefix: string): Promise<string[]> {
    this.#check();
    return [...this.#state.values.keys()].filter((key) => key.startsWith(prefix));
  }

  async *keyPages(prefix: string): AsyncGenerator<readonly string[]> {
    this.#check();
    let page: string[] = [];
    // Entries of a Map may be removed during iteration: all remaining ones are visited.
    for (const key of this.#state.values.keys()) {
      if (!key.startsWith(prefix)) continue;
      page.push(key);
      if (page.length < PAGE_KEYS) continue;
      yield page;
      this.#check();
      page = [];
    }
    if (page.length > 0) yield page;
  }

  async ping(): Promise<void> {
    this.#check();
  }

  async advice(): Promise<string[]> {
    return [];
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#journal.close();
  }

  /** First on disk, then in memory: a value that has been read survives a crash. */
  #commit(record: StateRecord): void {
    this.#journal.append(record);
    this.#state.accept(record);
  }

  #position(sink: string): SinkPosition | null {
    this.#check();
    return this.#state.positions.get(sink) ?? null;
  }

  /** Throws FreshetError('invalid_data') when the key is of another kind, as Redis does. */
  #value<K extends Value['kind']>(key: string, kind: K): Extract<Value, { kind: K }> | null {
    this.#check();
    const value = this.#state.values.get(key);
    if (value === undefined) return null;
    if (value.kind !== kind) throw new FreshetError('invalid_data', `The key ${key} is not a ${kind}.`);
    return value as Extract<Value, { kind: K }>;
  }

  #check(): void {
    if (this.#closed) throw new FreshetError('state', 'The local store was closed.');
  }
}
