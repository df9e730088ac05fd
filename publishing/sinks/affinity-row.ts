/**
 * An affinity record as the sinks use it: two lists instead of an object with a property per category. A busy user's
 * row has every category and changes with every event; building those objects was most of the cost of publishing.
 */
import { Interner } from '../../runtime/tasks/state/interner.js';
import { AvroCursor } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Affinity } from '../../schemas/records.js';

export interface AffinityRow {
  readonly userId: string;
  /** ms. */
  readonly asOf: number;
  readonly categories: readonly string[];
  /** Same length as categories. */
  readonly shares: readonly number[];
}

/** Categories come from producers: beyond this many, the cached names are dropped and built again. */
const NAMES_MAX = 100_000;

/** A reader that caches category names, so that each becomes a string only once. */
export function affinityReader(): (codec: Codec, bytes: Buffer, start: number, end: number) => AffinityRow {
  const cursor = new AvroCursor();
  let ids = new Interner();
  let names: string[] = [];
  const nameOf = (bytes: Buffer, start: number, end: number): string => {
    if (ids.count >= NAMES_MAX) {
      ids = new Interner();
      names = [];
    }
    const id = ids.intern(bytes, start, end);
    names[id] ??= bytes.toString('utf8', start, end);
    return names[id];
  };
  return (codec, bytes, start, end) => {
    const body = codec.bodyStart('Affinity', bytes, start, end);
    if (body < 0) return rowOf(codec.decode('Affinity', bytes, start, end) as Affinity);
    try {
      cursor.reset(bytes, body, end);
      const userId = cursor.string();
      const asOf = cursor.long();
      const categories: string[] = [];
      const shares: number[] = [];
      for (let block = cursor.long(); block !== 0; block = cursor.long()) {
        // A negative count is followed by the block's size in bytes.
        if (block < 0) {
          block = -block;
          cursor.long();
        }
        for (let i = 0; i < block; i++) {
          const nameStart = cursor.bytesStart();
          categories.push(nameOf(bytes, nameStart, cursor.at));
          shares.push(cursor.double());
        }
      }
      if (cursor.at !== end) throw new RangeError(`${end - cursor.at} bytes are left over`);
      return { userId, asOf, categories, shares };
    } catch (error) {
      if (error instanceof RangeError) throw new SchemaError('undecodable', `not an Affinity: ${error.message}`);
      throw error;
    }
  };
}

function rowOf({ user_id, as_of, scores }: Affinity): AffinityRow {
  return { userId: user_id, asOf: as_of, categories: Object.keys(scores), shares: Object.values(scores) };
}
