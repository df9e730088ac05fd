/** How long it takes to rebuild the features from the log: every product and every user has events. */
import type { Bench, BenchOptions, Report } from './bench.js';
import { engineFigures, prepareTopics, runEngine } from './engine-run.js';
import { openBroker } from './places.js';

interface Rebuild {
  readonly title: string;
  readonly events: number;
  readonly users: number;
  readonly products: number;
  readonly what: 'popularity' | 'affinity';
  readonly secondsMax: number;
}

const REBUILDS: readonly Rebuild[] = [
  {
    title: 'popularity of all products',
    events: 1_000_000,
    users: 200_000,
    products: 100_000,
    what: 'popularity',
    secondsMax: 30,
  },
  {
    title: 'affinity of all users',
    events: 3_000_000,
    users: 1_000_000,
    products: 100_000,
    what: 'affinity',
    secondsMax: 300,
  },
];

export const rebuild: Bench = {
  name: 'rebuild',
  what: 'popularity of 100 K products and affinity of 1 M users from the log',
  async run(options: BenchOptions): Promise<Report[]> {
    const reports: Report[] = [];
    for (const one of REBUILDS) reports.push(await runOne(one, options));
    return reports;
  },
};

async function runOne(rebuild: Rebuild, options: BenchOptions): Promise<Report> {
  const events = options.events ?? rebuild.events;
  const users = options.users ?? rebuild.users;
  const products = options.products ?? rebuild.products;
  const place = await openBroker();
  try {
    await prepareTopics(place);
    const run = await runEngine(place, { events, users, products, seed: options.seed, everyId: true }, options.say);
    const seconds = rebuild.what === 'popularity' ? run.seconds : run.affinitySeconds;
    return {
      title: `rebuild, ${rebuild.title}: ${run.events} events, ${users} users, ${products} products`,
      figures: [
        { name: 'time to rebuild', value: seconds, unit: 's', aim: { atMost: rebuild.secondsMax } },
        ...engineFigures(run),
      ],
      notes: run.verdict.wrong.map((wrong) => `WRONG: ${wrong}`),
    };
  } finally {
    await place.close();
  }
}
