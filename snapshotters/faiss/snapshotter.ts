/**
 * A FAISS index from the topic `embeddings`:
 *
 *   capture ─► one model chosen ─► flat index file + ids ─► exact answers for a sample ─► index of its kind ─► recall
 *
 * Everything else is built from the flat file and measured against it; if the index is flat, the file is the index. A
 * version holds each vector once. FAISS itself runs in separate processes.
 */
import { open, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { INDEX_FILE } from '../../publishing/versions/artefacts/faiss.js';
import type { Manifest } from '../../publishing/versions/manifest.js';
import { buildIndex } from '../../runtime/models/faiss/build-index.js';
import { planBuild } from '../../runtime/models/faiss/build-plan.js';
import { FLAT_DATA_AT, FLOAT_BYTES, readIndexFile, writeBreadth } from '../../runtime/models/faiss/index-file.js';
import { breadths, chooseKind, HNSW_FROM } from '../../runtime/models/faiss/kind.js';
import type { EngineChoice } from '../../runtime/models/faiss/messages.js';
import { openIndex } from '../../runtime/models/faiss/open-index.js';
import {
  exactAnswers,
  type Measured,
  measure,
  samplePositions,
  type Truth,
} from '../../runtime/models/faiss/recall.js';
import type { Engine, IndexKind } from '../../runtime/models/faiss/vector-index.js';
import { FreshetError } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { artifactsFolder } from '../../runtime/stores/settings.js';
import { counted, thousands } from '../counted.js';
import type { BuildContext, BuildReport, Snapshotter } from '../snapshotter.js';
import { checkChanges, checkModels, checkRecall, checkRecords, checkVectors, type Indexed } from './checks.js';
import { type ChosenModel, chooseModel } from './choose-model.js';
import { EmbeddingsCapture } from './embeddings-capture.js';
import { FaissCapture } from './faiss-capture.js';
import { IdTable } from './id-table.js';
import { IDS_FILE, WORDS_FILE } from './layout.js';
import { type FaissSettings, faissSettings } from './settings.js';
import { TextsCapture } from './texts-capture.js';
import { type WrittenVectors, writeVectors } from './vectors-file.js';
import { writeWords } from './words/write-words.js';

const TOPIC = 'embeddings';
const TEXTS_TOPIC = 'products';
const FLAT_FILE = 'vectors.tmp';
const SAMPLE = 400;
/** Comparisons allowed for exact answers without FAISS: a few seconds. */
const EXACT_COMPARISONS_MAX = 2e7;
const SAMPLE_MIN = 20;
const SEARCH_MS_MAX = 300_000;
const CAPTURE_SHARE = 1 / 4;
const MIB = 2 ** 20;

type FaissSnapshotter = Snapshotter<FaissCapture, readonly [typeof faissSettings]>;

export const snapshotter: FaissSnapshotter = createFaissSnapshotter();

/** `engine`: for tests; by default the native module if it is installed. */
export function createFaissSnapshotter(engine: EngineChoice = 'auto'): FaissSnapshotter {
  return {
    name: 'faiss',
    artefact: 'faiss',
    topics: [TOPIC, TEXTS_TOPIC],
    settings: [faissSettings],
    createCapture: (codec, settings) => {
      const memoryBytes = CAPTURE_SHARE * settings.SNAPSHOT_MEMORY_MB * MIB;
      const folder = join(artifactsFolder(settings), '.work', 'faiss-spool');
      const vectors = new EmbeddingsCapture(codec, { folder, memoryBytes });
      return new FaissCapture(vectors, new TextsCapture(codec, { memoryBytes }));
    },
    async build({ vectors, texts }, context) {
      const report = await build(vectors, texts, context, engine);
      vectors.discard();
      return report;
    },
  };
}

async function build(
  capture: EmbeddingsCapture,
  texts: TextsCapture,
  context: BuildContext<FaissSettings>,
  engine: EngineChoice,
): Promise<BuildReport> {
  const started = performance.now();
  const groups = capture.groups();
  const chosen = chooseModel(groups);
  if (chosen === null) throw nothingCaptured(capture.refused.count);
  const { group } = chosen;
  const files = { index: join(context.folder, FLAT_FILE), ids: join(context.folder, IDS_FILE) };
  const written = await writeVectors(capture, group, files, (done, total) => context.progress('vectors', done, total));
  if (written.count === 0)
    throw new FreshetError(
      'invalid_data',
      `None of ${counted(group.products, 'vector')} of ${group.model} can be used: they are NaN, infinite or 0. The current version stays.`,
    );
  context.progress('words', 0, null);
  const ids = await IdTable.read(files.ids, written.count);
  const withText = await writeWords(join(context.folder, WORDS_FILE), ids, texts);
  const truth = await exact(files.index, written.count, context, engine);
  const { kind, warning } = chooseKind(context.settings.FAISS_INDEX, written.count, truth.engine);
  const made = await make(kind, files.index, group.dimension, truth, context);
  const seconds = (performance.now() - started) / 1000;
  return reportOf({ capture, chosen, written, withText, made, truth, kind, warning, seconds, groups }, context);
}

interface ExactAnswers extends Truth {
  /** The engine that computed them, and can search and build here. */
  readonly engine: Engine;
}

async function exact(
  path: string,
  count: number,
  context: BuildContext<FaissSettings>,
  engine: EngineChoice,
): Promise<ExactAnswers> {
  context.progress('exact answers', 0, null);
  const index = await openIndex({ ...searching(path), engine });
  try {
    const wanted =
      index.engine === 'native'
        ? SAMPLE
        : Math.max(SAMPLE_MIN, Math.min(SAMPLE, Math.floor(EXACT_COMPARISONS_MAX / count)));
    const positions = samplePositions(count, wanted);
    const vectors = await vectorsAt(path, positions, index.dimension);
    return { ...(await exactAnswers(index, { positions, vectors })), engine: index.engine };
  } finally {
    await index.close();
  }
}

interface Made extends Measured {
  /** efSearch or nprobe as stored in the file; null: flat. */
  readonly breadth: number | null;
  readonly lists: number | null;
  /** The values tried, in order. */
  readonly tried: readonly { readonly breadth: number; readonly recall: number }[];
  readonly buildSeconds: number;
}

/** Leaves index.faiss in the folder, and removes the flat file. */
async function make(
  kind: IndexKind,
  flat: string,
  dimension: number,
  truth: ExactAnswers,
  context: BuildContext<FaissSettings>,
): Promise<Made> {
  const path = join(context.folder, INDEX_FILE);
  const { engine } = truth;
  const started = performance.now();
  if (kind === 'flat') {
    await rename(flat, path);
    // Checked against our own code if that is quick: FAISS and BLAS could both be wrong in the same way.
    const small = (await readIndexFile(path)).count <= HNSW_FROM;
    const measured = await measuredAt(path, truth, small ? 'exact' : engine);
    return { ...measured, breadth: null, lists: null, tried: [], buildSeconds: 0 };
  }
  const { count } = await readIndexFile(flat);
  const plan = planBuild(kind, { vectors: flat, out: path, dimension, count });
  // Two threads that insert equal vectors at once may leave a part of a small graph without a way in.
  const threads = count < HNSW_FROM ? 1 : availableParallelism();
  await buildIndex({ plan, threads, progress: context.progress });
  await rm(flat);
  const buildSeconds = (performance.now() - started) / 1000;
  const { lists } = await readIndexFile(path);
  const tried: { breadth: number; recall: number }[] = [];
  let best: Measured | null = null;
  for (const breadth of breadths(kind, lists, context.settings)) {
    context.progress('recall', tried.length, null);
    await writeBreadth(path, breadth);
    best = await measuredAt(path, truth, engine);
    tried.push({ breadth, recall: best.recall });
    if (best.recall >= context.settings.FAISS_RECALL_MIN) break;
  }
  return { ...best!, breadth: tried.at(-1)!.breadth, lists, tried, buildSeconds };
}

async function measuredAt(path: string, truth: Truth, engine: Engine): Promise<Measured> {
  const index = await openIndex({ ...searching(path), engine });
  try {
    return await measure(index, truth);
  } finally {
    await index.close();
  }
}

function searching(path: string) {
  const threads = availableParallelism();
  return { path, logger: silentLogger, threads, timeoutMs: SEARCH_MS_MAX, stuckMs: SEARCH_MS_MAX };
}

/** Rows of a flat index file. */
async function vectorsAt(path: string, positions: Int32Array, dimension: number): Promise<Float32Array> {
  const vectors = new Float32Array(positions.length * dimension);
  const bytes = dimension * FLOAT_BYTES;
  const file = await open(path, 'r');
  try {
    for (const [i, position] of positions.entries())
      await file.read(new Uint8Array(vectors.buffer), i * bytes, bytes, FLAT_DATA_AT + position * bytes);
  } finally {
    await file.close();
  }
  return vectors;
}

interface Outcome {
  readonly capture: EmbeddingsCapture;
  readonly groups: ReturnType<EmbeddingsCapture['groups']>;
  readonly chosen: ChosenModel;
  readonly written: WrittenVectors;
  /** Products whose words can be searched. */
  readonly withText: number;
  readonly made: Made;
  readonly truth: ExactAnswers;
  readonly kind: IndexKind;
  readonly warning: string | null;
  readonly seconds: number;
}

function reportOf(outcome: Outcome, { settings, previous }: BuildContext<FaissSettings>): BuildReport {
  const { capture, groups, chosen, written, withText, made, truth, kind } = outcome;
  const { group, otherModels, otherDimensions } = chosen;
  const now = { count: written.count, model: group.model, dimension: group.dimension };
  const { unusable, firstUnusable: first } = written;
  const products = groups.reduce((sum, one) => sum + one.products, 0);
  const sample = truth.sample.positions.length;
  return {
    files: [INDEX_FILE, IDS_FILE, WORDS_FILE],
    settings: {
      FAISS_INDEX: settings.FAISS_INDEX,
      FAISS_RECALL_MIN: settings.FAISS_RECALL_MIN,
      FAISS_CHANGE_ALLOWED: settings.FAISS_CHANGE_ALLOWED,
      model: group.model,
      dimension: group.dimension,
      kind,
      engine: truth.engine,
      ...(made.breadth === null ? {} : { [kind === 'hnsw' ? 'ef_search' : 'nprobe']: made.breadth }),
      ...(made.lists === null ? {} : { lists: made.lists }),
    },
    counts: {
      products: written.count,
      products_with_vectors: products,
      products_with_words: withText,
      other_models: otherModels,
      other_dimensions: otherDimensions,
      unusable_vectors: unusable,
      scaled_vectors: written.scaled,
      unreadable_records: capture.refused.count,
    },
    figures: {
      recall_at_10: made.recall,
      self_first: made.selfFirst,
      sample,
      tried: made.tried,
      norm: written.norm,
      models: groups.map(({ model, dimension, products: held }) => ({ model, dimension, products: held })),
      build_seconds: made.buildSeconds,
    },
    checks: [
      ...checkRecall(made, sample, settings),
      checkRecords(capture.refused, products + capture.refused.count),
      checkVectors({ unusable, first, otherDimensions }, written.count),
      checkModels(group.model, products, otherModels, settings),
      ...checkChanges(now, indexedBy(previous?.manifest ?? null), settings),
    ],
    summary: summaryOf(outcome, products),
    result: { records_processed: products, products_indexed: written.count },
  };
}

/** The figures in the last version's manifest; null if they are missing. */
function indexedBy(manifest: Manifest | null): Indexed | null {
  const count = manifest?.counts['products'];
  const model = manifest?.settings['model'];
  const dimension = manifest?.settings['dimension'];
  if (typeof count !== 'number' || typeof model !== 'string' || typeof dimension !== 'number') return null;
  return { count, model, dimension };
}

function summaryOf(
  { capture, chosen, groups, written, made, truth, kind, warning, seconds }: Outcome,
  products: number,
) {
  const { group, otherModels } = chosen;
  const others = groups.filter(({ model }) => model !== group.model);
  const names = others.map(({ model, products: held }) => `${model} (${thousands(held)})`).join(', ');
  const breadth = made.breadth === null ? '' : `, ${kind === 'hnsw' ? 'efSearch' : 'nprobe'} ${made.breadth}`;
  return [
    `Source: topic ${TOPIC} connected, ${counted(products, 'product')} with a vector.`,
    `Model: ${group.model}, ${group.dimension} dimensions.`,
    ...(otherModels > 0
      ? [
          `WARNING: ${counted(otherModels, 'product')} left out because embedded by another model: ${names}. Embed them again.`,
        ]
      : []),
    ...(capture.refused.count > 0 ? [checkRecords(capture.refused, products).sentence] : []),
    ...(written.unusable + chosen.otherDimensions > 0
      ? [
          checkVectors(
            { unusable: written.unusable, first: written.firstUnusable, otherDimensions: chosen.otherDimensions },
            written.count,
          ).sentence,
        ]
      : []),
    ...(warning === null ? [] : [`WARNING: ${warning}`]),
    `Index: ${kind}${breadth}, recall@10 ${made.recall.toFixed(4)} on ${counted(truth.sample.positions.length, 'product')}, in ${seconds.toFixed(1)} s.`,
    `To be published: ${counted(written.count, 'product')}.`,
  ];
}

function nothingCaptured(refused: number): FreshetError {
  const unreadable = refused === 0 ? '' : ` (${counted(refused, 'record')} could not be read)`;
  return new FreshetError(
    'invalid_data',
    `The topic ${TOPIC} holds no vectors${unreadable}, so there is nothing to index. Send products with a title or a ` +
      'description first; a running embeddings processor turns them into vectors. The current version stays.',
  );
}
