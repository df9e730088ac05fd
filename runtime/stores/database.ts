/** The Postgres port: the few driver functions that the rest of the code needs. */

export type SqlValue = string | number | bigint | boolean | Date | Buffer | null | readonly SqlValue[];

export interface Queryable {
  /** Rows as objects by column name. `int8` and `float8` are numbers, `jsonb` is parsed, `timestamptz` is a Date. */
  query<Row extends object = Record<string, unknown>>(sql: string, parameters?: readonly SqlValue[]): Promise<Row[]>;
  /** Returns the number of rows affected. */
  execute(sql: string, parameters?: readonly SqlValue[]): Promise<number>;
}

export interface Database extends Queryable {
  /** Runs `work` in one transaction: commit when it resolves, rollback when it throws. */
  transaction<T>(work: (connection: Queryable) => Promise<T>): Promise<T>;
  /**
   * Listens to the notifications of a channel, on a separate connection, until the listener or the database is closed.
   * Answers at once; while the connection cannot be had it is tried again. Errors: 'state' when the database was closed.
   */
  listen(channel: string, heard: Heard): Listener;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Called with the payload of each notification, and with null each time the connection stands, the first time too: what
 * was notified before then is not heard of any more.
 */
export type Heard = (payload: string | null) => void;

export interface Listener {
  close(): Promise<void>;
}
