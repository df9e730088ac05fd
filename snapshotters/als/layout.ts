/**
 * The searchable part of a version: its products' factors x as two index files in FAISS's format, rows in the order of
 * item_factors.bin.
 *
 *   products.faiss     [x / M, √(1 − |x|²/M²)], M the largest |x|: for these vectors of length 1 the inner product with
 *                      [u / |u|, 0] is u·x / (|u|·M), so the nearest ones are the products with the largest u·x
 *                      (Bachrach et al., RecSys 2014), and a graph of cosines finds them
 *   neighbours.faiss   x / |x|, for cosines between products
 *
 * Either is flat or a graph; a graph also holds its vectors in order, so that it can be searched exactly without FAISS.
 */
export const PRODUCTS_INDEX = 'products.faiss';
export const NEIGHBOURS_INDEX = 'neighbours.faiss';

/** x and M as above. */
export function productVector(x: Float32Array, lengthMax: number): Float32Array {
  const vector = new Float32Array(x.length + 1);
  for (let i = 0; i < x.length; i++) vector[i] = x[i]! / lengthMax;
  vector[x.length] = Math.sqrt(Math.max(0, 1 - (lengthOf(x) / lengthMax) ** 2));
  return vector;
}

/** The query to products.faiss for a user with the factors u, which are not all 0. */
export function userVector(u: Float32Array): Float32Array {
  const vector = new Float32Array(u.length + 1);
  vector.set(directionOf(u));
  return vector;
}

/** x / |x|; zeros stay zeros. */
export function directionOf(x: Float32Array): Float32Array {
  const length = lengthOf(x);
  return length === 0 ? x : x.map((value) => value / length);
}

export function lengthOf(vector: Float32Array): number {
  let squares = 0;
  for (let i = 0; i < vector.length; i++) squares += vector[i]! * vector[i]!;
  return Math.sqrt(squares);
}
