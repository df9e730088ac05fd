/** Features of many users and products in one request, as a ranker of a page reads them. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { productId, userId } from '../support/load.js';
import { Random } from '../support/random.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { freshetUp } from './freshet.js';
import { percentile } from './percentiles.js';
import { openDatabase, openRedisStore } from './places.js';

const EVENTS = 200_000;
const USERS = 5_000;
const PRODUCTS = 5_000;
const PER_POST = 5_000;
const REQUESTS = 200;
const WARM = 30;
const AIM_MS = 20;

export const batch: Bench = {
  name: 'batch',
  what: 'features of 1,000 users and products in one request, from Redis and Postgres',
  async run(options: BenchOptions): Promise<Report[]> {
    const events = options.events ?? EVENTS;
    const users = options.users ?? USERS;
    const products = options.products ?? PRODUCTS;
    const redis = await openRedisStore();
    const postgres = await openDatabase();
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-batch-'));
    const running = await freshetUp({
      FRESHET_DATA_DIR: join(folder, 'data'),
      REDIS_URL: redis.url,
      DATABASE_URL: postgres.url,
      INTERACTIONS_INTERVAL_S: '1',
    });
    try {
      const random = new Random(options.seed);
      const post = async (path: string, body: unknown): Promise<unknown> => {
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(running.address + path, { method: 'POST', headers, body: JSON.stringify(body) });
        if (!answer.ok) throw new Error(`${path} answered ${answer.status}: ${await answer.text()}`);
        return await answer.json();
      };
      for (let sent = 0; sent < events; sent += PER_POST) {
        options.say(`${sent} of ${events} events`);
        await post(
          '/v1/events',
          Array.from({ length: Math.min(PER_POST, events - sent) }, (_, i) => ({
            event_id: `e${sent + i}`,
            user_id: userId(random.below(users)),
            product_id: productId(random.below(products)),
            category: `c${random.below(20)}`,
            event_type: 'view',
            ts: Date.now(),
          })),
        );
      }
      await untilAllIsPublished(running.address);
      const figures: Figure[] = [];
      for (const [name, features] of [
        ['popularity and affinity', ['popularity', 'affinity']],
        ['popularity, affinity and interactions', ['popularity', 'affinity', 'interactions']],
      ] as const) {
        const ms: number[] = [];
        for (let i = 0; i < WARM + REQUESTS; i++) {
          const wanted = {
            users: Array.from({ length: 500 }, () => userId(random.below(users))),
            products: Array.from({ length: 500 }, () => productId(random.below(products))),
            features,
          };
          const began = performance.now();
          await post('/v1/features', wanted);
          if (i >= WARM) ms.push(performance.now() - began);
        }
        figures.push({ name: `${name}: p50`, value: percentile(ms, 0.5), unit: 'ms', aim: { atMost: AIM_MS } });
        figures.push({ name: `${name}: p99`, value: percentile(ms, 0.99), unit: 'ms' });
      }
      return [
        {
          title: `batch: 500 users and 500 products a request, of ${users} and ${products}, after ${events} events`,
          figures,
          notes: [
            `One request at a time; client, server, Redis and Postgres share ${availableParallelism()} cores.`,
            `Load of the machine over the last minute: ${loadavg()[0]!.toFixed(1)} (the bench's own is in it).`,
          ],
        },
      ];
    } finally {
      await running.stop();
      await postgres.close();
      await redis.close();
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function untilAllIsPublished(address: string): Promise<void> {
  for (;;) {
    const { lag } = (await (await fetch(`${address}/v1/overview`)).json()) as { lag: Record<string, number> };
    if (Object.values(lag).every((one) => one === 0)) return;
    await pause(200);
  }
}
