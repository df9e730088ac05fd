/** One data set in a model's memory, trained by us or by implicit, and evaluated in the same way. */
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { projectRoot } from '../../../schemas/project-root.js';
import { chooseAsked, type Evaluation, evaluate } from '../../../snapshotters/als/evaluation.js';
import { type KernelHost, openKernelHost } from '../../../snapshotters/als/kernel-host.js';
import { fillPairs, type Places, placesFor } from '../../../snapshotters/als/model-memory.js';
import { type Captured, type Selection, select } from '../../../snapshotters/als/selection.js';
import { train } from '../../../snapshotters/als/train.js';

const run = promisify(execFile);
const PEER = join(projectRoot, 'test/bench/als/peer.py');

export interface Run {
  readonly factors: number;
  readonly threads: number;
  readonly iterations: number;
  readonly seed: number;
  readonly regularization: number;
}

export interface Outcome {
  /** Seconds per iteration. */
  readonly seconds: readonly number[];
  readonly evaluation: Evaluation;
}

export class Trial {
  readonly selection: Selection;
  readonly #captured: Captured;
  readonly #alpha: number;

  constructor(captured: Captured, options: { readonly interactionsMin: number; readonly alpha: number }) {
    this.#captured = captured;
    this.#alpha = options.alpha;
    this.selection = select(captured, options.interactionsMin);
  }

  places({ factors, threads }: Pick<Run, 'factors' | 'threads'>): Places {
    const { users, products, pairs } = this.selection;
    return placesFor({
      users: users.count,
      products: products.count,
      pairs,
      factors,
      threads,
      asked: Math.min(20_000, users.count),
    });
  }

  async ours(one: Run): Promise<Outcome> {
    return this.#within(one, async (host, places, asked) => {
      const seconds: number[] = [];
      let before = performance.now();
      await train(host, places, {
        ...one,
        withoutHeld: true,
        onIteration: () => {
          const now = performance.now();
          seconds.push((now - before) / 1000);
          before = now;
        },
      });
      return { seconds, evaluation: await evaluate(host, places, asked) };
    });
  }

  /** `packages`: the folder for PYTHONPATH; `folder`: for its data. */
  async peers(one: Run, packages: string, folder: string): Promise<Outcome> {
    return this.#within(one, async (host, places, asked) => {
      await this.#writePairs(host, places, folder);
      const { factors, iterations, threads, seed, regularization } = one;
      const numbers = [factors, iterations, threads, seed, regularization, places.products.count].map(String);
      const { stdout } = await run('python3', [PEER, folder, ...numbers], {
        env: { ...process.env, PYTHONPATH: packages, OPENBLAS_NUM_THREADS: '1', PYTHONDONTWRITEBYTECODE: '1' },
        maxBuffer: 2 ** 24,
      });
      const f32 = new Float32Array(host.memory);
      for (const [name, side] of [
        ['user_factors.out', places.users],
        ['item_factors.out', places.products],
      ] as const) {
        const bytes = await readFile(join(folder, name));
        const theirs = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
        for (let row = 0; row < side.count; row++)
          f32.set(theirs.subarray(row * factors, (row + 1) * factors), (side.factors + row * places.width) / 4);
      }
      const { seconds } = JSON.parse(stdout) as { seconds: number[] };
      return { seconds, evaluation: await evaluate(host, places, asked) };
    });
  }

  async #within(
    one: Run,
    work: (host: KernelHost, places: Places, asked: { heldOut: number; asked: number }) => Promise<Outcome>,
  ): Promise<Outcome> {
    const places = this.places(one);
    const { bytes, scratch, width } = places;
    const host = openKernelHost({ bytes, scratch, width, threads: one.threads });
    try {
      fillPairs(host.memory, places, this.#captured, this.selection, this.#alpha);
      return await work(host, places, chooseAsked(host.memory, places, this.selection));
    } finally {
      await host.close();
    }
  }

  async #writePairs(host: KernelHost, { users }: Places, folder: string): Promise<void> {
    const { pairs } = this.selection;
    const column = (at: number, length: number) => new Uint8Array(host.memory, at, length * 4).slice();
    await writeFile(join(folder, 'starts.bin'), column(users.starts, users.count + 1));
    await writeFile(join(folder, 'ends.bin'), column(users.trainEnds, users.count));
    await writeFile(join(folder, 'pairs.bin'), column(users.pairs, pairs));
    await writeFile(join(folder, 'weights.bin'), column(users.weights, pairs));
  }
}
