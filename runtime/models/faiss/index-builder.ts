/** Builds an index with FAISS, inside the process made for it. */
import { rename, rm } from 'node:fs/promises';
import { FreshetError } from '../../process/errors.js';
import { type BuildPlan, checkPlan } from './build-plan.js';
import { readIndexFile } from './index-file.js';
import { loadNative } from './native.js';
import { RowReader } from './row-reader.js';

/** Rows passed to FAISS at a time. */
const ROWS_AT_ONCE = 8_192;

/** Throws 'invalid_data' for an impossible plan or rows; 'settings' when there is no native module. */
export async function buildWithFaiss(
  plan: BuildPlan,
  progress: (phase: string, done: number, total: number) => void,
): Promise<void> {
  checkPlan(plan);
  const { kind, vectors, out, dimension, count, links, lists, trainedOn } = plan;
  const file = await readIndexFile(vectors);
  if (file.kind !== 'flat' || file.dimension !== dimension || file.count !== count)
    throw new FreshetError('invalid_data', `${vectors} is ${file.kind}, ${file.count} × ${file.dimension}.`);
  const loaded = await loadNative();
  if ('missing' in loaded)
    throw new FreshetError('settings', `An index of kind ${kind} cannot be built here: ${loaded.missing}.`);
  const index = loaded.native.create(dimension, kind === 'hnsw' ? `HNSW${links}` : `IVF${lists},Flat`);
  const reader = await RowReader.open(vectors, dimension);
  try {
    if (kind === 'ivf') {
      progress('train', 0, 1);
      index.train(await evenly(reader, dimension, count, trainedOn));
    }
    for (let from = 0; from < count; from += ROWS_AT_ONCE) {
      progress('add', from, count);
      index.add(await reader.rows(from, Math.min(count, from + ROWS_AT_ONCE)));
    }
    progress('add', count, count);
  } finally {
    await reader.close();
  }
  const aside = `${out}.${process.pid}`;
  try {
    index.write(aside);
    const built = await readIndexFile(aside);
    if (built.kind !== kind || built.count !== count || built.dimension !== dimension)
      throw new FreshetError('internal', `FAISS wrote ${built.count} × ${built.dimension} as ${built.kind}.`);
    await rename(aside, out);
  } finally {
    await rm(aside, { force: true });
  }
}

/** Rows spread evenly over all. */
async function evenly(reader: RowReader, dimension: number, count: number, wanted: number): Promise<Float32Array> {
  const rows = new Float32Array(wanted * dimension);
  for (let i = 0; i < wanted; i++) {
    const row = Math.floor((i * count) / wanted);
    rows.set(await reader.rows(row, row + 1), i * dimension);
  }
  return rows;
}
