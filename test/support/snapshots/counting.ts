/**
 * The smallest snapshotter: the newest size of every key, published as if it were a search index. What a snapshot may do wrong, a key asks for: `!fail`, `!check`,
 * `!memory`, `!buffers`, `!exit`, `!unnamed`.
 */
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RecordColumns } from '../../../runtime/log/log.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import type { BuildContext, BuildReport, Capture, Snapshotter } from '../../../snapshotters/snapshotter.js';

/** Another one where the module's URL says so: `?topic=<name>`. */
export const COUNTED = new URL(import.meta.url).searchParams.get('topic') ?? 'terms';
export const COUNTING_FILE = 'index.faiss';

export class CountingCapture implements Capture {
  sizes = new Map<string, number>();

  add(batch: RecordColumns, row: number): void {
    const key = batch.bytes.toString('utf8', batch.keyStart[row]!, batch.keyEnd[row]!);
    if (batch.valueStart[row]! < 0) this.sizes.delete(key);
    else this.sizes.set(key, batch.valueEnd[row]! - batch.valueStart[row]!);
  }

  save(): Buffer {
    return Buffer.from(JSON.stringify([...this.sizes]));
  }

  restore(bytes: Buffer): void {
    this.sizes = new Map(JSON.parse(bytes.toString('utf8')) as [string, number][]);
  }
}

export const snapshotter: Snapshotter<CountingCapture> = {
  name: 'counting',
  artefact: 'faiss',
  topics: [COUNTED],
  settings: [],
  createCapture: () => new CountingCapture(),
  build: async ({ sizes }: CountingCapture, { folder, previous, progress }: BuildContext): Promise<BuildReport> => {
    if (sizes.has('!fail')) throw new FreshetError('invalid_data', 'nothing can be made of this');
    if (sizes.has('!exit')) process.exit(7);
    if (sizes.has('!memory')) for (const hoard: number[][] = []; ; ) hoard.push(new Array<number>(100_000).fill(1.5));
    if (sizes.has('!buffers'))
      for (const hoard: Buffer[] = []; ; progress('hoard', hoard.length, null)) hoard.push(Buffer.alloc(2 ** 20, 1));
    const lines = [...sizes].sort().map(([key, bytes]) => JSON.stringify({ key, bytes }));
    await writeFile(join(folder, COUNTING_FILE), lines.map((line) => `${line}\n`).join(''));
    if (sizes.has('!unnamed')) await appendFile(join(folder, 'other.txt'), 'other');
    return {
      // What publishing wants to know of an index.
      settings: { model: 'counted', dimension: 1, kind: 'flat' },
      counts: { keys: sizes.size, products: sizes.size },
      figures: {},
      files: [COUNTING_FILE],
      checks: [{ name: 'count', passed: !sizes.has('!check'), figure: sizes.size, sentence: `${sizes.size} keys` }],
      summary: [`${sizes.size} keys`, `before: ${previous === null ? 'nothing' : previous.manifest.counts['keys']}`],
      result: { keys_updated: sizes.size },
    };
  },
};
