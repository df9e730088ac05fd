/** Fetches the MovieLens 100 K files from a Python package that ships them. They are fetched, never committed. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { projectRoot } from '../../../schemas/project-root.js';
import { unpackPackage } from '../python.js';

const PACKAGE = 'recbole==1.2.1';
const FOLDER = join(projectRoot, '.cache', 'movielens');
const INSIDE = 'recbole/dataset_example/ml-100k';

export interface MovieLensFiles {
  readonly ratings: string;
  readonly films: string;
}

/** The text of both files, from the cache if present. Throws an error that says what is missing. */
export async function fetchMovieLens(): Promise<MovieLensFiles> {
  const ratings = join(FOLDER, INSIDE, 'ml-100k.inter');
  const films = join(FOLDER, INSIDE, 'ml-100k.item');
  if (!existsSync(ratings) || !existsSync(films)) await unpackPackage(PACKAGE, FOLDER, 'MovieLens 100 K');
  return { ratings: await readFile(ratings, 'utf8'), films: await readFile(films, 'utf8') };
}
