/** The Postgres port: the little of a driver that the rest of the code needs. The only import of pg is in postgres.ts. */

export type SqlValue = string | number | bigint | boolean | Date | Buffer | null | readonly SqlValue[];

export interface Queryable {
  /** Rows as objects by column name. `int8` and `float8` come as numbers, `jsonb` parsed, `timestamptz` as Date. */
  query<Row extends object = Record<string, unknown>>(sql: string, parameters?: readonly SqlValue[]): Promise<Row[]>;
  /** Number of rows the statement touched. */
  execute(sql: string, parameters?: readonly SqlValue[]): Promise<number>;
}

export interface Database extends Queryable {
  /** Runs `work` in one transaction: commit when it resolves, rollback when it throws. */
  transaction<T>(work: (connection: Queryable) => Promise<T>): Promise<T>;
  ping(): Promise<void>;
  close(): Promise<void>;
}
