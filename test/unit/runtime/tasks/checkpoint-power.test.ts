/** A power failure at any step of a checkpoint: the earlier one, the later one, or none where there was none. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { SavedColumns } from '../../../../runtime/tasks/state/saved-columns.js';
import { putTogether, remainsOf, watchFiles } from '../../../support/power-loss.js';
import { makeFolder } from '../log/embedded/folders.js';

await watchFiles();
const { CheckpointFile, removeCheckpoint, writeCheckpoint } = await import(
  '../../../../runtime/tasks/checkpoint-file.js'
);

const header = (sequence: number) => ({
  created_at: 1,
  application: 'a.v1',
  task: 'a.v1.t-0',
  fingerprint: 'f',
  incarnation: 'i',
  changelog_id: null,
  sequence,
  changelog_offset: 0,
  parts: [],
});

function columns(sequence: number): SavedColumns {
  const saved = new SavedColumns();
  // Several writes.
  saved.share('numbers', new Float64Array(400_000).fill(sequence));
  return saved;
}

/** The sequence of a checkpoint whose columns are its own; null if there is none. */
async function sequenceIn(path: string): Promise<number | null> {
  const file = await CheckpointFile.open(path);
  if (file === null) return null;
  try {
    const numbers = (await file.columns()).take('numbers', Float64Array);
    assert.ok(numbers.every((value) => value === file.header.sequence));
    return file.header.sequence;
  } finally {
    await file.close();
  }
}

async function outcomes(
  path: string,
  work: () => Promise<void>,
): Promise<{ readonly step: number; readonly what: string; readonly found: number | null }[]> {
  const copy = join(path, '..', '..', 'copy');
  const found = [];
  for (const left of await remainsOf(join(path, '..'), work)) {
    putTogether(copy, left);
    found.push({ ...left, found: await sequenceIn(join(copy, 'task.ckpt')) });
  }
  return found;
}

test('I14: a checkpoint after a power failure at every step of writing, replacing and removing it', async () => {
  const folder = join(await makeFolder(), 'checkpoints');
  await mkdir(folder);
  const path = join(folder, 'task.ckpt');
  const check = async (work: () => Promise<unknown>, before: number | null, after: number | null) => {
    const all = await outcomes(path, async () => {
      await work();
    });
    assert.ok(all.length >= 8);
    for (const { step, what, found } of all)
      assert.ok(found === before || found === after, `step ${step}, ${what}: checkpoint ${found}`);
    assert.equal(all.at(-4)?.found, after, 'what is done is on disk');
    assert.deepEqual(new Set(all.map(({ found }) => found)), new Set([before, after]));
  };
  await check(() => writeCheckpoint(path, header(1), columns(1)), null, 1);
  await check(() => writeCheckpoint(path, header(2), columns(2)), 1, 2);
  await check(() => removeCheckpoint(path), 2, null);
});
