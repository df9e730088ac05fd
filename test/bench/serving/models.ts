/** Models of any size as finished folders: clustered vectors of texts, factors trained on synthetic interactions. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Settings } from '../../../assembly/settings.js';
import { Layout } from '../../../publishing/layout.js';
import {
  ITEM_FACTORS_FILE,
  USER_FACTORS_FILE,
  writeFactors,
} from '../../../publishing/versions/artefacts/factor-file.js';
import { INDEX_FILE } from '../../../publishing/versions/artefacts/faiss.js';
import { MANIFEST_FILE, type Manifest } from '../../../publishing/versions/manifest.js';
import type { Build } from '../../../publishing/versions/versions.js';
import { HASHED_DIMENSION, HashedModel } from '../../../runtime/models/embedder/hashed.js';
import { buildIndex } from '../../../runtime/models/faiss/build-index.js';
import { planBuild } from '../../../runtime/models/faiss/build-plan.js';
import { FlatWriter } from '../../../runtime/models/faiss/flat-writer.js';
import { writeBreadth } from '../../../runtime/models/faiss/index-file.js';
import { HNSW_FROM } from '../../../runtime/models/faiss/kind.js';
import { loadNative } from '../../../runtime/models/faiss/native.js';
import type { OnlineStore } from '../../../runtime/stores/online-store.js';
import { artifactsFolder } from '../../../runtime/stores/settings.js';
import { type MadeIndexes, makeIndexes } from '../../../snapshotters/als/indexes.js';
import { makeModel } from '../../../snapshotters/als/model.js';
import { sourceOf } from '../../../snapshotters/als/snapshotter.js';
import { IdTableWriter } from '../../../snapshotters/faiss/id-table.js';
import { IDS_FILE, WORDS_FILE } from '../../../snapshotters/faiss/layout.js';
import { buildWordIndex, type ProductText } from '../../../snapshotters/faiss/words/word-index.js';
import { featureSet } from '../../../topics/feature-set.js';
import { productId, userId } from '../../support/load.js';
import type { Random } from '../../support/random.js';
import { madeUp } from '../als/pairs.js';

export const FACTORS = 64;
const ITERATIONS = 8;
const PAIRS_PER_USER = 100;
const MODEL_BYTES_MAX = 4 * 2 ** 30;
const CLUSTERS = 200;
const NOISE = 0.6;
const EF_SEARCH = 64;
/** Products that a user has interacted with, one in ten of them bought. */
const SEEN = 50;
const USERS_PER_BATCH = 500;

class Clusters {
  readonly #random: Random;
  readonly #dimension: number;
  readonly #centres: Float32Array[];

  constructor(random: Random, dimension: number) {
    this.#random = random;
    this.#dimension = dimension;
    this.#centres = Array.from({ length: CLUSTERS }, () => this.#gauss(1));
  }

  draw(length: number): Float32Array {
    const centre = this.#centres[this.#random.below(CLUSTERS)]!;
    const noise = this.#gauss(NOISE);
    const row = noise.map((value, i) => value + centre[i]!);
    const norm = Math.sqrt(row.reduce((sum, value) => sum + value * value, 0));
    return row.map((value) => (value / norm) * length);
  }

  /** Sums of four uniform numbers: close enough to a normal distribution. */
  #gauss(scale: number): Float32Array {
    const unit = () => this.#random.unit() - 0.5;
    return Float32Array.from({ length: this.#dimension }, () => scale * 1.7 * (unit() + unit() + unit() + unit()));
  }
}

const inOrder = (count: number, idOf: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => idOf(i)).sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));

export async function indexOf(settings: Settings, products: number, random: Random): Promise<Build> {
  const folder = await workFolder(settings, 'faiss-1');
  const clusters = new Clusters(random, HASHED_DIMENSION);
  const flat = join(folder, 'flat');
  const writer = await FlatWriter.create(flat, 'inner_product', HASHED_DIMENSION);
  const ids = await IdTableWriter.create(join(folder, IDS_FILE));
  for (const id of inOrder(products, productId)) {
    await writer.add(clusters.draw(1));
    await ids.add(id);
  }
  await writer.finish();
  await ids.close();
  const index = join(folder, INDEX_FILE);
  const kind = products >= HNSW_FROM && 'native' in (await loadNative()) ? 'hnsw' : 'flat';
  if (kind === 'flat') await rename(flat, index);
  else {
    const plan = planBuild(kind, { vectors: flat, out: index, dimension: HASHED_DIMENSION, count: products });
    await buildIndex({ plan, threads: availableParallelism() });
    await writeBreadth(index, EF_SEARCH);
    await rm(flat);
  }
  const told = { model: new HashedModel().model, dimension: HASHED_DIMENSION, kind };
  await writeFile(join(folder, WORDS_FILE), buildWordIndex(Array.from({ length: products }, () => textOf(random))));
  return finish(folder, 'faiss', told, { products }, [INDEX_FILE, IDS_FILE, WORDS_FILE]);
}

/** Words that products have; the first ones are in most of them, as in a real language. */
export const WORDS = 5_000;
const TITLE_WORDS = 3;
const DESCRIPTION_WORDS = 25;

function textOf(random: Random): ProductText {
  const words = (count: number) =>
    Array.from({ length: count }, () => `word${Math.floor(WORDS * random.unit() ** 2)}`).join(' ');
  const category = `category${random.below(20)}`;
  return { title: words(TITLE_WORDS), description: words(DESCRIPTION_WORDS), category, language: 'en' };
}

/** Trained on synthetic behaviour: random factors are harder to search than those of any real model. */
export async function modelOf(
  settings: Settings,
  number: number,
  { users, products }: { readonly users: number; readonly products: number },
): Promise<{ readonly build: Build; readonly indexes: MadeIndexes['figures'] }> {
  const folder = await workFolder(settings, `als-${number}`);
  const captured = madeUp(number, users, products, users * PAIRS_PER_USER, { userId, productId });
  const { host, places, selection } = await makeModel({
    captured,
    settings: {
      ...{ factors: FACTORS, iterations: ITERATIONS, seed: number, threads: availableParallelism() },
      ...{ regularization: settings.ALS_REGULARIZATION, alpha: settings.ALS_ALPHA },
      ...{ interactionsMin: settings.ALS_INTERACTIONS_MIN, bytesMax: MODEL_BYTES_MAX },
    },
  });
  try {
    const source = (side: 'users' | 'products') =>
      sourceOf(captured[side], selection[side], new Float32Array(host.memory), places[side], places.width, FACTORS);
    const [ofUsers, ofProducts] = [source('users'), source('products')];
    await writeFactors(join(folder, USER_FACTORS_FILE), ofUsers);
    await writeFactors(join(folder, ITEM_FACTORS_FILE), ofProducts);
    const indexes = await makeIndexes({ folder, users: ofUsers, products: ofProducts });
    const names = [USER_FACTORS_FILE, ITEM_FACTORS_FILE, ...indexes.files];
    const counts = { users: ofUsers.rows, products: ofProducts.rows };
    const figures = { indexes: indexes.figures };
    const build = await finish(folder, 'als', { ALS_FACTORS: FACTORS }, counts, names, figures);
    return { build, indexes: indexes.figures };
  } finally {
    await host.close();
  }
}

/** Users' interactions, in the form that the publisher writes. */
export async function interactionsOf(
  store: OnlineStore,
  { users, products }: { readonly users: number; readonly products: number },
  random: Random,
): Promise<void> {
  const keys = new Layout().features(featureSet(1));
  const id = { sink: 'bench', topic: 'interactions', partition: 0 };
  const { epoch, nextOffset } = await store.open(id);
  let offset = nextOffset;
  for (let first = 0; first < users; first += USERS_PER_BATCH) {
    const operations = Array.from({ length: Math.min(USERS_PER_BATCH, users - first) }, (_, i) => {
      const items = Array.from({ length: SEEN }, (_, item) => [
        productId(random.below(products)),
        1,
        1,
        +(item % 10 === 0),
      ]);
      const value = JSON.stringify({ as_of: Date.now(), items, truncated: 0 });
      return { op: 'set' as const, key: keys.interactionsUser(userId(first + i)), value };
    });
    const batch = { id, epoch, expectedOffset: offset, nextOffset: ++offset, incarnation: 'bench', at: Date.now() };
    if ((await store.apply(batch, operations)) !== 'applied') throw new Error('the store did not take interactions');
  }
}

async function workFolder(settings: Settings, name: string): Promise<string> {
  const folder = join(artifactsFolder(settings), '.work', name);
  await mkdir(folder, { recursive: true });
  return folder;
}

async function finish(
  folder: string,
  artefact: 'als' | 'faiss',
  settings: Manifest['settings'],
  counts: Manifest['counts'],
  names: readonly string[],
  figures: Manifest['figures'] = {},
): Promise<Build> {
  const files = names.map(async (name) => {
    const hash = createHash('sha256');
    await pipeline(createReadStream(join(folder, name)), hash);
    return { name, bytes: (await stat(join(folder, name))).size, sha256: hash.digest('hex') };
  });
  const manifest: Manifest = {
    ...{ artefact, run_id: basename(folder), created_at: new Date().toISOString(), code_version: 'bench' },
    ...{ inputs: [], settings, counts, figures, checks: [], files: await Promise.all(files) },
  };
  await writeFile(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
  return { artefact, folder, manifest };
}
