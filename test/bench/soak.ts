/**
 * A whole Freshet on its embedded log and private stores, for as long as it takes: what grows with time, and what does
 * not. Events come over HTTP like those of a shop.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topicSizes } from '../../runtime/log/embedded/disk-usage.js';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { removePrivateStores } from '../../runtime/stores/open-stores.js';
import { allTopics } from '../../topics/all.js';
import { Random } from '../support/random.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { freshetUp, type RunningFreshet } from './freshet.js';

const RATE = 2_000;
const MINUTES = 30;
const USERS = 20_000;
const PRODUCTS = 5_000;
const MIB = 1024 * 1024;
/** Requests per second; each has this share of the second's events. */
const REQUESTS_PER_SECOND = 20;
/** The log may have this many times the live data, and what topics keep for a time. */
const LIVE_FACTOR_MAX = 4;

interface Sample {
  readonly minute: number;
  readonly rss: number;
  readonly handles: number;
  readonly log: number;
  readonly stores: number;
}

export const soak: Bench = {
  name: 'soak',
  what: 'half an hour at 2 K events/s, all embedded: memory, handles, size of log and stores (--events sets how long)',
  async run(options: BenchOptions): Promise<Report[]> {
    const folder = await mkdtemp(join(tmpdir(), 'freshet-soak-'));
    try {
      return [await measure(folder, options)];
    } finally {
      await removePrivateStores(folder);
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function measure(folder: string, options: BenchOptions): Promise<Report> {
  const rate = options.rate ?? RATE;
  const minutes = Math.max(3, Math.round((options.events ?? rate * 60 * MINUTES) / rate / 60));
  const freshet = await freshetUp({ FRESHET_DATA_DIR: folder });
  const samples: Sample[] = [];
  try {
    const events = eventsOf(options);
    for (let minute = 1; minute <= minutes; minute++) {
      await sendFor(freshet, events, rate, 60);
      const sample = await sampleOf(freshet, folder, minute);
      samples.push(sample);
      options.say(
        `minute ${minute} of ${minutes}: ${Math.round(sample.rss)} MiB of memory, ${sample.handles} handles, log ` +
          `${Math.round(sample.log)} MiB, stores ${Math.round(sample.stores)} MiB`,
      );
    }
  } finally {
    await freshet.stop();
  }
  return reportOf(samples, rate, await sizesOf(folder));
}

function* eventsOf({ users, products, seed }: BenchOptions): Generator<string> {
  const random = new Random(seed);
  const types = ['view', 'view', 'view', 'view', 'add_to_cart', 'purchase'] as const;
  for (let n = 0; ; n++)
    yield JSON.stringify({
      event_id: `e-${n}`,
      user_id: `user-${random.below(users ?? USERS)}`,
      product_id: `product-${Math.floor(random.unit() ** 2 * (products ?? PRODUCTS))}`,
      category: `category-${random.below(20)}`,
      event_type: types[random.below(types.length)]!,
      ts: Date.now(),
    });
}

async function sendFor(freshet: RunningFreshet, events: Generator<string>, rate: number, seconds: number) {
  const requests = seconds * REQUESTS_PER_SECOND;
  const started = performance.now();
  for (let i = 0; i < requests; i++) {
    const lines = Array.from({ length: Math.round(rate / REQUESTS_PER_SECOND) }, () => events.next().value);
    const answer = await fetch(`${freshet.address}/v1/events`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    });
    if (answer.status !== 202) throw new Error(`events were refused: ${answer.status} ${await answer.text()}`);
    await answer.arrayBuffer();
    const waitMs = started + ((i + 1) * 1000) / REQUESTS_PER_SECOND - performance.now();
    if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
  }
}

async function sampleOf({ pid }: RunningFreshet, folder: string, minute: number): Promise<Sample> {
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
  const handles = readdirSync(`/proc/${pid}/fd`).length;
  const log = (await bytesIn(join(folder, 'log'))) / MIB;
  return { minute, rss, handles, log, stores: (await bytesIn(folder)) / MIB - log };
}

/** Files that go meanwhile count as nothing. */
async function bytesIn(folder: string): Promise<number> {
  let sum = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []))
    if (entry.isFile())
      sum += await stat(join(entry.parentPath, entry.name)).then(
        (found) => found.size,
        () => 0,
      );
  return sum;
}

interface Sizes {
  /** MiB of topics that keep records for a time. */
  readonly kept: number;
  /** MiB of compacted topics, and of the newest record of each of their keys. */
  readonly compacted: number;
  readonly live: number;
}

async function sizesOf(folder: string): Promise<Sizes> {
  const sizes = await topicSizes(join(folder, 'log'));
  const log = await openEmbeddedLog(join(folder, 'log'), silentLogger);
  try {
    let [kept, compacted, live] = [0, 0, 0];
    for (const { name, cleanup } of allTopics()) {
      const size = sizes.get(name) ?? 0;
      if (cleanup === 'compact') {
        compacted += size;
        live += await liveBytesOf(log, name);
      } else kept += size;
    }
    return { kept: kept / MIB, compacted: compacted / MIB, live: live / MIB };
  } finally {
    await log.close();
  }
}

async function liveBytesOf(log: Log, topic: string): Promise<number> {
  let sum = 0;
  for (let partition = 0; partition < (await log.partitionCount(topic)); partition++) {
    const at = { topic, partition };
    const { earliest, lastStable } = await log.offsets(at);
    const reader = log.reader([{ ...at, offset: earliest }]);
    const sizes = new Map<string, number>();
    while (reader.position(at) < lastStable)
      for (const { count, bytes, keyStart, keyEnd, valueStart, valueEnd } of await reader.poll())
        for (let row = 0; row < count; row++) {
          const value = valueStart[row]! < 0 ? 0 : valueEnd[row]! - valueStart[row]!;
          sizes.set(bytes.toString('latin1', keyStart[row], keyEnd[row]), keyEnd[row]! - keyStart[row]! + value);
        }
    await reader.close();
    for (const size of sizes.values()) sum += size;
  }
  return sum;
}

function reportOf(samples: readonly Sample[], rate: number, { kept, compacted, live }: Sizes): Report {
  const last = samples.at(-1)!;
  const picked = [samples[0]!, samples[samples.length >> 2]!, samples[samples.length >> 1]!, last];
  const rows = picked.flatMap(({ minute, rss, handles, log, stores }): Figure[] => [
    { name: `minute ${minute}: memory`, value: rss, unit: 'MiB' },
    { name: '  open handles', value: handles, unit: '' },
    { name: '  log', value: log, unit: 'MiB' },
    { name: '  stores and the rest of the data folder', value: stores, unit: 'MiB' },
  ]);
  return {
    title: `soak: ${last.minute} minutes at ${rate} events/s, everything embedded`,
    figures: [
      ...rows,
      { name: 'topics that keep records for a time', value: kept, unit: 'MiB' },
      { name: 'live data of compacted topics', value: live, unit: 'MiB' },
      { name: 'compacted topics', value: compacted, unit: 'MiB', aim: { atMost: LIVE_FACTOR_MAX * live } },
    ],
    notes: ['Memory and handles are those of the Freshet process. Sender and stores share the machine.'],
  };
}
