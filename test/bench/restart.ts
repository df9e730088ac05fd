/**
 * How soon a stopped process is ready again at a million users: from its checkpoints, and from the changelog. The
 * duplicate horizon is full: log times are set explicitly instead of sending for six hours, which needs a topic with
 * create time.
 */
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { allTopics } from '../../topics/all.js';
import { declaredState, partitionsOf } from '../../topics/apply.js';
import { events as eventsTopic } from '../../topics/events.js';
import { featureSet } from '../../topics/feature-set.js';
import { load } from '../support/load.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import type { FeaturesInput, FeaturesReady, FeaturesRequest, FeaturesStanding } from './features-worker.js';
import { type BrokerPlace, openBroker } from './places.js';
import { Worker } from './worker.js';

const PARTITIONS = 4;
const DAY_MS = 86_400_000;
const HORIZON_MS = 6 * 3_600_000;
const USERS = 1_000_000;
const PRODUCTS = 100_000;
/** Over the 90 days before the horizon, every user and product among them. */
const EVENTS = 3_000_000;
/** Events per second over the horizon. */
const RATE = 300;
const CHECKPOINT_SECONDS_MAX = 10;
const CHANGELOG_SECONDS_MAX = 60;
const MEMORY_MIB_MAX = 2_048;
/** Includes a last checkpoint of every task. */
const STOP_MS_MAX = 60_000;
const FLUSH_POLL_MS = 2_000;
/** Longer than a changelog interval. */
const FLUSHED_AFTER_MS = 40_000;

export const restart: Bench = {
  name: 'restart',
  what: 'stopped and started at 1 M users and 100 K products: ready from a checkpoint, from the changelog; memory',
  async run(options: BenchOptions): Promise<Report[]> {
    const place = await openBroker();
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-'));
    try {
      return [await measure(place, folder, options)];
    } finally {
      await place.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measure(place: BrokerPlace, folder: string, options: BenchOptions): Promise<Report> {
  const { seed, say } = options;
  const sizes = { users: options.users ?? USERS, products: options.products ?? PRODUCTS };
  const old = options.events ?? EVENTS;
  const rate = options.rate ?? RATE;
  const recent = Math.round((rate * HORIZON_MS) / 1_000);
  await prepareTopicsWithCreateTime(place);
  const now = Date.now();
  const horizon = now - HORIZON_MS;
  const windowStart = (Math.floor(now / DAY_MS) - 89) * DAY_MS;
  say(`feeding ${old} events of 90 days and ${recent} of the last six hours`);
  await feedDated(place, { ...sizes, seed, events: old, everyId: true, startMs: windowStart, endMs: horizon });
  await feedDated(place, { ...sizes, seed: seed + 1, events: recent, startMs: horizon, endMs: now });

  const input: FeaturesInput = { brokers: place.brokers, partitions: PARTITIONS, checkpointFolder: folder };
  say('folding all of it');
  const first = await start(input, async (worker) => {
    worker.send({ kind: 'catch-up' });
    await worker.next('caught-up');
    say('waiting until the changelog has every row');
    await flushed(place);
  });
  say('starting from the checkpoints');
  const fromCheckpoints = await start(input);
  const checkpointMib = await mibOf(folder);
  say('starting from the changelog');
  const fromChangelog = await start({ ...input, checkpointFolder: null });

  const notes = [
    'Stopped with SIGTERM; from the process’s begin until every task has its state, joining the group included.',
    'Broker and processors share the machine.',
  ];
  for (const [how, { stateHashes }] of [
    ['the checkpoints', fromCheckpoints],
    ['the changelog', fromChangelog],
  ] as const)
    if (!isDeepStrictEqual(stateHashes, first.stateHashes))
      notes.push(`WRONG: the state from ${how} differs from the stopped one`);
  return {
    title: `restart: ${sizes.users} users, ${sizes.products} products, ${old} events and ${recent} within the horizon`,
    figures: [
      ...figuresOf('from its checkpoints', fromCheckpoints, CHECKPOINT_SECONDS_MAX),
      { name: '  size of the checkpoints', value: checkpointMib, unit: 'MiB' },
      ...figuresOf('from the changelog', fromChangelog, CHANGELOG_SECONDS_MAX),
      { name: 'memory before it was stopped', value: first.memoryMib, unit: 'MiB', aim: { atMost: MEMORY_MIB_MAX } },
      { name: '  at its peak', value: first.peakMemoryMib, unit: 'MiB' },
      { name: 'time to stop, checkpoints included', value: first.stopSeconds, unit: 's' },
    ],
    notes,
  };
}

interface Started {
  readonly readySeconds: number;
  readonly memoryMib: number;
  readonly peakMemoryMib: number;
  readonly stateHashes: readonly string[];
  readonly stopSeconds: number;
}

/** One run of the processors: until they are ready, have done the work, and have stopped. */
async function start(input: FeaturesInput, work: (worker: Worker) => Promise<void> = async () => undefined) {
  const worker = new Worker('features-worker', input);
  let started: Omit<Started, 'stopSeconds'>;
  try {
    const { seconds } = await worker.next<FeaturesReady>('ready');
    await work(worker);
    // Memory first, because hashing uses a lot of it.
    const { memoryMib, peakMemoryMib } = await standingOf(worker, false);
    const { stateHashes } = await standingOf(worker, true);
    started = { readySeconds: seconds, memoryMib, peakMemoryMib, stateHashes: [...stateHashes].sort() };
  } catch (error) {
    await worker.stop();
    throw error;
  }
  const stopping = performance.now();
  await worker.stop(STOP_MS_MAX);
  return { ...started, stopSeconds: (performance.now() - stopping) / 1_000 } satisfies Started;
}

function standingOf(worker: Worker, hashes: boolean): Promise<FeaturesStanding> {
  const request: FeaturesRequest = { kind: 'standing', hashes };
  worker.send(request);
  return worker.next<FeaturesStanding>('standing');
}

function figuresOf(how: string, { readySeconds, memoryMib, peakMemoryMib }: Started, secondsMax: number): Figure[] {
  return [
    { name: `ready ${how}`, value: readySeconds, unit: 's', aim: { atMost: secondsMax } },
    { name: '  memory then', value: memoryMib, unit: 'MiB', aim: { atMost: MEMORY_MIB_MAX } },
    { name: '  at its peak', value: peakMemoryMib, unit: 'MiB' },
  ];
}

/** All topics as declared, except the log time of events, which is the producer's here. */
async function prepareTopicsWithCreateTime(place: BrokerPlace): Promise<void> {
  for (const declaration of allTopics()) {
    const partitions = partitionsOf(declaration, { kind: place.log.kind, partitions: PARTITIONS });
    const state = declaredState(declaration, partitions);
    const isEvents = declaration.name === eventsTopic.name;
    await place.log.admin.createTopic(isEvents ? { ...state, logAppendTime: false } : state);
  }
}

type DatedLoad = Parameters<typeof load>[0] & { readonly events: number; readonly startMs: number };

/** Writes the load so that an event's log time is its place in the stream. */
async function feedDated(place: BrokerPlace, options: DatedLoad): Promise<void> {
  const { events, startMs, endMs } = options;
  const writer = await place.log.writer([eventsTopic.name]);
  let written = 0;
  try {
    for (const { bytes, count, keyStart, keyEnd, valueStart, valueEnd } of load(options)) {
      for (let i = 0; i < count; i++) {
        written++;
        const timestamp = startMs + Math.floor((written / events) * (endMs - startMs));
        const key = bytes.subarray(keyStart[i]!, keyEnd[i]!);
        writer.add(eventsTopic.name, key, bytes.subarray(valueStart[i]!, valueEnd[i]!), { timestamp });
      }
      await writer.flush();
    }
  } finally {
    await writer.close();
  }
}

/** Resolves when a full changelog interval has brought nothing new. */
async function flushed({ log }: BrokerPlace): Promise<void> {
  const { activityChangelog, popularityChangelog } = featureSet(1).topics;
  const size = async () => {
    let ends = 0;
    for (const { name: topic } of [activityChangelog, popularityChangelog])
      for (let partition = 0; partition < (await log.partitionCount(topic)); partition++)
        ends += (await log.offsets({ topic, partition })).highWatermark;
    return ends;
  };
  let last = await size();
  for (let since = performance.now(); performance.now() - since < FLUSHED_AFTER_MS; ) {
    await new Promise((resolve) => setTimeout(resolve, FLUSH_POLL_MS));
    const now = await size();
    if (now !== last) since = performance.now();
    last = now;
  }
}

async function mibOf(folder: string): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const sizes = entries
    .filter((entry) => entry.isFile())
    .map(async (entry) => (await stat(join(entry.parentPath, entry.name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0) / 2 ** 20;
}
