/** The whole job on real Kafka: events to feature topics, exactly once, with commits every 100 ms. */
import type { Bench, BenchOptions, Report } from './bench.js';
import { engineFigures, prepareTopics, runEngine } from './engine-run.js';
import { buildPeer, runPeer } from './peer.js';
import { openBroker } from './places.js';

const EVENTS = 2_000_000;
const USERS = 200_000;
const PRODUCTS = 100_000;

export const engine: Bench = {
  name: 'engine',
  what: 'events on real Kafka to feature topics, exactly once, and the same job as a Kafka Streams program',
  async run({ events, users, products, seed, say }: BenchOptions): Promise<Report[]> {
    const sizes = { events: events ?? EVENTS, users: users ?? USERS, products: products ?? PRODUCTS, seed };
    const place = await openBroker();
    try {
      await prepareTopics(place);
      const run = await runEngine(place, sizes, say);
      const figures = engineFigures(run).map((figure) =>
        figure.name === 'events per CPU-second' ? { ...figure, aim: { atLeast: 35_000 } } : figure,
      );
      say('building the Kafka Streams peer');
      const peer = await buildPeer();
      const notes = run.verdict.wrong.map((wrong) => `WRONG: ${wrong}`);
      if (peer === null) notes.push('The Kafka Streams peer was left out: it needs Java and Maven.');
      else {
        say('running the Kafka Streams peer');
        const theirs = await runPeer(place.log, peer, place.brokers, run.events);
        const ratio = run.events / run.cpuSeconds / theirs.find(({ name }) => name.includes('CPU-second'))!.value;
        figures.push(...theirs, { name: 'ours by theirs, per CPU-second', value: ratio, unit: '×' });
      }
      return [
        { title: `engine: ${run.events} events, ${sizes.users} users, ${sizes.products} products`, figures, notes },
      ];
    } finally {
      await place.close();
    }
  },
};
