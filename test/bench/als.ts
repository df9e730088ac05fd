/** ALS: time per iteration and quality compared with implicit, a real data set, and the largest supported shop. */
import { mkdtemp, rm } from 'node:fs/promises';
import { freemem, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../schemas/project-root.js';
import { pythonPackages } from '../support/python.js';
import { madeUp, movieLens } from './als/pairs.js';
import { type Outcome, type Run, Trial } from './als/trial.js';
import type { Bench, BenchOptions, Figure, Report } from './bench.js';
import { peakMemoryMib } from './cpu.js';

const REQUIREMENTS = join(projectRoot, 'test/bench/als/requirements.txt');
const DEFAULTS = { regularization: 10, alpha: 1, interactionsMin: 5 };
const ITERATIONS = 15;
/** Ours and theirs alternate, so that other load on the machine affects both. */
const ROUNDS = 3;
const TIMED_ITERATIONS = 4;
const SEEDS = { made: 3, real: 8 };
const LARGE = { users: 1_000_000, products: 100_000, pairs: 30_000_000, iterations: 3, freeGib: 6 };
/** A snapshot trains twice: for the figures, and with all pairs. */
const TRAININGS = 2;

export const als: Bench = {
  name: 'als',
  what: 'the recommendation model: time per iteration and NDCG compared with implicit, MovieLens, 1 M users',
  async run(options) {
    const packages = await pythonPackages(REQUIREMENTS);
    const folder = await mkdtemp(join(tmpdir(), 'freshet-bench-als-'));
    try {
      const peer = 'path' in packages ? new Peer(packages.path, folder) : null;
      const missing = 'path' in packages ? [] : [`No peer: ${packages.missing}.`];
      const reports = [await beside(options, peer, missing), await real(options, peer, missing)];
      // If a size is given, only that one is run.
      if (options.users === null && options.events === null) reports.push(await large(options));
      return reports;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

class Peer {
  readonly #packages: string;
  readonly #folder: string;

  constructor(packages: string, folder: string) {
    this.#packages = packages;
    this.#folder = folder;
  }

  run(trial: Trial, one: Run): Promise<Outcome> {
    return trial.peers(one, this.#packages, this.#folder);
  }
}

async function beside(options: BenchOptions, peer: Peer | null, missing: readonly string[]): Promise<Report> {
  const { seed, say } = options;
  const users = options.users ?? 50_000;
  const products = options.products ?? 10_000;
  const pairs = options.events ?? 1_800_000;
  const trial = new Trial(madeUp(seed, users, products, pairs), DEFAULTS);
  const figures: Figure[] = [];
  for (const factors of [64, 128]) {
    for (const threads of [1, 2]) {
      const one = { ...DEFAULTS, factors, threads, iterations: TIMED_ITERATIONS, seed };
      const name = `${factors} factors, ${threads} thread${threads === 1 ? '' : 's'}`;
      const ourSeconds: number[] = [];
      const theirSeconds: number[] = [];
      for (let round = 1; round <= ROUNDS; round++) {
        say(`${name}, round ${round}`);
        ourSeconds.push(...(await trial.ours(one)).seconds);
        if (peer !== null) theirSeconds.push(...(await peer.run(trial, one)).seconds);
      }
      const own = median(ourSeconds);
      figures.push({ name: `${name}: an iteration`, value: own * 1000, unit: 'ms' });
      if (peer === null) continue;
      const theirs = median(theirSeconds);
      figures.push({ name: `${name}: an iteration of implicit`, value: theirs * 1000, unit: 'ms' });
      const aim = factors === 64 ? 0.8 : 1;
      figures.push({ name: `${name}: ratio`, value: own / theirs, unit: '', aim: { atMost: aim } });
    }
  }
  figures.push(...(await quality(trial, peer, SEEDS.made, options)));
  const { selection } = trial;
  return {
    title: `ALS, ${selection.users.count} users × ${selection.products.count} products, ${selection.pairs} pairs, synthetic (seed ${seed})`,
    figures,
    notes: [`Iterations: medians of ${ROUNDS} rounds of ${TIMED_ITERATIONS}, alternating. ${load()}`, ...missing],
  };
}

async function real({ say }: BenchOptions, peer: Peer | null, missing: readonly string[]): Promise<Report> {
  const title = 'ALS on MovieLens 100 K (ratings as events of 90 days, weights decayed)';
  let trial: Trial;
  try {
    trial = new Trial(await movieLens(), DEFAULTS);
  } catch (error) {
    return { title, figures: [], notes: [`Not run: ${(error as Error).message}.`] };
  }
  say('MovieLens');
  const figures = await quality(trial, peer, SEEDS.real, { seed: 1, say });
  const { users, products, pairs } = trial.selection;
  return {
    title,
    figures,
    notes: [
      `${users.count} users, ${products.count} products, ${pairs} pairs; ${products.leftOut} products left out.`,
      ...missing,
    ],
  };
}

/** NDCG and recall over several seeds: if two means differ by less than the seeds of one, the quality is the same. */
async function quality(
  trial: Trial,
  peer: Peer | null,
  seeds: number,
  { seed, say }: Pick<BenchOptions, 'seed' | 'say'>,
): Promise<Figure[]> {
  const own: Outcome[] = [];
  const theirs: Outcome[] = [];
  for (let s = seed; s < seed + seeds; s++) {
    say(`quality, seed ${s}`);
    const one = { ...DEFAULTS, factors: 64, threads: 2, iterations: ITERATIONS, seed: s };
    own.push(await trial.ours(one));
    if (peer !== null) theirs.push(await peer.run(trial, one));
  }
  const told = (name: string, outcomes: readonly Outcome[]): Figure[] => {
    const ndcg = outcomes.map(({ evaluation }) => evaluation.model.ndcg);
    const recall = outcomes.map(({ evaluation }) => evaluation.model.recall);
    return [
      { name: `NDCG@10${name}, mean of ${seeds} seeds`, value: mean(ndcg), unit: '' },
      { name: `NDCG@10${name}, standard deviation over seeds`, value: deviation(ndcg), unit: '' },
      { name: `NDCG@10${name}, least`, value: Math.min(...ndcg), unit: '' },
      { name: `NDCG@10${name}, most`, value: Math.max(...ndcg), unit: '' },
      { name: `recall@20${name}, mean`, value: mean(recall), unit: '' },
    ];
  };
  const { popularity, asked, ndcgError } = own[0]!.evaluation;
  return [
    ...told('', own),
    ...(theirs.length === 0 ? [] : told(' of implicit', theirs)),
    { name: `NDCG@10, standard error over ${asked} users`, value: ndcgError, unit: '' },
    { name: 'NDCG@10 of popularity', value: popularity.ndcg, unit: '' },
    { name: 'recall@20 of popularity', value: popularity.recall, unit: '' },
  ];
}

async function large({ seed, say }: BenchOptions): Promise<Report> {
  const title = `ALS, ${LARGE.users} users × ${LARGE.products} products, ${LARGE.pairs} pairs, 64 factors, 2 threads`;
  if (freemem() < LARGE.freeGib * 2 ** 30)
    return { title, figures: [], notes: [`Not run: it takes ${LARGE.freeGib} GiB of free memory.`] };
  say('1 M users: generating');
  const captured = madeUp(seed, LARGE.users, LARGE.products, LARGE.pairs);
  const captureMib = (captured.users.bytesHeld + captured.products.bytesHeld + captured.pairs.bytesHeld) / 2 ** 20;
  say('1 M users: selecting');
  const started = performance.now();
  const trial = new Trial(captured, DEFAULTS);
  const selectSeconds = (performance.now() - started) / 1000;
  say('1 M users: training');
  const one = { ...DEFAULTS, factors: 64, threads: 2, iterations: LARGE.iterations, seed };
  const begun = performance.now();
  const { seconds } = await trial.ours(one);
  const restSeconds = (performance.now() - begun) / 1000 - seconds.reduce((sum, value) => sum + value, 0);
  const iteration = median(seconds);
  const whole = selectSeconds + restSeconds + TRAININGS * ITERATIONS * iteration;
  const { pairs } = trial.selection;
  return {
    title,
    figures: [
      { name: 'eligible pairs', value: pairs, unit: '' },
      { name: 'an iteration', value: iteration, unit: 's' },
      { name: 'selecting', value: selectSeconds, unit: 's' },
      { name: 'filling the memory and evaluating', value: restSeconds, unit: 's' },
      {
        name: `in all, ${TRAININGS} × ${ITERATIONS} iterations (extrapolated)`,
        value: whole / 60,
        unit: 'min',
        aim: { atMost: 60 },
      },
      { name: 'captured pairs and ids', value: captureMib, unit: 'MiB' },
      { name: 'memory of the model', value: trial.places(one).bytes / 2 ** 20, unit: 'MiB' },
      { name: 'model, bytes per pair', value: trial.places(one).bytes / pairs, unit: 'B' },
      { name: 'largest memory of this process', value: peakMemoryMib(), unit: 'MiB' },
    ],
    notes: [`Iterations: median of ${LARGE.iterations}, at full size. ${load()}`],
  };
}

function load(): string {
  return `Load of the machine (1 min): ${loadavg()[0]!.toFixed(1)}.`;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[sorted.length >> 1]!;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / Math.max(1, values.length - 1));
}
