/**
 * Files that were changed, cut, lost or exchanged while no process had the log open: it opens with every record, or it
 * does not open, names the file and leaves everything as it was.
 */
import assert from 'node:assert/strict';
import { copyFile, cp, open, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Logger } from 'pino';
import { type EmbeddedLog, openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { seal } from '../../../../../runtime/log/embedded/sealed-file.js';
import { hasCode } from '../../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { unsafeFrom } from '../../../../support/transaction-logs.js';
import { FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, topicConfig } from './support.js';

const TOPICS = ['kept', 'latest'];

/** `kept` has five closed segments, `latest` has been compacted; both have three partitions. */
async function fill(log: EmbeddedLog): Promise<void> {
  await log.admin.createTopic(topicConfig('kept', { partitions: 3, settings: { 'segment.bytes': '1' } }));
  const eager = { 'segment.ms': '1', 'min.cleanable.dirty.ratio': '0' };
  await log.admin.createTopic(topicConfig('latest', { partitions: 3, cleanup: 'compact', settings: eager }));
  const writer = await log.transactionalWriter('w', TOPICS);
  await writer.init();
  for (let n = 0; n < 6; n++) {
    for (const topic of TOPICS)
      for (const partition of [0, 1, 2])
        writer.add(topic, Buffer.from(`k${n % 2}`), Buffer.from(`${n}`), { partition });
    await writer.commit();
    if (n === 3) await log.maintain();
  }
}

async function closedFolder(options = { raised: true }): Promise<string> {
  const folder = await makeFolder();
  const log = await openEmbeddedLog(folder, silentLogger, { disk: new FaultyDisk() });
  await fill(log);
  if (options.raised) await log.deleteRecords({ topic: 'kept', partition: 0 }, 1);
  await log.close();
  return folder;
}

/** As a kill leaves it: the last commits were acknowledged, but not synced. */
async function killedFolder(): Promise<string> {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  await fill(await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 }));
  await disk.die();
  return folder;
}

const openIn = (folder: string, logger: Logger = silentLogger) =>
  openEmbeddedLog(folder, logger, { disk: new FaultyDisk() });

async function contentsOf(log: EmbeddedLog): Promise<string[]> {
  const lines: string[] = [];
  for (const topic of TOPICS)
    for (const partition of [0, 1, 2])
      for (const { offset, key, value } of await readPartition(log, topic, partition))
        lines.push(`${topic}[${partition}]@${offset} ${key}=${value}`);
  return lines;
}

/** Opens, reads everything and closes. */
async function contentsIn(folder: string): Promise<string[]> {
  const log = await openIn(folder);
  try {
    return await contentsOf(log);
  } finally {
    await log.close();
  }
}

async function filesIn(folder: string): Promise<Map<string, Buffer>> {
  const files = new Map<string, Buffer>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) files.set(path, await readFile(path));
  }
  return files;
}

async function putBack(folder: string, files: ReadonlyMap<string, Buffer>): Promise<void> {
  for (const [path, bytes] of await filesIn(folder)) if (!files.get(path)?.equals(bytes)) await rm(path);
  for (const [path, bytes] of files) await writeFile(path, bytes);
  await rm(join(folder, 'lost'), { recursive: true, force: true });
}

const segmentOf = (folder: string, topic: string, partition: number, base: number) =>
  `${folder}/topics/${topic}/${partition}/${String(base).padStart(20, '0')}.log`;

test('I14: a flipped bit in any byte of any metadata file: all records are there, or the log does not open', async () => {
  const folder = await closedFolder();
  const before = await filesIn(folder);
  const expected = await contentsIn(folder);
  await putBack(folder, before);
  // Those of partitions 1 and 2 are like that of partition 0.
  const metadata = [...before.keys()].filter((path) => /(?<!\/[12]\/segments)\.json$|transactions$/.test(path));
  assert.ok(metadata.length >= 8, metadata.join(' '));
  let refused = 0;
  for (const path of metadata) {
    const whole = before.get(path)!;
    for (let at = 0; at < whole.length; at++) {
      const flipped = Buffer.from(whole);
      flipped[at]! ^= 1 << (at % 8);
      await writeFile(path, flipped);
      const where = `bit ${at % 8} of byte ${at} of ${path}`;
      let log: EmbeddedLog;
      try {
        log = await openIn(folder);
      } catch (error) {
        assert.ok(hasCode(error, 'invalid_data'), `${where}: ${String(error)}`);
        assert.ok((error as Error).message.includes(folder), `${where}: ${String(error)}`);
        refused++;
        await writeFile(path, whole);
        continue;
      }
      assert.deepEqual(await contentsOf(log), expected, where);
      await log.close();
      await putBack(folder, before);
    }
  }
  assert.deepEqual(await filesIn(folder), before, 'a refused opening changes nothing');
  assert.ok(refused > 1000, `only ${refused} were refused`);
});

test('a topic whose id the transaction log does not know is not cut, whatever its checksum says', async () => {
  const folder = await closedFolder();
  const path = `${folder}/topics/kept/topic.json`;
  const { crc32c: _, ...saved } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, seal({ ...saved, id: saved.id ^ 1 }));
  const before = await filesIn(folder);
  await assert.rejects(openIn(folder), /kept|has no folder whose topic\.json has the id/);
  assert.deepEqual(await filesIn(folder), before);
});

test('records that the transaction log must know, but does not, are not cut', async () => {
  const folder = await closedFolder({ raised: false });
  const other = await makeFolder();
  const log = await openIn(other);
  await fill(log);
  for (const topic of TOPICS) await log.admin.deleteTopic(topic);
  await log.close();
  await copyFile(`${other}/transactions`, `${folder}/transactions`);
  const before = await filesIn(folder);
  await assert.rejects(openIn(folder), (error: Error) => {
    assert.ok(hasCode(error, 'invalid_data'));
    assert.match(error.message, /topics\/kept\/\d has records of commit \d+ .*do not belong together/s);
    return true;
  });
  assert.deepEqual(await filesIn(folder), before);
});

test('a log that has lost the note of its incarnations does not open', async () => {
  const folder = await closedFolder();
  await rm(`${folder}/life.json`);
  const before = await filesIn(folder);
  await assert.rejects(openIn(folder), /life\.json is missing/);
  assert.deepEqual(await filesIn(folder), before);
});

test('the folder of a topic that was not deleted must be there', async () => {
  const folder = await closedFolder();
  await rm(`${folder}/topics/kept`, { recursive: true });
  await assert.rejects(openIn(folder), /has no folder whose topic\.json has the id \d+/);
});

test('a closed segment that is missing, shorter, or another file stops the opening', async () => {
  const spoils: [string, (folder: string) => Promise<unknown>][] = [
    ['missing, the first one', (folder) => rm(segmentOf(folder, 'kept', 1, 0))],
    ['missing, one in the middle', (folder) => rm(segmentOf(folder, 'kept', 1, 2))],
    ['missing, the last closed one', (folder) => rm(segmentOf(folder, 'kept', 1, 4))],
    ['missing, after a compaction', (folder) => rm(segmentOf(folder, 'latest', 1, 0))],
    ['cut to nothing', (folder) => truncate(segmentOf(folder, 'kept', 1, 2), 0)],
    [
      'that of another partition',
      (folder) => rename(segmentOf(folder, 'latest', 2, 0), segmentOf(folder, 'kept', 1, 2)),
    ],
    ['the one after it', (folder) => copyFile(segmentOf(folder, 'kept', 1, 3), segmentOf(folder, 'kept', 1, 2))],
    [
      'a stranger',
      (folder) => copyFile(segmentOf(folder, 'kept', 0, 2), `${folder}/topics/latest/0/${'1'.padStart(20, '0')}.log`),
    ],
    ['not listed, as the list is missing', (folder) => rm(`${folder}/topics/kept/1/segments.json`)],
  ];
  for (const [what, spoil] of spoils) {
    const folder = await closedFolder();
    await spoil(folder);
    const before = await filesIn(folder);
    const refused = (error: Error) => {
      assert.ok(hasCode(error, 'invalid_data'), `${what}: ${String(error)}`);
      assert.match(error.message, /topics\/(kept|latest)\/\d.*segments\.json|segment/s, what);
      return true;
    };
    await assert.rejects(openIn(folder), refused, `${what}: ${[...before.keys()].join(' ')}`);
    assert.deepEqual(await filesIn(folder), before, what);
  }
});

test('I36: a transaction log that lost its tail: the log ends earlier, says so, keeps the rest aside, and all ids are new', async () => {
  const folder = await killedFolder();
  const whole = await openIn(folder);
  const all = await contentsOf(whole);
  await whole.close();
  const killed = await killedFolder();
  const before = await filesIn(killed);
  const first = await openIn(killed);
  const ids = await Promise.all(TOPICS.map((topic) => first.admin.topicId(topic)));
  await first.close();
  await putBack(killed, before);

  await truncate(`${killed}/transactions`, unsafeFrom(before.get(`${killed}/transactions`)!));
  const lines: { event?: string; kept_in?: string }[] = [];
  const logger = {
    ...silentLogger,
    warn: (line: object) => lines.push(line),
    info: () => undefined,
  } as unknown as Logger;
  const log = await openIn(killed, logger);
  assert.ok((await contentsOf(log)).length < all.length);
  const renewed = await Promise.all(TOPICS.map((topic) => log.admin.topicId(topic)));
  for (const [i, id] of ids.entries()) assert.notEqual(renewed[i], id);
  await log.close();
  const warning = lines.find(({ event }) => event === 'log_commits_lost');
  assert.ok(warning?.kept_in !== undefined, JSON.stringify(lines));
  // Every byte that was cut is in one of the files that were kept.
  const kept = [...(await filesIn(warning.kept_in)).values()];
  const now = await filesIn(killed);
  let cut = 0;
  for (const [path, bytes] of before) {
    if (!path.endsWith('.log')) continue;
    const left = now.get(path)?.length ?? 0;
    if (left >= bytes.length) continue;
    cut++;
    assert.ok(
      kept.some((one) => one.equals(bytes.subarray(left))),
      `${path} from byte ${left}`,
    );
  }
  assert.ok(cut > 0);
  // It stays so at the next opening, which finds nothing wrong.
  const again = await openIn(killed);
  assert.deepEqual(await Promise.all(TOPICS.map((topic) => again.admin.topicId(topic))), renewed);
  await again.close();
});

test('I36: ids are new only where the machine stopped with the log open', async () => {
  const cases = [
    { what: 'killed', closes: false, boot: 'a', isNew: false },
    { what: 'closed, then the machine was restarted', closes: true, boot: 'b', isNew: false },
    { what: 'the machine stopped', closes: false, boot: 'b', isNew: true },
    { what: 'killed where the system has no boot id', closes: false, boot: null, isNew: true },
  ];
  for (const { what, closes, boot, isNew } of cases) {
    const folder = await makeFolder();
    const disk = new FaultyDisk();
    const log = await openEmbeddedLog(folder, silentLogger, { disk, boot: boot === null ? null : 'a' });
    await fill(log);
    const id = await log.admin.topicId('kept');
    if (closes) await log.close();
    else await disk.die();
    const again = await openEmbeddedLog(folder, silentLogger, { disk: new FaultyDisk(), boot });
    assert.equal((await again.admin.topicId('kept')) !== id, isNew, what);
    await again.close();
  }
});

test('damage in the middle of a transaction log, before what is safely on disk, stops the opening', async () => {
  const folder = await makeFolder();
  const disk = new FaultyDisk();
  const log = await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs: 1_000_000 });
  await log.admin.createTopic(topicConfig('kept', { partitions: 3 }));
  const writer = await log.transactionalWriter('w', ['kept']);
  await writer.init();
  const ends: number[] = [];
  for (let n = 0; n < 4; n++) {
    writer.add('kept', Buffer.from('k'), Buffer.from(`${n}`), { partition: 0 });
    await writer.commit();
    ends.push((await stat(`${folder}/transactions`)).size);
    await log.maintain();
  }
  await disk.die();
  const whole = await readFile(`${folder}/transactions`);
  for (const note of [0, 1, 2]) {
    const copy = await makeFolder();
    await cp(folder, copy, { recursive: true });
    const file = await open(`${copy}/transactions`, 'r+');
    await file.write(Buffer.from([whole[ends[note]! - 1]! ^ 0x10]), 0, 1, ends[note]! - 1);
    await file.close();
    await assert.rejects(openIn(copy), /transactions is damaged at byte \d+, in what had been written to disk/);
  }
});

test('a log of the former format is upgraded when it is opened', async () => {
  const folder = await closedFolder();
  const expected = await contentsIn(folder);
  for (const [path, bytes] of await filesIn(folder)) {
    if (path.endsWith('segments.json') || path.endsWith('life.json')) await rm(path);
    if (!/(topic|start)\.json$/.test(path)) continue;
    const { crc32c: _, ...contents } = JSON.parse(bytes.toString());
    await writeFile(path, JSON.stringify(contents));
  }
  await writeFile(`${folder}/format.json`, '{"format":1}\n');
  assert.deepEqual(await contentsIn(folder), expected);
  const files = await filesIn(folder);
  assert.equal(files.get(`${folder}/format.json`)?.toString(), '{"format":2}\n');
  for (const [path, bytes] of files)
    if (/(topic|start|segments|life)\.json$/.test(path))
      assert.match(bytes.toString(), /"crc32c": "[0-9a-f]{8}"/, path);
  assert.ok(files.has(`${folder}/topics/kept/0/start.json`) && files.has(`${folder}/topics/kept/1/segments.json`));
  assert.deepEqual(await contentsIn(folder), expected);
});
