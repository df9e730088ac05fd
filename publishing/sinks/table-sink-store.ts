/** A sink in Postgres: rows and offset in one statement. */
import type { Database, Queryable, SqlValue } from '../../runtime/stores/database.js';
import type { ApplyResult, FencedBatch, SinkId, SinkPosition } from '../../runtime/stores/online-store.js';
import { arrayParameter } from '../../runtime/stores/postgres/array-parameter.js';
import type { TableSink } from './declaration.js';
import type { Change } from './keyed-topic.js';
import type { SinkStore } from './sink-store.js';
import { applyStatement, keysStatement, OPEN, POSITION, REWIND } from './table-sql.js';

interface OffsetRow {
  readonly epoch: number;
  readonly next_offset: number;
  readonly incarnation: string;
  readonly updated_at: Date;
}

export function tableSinkStore<Value>(database: Database, sink: TableSink<Value>): SinkStore {
  const upsert = applyStatement(sink, false);
  const upsertAndDelete = applyStatement(sink, true);
  const position = (id: SinkId) => tablePosition(database, id);
  return {
    open: async (id) => {
      const [row] = await database.query<OffsetRow>(OPEN, coordinates(id));
      return asPosition(row!);
    },
    position,
    rewind: async (id, epoch) => (await database.execute(REWIND, [...coordinates(id), epoch])) === 1,
    apply: async (batch, changes) => {
      const { keys, values, deleted } = split<Value>(changes);
      const parameters: SqlValue[] = [
        ...coordinates(batch.id),
        batch.epoch,
        batch.expectedOffset,
        batch.nextOffset,
        batch.incarnation,
        batch.at,
        arrayParameter('text', keys, (key) => key),
        ...sink.columns.map(({ type, value: elementOf }) => arrayParameter(type, values, elementOf)),
      ];
      if (deleted.length > 0) parameters.push(arrayParameter('text', deleted, (key) => key));
      const applied = await database.query(deleted.length > 0 ? upsertAndDelete : upsert, parameters);
      return applied.length > 0 ? 'applied' : whyNot(batch, await position(batch.id));
    },
    keys: async () => (await database.query<{ key: string }>(keysStatement(sink))).map(({ key }) => key),
  };
}

/** A sink's position in Postgres; null if it has none. */
export async function tablePosition(database: Queryable, id: SinkId): Promise<SinkPosition | null> {
  const [row] = await database.query<OffsetRow>(POSITION, coordinates(id));
  return row === undefined ? null : asPosition(row);
}

/** Keys in order, so that two batches over the same rows lock them in the same order. */
function split<Value>(changes: readonly Change[]): { keys: string[]; values: Value[]; deleted: string[] } {
  const keys: string[] = [];
  const values: Value[] = [];
  const deleted: string[] = [];
  const sorted = [...changes].sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
  for (const { key, value } of sorted) {
    if (value === null) {
      deleted.push(key);
    } else {
      keys.push(key);
      values.push(value as Value);
    }
  }
  return { keys, values, deleted };
}

function whyNot(batch: FencedBatch, held: SinkPosition | null): ApplyResult {
  return held === null || held.epoch !== batch.epoch ? 'fenced' : 'offset_mismatch';
}

function coordinates(id: SinkId): SqlValue[] {
  return [id.sink, id.topic, id.partition];
}

function asPosition(row: OffsetRow): SinkPosition {
  return {
    epoch: row.epoch,
    nextOffset: row.next_offset,
    updatedAt: row.updated_at.getTime(),
    incarnation: row.incarnation,
  };
}
