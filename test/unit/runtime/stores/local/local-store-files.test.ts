/** What happens to the files of the local store when the process or the disk fails. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  appendFile,
  copyFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { openLocalStore } from '../../../../../runtime/stores/local/local-store.js';
import type { OnlineStore, StoreOperation } from '../../../../../runtime/stores/online-store.js';
import { WRITER_KEYS, WRITER_SINK, writerBatch } from '../../../../support/local-store-writer.js';
import { killHard, runScript } from '../../../../support/processes.js';

const WRITER = new URL('../../../../support/local-store-writer.js', import.meta.url);
const folders: string[] = [];
after(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-local-files-'));
  folders.push(folder);
  return folder;
}

async function copyOf(folder: string): Promise<string> {
  const copy = await newFolder();
  for (const name of await readdir(folder)) await copyFile(join(folder, name), join(copy, name));
  return copy;
}

/** Writes batches from the store's position on; returns it open. */
async function written(folder: string, batches: number, rotateBytesMin = 2 ** 30): Promise<OnlineStore> {
  const store = await openLocalStore(folder, silentLogger, { rotateBytesMin });
  const { epoch, nextOffset } = await store.open(WRITER_SINK);
  for (let n = nextOffset; n < nextOffset + batches; n++) {
    const batch = { id: WRITER_SINK, epoch, expectedOffset: n, nextOffset: n + 1, incarnation: 'life', at: 1 };
    assert.equal(await store.apply(batch, writerBatch(n)), 'applied');
  }
  return store;
}

/** The offset of the store, after checking that it contains exactly the batches before it. */
async function checkedOffset(store: OnlineStore): Promise<number> {
  const offset = (await store.position(WRITER_SINK))?.nextOffset ?? 0;
  if (offset === 0) {
    assert.deepEqual(await store.keys(''), []);
    return 0;
  }
  const last = String(offset - 1);
  for (let i = 0; i < WRITER_KEYS; i++) assert.equal(await store.hget(`hash:${i}`, 'n'), last);
  assert.deepEqual(await store.ztop('set', 10), [{ member: 'm', score: offset - 1 }]);
  assert.deepEqual(await store.keys('in:'), [`in:${last}`], 'no stale entry in a former group');
  const kept = Array.from({ length: Math.min(offset, 100) }, (_, i) => `only:${offset - 1 - i}`);
  assert.deepEqual((await store.keys('only:')).sort(), kept.sort());
  return offset;
}

async function offsetIn(folder: string): Promise<number> {
  const store = await openLocalStore(folder, silentLogger);
  try {
    return await checkedOffset(store);
  } finally {
    await store.close();
  }
}

test('kill -9 at any time loses nothing that was acknowledged, snapshots or not', async () => {
  for (const rotateBytesMin of [2 ** 30, 50_000]) {
    const folder = await newFolder();
    let acknowledged = 0;
    for (const more of [1, 40, 137, 300]) {
      const child = runScript(WRITER, [folder, String(rotateBytesMin)]);
      assert.ok(child.stdout !== null);
      const stopAt = acknowledged + more;
      for await (const line of createInterface({ input: child.stdout })) {
        acknowledged = Number(line);
        if (acknowledged >= stopAt) child.kill('SIGKILL');
      }
      await killHard(child);
      const offset = await offsetIn(folder);
      assert.ok(offset >= acknowledged, `${acknowledged} batches were acknowledged, ${offset} are there`);
      // One more may have been written but not acknowledged.
      assert.ok(offset <= acknowledged + 1);
      acknowledged = offset;
    }
    const names = await readdir(folder);
    assert.equal(
      names.some((name) => name.startsWith('snapshot-')),
      rotateBytesMin < 2 ** 30,
      names.join(),
    );
  }
});

test('a last line cut at any byte is removed whole, and the store continues', async () => {
  const folder = await newFolder();
  await (await written(folder, 3)).close();
  const journal = await readFile(join(folder, 'journal-1'));
  const lastLine = journal.lastIndexOf(10, journal.length - 2) + 1;
  const cuts = [
    lastLine,
    lastLine + 1,
    lastLine + 8,
    lastLine + 9,
    lastLine + 40,
    journal.length - 2,
    journal.length - 1,
  ];
  for (const cut of cuts) {
    const copy = await copyOf(folder);
    await truncate(join(copy, 'journal-1'), cut);
    assert.equal(await offsetIn(copy), 2, `cut at ${cut} of ${journal.length}`);
    await (await written(copy, 2)).close();
    assert.equal(await offsetIn(copy), 4);
  }
  assert.equal(await offsetIn(folder), 3);
});

test('the history is cut off at a damaged byte; everything before it stays', async () => {
  const folder = await newFolder();
  await (await written(folder, 5)).close();
  const journal = await readFile(join(folder, 'journal-1'));
  const ends = [...journal.entries()].filter(([, byte]) => byte === 10).map(([at]) => at);
  // The first line is the takeover.
  for (const [line, expected] of [
    [1, 0],
    [2, 1],
    [5, 4],
  ] as const) {
    for (const at of [ends[line - 1]! + 3, ends[line - 1]! + 30, ends[line]!]) {
      const copy = await copyOf(folder);
      const damaged = Buffer.from(journal);
      damaged[at] = damaged[at]! ^ 1;
      await writeFile(join(copy, 'journal-1'), damaged);
      assert.equal(await offsetIn(copy), expected, `line ${line}, byte ${at}`);
      assert.equal(await offsetIn(copy), expected, 'reopening finds the same');
    }
  }
});

test('an interrupted snapshot is dropped; the journals before and after it count', async () => {
  const folder = await newFolder();
  await (await written(folder, 5)).close();
  const lines = (await readFile(join(folder, 'journal-1'), 'latin1')).trimEnd().split('\n');
  await writeFile(join(folder, 'journal-1'), `${lines.slice(0, 3).join('\n')}\n`);
  await writeFile(join(folder, 'journal-2'), `${lines.slice(3).join('\n')}\n`);
  await writeFile(join(folder, 'snapshot-2.tmp'), 'half a snap');
  assert.equal(await offsetIn(folder), 5);
  assert.deepEqual((await readdir(folder)).sort(), ['journal-1', 'journal-2']);
  const gap = await copyOf(folder);
  await rm(join(gap, 'journal-1'));
  assert.equal(await offsetIn(gap), 0, 'a journal without its beginning is not used');
  await truncate(join(folder, 'journal-1'), (await stat(join(folder, 'journal-1'))).size - 5);
  assert.equal(await offsetIn(folder), 1, 'nothing after a torn line counts');
  assert.deepEqual(await readdir(folder), ['journal-1']);
});

test('a damaged snapshot leaves an empty store, not half of one', async () => {
  const folder = await newFolder();
  await (await written(folder, 200, 50_000)).close();
  const snapshot = (await readdir(folder)).find((name) => name.startsWith('snapshot-'));
  assert.ok(snapshot !== undefined, 'a snapshot was written');
  assert.equal(await offsetIn(folder), 200);
  const whole = await readFile(join(folder, snapshot));
  const damages: [string, Buffer][] = [
    ['a changed byte', Buffer.concat([whole.subarray(0, 100), Buffer.from('?'), whole.subarray(101)])],
    ['no end', whole.subarray(0, whole.lastIndexOf(10, whole.length - 2) + 1)],
    ['a missing line', whole.subarray(whole.indexOf(10) + 1)],
    ['nothing', Buffer.alloc(0)],
  ];
  for (const [what, bytes] of damages) {
    const copy = await copyOf(folder);
    await writeFile(join(copy, snapshot), bytes);
    assert.equal(await offsetIn(copy), 0, what);
    await (await written(copy, 3)).close();
    assert.equal(await offsetIn(copy), 3, `${what}: the store continues to serve`);
  }
});

test('snapshots keep the files within a few times the size of their contents', async () => {
  const folder = await newFolder();
  const sizeOfFiles = async () => {
    let bytes = 0;
    for (const name of await readdir(folder)) bytes += (await stat(join(folder, name)).catch(() => ({ size: 0 }))).size;
    return bytes;
  };
  await (await written(folder, 1_000)).close();
  const before = await sizeOfFiles();
  // A snapshot is written next to the batches, in its own time.
  let offset = 1_000;
  for (; (await sizeOfFiles()) > before / 10; offset += 20) {
    assert.ok(offset < 100_000, 'no snapshot replaced the journal');
    await (await written(folder, 20, 50_000)).close();
  }
  assert.equal(await offsetIn(folder), offset);
});

test('a snapshot written while everything changes is exact', async () => {
  const folder = await newFolder();
  const store = await openLocalStore(folder, silentLogger, { rotateBytesMin: 200_000 });
  const idle = { sink: 'idle', topic: 't', partition: 1 };
  const idlePosition = await store.open(idle);
  const { epoch } = await store.open(WRITER_SINK);
  const users = 5_000;
  let offset = 0;
  const write = async (operations: StoreOperation[]) => {
    const batch = { id: WRITER_SINK, epoch, expectedOffset: offset, nextOffset: ++offset, incarnation: 'life', at: 1 };
    assert.equal(await store.apply(batch, operations), 'applied');
  };
  for (let round = 0; round < 60; round++) {
    const at = (round * 997) % users;
    await write(
      Array.from({ length: 500 }, (_, i): StoreOperation[] => {
        const user = (at + i * 7) % users;
        const key = `k${user}`;
        // Keys appear, disappear and change their kind; members move between groups.
        const kind: StoreOperation[] = [
          { op: 'hreplace', key, fields: [[String(round), 'x'.repeat(20)]] },
          { op: 'set', key, value: String(round) },
          { op: 'del', key },
        ];
        return [
          kind[(user + round) % 3]!,
          {
            op: 'regroup',
            groups: 'groups',
            prefix: 'in:',
            member: key,
            group: `g${(user + round) % 40}`,
            score: round,
          },
        ];
      }).flat(),
    );
  }
  const everything = async (of: OnlineStore) => {
    const found = new Map<string, unknown>();
    for (const key of (await of.keys('')).sort())
      found.set(
        key,
        key.startsWith('in:')
          ? await of.ztop(key, 10_000)
          : await of.get(key).catch(async () => [...(await of.hgetall(key))].sort()),
      );
    return found;
  };
  const before = await everything(store);
  await store.close();
  assert.ok(
    (await readdir(folder)).some((name) => /^snapshot-\d+$/.test(name)),
    'a snapshot was written',
  );
  const again = await openLocalStore(folder, silentLogger);
  assert.deepEqual(await everything(again), before);
  assert.deepEqual(await again.position(idle), idlePosition, 'a sink that writes nothing keeps its position');
  await again.close();
});

test('a full disk is a transient error; the line that did not fit leaves no trace', async (t) => {
  if (process.platform === 'win32') return t.diagnostic('no file size limit to set');
  const folder = await newFolder();
  const limit = 512 * 1024;
  // A limit on file sizes fails a write in the middle, as a full disk does.
  const script = `ulimit -f ${limit / 512} 2>/dev/null; exec "$@"`;
  const child = spawn(
    '/bin/sh',
    ['-c', script, 'sh', process.execPath, fileURLToPath(WRITER), folder, String(2 ** 30)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  let acknowledged = 0;
  let failure = '';
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('failed ')) failure = line.slice('failed '.length);
    else acknowledged = Number(line);
  }
  if (child.exitCode === null) await once(child, 'exit');
  const { message, ...held } = JSON.parse(failure) as { message: string };
  assert.match(message, /writing failed: EFBIG/);
  assert.deepEqual(held, { offset: acknowledged, n: String(acknowledged - 1) }, 'nor is it in memory');
  const { size } = await stat(join(folder, 'journal-1'));
  assert.ok(size < limit, `the journal ends with a whole line: ${size}`);
  assert.equal((await readFile(join(folder, 'journal-1'))).at(-1), 10);
  assert.equal(await offsetIn(folder), acknowledged);
  assert.ok(acknowledged > 10);
});

test('foreign files are not touched, and the folder is created if needed', async () => {
  const folder = join(await newFolder(), 'new', 'store');
  await (await written(folder, 1)).close();
  await writeFile(join(folder, 'notes.txt'), 'mine');
  await mkdir(join(folder, 'journal-x'));
  await appendFile(join(folder, 'journal-1'), 'torn');
  assert.equal(await offsetIn(folder), 1);
  assert.equal(await readFile(join(folder, 'notes.txt'), 'utf8'), 'mine');
  assert.equal((await stat(folder)).mode & 0o077, 0, 'no other user may read it');
});
