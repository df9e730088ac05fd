/** I22: a switch moves values, and a snapshot in progress must neither see it in part nor apply it twice. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { openLocalStore } from '../../../../../runtime/stores/local/local-store.js';
import { checksumKey, partsKey, stagedKey, type VersionedKeys } from '../../../../../runtime/stores/versioned-keys.js';

const KEYS: VersionedKeys = {
  ...{ current: 'current', token: 'token', noted: 'noted:v' },
  plain: { prefix: 'words:', parts: 'parts' },
};
const PARTS = ['a', 'b', 'c'];
const FIELDS = Array.from({ length: 3_000 }, (_, i) => `field ${i}`);

test('switches between snapshots are restored from disk unchanged', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-local-versions-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const id = { sink: 's', topic: 't', partition: 0 };
  let seq = 0;
  for (let life = 0; life < 6; life++) {
    // Every batch starts a snapshot.
    const store = await openLocalStore(folder, silentLogger, { rotateBytesMin: 1 });
    for (const version of seq === 0 ? [] : [1, 2]) {
      const found = await store.readPart(KEYS, version, 'b');
      assert.equal(found.found, 'whole', `life ${life}, version ${version}`);
      assert.ok([...found.fields.values()].every((value) => value === String(version)));
    }
    const { epoch, nextOffset } = await store.open(id);
    let offset = nextOffset;
    const apply = async (operations: Parameters<typeof store.apply>[1]) => {
      const batch = { id, epoch, expectedOffset: offset, nextOffset: ++offset, incarnation: '', at: 1 };
      assert.equal(await store.apply(batch, operations), 'applied');
    };
    if (seq === 0)
      for (const version of [1, 2])
        await apply([
          ...PARTS.map(
            (part) =>
              ({
                op: 'hreplace',
                key: stagedKey(KEYS.plain!, version, part),
                fields: FIELDS.map((field): [string, string] => [field, String(version)]),
              }) as const,
          ),
          { op: 'hreplace', key: partsKey(KEYS, version)!, fields: PARTS.map((part) => [part, String(FIELDS.length)]) },
          { op: 'set', key: checksumKey(KEYS, version), value: 'sum' },
        ]);
    for (let i = 0; i < 5; i++) {
      const writing = apply([{ op: 'hset', key: 'other', field: String(offset), value: 'x' }]);
      const token = { timeline: 1, seq: ++seq };
      const to = { version: 1 + (seq % 2), token, checksum: 'sum', settings: null };
      assert.equal(await store.switchVersion(KEYS, to), 'switched');
      await writing;
    }
    assert.equal((await store.heldVersion(KEYS)).version, 1 + (seq % 2));
    await store.close();
  }
});
