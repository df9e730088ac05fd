/** Where a data folder keeps the checkpoints of the features application. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

const WAIT_MS_MAX = 60_000;
const LOOK_MS = 20;

/** `task`: as in the application's name for it, or the whole name. */
export function checkpointFile(dataFolder: string, task: string): string {
  return join(dataFolder, 'checkpoints', 'features.v1', `${task.replace('features.v1.', '')}.ckpt`);
}

/** Resolves when every one of these tasks has a checkpoint. */
export async function allCheckpoints(dataFolder: string, tasks: readonly string[]): Promise<void> {
  const deadline = performance.now() + WAIT_MS_MAX;
  for (;;) {
    const missing = tasks.filter((task) => !existsSync(checkpointFile(dataFolder, task)));
    if (missing.length === 0) return;
    if (performance.now() > deadline) throw new Error(`no checkpoint within ${WAIT_MS_MAX} ms: ${missing.join(', ')}`);
    await pause(LOOK_MS);
  }
}
