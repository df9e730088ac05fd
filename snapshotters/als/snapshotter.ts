/**
 * A recommendation model from the topic `interactions.v1`: factors of users and products as files, the index files to
 * search products, and figures of a model that has not seen each user's last interaction. The same captured records
 * give the same files.
 */
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import {
  type FactorSource,
  ITEM_FACTORS_FILE,
  USER_FACTORS_FILE,
  writeFactors,
} from '../../publishing/versions/artefacts/factor-file.js';
import type { Check } from '../../publishing/versions/manifest.js';
import { FreshetError } from '../../runtime/process/errors.js';
import type { Interner } from '../../runtime/tasks/state/interner.js';
import { counted } from '../counted.js';
import type { BuildContext, BuildReport, Snapshotter } from '../snapshotter.js';
import { checkModel, previousFigures } from './checks.js';
import { type MadeIndexes, makeIndexes } from './indexes.js';
import { InteractionsCapture } from './interactions-capture.js';
import { type Model, type ModelSettings, makeModel } from './model.js';
import { evaluationFigures, MODEL_CARD_FILE, modelCard, writeModelCard } from './model-card.js';
import type { SidePlace } from './model-memory.js';
import type { Side } from './selection.js';
import { type AlsSettings, alsSettings } from './settings.js';
import { SOURCE } from './source.js';

const MIB = 2 ** 20;
/** Share of a snapshot's memory: saving a capture briefly takes twice its size more. */
const CAPTURE_SHARE = 1 / 3;

export const snapshotter: Snapshotter<InteractionsCapture, readonly [typeof alsSettings]> = {
  name: 'als',
  artefact: 'als',
  topics: [SOURCE],
  settings: [alsSettings],

  createCapture(codec, settings) {
    return new InteractionsCapture(codec, { bytes: CAPTURE_SHARE * settings.SNAPSHOT_MEMORY_MB * MIB });
  },

  async build(capture, context) {
    const { count, first } = capture.refused;
    if (count > 0) {
      throw new FreshetError(
        'invalid_data',
        `${SOURCE} holds ${count === 1 ? 'a record' : `records of ${count} users`} that cannot be used. ${first}. Replay ` +
          'the features, or send the events of these users again. The current version stays.',
      );
    }
    const model = await makeModel({
      // Capture and model coexist while pairs move from one to the other.
      settings: modelSettings(context.settings, context.settings.SNAPSHOT_MEMORY_MB * MIB - capture.bytesHeld),
      captured: capture,
      onCopied: () => capture.releasePairs(),
      progress: context.progress,
    });
    try {
      return await publishable(capture, context, model);
    } finally {
      await model.host.close();
    }
  },
};

function modelSettings(settings: AlsSettings, bytesMax: number): ModelSettings {
  return {
    factors: settings.ALS_FACTORS,
    regularization: settings.ALS_REGULARIZATION,
    iterations: settings.ALS_ITERATIONS,
    alpha: settings.ALS_ALPHA,
    seed: settings.ALS_SEED,
    threads: settings.ALS_THREADS ?? availableParallelism(),
    interactionsMin: settings.ALS_INTERACTIONS_MIN,
    bytesMax,
  };
}

async function publishable(
  capture: InteractionsCapture,
  { folder, settings, previous, progress }: BuildContext<AlsSettings>,
  model: Model,
): Promise<BuildReport> {
  const { host, places, selection, evaluation, users, products, seconds } = model;
  const before = previousFigures(previous);
  const checks = checkModel({ users, products, evaluation, previous: before });
  const own = {
    ALS_FACTORS: settings.ALS_FACTORS,
    ALS_REGULARIZATION: settings.ALS_REGULARIZATION,
    ALS_ITERATIONS: settings.ALS_ITERATIONS,
    ALS_ALPHA: settings.ALS_ALPHA,
    ALS_SEED: settings.ALS_SEED,
    ALS_INTERACTIONS_MIN: settings.ALS_INTERACTIONS_MIN,
  };
  const source = (names: Interner, side: Side, place: SidePlace) =>
    sourceOf(names, side, new Float32Array(host.memory), place, places.width, settings.ALS_FACTORS);
  progress('write', 0, 2);
  const sources = {
    users: source(capture.users, selection.users, places.users),
    products: source(capture.products, selection.products, places.products),
  };
  await writeFactors(join(folder, USER_FACTORS_FILE), sources.users);
  progress('write', 1, 2);
  await writeFactors(join(folder, ITEM_FACTORS_FILE), sources.products);
  progress('write', 2, 2);
  // Factors that will not be searched need no indexes, and may not be indexable.
  const indexes = checks.every(({ passed }) => passed)
    ? await makeIndexes({ folder, ...sources, progress: (done, total) => progress('indexes', done, total) })
    : null;
  const card = modelCard({ settings: own, selection, evaluation, users, products, previous: before });
  await writeModelCard(folder, card);
  return {
    files: [USER_FACTORS_FILE, ITEM_FACTORS_FILE, MODEL_CARD_FILE, ...(indexes?.files ?? [])],
    settings: own,
    counts: {
      users: selection.users.count,
      products: selection.products.count,
      pairs: selection.pairs,
      users_left_out: selection.users.leftOut,
      products_left_out: selection.products.leftOut,
      pairs_left_out: selection.pairsCaptured - selection.pairs,
    },
    figures: {
      evaluation: evaluationFigures({ evaluation, previous: before }),
      factors: { users, products },
      ...(indexes === null ? {} : { indexes: indexes.figures }),
      kernel: host.kind,
      threads: host.threads,
      seconds,
      memory_mib: Math.ceil(places.bytes / MIB),
      model_card: card,
    },
    checks,
    summary: summaryOf(capture, model, checks, settings, indexes),
    result: { records_processed: selection.pairs },
  };
}

/** Rows in byte order of their ids, without the padding. */
export function sourceOf(
  names: Interner,
  side: Side,
  f32: Float32Array,
  place: SidePlace,
  width: number,
  factors: number,
): FactorSource {
  return {
    rows: side.count,
    factors,
    idOf: (row) => names.bytesOf(side.ids[side.byName[row]!]!),
    copyFactors(row, target, at) {
      const start = (place.factors + side.byName[row]! * width) / 4;
      target.set(f32.subarray(start, start + factors), at);
    },
  };
}

function summaryOf(
  { seconds: captureSeconds }: InteractionsCapture,
  { host, places, selection, evaluation, seconds }: Model,
  checks: readonly Check[],
  settings: AlsSettings,
  indexes: MadeIndexes | null,
): string[] {
  const { users, products, pairs, pairsCaptured } = selection;
  const { model, popularity, asked } = evaluation;
  const kernel =
    host.kind === 'wasm' ? `WASM SIMD, ${counted(host.threads, 'thread')}` : 'plain loops: WASM SIMD not available';
  const quality = ({ ndcg, recall }: typeof model) => `NDCG@10 ${ndcg.toFixed(4)}, recall@20 ${recall.toFixed(4)}`;
  return [
    `Source: topic ${SOURCE} connected, ${counted(pairsCaptured, 'pair')} in ${captureSeconds.toFixed(1)} s.`,
    `Left out with fewer than ${settings.ALS_INTERACTIONS_MIN} interactions: ${counted(users.leftOut, 'user')}, ` +
      `${counted(products.leftOut, 'product')}.`,
    `Trained twice on ${counted(pairs, 'pair')} in ${seconds.train.toFixed(1)} s (${kernel}, ` +
      `${Math.ceil(places.bytes / MIB)} MiB).`,
    `Last interactions of ${counted(asked, 'user')}: ${quality(model)}; popularity alone: ${quality(popularity)}.`,
    ...checks.filter(({ passed }) => !passed).map(({ name, sentence }) => `Check ${name} failed: ${sentence}`),
    ...(indexes === null ? [] : [indexes.summary]),
    `To be published: factors of ${counted(users.count, 'user')} and ${counted(products.count, 'product')}, ` +
      `${settings.ALS_FACTORS} each.`,
  ];
}
