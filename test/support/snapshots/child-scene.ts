/** A snapshot's process without a worker: a log to lend it, and a folder to work in. */
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { RunProgress } from '../../../jobs/runs.js';
import { openEmbeddedLog } from '../../../runtime/log/embedded/log.js';
import type { Log } from '../../../runtime/log/log.js';
import { silentLogger } from '../../../runtime/process/logger.js';
import type { Built } from '../../../snapshotters/build-folder.js';
import { runChild } from '../../../snapshotters/child-process.js';
import { allTopics } from '../../../topics/all.js';
import { applyTopics } from '../../../topics/apply.js';
import { MODULE, placeOf, settingsIn } from './counted.js';
import { COUNTED } from './counting.js';

export interface ChildScene {
  readonly log: Log;
  readonly runFolder: string;
  run(over?: {
    execArgv?: readonly string[];
    signal?: AbortSignal;
    stopMs?: number;
    log?: Log;
    onProgress?: (progress: RunProgress) => void;
  }): Promise<Built | null>;
}

export async function openChildScene(t: TestContext): Promise<ChildScene> {
  const { folder, closing } = await placeOf(t);
  const log = closing(await openEmbeddedLog(join(folder, 'log'), silentLogger), (one) => one.close());
  const terms = allTopics().filter(({ name }) => name === COUNTED);
  await applyTopics(log.admin, terms, { kind: log.kind, partitions: 2 });
  const runFolder = join(folder, 'work', 'run');
  return {
    log,
    runFolder,
    run: (over = {}) =>
      runChild({
        job: {
          module: MODULE.href,
          runId: 'run',
          settings: settingsIn(folder),
          runFolder,
          previous: null,
          pace: { savepointMs: 0, fetchBytes: 100_000 },
        },
        log,
        topics: [COUNTED],
        onProgress: () => undefined,
        signal: new AbortController().signal,
        stopMs: 5_000,
        ...over,
      }),
  };
}

/** Counts the records read from the topic. */
export function counting(log: Log): { readonly log: Log; read: number } {
  const counted = {
    read: 0,
    log: {
      ...log,
      admin: log.admin,
      partitionCount: (topic: string) => log.partitionCount(topic),
      offsets: (at: { topic: string; partition: number }) => log.offsets(at),
      reader: (...given: Parameters<Log['reader']>) => {
        const reader = log.reader(...given);
        return {
          position: reader.position.bind(reader),
          pause: reader.pause.bind(reader),
          resume: reader.resume.bind(reader),
          close: reader.close.bind(reader),
          poll: async () => {
            const batches = await reader.poll();
            for (const { count } of batches) counted.read += count;
            return batches;
          },
        };
      },
    } as Log,
  };
  return counted;
}
