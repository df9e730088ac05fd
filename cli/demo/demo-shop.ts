/** The demo shop, step by step: its history in the log, folded and published; its first versions; then live traffic. */
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Demo, DemoScene } from '../../assembly/running.js';
import type { Settings } from '../../assembly/settings.js';
import { asError } from '../../runtime/process/errors.js';
import { documents, events } from '../../topics/events.js';
import { loadHistory } from './feeder.js';
import { endsOf, makeFirstModels } from './first-models.js';
import { awaitFirstVersion } from './first-version.js';
import { startTraffic } from './live-feed.js';
import type { DemoSettings } from './settings.js';
import { createShop } from './shop.js';

const LOOK_MS = 100;
/** The demo shows its first versions soon, instead of waiting until topics that may lag are written. */
const TERMS_INTERVAL_S_MAX = 1;
const INTERACTIONS_INTERVAL_S_MAX = 10;

type Ends = readonly { readonly partition: number; readonly offset: number }[];

export const demoShop = ({ DEMO_RATE, DEMO_SEED }: DemoSettings): Demo => ({
  settings: sooner,
  run: async (scene) => {
    const { log, codec, logger, clock, signal, published } = scene;
    const { endOffsets, shop } = await load(scene, DEMO_SEED);
    await awaitVisible(scene, endOffsets);
    if (published !== null) await firstStopwords(scene, published);
    scene.waitFor(null);
    if (!signal.aborted && DEMO_RATE > 0)
      await scene.start(startTraffic({ log, codec, shop, ratePerSecond: DEMO_RATE, logger, clock }));
    if (published !== null) await firstModels(scene, endOffsets, published);
  },
});

function sooner(settings: Settings): Settings {
  const { TERMS_INTERVAL_S, INTERACTIONS_INTERVAL_S } = settings;
  return {
    ...settings,
    TERMS_INTERVAL_S: Math.min(TERMS_INTERVAL_S, TERMS_INTERVAL_S_MAX),
    INTERACTIONS_INTERVAL_S: Math.min(INTERACTIONS_INTERVAL_S, INTERACTIONS_INTERVAL_S_MAX),
  };
}

async function load({ log, codec, folder, logger, clock, signal, waitFor }: DemoScene, seed: number) {
  waitFor('the demo history to be written');
  const shop = createShop(seed, clock.now());
  const marker = markerFile(join(folder.path, `demo-${log.kind}.json`));
  return await loadHistory({ log, codec, shop, logger, marker, signal });
}

/** Waits until the history is folded, emitted, and applied to the stores, as far as these roles run here. */
async function awaitVisible({ log, features, publisher, signal, waitFor }: DemoScene, ends: Ends): Promise<void> {
  if (features.length === 0) return;
  waitFor('the demo history to be folded');
  const history = ends.map((end) => ({ topic: events.name, ...end }));
  for (const { set, application } of features) {
    await application.reached.waitFor(history, signal);
    await application.reached.waitFor(await endsOf(log, set.topics.productActivity.name), signal);
  }
  if (publisher === null) return;
  waitFor('the demo history to be published');
  for (const { name } of features.flatMap(({ set: { topics } }) => [topics.popularity, topics.affinity]))
    await publisher.awaitApplied(name, await endsOf(log, name), signal);
}

/** Waits until the documents are folded, their terms written, and a first version of the stopwords exists. */
async function firstStopwords(
  { sets, log, corpus, clock, logger, signal, waitFor }: DemoScene,
  published: NonNullable<DemoScene['published']>,
): Promise<void> {
  if (corpus !== null) {
    const { termChanges } = sets.corpus.topics;
    waitFor('the demo documents to be folded');
    await corpus.reached.waitFor(await endsOf(log, documents.name), signal);
    await corpus.reached.waitFor(await endsOf(log, termChanges.name), signal);
    waitFor('the terms of the demo documents to be written');
    const isWritten = () =>
      corpus
        .parts()
        .filter(({ input }) => input.topic === termChanges.name)
        .every((part) => part.oldestDue(Number.POSITIVE_INFINITY) === Number.POSITIVE_INFINITY);
    while (!isWritten() && !signal.aborted) await clock.sleep(LOOK_MS, signal);
  }
  waitFor('the first version of the stopwords');
  await awaitFirstVersion({ ...published, job: 'stopwords', logger, clock, signal });
}

/** The shop is open meanwhile; it is worth looking at even without models. */
async function firstModels(
  { sets, log, features, logger, clock, signal }: DemoScene,
  endOffsets: Ends,
  published: NonNullable<DemoScene['published']>,
): Promise<void> {
  try {
    const parts = () => features.flatMap(({ application }) => application.parts());
    const { embeddings } = sets;
    await makeFirstModels({ ...published, log, embeddings, parts, endOffsets, logger, clock, signal });
  } catch (error) {
    if (!signal.aborted) logger.error({ event: 'demo_models_failed', error: asError(error).message });
  }
}

/** A small file that is either the old or the new text. */
function markerFile(path: string) {
  return {
    read: async () => {
      try {
        return await readFile(path, 'utf8');
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw error;
      }
    },
    write: async (text: string) => {
      await writeFile(`${path}.new`, text);
      await rename(`${path}.new`, path);
    },
  };
}
