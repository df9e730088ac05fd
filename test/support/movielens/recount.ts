/** Runs the recount in Python over files and returns its verdict. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { projectRoot } from '../../../schemas/project-root.js';
import type { Event, Product } from '../../../schemas/records.js';
import { jsonLines } from './ratings.js';

const SCRIPT = join(projectRoot, 'test', 'support', 'movielens', 'recount.py');

/** An answer of one part of the product, at its own as_of (ms). */
export type Answer =
  | {
      readonly source: string;
      readonly kind: 'popularity';
      readonly id: string;
      readonly as_of: number;
      readonly score: number;
      readonly category?: string;
      readonly views?: number;
      readonly add_to_carts?: number;
      readonly purchases?: number;
    }
  | {
      readonly source: string;
      readonly kind: 'affinity';
      readonly id: string;
      readonly as_of: number;
      readonly scores: Readonly<Record<string, number>>;
    };

export interface Judgement {
  /** Number of answers per `<source> <kind>`. */
  readonly checked: Readonly<Record<string, number>>;
  /** Largest relative error among the correct ones. */
  readonly worst: number;
  readonly wrong: number;
  readonly examples: readonly string[];
}

/** Recounts `answers` from `events` and `products`. Throws if python3 cannot be run. */
export async function recount(
  events: readonly Event[],
  products: readonly Product[],
  answers: readonly Answer[],
): Promise<Judgement> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-recount-'));
  try {
    const files = { events, products, answers };
    const paths = Object.entries(files).map(
      ([name, rows]) => [join(folder, `${name}.jsonl`), jsonLines(rows)] as const,
    );
    for (const [path, text] of paths) await writeFile(path, text);
    return await judge(paths.map(([path]) => path));
  } finally {
    await rm(folder, { recursive: true });
  }
}

function judge(paths: readonly string[]): Promise<Judgement> {
  return new Promise((resolve, reject) => {
    execFile('python3', [SCRIPT, ...paths], { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      // It exits with 1 on differences and prints them on standard output; without output it has failed.
      if (stdout.startsWith('{')) resolve(JSON.parse(stdout) as Judgement);
      else reject(new Error(`the recount did not run: ${stderr || error?.message}`, { cause: error }));
    });
  });
}
