/**
 * Interactions as the online store holds them: one text per user,
 *
 *   {"as_of":1793707200000,"items":[["boots",6.3,3,2],["hat",2,1,0]],"truncated":0}
 *
 * with items of [product, weight, count, purchases], heaviest first. One text instead of a hash, unlike affinity: a
 * user has up to 1,000 products, which as a hash took 79 KB and 0.9 ms of Redis's single thread, as a text 29 KB and 7
 * µs (with 20 products 614 and 733 bytes, 5 and 1 µs). The text also brings its own as_of in the same read.
 */
import { AvroCursor } from '../../schemas/avro-writer.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import { problemOf } from './keyed-topic.js';

export interface InteractionsRow {
  readonly userId: string;
  /** ms. */
  readonly asOf: number;
  /** Exactly as stored in the online store. */
  readonly text: string;
  /** Why it cannot be published, or null. */
  readonly problem: string | null;
}

export interface StoredInteraction {
  readonly productId: string;
  /** At the row's as_of. */
  readonly weight: number;
  readonly count: number;
  /** How many of these events were purchases. */
  readonly purchases: number;
}

export interface StoredInteractions {
  /** ms. */
  readonly asOf: number;
  /** Heaviest first. */
  readonly items: readonly StoredInteraction[];
  /** How many lighter products were left out. */
  readonly truncated: number;
}

/** Digits of a weight: precise to 1e-9, and a third shorter than all of them. */
const DIGITS = 10;

/** A reader that builds the text without building objects first: a busy user's record has a thousand items. */
export function interactionsReader(): (codec: Codec, bytes: Buffer, start: number, end: number) => InteractionsRow {
  const cursor = new AvroCursor();
  return (codec, bytes, start, end) => {
    const body = codec.bodyStart('Interactions', bytes, start, end);
    const source = body < 0 ? codec.rewrite('Interactions', bytes, start, end) : bytes;
    try {
      return body < 0 ? rowOf(cursor.reset(source, 0, source.length)) : rowOf(cursor.reset(source, body, end));
    } catch (error) {
      if (error instanceof RangeError) throw new SchemaError('undecodable', `not Interactions: ${error.message}`);
      throw error;
    }
  };
}

function rowOf(cursor: AvroCursor): InteractionsRow {
  const userId = cursor.string();
  const asOf = cursor.long();
  let items = '';
  let problem = problemOf({ times: { as_of: asOf } });
  for (let block = cursor.long(); block !== 0; block = cursor.long()) {
    // A negative count is followed by the block's size in bytes.
    if (block < 0) {
      block = -block;
      cursor.long();
    }
    for (let i = 0; i < block; i++) {
      const product = cursor.string();
      const weight = cursor.double();
      const count = cursor.long();
      cursor.long();
      const purchases = cursor.long();
      problem ??= problemOf({ amounts: { weight, count, purchases } });
      const shown = Number(weight.toPrecision(DIGITS));
      items += `${items === '' ? '' : ','}[${JSON.stringify(product)},${shown},${count},${purchases}]`;
    }
  }
  const truncated = cursor.long();
  if (cursor.at !== cursor.end) throw new RangeError(`${cursor.end - cursor.at} bytes are left over`);
  return { userId, asOf, text: `{"as_of":${asOf},"items":[${items}],"truncated":${truncated}}`, problem };
}

/** Parses `InteractionsRow.text`. */
export function storedInteractions(text: string): StoredInteractions {
  const { as_of, items, truncated } = JSON.parse(text) as {
    as_of: number;
    items: [string, number, number, number][];
    truncated: number;
  };
  return {
    asOf: as_of,
    items: items.map(([productId, weight, count, purchases]) => ({ productId, weight, count, purchases })),
    truncated,
  };
}
