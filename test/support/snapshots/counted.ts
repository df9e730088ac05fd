/** Topics that the counting snapshotter reads, and where its process is told about faults. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { loadSettings, type Settings } from '../../../assembly/settings.js';
import type { Log } from '../../../runtime/log/log.js';
import type { ChildStep } from './child-faults.js';
import { COUNTED } from './counting.js';

/** Large enough that a capture takes several polls. */
export const VALUE_BYTES = 40_000;
export const MODULE = new URL('./counting.js', import.meta.url);

export async function put(log: Log, keys: readonly string[], bytes = VALUE_BYTES, topic = COUNTED): Promise<void> {
  const writer = await log.writer([topic]);
  for (const key of keys) {
    writer.add(topic, Buffer.from(key), Buffer.alloc(bytes), { timestamp: Date.now() });
    // A reader takes whole batches: small ones make for several polls.
    if (writer.bufferedBytes > 2 * bytes) await writer.flush();
  }
  await writer.flush();
  await writer.close();
}

export function keysOf(count: number, prefix = 'k'): string[] {
  return Array.from({ length: count }, (_, i) => `${prefix}${String(i).padStart(3, '0')}`);
}

/** Arguments of node that make a snapshot's process meet faults. */
export function faultsOf(...steps: ChildStep[]): string[] {
  const url = new URL('./child-faults.js', import.meta.url);
  url.search = encodeURIComponent(JSON.stringify(steps));
  return ['--import', url.href];
}

export interface Place {
  readonly folder: string;
  /** Closed with the test, last first, before the folder goes. */
  closing<T>(what: T, close: (what: T) => Promise<unknown>): T;
}

/** A folder that goes with the test. */
export async function placeOf(t: TestContext): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-snapshots-'));
  const open: (() => Promise<unknown>)[] = [];
  t.after(async () => {
    for (const close of open.reverse()) await close();
    await rm(folder, { recursive: true, force: true });
  });
  const closing = <T>(what: T, close: (what: T) => Promise<unknown>): T => {
    open.push(() => close(what));
    return what;
  };
  return { folder, closing };
}

export function settingsIn(folder: string, over: Readonly<Record<string, string>> = {}): Settings {
  return loadSettings({ FRESHET_DATA_DIR: folder, LOG_LEVEL: 'silent', SNAPSHOT_MEMORY_MB: '64', ...over });
}
