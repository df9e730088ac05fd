/** The Postgres port: the few driver functions that the rest of the code needs. Only postgres.ts imports pg. */

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
  ping(): Promise<void>;
  close(): Promise<void>;
}
