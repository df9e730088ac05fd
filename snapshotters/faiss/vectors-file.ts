/** From the capture to a flat index file and its table of ids: rows in order of the products, each of length 1. */
import { FlatWriter } from '../../runtime/models/faiss/flat-writer.js';
import type { EmbeddingsCapture, ModelGroup } from './embeddings-capture.js';
import { IdTableWriter } from './id-table.js';

/** Embedders normalize vectors themselves; a larger deviation than rounding has another cause. */
const NORM_TOLERANCE = 1e-3;
const PROGRESS_ROWS = 1_000;

export interface WrittenVectors {
  readonly count: number;
  /** Products left out: a number of their vector was NaN or infinite, or all were 0. */
  readonly unusable: number;
  readonly firstUnusable: string | null;
  /** Products whose vector had another length and was scaled to 1. */
  readonly scaled: number;
  /** Lengths before scaling. */
  readonly norm: { readonly least: number; readonly most: number };
}

export async function writeVectors(
  capture: EmbeddingsCapture,
  group: ModelGroup,
  files: { readonly index: string; readonly ids: string },
  progress: (done: number, total: number) => void,
): Promise<WrittenVectors> {
  const rows = capture.rowsOf(group);
  const vector = new Float32Array(group.dimension);
  const ids = await IdTableWriter.create(files.ids);
  const flat = await FlatWriter.create(files.index, 'inner_product', group.dimension);
  let unusable = 0;
  let firstUnusable: string | null = null;
  let scaled = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = 0;
  try {
    for (const [done, row] of rows.entries()) {
      if (done % PROGRESS_ROWS === 0) progress(done, rows.length);
      capture.readVector(row, vector);
      const norm = lengthOf(vector);
      if (!(norm > 0) || !Number.isFinite(norm)) {
        unusable++;
        firstUnusable ??= capture.idOf(row);
        continue;
      }
      least = Math.min(least, norm);
      most = Math.max(most, norm);
      if (Math.abs(norm - 1) > NORM_TOLERANCE) {
        scaled++;
        for (let i = 0; i < vector.length; i++) vector[i] = vector[i]! / norm;
      }
      await ids.add(capture.idOf(row));
      await flat.add(vector);
    }
  } catch (error) {
    await flat.abandon();
    throw error;
  } finally {
    await ids.close();
  }
  await flat.finish();
  const count = flat.rows;
  return { count, unusable, firstUnusable, scaled, norm: { least: count === 0 ? 0 : least, most } };
}

/** Not finite if a number is not; sums are doubles, so that no finite vector overflows. */
function lengthOf(vector: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! * vector[i]!;
  return Math.sqrt(squares);
}
