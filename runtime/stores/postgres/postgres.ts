/** The Postgres port over a pool of connections. Only here are connections made. */
import pg from 'pg';
import { FreshetError } from '../../process/errors.js';
import type { Logger } from '../../process/logger.js';
import type { Database, Heard, Listener, Queryable, SqlValue } from '../database.js';
import { postgresError, sqlState } from './postgres-errors.js';
import { PostgresListener } from './postgres-listener.js';

export interface PostgresOptions {
  /** postgres://user:password@host:port/database, with ?sslmode= etc. */
  readonly url?: string;
  /** A host name, or the folder of a Unix socket. */
  readonly host?: string;
  readonly port?: number;
  readonly user?: string;
  readonly password?: string;
  readonly database?: string;
  /** Default 8. */
  readonly connectionsMax?: number;
  /** Longest time for one statement. Default 30 s. */
  readonly statementMsMax?: number;
  /** Longest wait for a connection, whether a new one or one in use. Default 5 s. */
  readonly connectMsMax?: number;
}

const CONNECTIONS_MAX = 8;
const STATEMENT_MS_MAX = 30_000;
const CONNECT_MS_MAX = 5_000;
/** A server that does not answer cannot end a statement: after this extra time the connection is abandoned. */
const ANSWER_MS_GRACE = 5_000;
/** A connection that only listens says nothing by itself: after so long without a word the other side is asked. */
const KEEP_ALIVE_MS = 10_000;

/**
 * Opens the pool and checks that the server answers. Throws FreshetError: 'settings' for a malformed url or a missing
 * database, 'access' for a refused login, 'connection' or 'unavailable' when it cannot be reached.
 */
export async function openPostgres(options: PostgresOptions, logger: Logger): Promise<Database> {
  const database = new PostgresDatabase(options, logger);
  try {
    await database.ping();
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

/** host:port/database, without user and password, for display. */
export function postgresAddress(options: PostgresOptions): string {
  if (options.url === undefined)
    return `${options.host ?? '127.0.0.1'}:${options.port ?? 5432}/${options.database ?? ''}`;
  const url = postgresUrl(options.url);
  const host = url.hostname === '' ? (url.searchParams.get('host') ?? 'localhost') : url.hostname;
  return `${host}:${url.port === '' ? '5432' : url.port}${url.pathname}`;
}

function postgresUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url === null || (url.protocol !== 'postgres:' && url.protocol !== 'postgresql:'))
    throw new FreshetError('settings', 'DATABASE_URL must be postgres://user:password@host:port/database.');
  return url;
}

/** int8[]: the driver leaves its elements as text. */
const INT8_ARRAY: number = 1016;

/** Parsers that differ from the driver's. `date` stays text: as a Date it would be midnight in the local time zone. */
const PARSERS: ReadonlyMap<number, (text: string) => unknown> = new Map<number, (text: string) => unknown>([
  [pg.types.builtins.INT8, Number],
  [pg.types.builtins.NUMERIC, Number],
  [pg.types.builtins.DATE, (text) => text],
  [
    INT8_ARRAY,
    (text) => {
      const parse = pg.types.getTypeParser(INT8_ARRAY, 'text') as (value: string) => (string | null)[];
      return parse(text).map((element) => (element === null ? null : Number(element)));
    },
  ],
]);

function poolConfig(options: PostgresOptions): pg.PoolConfig {
  const { url, host, port, user, password, database } = options;
  const statementMsMax = options.statementMsMax ?? STATEMENT_MS_MAX;
  const target =
    url === undefined
      ? { host, port, user, password, database }
      : { connectionString: postgresUrl(url).href, ...(password === undefined ? {} : { password }) };
  return {
    ...target,
    max: options.connectionsMax ?? CONNECTIONS_MAX,
    application_name: 'freshet',
    connectionTimeoutMillis: options.connectMsMax ?? CONNECT_MS_MAX,
    statement_timeout: statementMsMax,
    query_timeout: statementMsMax + Math.min(statementMsMax, ANSWER_MS_GRACE),
    idle_in_transaction_session_timeout: 2 * statementMsMax,
    keepAlive: true,
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        PARSERS.get(oid) ?? pg.types.getTypeParser(oid, format ?? 'text'),
    },
  };
}

class PostgresDatabase implements Database {
  readonly #pool: pg.Pool;
  readonly #config: pg.PoolConfig;
  readonly #name: string;
  readonly #logger: Logger;
  readonly #listeners: PostgresListener[] = [];
  #closing: Promise<void> | null = null;

  constructor(options: PostgresOptions, logger: Logger) {
    this.#name = `Postgres at ${postgresAddress(options)}`;
    this.#logger = logger;
    this.#config = poolConfig(options);
    this.#pool = new pg.Pool(this.#config);
    // When the server closes an idle connection, no query fails: the pool opens another.
    this.#pool.on('error', (error) => this.#lost(error));
  }

  #lost(error: Error): void {
    // When a private server stops, the last connections may still be closing.
    if (this.#closing !== null) return;
    this.#logger.warn({ event: 'store_connection_lost', store: 'postgres', error: error.message }, this.#name);
  }

  query<Row extends object = Record<string, unknown>>(sql: string, parameters?: readonly SqlValue[]): Promise<Row[]> {
    return this.#with((connection) => connection.query<Row>(sql, parameters));
  }

  execute(sql: string, parameters?: readonly SqlValue[]): Promise<number> {
    return this.#with((connection) => connection.execute(sql, parameters));
  }

  transaction<T>(work: (connection: Queryable) => Promise<T>): Promise<T> {
    return this.#with(async (connection) => {
      await connection.execute('BEGIN');
      let result: T;
      try {
        result = await work(connection);
      } catch (error) {
        await connection.rollback();
        throw error;
      }
      await connection.commit();
      return result;
    });
  }

  listen(channel: string, heard: Heard): Listener {
    this.#refuseClosed();
    const listener = new PostgresListener({
      client: () => new pg.Client({ ...this.#config, keepAliveInitialDelayMillis: KEEP_ALIVE_MS }),
      channel,
      heard,
      onLost: (error) => this.#lost(error),
    });
    this.#listeners.push(listener);
    return listener;
  }

  async ping(): Promise<void> {
    await this.query('SELECT 1');
  }

  close(): Promise<void> {
    this.#closing ??= Promise.all([this.#pool.end(), ...this.#listeners.map((one) => one.close())]).then(
      () => undefined,
    );
    return this.#closing;
  }

  #refuseClosed(): void {
    if (this.#closing !== null) throw new FreshetError('state', `${this.#name} was closed.`);
  }

  /** Provides a connection for the duration of `work`. */
  async #with<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    this.#refuseClosed();
    const client = await this.#pool.connect().catch((error: unknown) => {
      throw postgresError(error, this.#name);
    });
    const connection = new Connection(client, this.#name);
    // Between two statements there is no other listener, and an unhandled error event ends the process.
    const onError = (error: Error) => {
      connection.spoil();
      this.#lost(error);
    };
    client.on('error', onError);
    try {
      return await work(connection);
    } finally {
      connection.end();
      client.removeListener('error', onError);
      client.release(connection.spoilt);
    }
  }
}

/** One connection while it is lent out. */
class Connection implements Queryable {
  readonly #client: pg.PoolClient;
  readonly #name: string;
  #spoilt = false;
  #ended = false;

  constructor(client: pg.PoolClient, name: string) {
    this.#client = client;
    this.#name = name;
  }

  /** True when the connection must not go back to the pool. */
  get spoilt(): boolean {
    return this.#spoilt;
  }

  spoil(): void {
    this.#spoilt = true;
  }

  /** Invalidates references to it that may still exist. */
  end(): void {
    this.#ended = true;
  }

  async query<Row extends object = Record<string, unknown>>(
    sql: string,
    parameters?: readonly SqlValue[],
  ): Promise<Row[]> {
    return (await this.#run(sql, parameters)).rows as Row[];
  }

  async execute(sql: string, parameters?: readonly SqlValue[]): Promise<number> {
    return (await this.#run(sql, parameters)).rowCount ?? 0;
  }

  async commit(): Promise<void> {
    const { command } = await this.#run('COMMIT');
    // If a statement failed, its transaction ends in a rollback without an error, even if the failure was ignored.
    if (command !== 'COMMIT')
      throw new FreshetError('state', `${this.#name}: a failed statement was ignored; nothing was committed.`);
  }

  async rollback(): Promise<void> {
    if (this.#spoilt) return;
    // The original error is the one to report; a connection that cannot roll back is discarded, which rolls back too.
    await this.#run('ROLLBACK').catch(() => this.spoil());
  }

  async #run(sql: string, parameters?: readonly SqlValue[]): Promise<pg.QueryResult> {
    if (this.#ended)
      throw new FreshetError('state', `${this.#name}: a statement came after the end of its transaction.`);
    try {
      const result: pg.QueryResult | pg.QueryResult[] = await this.#client.query(
        sql,
        parameters === undefined ? undefined : [...parameters],
      );
      // Several statements in one text give several results; the last one answers.
      return Array.isArray(result) ? (result as pg.QueryResult[]).at(-1)! : result;
    } catch (error) {
      // Without a SQLSTATE, the error is not the server's: the state of the connection is unknown.
      const state = sqlState(error);
      if (state === null || /^(08|57P)/.test(state)) this.spoil();
      throw postgresError(error, this.#name);
    }
  }
}
