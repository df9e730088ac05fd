/** A log whose readers look out for skipped offsets keeps the contract of the log port. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { openEmbeddedLog } from '../../runtime/log/embedded/log.js';
import { type SkippedRanges, skippingLog } from '../../runtime/log/skipping.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { logConformance } from './log.js';

/** Far behind every record, so that each reader looks out for it and none meets it. */
const FAR = 2 ** 50;
const ranges: SkippedRanges = { of: () => [{ from: FAR, to: FAR + 1, topicId: null }] };

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

logConformance('embedded, with skipped offsets', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-skipping-'));
  folders.push(folder);
  const open = async () => skippingLog(await openEmbeddedLog(folder, silentLogger), ranges, silentLogger);
  const log = await open();
  return {
    log,
    reopen: async () => {
      await log.close();
      return open();
    },
  };
});
