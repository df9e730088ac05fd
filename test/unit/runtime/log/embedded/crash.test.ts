/**
 * The process dies at any byte, or the power fails: afterwards the log is a sequence of whole commits, including every
 * acknowledged one (after a power loss, every synced one).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type EmbeddedLog, openEmbeddedLog } from '../../../../../runtime/log/embedded/log.js';
import { silentLogger } from '../../../../../runtime/process/logger.js';
import { Random } from '../../../../support/random.js';
import { DeadError, FaultyDisk } from './faulty-disk.js';
import { makeFolder } from './folders.js';
import { readPartition, tableOf, topicConfig } from './support.js';

const PARTITIONS = 3;
const SMALL_SEGMENTS = { 'segment.bytes': '2000' };

/** Rows that one commit writes to each partition, chosen so that any row tells how many there must be. */
interface Commit {
  readonly name: string;
  readonly rows: readonly number[];
}

/** Reads which commits are there, failing on partial ones. Names are in the order of the first partition with them. */
async function commitsIn(log: EmbeddedLog, commits: ReadonlyMap<string, Commit>): Promise<string[]> {
  if (!(await log.admin.listTopics()).includes('t')) return [];
  const found = new Map<string, number[]>();
  const order: string[][] = [];
  for (let partition = 0; partition < PARTITIONS; partition++) {
    const names: string[] = [];
    const rows = await readPartition(log, 't', partition);
    for (const [i, row] of rows.entries()) {
      assert.equal(row.offset, i, 'offsets have no gaps');
      const name = row.key!;
      if (names.at(-1) !== name) names.push(name);
      const counts = found.get(name) ?? [0, 0, 0];
      assert.equal(row.value, `${name} ${counts[partition]}`, 'rows of a commit are in order');
      counts[partition]!++;
      found.set(name, counts);
    }
    assert.equal(new Set(names).size, names.length, 'a commit is there once and whole');
    order.push(names);
  }
  for (const [name, counts] of found) assert.deepEqual(counts, commits.get(name)?.rows, `commit ${name} is whole`);
  // The same order in all partitions.
  const all = [...found.keys()];
  const before = (a: string, b: string) => {
    for (const names of order) {
      const [i, j] = [names.indexOf(a), names.indexOf(b)];
      if (i !== -1 && j !== -1) return i - j;
    }
    return 0;
  };
  return all.sort(before);
}

/** The expected contents of the compacted topic after these commits: each was written under one of three keys. */
function latestOf(names: readonly string[]): Map<string, string> {
  return new Map(names.map((name) => [`key-${name.length % 3}`, name]));
}

async function prepared(folder: string, disk: FaultyDisk, syncIntervalMs: number, boot = '0'): Promise<EmbeddedLog> {
  const log = await openEmbeddedLog(folder, silentLogger, { disk, syncIntervalMs, boot });
  if (!(await log.admin.listTopics()).includes('t'))
    await log.admin.createTopic(topicConfig('t', { partitions: PARTITIONS, settings: SMALL_SEGMENTS }));
  if (!(await log.admin.listTopics()).includes('latest'))
    await log.admin.createTopic(
      topicConfig('latest', {
        cleanup: 'compact',
        settings: { 'segment.bytes': '600', 'min.cleanable.dirty.ratio': '0' },
      }),
    );
  return log;
}

test('I4: killed at any byte, several writers: acknowledged commits stay, partial ones are never visible', async () => {
  let deaths = 0;
  for (let seed = 1; seed <= 14; seed++) {
    const random = new Random(seed);
    const folder = await makeFolder();
    const commits = new Map<string, Commit>();
    const acknowledged = new Set<string>();
    for (let life = 0; life < 6; life++) {
      const disk = new FaultyDisk();
      disk.diesAtStep = 1 + random.below(random.below(4) === 0 ? 500 : 15_000);
      try {
        const log = await prepared(folder, disk, random.below(2) === 0 ? 1 : 1_000_000);
        await Promise.all(
          [0, 1, 2].map(async (w) => {
            const writer = await log.transactionalWriter(`writer-${w}`, ['t']);
            await writer.init();
            for (let n = 0; n < 12; n++) {
              const name = `${life}.${w}.${n}`;
              const rows = Array.from({ length: PARTITIONS }, () => random.below(4));
              if (rows.every((count) => count === 0)) continue;
              commits.set(name, { name, rows });
              for (const [partition, count] of rows.entries())
                for (let i = 0; i < count; i++)
                  writer.add('t', Buffer.from(name), Buffer.from(`${name} ${i}`), { partition });
              await writer.commit();
              acknowledged.add(name);
              if (random.below(15) === 0) await log.maintain();
            }
          }),
        );
        if (random.below(2) === 0) await log.close();
      } catch (error) {
        assert.ok(error instanceof DeadError || disk.dead, String(error));
      }
      if (disk.dead) deaths++;
      await disk.die();
      const log = await openEmbeddedLog(folder, silentLogger, { disk: new FaultyDisk() });
      const present = new Set(await commitsIn(log, commits));
      for (const name of acknowledged) assert.ok(present.has(name), `seed ${seed}: ${name} was acknowledged`);
      await log.close();
    }
  }
  assert.ok(deaths > 35, `only ${deaths} lives ended in a crash: too few to test anything`);
});

test('I4, I36: after power losses and kills the log has whole commits without a gap, including all synced ones', async () => {
  let lost = 0;
  for (let seed = 100; seed < 112; seed++) {
    const random = new Random(seed);
    const folder = await makeFolder();
    const disk = new FaultyDisk({ powerLoss: true });
    const commits = new Map<string, Commit>();
    const written: string[] = [];
    let synced = 0;
    let boot = 0;
    let acknowledged = 0;
    let topicId: string | null = null;
    for (let life = 0; life < 6; life++) {
      if (random.below(6) > 0) disk.diesAtStep = disk.steps + 100 + random.below(9000);
      try {
        const log = await prepared(folder, disk, 1_000_000, `${boot}`);
        const present = await commitsIn(log, commits);
        const id = (await log.admin.topicId('t'))!;
        if (present.length < acknowledged)
          assert.notEqual(id, topicId, `seed ${seed}: acknowledged commits are lost, and nothing shows it`);
        topicId = id;
        acknowledged = present.length;
        assert.deepEqual(present, written.slice(0, present.length), `seed ${seed}: no commit is missing in between`);
        assert.ok(present.length >= synced, `seed ${seed}: ${synced} were synced, ${present.length} are there`);
        assert.deepEqual(tableOf(await readPartition(log, 'latest')), latestOf(present));
        lost += written.length - present.length;
        written.length = present.length;
        const writer = await log.transactionalWriter('writer', ['t', 'latest']);
        await writer.init();
        let n = 0;
        const commitNext = async () => {
          const name = `${life}.${n++}`;
          const rows = Array.from({ length: PARTITIONS }, () => 1 + random.below(5));
          commits.set(name, { name, rows });
          for (const [partition, count] of rows.entries())
            for (let i = 0; i < count; i++)
              writer.add('t', Buffer.from(name), Buffer.from(`${name} ${i}`), { partition });
          for (let i = 0; i < 3; i++) writer.add('latest', Buffer.from(`key-${name.length % 3}`), Buffer.from(name));
          written.push(name);
          await writer.commit();
          acknowledged = written.length;
        };
        for (let round = 0; round < 8; round++) {
          const before = written.length;
          const commitSome = async (count: number) => {
            for (let i = 0; i < count; i++) await commitNext();
          };
          await Promise.all([log.maintain(), commitSome(random.below(8))]);
          synced = before;
          await commitSome(random.below(4));
        }
        if (random.below(3) === 0) {
          await log.close();
          synced = written.length;
        }
      } catch (error) {
        assert.ok(disk.dead && !(error instanceof assert.AssertionError), String(error));
      }
      await disk.die();
      if (random.below(3) > 0) {
        await disk.losePower(() => random.unit());
        boot++;
      }
      disk.revive();
    }
  }
  assert.ok(lost > 40, `only ${lost} commits were lost: too few to test anything`);
});
