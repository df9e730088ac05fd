/** The local store keeps the contract of the online store, and its files survive failures; I5 and I22 are held by the suite's tests of these names. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { openLocalStore } from '../../../../../runtime/stores/local/local-store.js';
import { onlineStoreConformance } from '../../../../conformance/online-store.js';

const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-local-store-'));
  folders.push(folder);
  return folder;
}

for (const [name, rotateBytesMin] of [
  ['local store', 32 * 1024 * 1024],
  ['local store that writes snapshots constantly', 1],
] as const)
  onlineStoreConformance(name, async () => {
    const folder = await newFolder();
    const open = () => openLocalStore(folder, silentLogger, { rotateBytesMin });
    const store = await open();
    return {
      store,
      reopen: async () => {
        await store.close();
        return open();
      },
    };
  });
