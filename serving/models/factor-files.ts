/**
 * A model's product factors as two flat index files, made in a thread so that no request waits:
 *
 *   products.flat     [x / M, √(1 − |x|²/M²)], M the largest |x|: of these vectors of length 1 the inner product with
 *                     [u / |u|, 0] is u·x / (|u|·M), so the nearest ones are the products with the largest u·x
 *                     (Bachrach et al., RecSys 2014), and a graph of cosines finds them
 *   neighbours.flat   x / |x|, for cosines between products
 */
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { ITEM_FACTORS_FILE, readFactors, readFactorsHead } from '../../publishing/versions/artefacts/factor-file.js';
import { FreshetError, messageOf } from '../../runtime/errors.js';
import { FlatWriter } from '../../runtime/faiss/flat-writer.js';
import { IdTableWriter } from '../../snapshotters/faiss/id-table.js';

export const PRODUCTS_FLAT = 'products.flat';
export const NEIGHBOURS_FLAT = 'neighbours.flat';
export const FACTOR_IDS = 'ids.jsonl';

export interface FactorFiles {
  readonly count: number;
  readonly factors: number;
  /** M above. */
  readonly lengthMax: number;
}

interface Paths {
  /** Of the version. */
  readonly from: string;
  /** Where the files go; it is there, and empty. */
  readonly to: string;
}

type Outcome = { readonly files: FactorFiles } | { readonly code: FreshetError['code']; readonly message: string };

/** Errors: 'invalid_data' when the version's file is damaged or empty; those of the disk. */
export async function makeFactorFiles(from: string, to: string): Promise<FactorFiles> {
  const worker = new Worker(new URL(import.meta.url), { workerData: { from, to } satisfies Paths });
  const outcome = await new Promise<Outcome>((resolve, reject) => {
    worker.once('message', resolve).once('error', reject);
    worker.once('exit', () => reject(new FreshetError('internal', 'the thread that reads factors ended early')));
  });
  await worker.terminate();
  if ('files' in outcome) return outcome.files;
  throw new FreshetError(outcome.code, outcome.message);
}

async function write({ from, to }: Paths): Promise<FactorFiles> {
  const path = join(from, ITEM_FACTORS_FILE);
  const { rows, factors } = await readFactorsHead(path);
  if (rows === 0) throw new FreshetError('invalid_data', `${path} holds no products.`);
  let lengthMax = 0;
  for await (const row of readFactors(path)) lengthMax = Math.max(lengthMax, lengthOf(row.factors));
  if (lengthMax === 0) throw new FreshetError('invalid_data', `${path} holds nothing but zeros.`);
  const ids = await IdTableWriter.create(join(to, FACTOR_IDS));
  const products = await FlatWriter.create(join(to, PRODUCTS_FLAT), 'inner_product', factors + 1);
  const neighbours = await FlatWriter.create(join(to, NEIGHBOURS_FLAT), 'inner_product', factors);
  for await (const { id, factors: row } of readFactors(path)) {
    const length = lengthOf(row);
    const product = new Float32Array(factors + 1);
    for (let i = 0; i < factors; i++) product[i] = row[i]! / lengthMax;
    product[factors] = Math.sqrt(Math.max(0, 1 - (length / lengthMax) ** 2));
    await ids.add(id);
    await products.add(product);
    await neighbours.add(length === 0 ? row : row.map((value) => value / length));
  }
  await ids.close();
  await products.finish();
  await neighbours.finish();
  return { count: rows, factors, lengthMax };
}

export function lengthOf(vector: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! * vector[i]!;
  return Math.sqrt(squares);
}

async function run(paths: Paths): Promise<Outcome> {
  try {
    return { files: await write(paths) };
  } catch (error) {
    return { code: error instanceof FreshetError ? error.code : 'internal', message: messageOf(error) };
  }
}

if (!isMainThread && parentPort !== null && isPaths(workerData)) {
  // Of Linux alone this is the priority of the thread, not of the process.
  if (process.platform === 'linux') setPriority(0, constants.priority.PRIORITY_BELOW_NORMAL);
  parentPort.postMessage(await run(workerData));
}

function isPaths(data: unknown): data is Paths {
  return typeof data === 'object' && data !== null && 'from' in data && 'to' in data;
}
