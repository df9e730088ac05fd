/**
 * The state of the relevant products in `products`, read again for every comparison: the catalogue is small compared
 * with the log, and an auditor of a few keys should not keep all of it in memory.
 */
import type { Log } from '../../runtime/log/log.js';
import { type Codec, SchemaError } from '../../schemas/codec.js';
import type { Product } from '../../schemas/records.js';
import { products } from '../../topics/events.js';
import { readSpans } from './tail.js';

export interface CatalogueEntry {
  /** Null: the product was deleted. */
  readonly category: string | null;
  /** The topic still holds a deletion of the product. */
  readonly wasDeleted: boolean;
  readonly partition: number;
  readonly offset: number;
  /** Time of the record, ms. */
  readonly changedAt: number;
}

export interface CatalogueView {
  /** Undefined: no record. */
  get(product: string): CatalogueEntry | undefined;
  /** No record has been removed from the topic. Otherwise, a product without one may have been deleted long ago. */
  readonly isWhole: boolean;
  readonly partitions: number;
}

export async function readCatalogue(
  log: Log,
  codec: Codec,
  matters: (product: string) => boolean,
): Promise<CatalogueView> {
  const topic = products.name;
  const partitions = await log.partitionCount(topic);
  const spans = await Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const { earliest, lastStable } = await log.offsets({ topic, partition });
      return { topic, partition, offset: earliest, end: lastStable };
    }),
  );
  const entries = new Map<string, CatalogueEntry>();
  let rows = 0;
  await readSpans(
    log,
    spans.filter(({ offset, end }) => offset < end),
    (columns, row) => {
      const { bytes, partition } = columns;
      const offset = columns.offsets[row]!;
      if (offset >= spans[partition]!.end) return;
      rows++;
      const keyStart = columns.keyStart[row]!;
      if (keyStart < 0) return;
      const key = bytes.toString('utf8', keyStart, columns.keyEnd[row]!);
      if (!matters(key)) return;
      const at = { partition, offset, changedAt: columns.timestamps[row]! };
      const start = columns.valueStart[row]!;
      if (start < 0) entries.set(key, { ...at, category: null, wasDeleted: true });
      else {
        try {
          const { category } = codec.decode('Product', bytes, start, columns.valueEnd[row]!) as Product;
          entries.set(key, { ...at, category, wasDeleted: entries.get(key)?.wasDeleted ?? false });
        } catch (error) {
          // An unreadable record leaves the previous value in place.
          if (!(error instanceof SchemaError)) throw error;
        }
      }
    },
    ({ bytes, count, valueStart, valueEnd }) => codec.prepare(bytes, count, valueStart, valueEnd),
  );
  const written = spans.reduce((sum, { end }) => sum + end, 0);
  return { get: (product) => entries.get(product), isWhole: rows === written, partitions };
}
