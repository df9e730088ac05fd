/**
 * Texts per second: the embedder against plain onnxruntime, the hashed model, the application on a changed catalogue.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openReporting } from '../../assembly/reporting.js';
import { loadSettings } from '../../assembly/settings.js';
import { createCatalogue } from '../../cli/demo/catalogue.js';
import { createEmbeddings } from '../../processors/embeddings/main.js';
import { embeddingMetrics } from '../../processors/embeddings/metrics.js';
import { productText } from '../../processors/embeddings/product-text.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import type { Embedder } from '../../runtime/models/embedder/embedder.js';
import { OnnxModel } from '../../runtime/models/embedder/onnx-model.js';
import { openEmbedder } from '../../runtime/models/embedder/open-embedder.js';
import { systemClock } from '../../runtime/process/clock.js';
import { messageOf } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { createMetrics, type Metrics } from '../../runtime/process/metrics.js';
import { Codec } from '../../schemas/codec.js';
import type { Product } from '../../schemas/records.js';
import { applyTopics } from '../../topics/apply.js';
import { embeddingsSet } from '../../topics/embeddings.js';
import { deadLetters, products as productsTopic } from '../../topics/events.js';
import { fetchMiniLm } from '../support/minilm.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { peakMemoryMib, stopwatch } from './cpu.js';

const PRODUCTS = 10_000;
const SET = embeddingsSet(1);
const ROUNDS = 5;
const ROUND_TEXTS = 512;
/** The application's batch size. */
const CALL_TEXTS = 128;
const HASHED_TEXTS = 20_000;
const CHANGED_SHARE = 0.01;
const DIMENSION_BYTES = 4;
/** A million products within two hours. */
const RATE_MIN = 1_000_000 / 7_200;

export const embeddings: Bench = {
  name: 'embeddings',
  what: 'texts per second of the models, and of the application for a whole catalogue and for 1 % of it',
  async run(options: BenchOptions): Promise<Report[]> {
    const count = options.products ?? PRODUCTS;
    const products = catalogue(count, options.seed);
    let folder: string | null = null;
    let missing = '';
    try {
      folder = await fetchMiniLm();
    } catch (error) {
      missing = `Left out with all-MiniLM-L6-v2: ${messageOf(error)}`;
      options.say(missing);
    }
    const reports: Report[] = [];
    if (folder !== null) reports.push(await besideOnnxruntime(folder, products, options));
    reports.push(await hashedAlone(products, options));
    for (const modelFolder of folder === null ? [null] : [null, folder])
      reports.push(await application(modelFolder, products, options, missing));
    return reports;
  },
};

function catalogue(count: number, seed: number): Product[] {
  const base = createCatalogue(seed, Date.UTC(2026, 0, 1));
  return Array.from({ length: count }, (_, i) => {
    const product = base[i % base.length]!;
    return i < base.length
      ? product
      : { ...product, product_id: `${product.product_id}-${i}`, title: `${product.title} mark ${i}` };
  });
}

/** Rounds of both, alternating: the machine is not equally fast all the time. */
async function besideOnnxruntime(folder: string, products: readonly Product[], options: BenchOptions): Promise<Report> {
  options.say('the embedder compared with plain onnxruntime');
  const texts = products.slice(0, ROUND_TEXTS).map((product) => productText(product)!);
  const calls = Array.from({ length: Math.ceil(texts.length / CALL_TEXTS) }, (_, i) =>
    texts.slice(i * CALL_TEXTS, (i + 1) * CALL_TEXTS),
  );
  const alone = await OnnxModel.open({ folder, threads: 1 });
  const embedder = await open(folder);
  const batches = calls.flatMap((call) => alone.plan(call));
  const rates: { alone: number; ours: number; cpu: number }[] = [];
  try {
    for (let round = 0; round <= ROUNDS; round++) {
      const first = stopwatch();
      for (const batch of batches) await batch.run();
      const second = stopwatch();
      const peer = first();
      for (const call of calls) await embedder.embed(call);
      const own = second();
      // The first round warms up.
      if (round > 0)
        rates.push({
          alone: texts.length / peer.seconds,
          ours: texts.length / own.seconds,
          cpu: peer.cpuSeconds / own.cpuSeconds,
        });
    }
  } finally {
    await alone.close();
    await embedder.close();
  }
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
  return {
    title: `embeddings: ${embedder.model}, ${texts.length} product texts in calls of ${CALL_TEXTS}, one thread, fp32`,
    figures: [
      { name: 'plain onnxruntime, same batches', value: middle(rates.map((rate) => rate.alone)), unit: 'texts/s' },
      {
        name: 'embedder, tokenising and its thread included',
        value: middle(rates.map((rate) => rate.ours)),
        unit: 'texts/s',
        aim: { atLeast: RATE_MIN },
      },
      {
        name: 'share of plain onnxruntime',
        value: middle(rates.map((rate) => rate.ours / rate.alone)),
        unit: '',
        aim: { atLeast: 0.9 },
      },
      { name: 'the same by processor time', value: middle(rates.map((rate) => rate.cpu)), unit: '' },
    ],
    notes: [`Medians of ${ROUNDS} rounds, alternating; the tokens for plain onnxruntime were prepared before.`],
  };
}

async function hashedAlone(products: readonly Product[], options: BenchOptions): Promise<Report> {
  options.say('the hashed model');
  const embedder = await open(null);
  try {
    const texts = Array.from({ length: HASHED_TEXTS }, (_, i) => productText(products[i % products.length]!)!);
    await embedder.embed(texts.slice(0, 2_000));
    const spent = stopwatch();
    for (let i = 0; i < texts.length; i += CALL_TEXTS) await embedder.embed(texts.slice(i, i + CALL_TEXTS));
    return {
      title: `embeddings: hashed model, ${texts.length} product texts in calls of ${CALL_TEXTS}`,
      figures: [{ name: 'rate', value: texts.length / spent().seconds, unit: 'texts/s', aim: { atLeast: 10_000 } }],
      notes: [],
    };
  } finally {
    await embedder.close();
  }
}

async function application(
  modelFolder: string | null,
  products: readonly Product[],
  options: BenchOptions,
  missing: string,
): Promise<Report> {
  const place = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
  const log = await openEmbeddedLog(join(place, 'log'), silentLogger);
  const embedder = await open(modelFolder);
  options.say(`the application with ${embedder.model}`);
  try {
    const topics = [productsTopic, ...Object.values(SET.topics), deadLetters];
    await applyTopics(log.admin, topics, { kind: log.kind });
    await write(log, products);
    const full = await pass(log, embedder, products.length, products.length);
    const changed = products.map((product, i) =>
      i % (1 / CHANGED_SHARE) === 0 ? { ...product, title: `${product.title}, new` } : { ...product, price: i },
    );
    await write(log, changed);
    const some = await pass(log, embedder, products.length * CHANGED_SHARE, products.length);
    const restart = await pass(log, embedder, 0, 0);
    return {
      title: `embeddings: application on the embedded log, ${products.length} products, ${embedder.model}`,
      figures: [
        {
          name: 'whole catalogue',
          value: products.length / full.seconds,
          unit: 'products/s',
          aim: { atLeast: RATE_MIN },
        },
        ...figuresOf(full, some, products.length),
        { name: 'restart with nothing to do', value: restart.seconds, unit: 's' },
        { name: 'largest memory of the process', value: peakMemoryMib(), unit: 'MiB' },
      ],
      notes: [
        `1 % changed their title and the rest their price. A vector takes ${embedder.dimension * DIMENSION_BYTES} bytes.`,
        ...(missing === '' ? [] : [missing]),
      ],
    };
  } finally {
    await embedder.close();
    await log.close();
    await rm(place, { recursive: true });
  }
}

interface Passed {
  readonly seconds: number;
  readonly embedded: number;
}

function figuresOf(full: Passed, some: Passed, products: number): Figure[] {
  return [
    { name: 'embedded of 1 % changed', value: some.embedded, unit: `of ${products}` },
    {
      name: 'its cost in embeddings',
      value: (100 * some.embedded) / full.embedded,
      unit: '% of a full run',
      aim: { atMost: 2 },
    },
    {
      name: 'its time, restart and all prices included',
      value: (100 * some.seconds) / full.seconds,
      unit: '% of a full run',
    },
  ];
}

/** From the start of the application until everything is embedded and committed. */
async function pass(log: Log, embedder: Embedder, embeds: number, records: number): Promise<Passed> {
  const { metrics, ...reporting } = openReporting(silentLogger);
  const spent = stopwatch();
  const service = createEmbeddings({
    set: SET,
    log,
    embedder,
    metrics,
    codec: new Codec(),
    settings: loadSettings({}),
    ...reporting,
    clock: systemClock,
  });
  await service.start();
  const isDone = async () => {
    const { embedded, other } = await counts(metrics);
    const application = service.application!;
    return application.waiting.length === 0 && embedded >= embeds && embedded + other >= records;
  };
  while (!(await isDone())) await systemClock.sleep(5);
  // The last commit comes with the stop.
  await service.stop();
  const { seconds } = spent();
  return { seconds, embedded: (await counts(metrics)).embedded };
}

async function counts(metrics: Metrics): Promise<{ embedded: number; other: number }> {
  const { values } = await embeddingMetrics(metrics).products.get();
  const sum = (isWanted: boolean) =>
    values
      .filter(({ labels }) => (labels.outcome === 'embedded') === isWanted)
      .reduce((total, { value }) => total + value, 0);
  return { embedded: sum(true), other: sum(false) };
}

async function write(log: Log, products: readonly Product[]): Promise<void> {
  const codec = new Codec();
  const writer = await log.writer([productsTopic.name]);
  for (const [i, product] of products.entries()) {
    writer.add(productsTopic.name, Buffer.from(product.product_id), codec.encode('Product', product));
    if (i % 5_000 === 4_999) await writer.flush();
  }
  await writer.flush();
  await writer.close();
}

function open(modelFolder: string | null): Promise<Embedder> {
  return openEmbedder({ modelFolder, threads: 1, logger: silentLogger, metrics: createMetrics() });
}
