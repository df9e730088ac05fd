/** The complete job on real Kafka: events to feature topics, exactly once, with commits every 100 ms. */
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { type EngineRun, engineFigures, prepareTopics, runEngine } from './engine-run.js';
import { buildPeer, runPeer } from './peer.js';
import { type BrokerPlace, openBroker } from './places.js';

const EVENTS = 2_000_000;
const USERS = 200_000;
const PRODUCTS = 100_000;
const PER_CPU_SECOND = 'events per CPU-second';
const PER_CPU_SECOND_MIN = 35_000;

export const engine: Bench = {
  name: 'engine',
  what: 'events on real Kafka to feature topics, exactly once, commits every 100 ms',
  async run({ events, users, products, seed, peer, say }: BenchOptions): Promise<Report[]> {
    const sizes = { events: events ?? EVENTS, users: users ?? USERS, products: products ?? PRODUCTS, seed };
    const place = await openBroker();
    try {
      await prepareTopics(place);
      const run = await runEngine(place, sizes, say);
      const figures = engineFigures(run).map((figure) =>
        figure.name === PER_CPU_SECOND ? { ...figure, aim: { atLeast: PER_CPU_SECOND_MIN } } : figure,
      );
      if (peer) figures.push(...(await peerFigures(place, run, say)));
      const title = `engine: ${run.events} events, ${sizes.users} users, ${sizes.products} products`;
      return [{ title, figures, notes: run.verdict.wrong.map((wrong) => `WRONG: ${wrong}`) }];
    } finally {
      await place.close();
    }
  },
};

async function peerFigures(place: BrokerPlace, run: EngineRun, say: (line: string) => void): Promise<Figure[]> {
  say('building and running the Kafka Streams peer');
  const theirs = await runPeer(place.log, await buildPeer(), place.brokers, run.events);
  const ratio = run.events / run.cpuSeconds / theirs.perCpuSecond;
  return [...theirs.figures, { name: 'ratio of ours to theirs, per CPU-second', value: ratio, unit: '×' }];
}
