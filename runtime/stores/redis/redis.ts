/**
 * The online store in Redis. Only this file imports ioredis. A batch is one script call: either all of it and the new
 * offset, or nothing. A call without an answer may have been applied, and only the caller can find out (by position()),
 * so nothing is ever sent twice from here; the connection itself is restored automatically.
 */
import { createHash } from 'node:crypto';
import { Redis } from 'ioredis';
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import { checkFence, planBatch, sinkName } from '../batch-plan.js';
import type { ApplyResult, FencedBatch, OnlineStore, SinkId, SinkPosition, StoreOperation } from '../online-store.js';
import { parseToken, tokenText } from '../switch-token.js';
import type { HeldVersion, PartRead, SwitchResult, VersionedKeys, VersionSwitch } from '../versioned-keys.js';
import { checkSwitch } from '../versioned-keys.js';
import { redisError } from './redis-errors.js';
import { encodeProgram } from './redis-program.js';
import { APPLY_SCRIPT, OPEN_SCRIPT, REWIND_SCRIPT } from './redis-scripts.js';
import { READ_PART_SCRIPT, SWITCH_SCRIPT } from './version-scripts.js';

export interface RedisOptions {
  /** redis:// or rediss:// (TLS), with user, password and database if needed. */
  readonly url?: string;
  /** A Unix socket, instead of a url. */
  readonly path?: string;
  /** Takes precedence over a password in the url. */
  readonly password?: string;
  /** Prefix of the fence keys; all other keys are given in full by the caller. Default ''. */
  readonly keyPrefix?: string;
  /** Longest time for the first connection, including a server that is still loading. Default 10 s. */
  readonly readyMsMax?: number;
  /** Longest time for one command. Default 5 s. */
  readonly commandMsMax?: number;
}

const READY_MS_MAX = 10_000;
const COMMAND_MS_MAX = 5_000;
const CONNECT_MS_MAX = 5_000;
const RECONNECT_MS_MAX = 2_000;
const SCAN_COUNT = 1_000;
const DISCARD_SLICE = 500;

/**
 * Connects and waits until the server answers. Throws FreshetError: 'settings' for a malformed url, 'access' for a
 * wrong password, 'connection' or 'unavailable' when the server is unreachable or not ready in time.
 */
export async function openRedis(options: RedisOptions, logger: Logger): Promise<OnlineStore> {
  const store = new RedisStore(options, logger);
  await store.connect(options.readyMsMax ?? READY_MS_MAX);
  return store;
}

/** host:port/database or the path of the socket, without user and password, for display. */
export function redisAddress(options: RedisOptions): string {
  if (options.path !== undefined) return options.path;
  const url = redisUrl(options.url ?? 'redis://127.0.0.1:6379');
  const database = url.pathname.length > 1 ? url.pathname : '';
  return `${url.hostname}:${url.port === '' ? '6379' : url.port}${database}`;
}

function redisUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'redis:' && url.protocol !== 'rediss:') || url.hostname === '')
    throw new FreshetError('settings', 'REDIS_URL must be redis://host:port or rediss://host:port.');
  return url;
}

class Script {
  readonly text: string;
  readonly sha: string;
  constructor(text: string) {
    this.text = text;
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}

const OPEN = new Script(OPEN_SCRIPT);
const REWIND = new Script(REWIND_SCRIPT);
const APPLY = new Script(APPLY_SCRIPT);
const SWITCH = new Script(SWITCH_SCRIPT);
const READ_PART = new Script(READ_PART_SCRIPT);

class RedisStore implements OnlineStore {
  readonly kind = 'redis';
  readonly #redis: Redis;
  readonly #name: string;
  readonly #keyPrefix: string;
  readonly #logger: Logger;
  /** Why the connection is down; null while it is up. */
  #trouble: FreshetError | null = null;
  #closed = false;

  constructor(options: RedisOptions, logger: Logger) {
    this.#name = `Redis at ${redisAddress(options)}`;
    this.#keyPrefix = options.keyPrefix ?? '';
    this.#logger = logger;
    const commandMsMax = options.commandMsMax ?? COMMAND_MS_MAX;
    const settings = {
      lazyConnect: true,
      connectTimeout: CONNECT_MS_MAX,
      commandTimeout: commandMsMax,
      // A server that went silent (a pulled cable) is given up, and reconnected to, a little later.
      socketTimeout: 2 * commandMsMax,
      retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 10), RECONNECT_MS_MAX),
      reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      disableClientInfo: true,
      ...(options.password === undefined ? {} : { password: options.password }),
    };
    this.#redis =
      options.path === undefined
        ? new Redis(redisUrl(options.url ?? 'redis://127.0.0.1:6379').href, settings)
        : new Redis({ ...settings, path: options.path });
    this.#redis.on('error', (error) => this.#lost(error));
    this.#redis.on('close', () => this.#lost(new Error('Connection is closed.')));
    this.#redis.on('ready', () => this.#back());
  }

  async connect(readyMsMax: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new FreshetError('unavailable', `${this.#name} was not ready within ${readyMsMax} ms.`)),
        readyMsMax,
      );
    });
    try {
      await Promise.race([this.#redis.connect(), late]);
    } catch (error) {
      const why = this.#trouble ?? redisError(error, `${this.#name}: connecting`);
      this.#closed = true;
      this.#redis.disconnect();
      throw why;
    } finally {
      clearTimeout(timer);
    }
  }

  #lost(error: Error): void {
    if (this.#closed) return;
    const first = this.#trouble === null;
    // The close event that follows an error says less than the error.
    if (first || error.message !== 'Connection is closed.')
      this.#trouble = redisError(error, `${this.#name}: connecting`);
    if (first) this.#logger.warn({ event: 'store_connection_lost', store: 'redis', error: error.message }, this.#name);
  }

  #back(): void {
    if (this.#trouble !== null) this.#logger.info({ event: 'store_connection_back', store: 'redis' }, this.#name);
    this.#trouble = null;
  }

  async open(id: SinkId): Promise<SinkPosition> {
    const fence = this.#fence(id);
    const answer = await this.#run(`taking over ${sinkName(id)}`, OPEN, [fence, `${fence}:trial`], []);
    const position = positionOf(answer as (string | null)[]);
    if (position === null) throw new FreshetError('internal', `${this.#name}: no fence after taking it over.`);
    return position;
  }

  async position(id: SinkId): Promise<SinkPosition | null> {
    const fields = ['epoch', 'next_offset', 'updated_at', 'incarnation'];
    return positionOf(await this.#do('reading a position', () => this.#redis.hmget(this.#fence(id), ...fields)));
  }

  async rewind(id: SinkId, epoch: number): Promise<boolean> {
    const answer = await this.#run(`rewinding ${sinkName(id)}`, REWIND, [this.#fence(id)], [String(epoch)]);
    return answer === 1;
  }

  async apply(batch: FencedBatch, operations: readonly StoreOperation[]): Promise<ApplyResult> {
    checkFence(batch);
    const { id, epoch, expectedOffset, nextOffset, at, incarnation } = batch;
    const program = encodeProgram(planBatch(operations));
    const head = [String(epoch), String(expectedOffset), String(nextOffset), String(at), incarnation];
    const answer = await this.#run(`writing ${sinkName(id)}`, APPLY, [this.#fence(id)], [...head, program]);
    if (answer === 'applied' || answer === 'fenced' || answer === 'offset_mismatch') return answer;
    throw new FreshetError('internal', `${this.#name}: unexpected answer to a batch: ${JSON.stringify(answer)}.`);
  }

  async heldVersion(keys: VersionedKeys): Promise<HeldVersion> {
    const [version, token] = await this.#do('reading a pointer', () => this.#redis.mget(keys.current, keys.token));
    return heldOf(version ?? null, token ?? null);
  }

  async switchVersion(keys: VersionedKeys, to: VersionSwitch): Promise<SwitchResult> {
    checkSwitch(to);
    const { prefix, parts } = keys.plain ?? { prefix: '', parts: '' };
    const what = [String(to.version), tokenText(to.token), to.checksum ?? '', to.settings ?? ''];
    const where = [keys.noted, prefix, parts];
    const answer = await this.#run('switching a version', SWITCH, [keys.current, keys.token], [...what, ...where]);
    if (answer === 'switched' || answer === 'older' || answer === 'not_staged') return answer;
    throw new FreshetError('internal', `${this.#name}: unexpected answer to a switch: ${JSON.stringify(answer)}.`);
  }

  async readPart(keys: VersionedKeys, version: number | null, part: string): Promise<PartRead> {
    if (keys.plain === null) throw new FreshetError('invalid_data', `The artefact of ${keys.current} has no parts.`);
    const what = [version === null ? '' : String(version), part, keys.noted, keys.plain.prefix, keys.plain.parts];
    const answer = await this.#run('reading a version', READ_PART, [keys.current, keys.token], what);
    const [found, held, token, flat = []] = answer as [PartRead['found'], string | null, string | null, string[]?];
    const fields = new Map<string, string>();
    for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!);
    return { found, ...heldOf(held, token), fields };
  }

  async discard(keys: readonly string[], sinks: readonly SinkId[] = []): Promise<void> {
    const all = [...keys, ...sinks.map((id) => this.#fence(id))];
    for (let at = 0; at < all.length; at += DISCARD_SLICE)
      await this.#do('UNLINK', () => this.#redis.unlink(...all.slice(at, at + DISCARD_SLICE)));
  }

  get(key: string): Promise<string | null> {
    return this.#do('GET', () => this.#redis.get(key));
  }

  hget(key: string, field: string): Promise<string | null> {
    return this.#do('HGET', () => this.#redis.hget(key, field));
  }

  async hmget(key: string, fields: readonly string[]): Promise<(string | null)[]> {
    if (fields.length === 0) return [];
    return this.#do('HMGET', () => this.#redis.hmget(key, ...fields));
  }

  async hgetall(key: string): Promise<Map<string, string>> {
    // The typed method returns an object, which has no place for a field named __proto__.
    const flat = (await this.#do('HGETALL', () => this.#redis.call('HGETALL', key))) as string[];
    const fields = new Map<string, string>();
    for (let i = 0; i < flat.length; i += 2) fields.set(flat[i]!, flat[i + 1]!);
    return fields;
  }

  async zscore(key: string, member: string): Promise<number | null> {
    const score = await this.#do('ZSCORE', () => this.#redis.zscore(key, member));
    return score === null ? null : Number(score);
  }

  async ztop(key: string, limit: number): Promise<{ member: string; score: number }[]> {
    if (limit <= 0) return [];
    const flat = await this.#do('ZREVRANGE', () => this.#redis.zrevrange(key, 0, limit - 1, 'WITHSCORES'));
    const top: { member: string; score: number }[] = [];
    for (let i = 0; i < flat.length; i += 2) top.push({ member: flat[i]!, score: Number(flat[i + 1]) });
    return top;
  }

  zcard(key: string): Promise<number> {
    return this.#do('ZCARD', () => this.#redis.zcard(key));
  }

  async keys(prefix: string): Promise<string[]> {
    const found = new Set<string>();
    for await (const page of this.keyPages(prefix)) for (const key of page) found.add(key);
    return [...found];
  }

  async *keyPages(prefix: string): AsyncGenerator<readonly string[]> {
    const pattern = `${prefix.replace(/[\\*?[\]]/g, '\\$&')}*`;
    const fences = `${this.#keyPrefix}sink:`;
    let cursor = '0';
    do {
      const [next, keys] = await this.#do('SCAN', () =>
        this.#redis.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT),
      );
      const page = keys.filter((key) => !key.startsWith(fences));
      if (page.length > 0) yield page;
      cursor = next;
    } while (cursor !== '0');
  }

  async advice(): Promise<string[]> {
    const info = await this.#do('INFO', () => this.#redis.info());
    const value = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1] ?? '';
    const advice: string[] = [];
    const policy = value('maxmemory_policy');
    if (policy !== '' && policy !== 'noeviction')
      advice.push(
        `${this.#name} may evict keys (maxmemory-policy ${policy}): features could disappear unnoticed. Set noeviction.`,
      );
    if (value('cluster_enabled') === '1')
      advice.push(`${this.#name} is a Redis Cluster: a batch touches keys of several slots. Use a single node.`);
    return advice;
  }

  async ping(): Promise<void> {
    await this.#do('PING', () => this.#redis.ping());
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    // QUIT is answered after everything that was sent before it.
    if (this.#redis.status === 'ready') await this.#redis.quit().catch(() => undefined);
    this.#redis.disconnect();
  }

  #fence(id: SinkId): string {
    return `${this.#keyPrefix}sink:${sinkName(id)}`;
  }

  /** After a restart the server no longer has the script: it says so, and has not run anything. */
  #run(doing: string, script: Script, keys: string[], args: (string | Buffer)[]): Promise<unknown> {
    return this.#do(doing, async () => {
      try {
        return await this.#redis.evalsha(script.sha, keys.length, ...keys, ...args);
      } catch (error) {
        if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
        return await this.#redis.eval(script.text, keys.length, ...keys, ...args);
      }
    });
  }

  async #do<T>(doing: string, work: () => Promise<T>): Promise<T> {
    if (this.#closed) throw new FreshetError('state', `${this.#name} was closed.`);
    try {
      return await work();
    } catch (error) {
      const mapped = redisError(error, `${this.#name}: ${doing}`);
      // While the connection is down, the reason (e.g. a wrong password) is more useful than the fact.
      if (mapped.code === 'connection' && this.#trouble !== null) throw this.#trouble;
      throw mapped;
    }
  }
}

function heldOf(version: string | null, token: string | null): HeldVersion {
  return { version: version === null ? null : Number(version), token: parseToken(token) };
}

function positionOf([epoch, nextOffset, updatedAt, incarnation]: (string | null)[]): SinkPosition | null {
  if (epoch === null || epoch === undefined) return null;
  return {
    epoch: Number(epoch),
    nextOffset: Number(nextOffset ?? 0),
    updatedAt: Number(updatedAt ?? 0),
    incarnation: incarnation ?? '',
  };
}
