/** The embedded log keeps the contract of the log port, I3, I4 and I7 among it: the suite's tests of these names. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { type EmbeddedLog, openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { logConformance } from './log.js';

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

logConformance(
  'embedded',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'freshet-log-'));
    folders.push(folder);
    const log = await openEmbeddedLog(folder, silentLogger);
    return {
      log,
      reopen: async () => {
        await log.close();
        return openEmbeddedLog(folder, silentLogger);
      },
    };
  },
  { truncate: (log, partition, before) => (log as EmbeddedLog).deleteRecords(partition, before) },
);
