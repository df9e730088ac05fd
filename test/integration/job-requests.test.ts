/** I25: the topic run-requests as a way in: each of its records becomes one row of the queue, and no other way in. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Job } from '../../jobs/job.js';
import { RECORD_BYTES_MAX } from '../../runtime/log/log.js';
import { runRequests } from '../../topics/jobs.js';
import { blobs, HOSTILE_TEXTS, HOSTILE_TIMES, spoiled } from '../support/hostile.js';
import { codec, endOf, type JobScene, openJobScene, requestInTopic } from '../support/jobs.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const events = new Events();
const AT = { topic: runRequests.name, partition: 0 };

/** Notes the runs that it is given. */
function noting(): Job & { readonly seen: string[] } {
  const seen: string[] = [];
  return {
    name: 'noted',
    policy: { deathsMax: 2 },
    seen,
    run: async ({ run_id }) => {
      seen.push(run_id);
      return { event: 'succeed', result: {} };
    },
  };
}

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `run ${from + i}`);
const requests = (runIds: readonly string[]) => runIds.map((run_id) => ({ run_id, job_name: 'noted' }));
const storedOffset = async ({ database }: JobScene) =>
  (await database.query<{ next_offset: number }>('SELECT next_offset FROM run_topics WHERE topic = $1', [AT.topic]))[0]
    ?.next_offset;

describe('requests through the topic', () => {
  let postgres: Service;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  test('become one row each, whichever of two followers comes first and however often both start again', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const job = noting();
    // Notes every attempt to insert: a second one of the same id would change nothing and not show.
    await scene.database.execute(`
      CREATE TABLE insertions (n serial, run_id text);
      CREATE FUNCTION note_insertion() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN INSERT INTO insertions (run_id) VALUES (NEW.run_id); RETURN NEW; END $$;
      CREATE TRIGGER note_insertion BEFORE INSERT ON job_runs FOR EACH ROW WHEN (NEW.status = 'queued')
        EXECUTE FUNCTION note_insertion()`);
    for (let round = 0; round < 4; round++) {
      const all = ids(0, 20 * (round + 1));
      await requestInTopic(scene.log, ...requests(all.slice(-20, -10)));
      const workers = [scene.workerOf([job]), scene.workerOf([job])];
      await Promise.all(workers.map((worker) => worker.start()));
      await requestInTopic(scene.log, ...requests(all.slice(-10)));
      for (const run_id of all.slice(-20)) await endOf(events, workers[0]!.runs, run_id);
      await Promise.all(workers.map((worker) => worker.stop()));
      assert.deepEqual(job.seen, all);
    }
    const attempts = await scene.database.query<{ run_id: string }>('SELECT run_id FROM insertions ORDER BY n');
    assert.deepEqual(
      attempts.map(({ run_id }) => run_id),
      ids(0, 80),
    );
    assert.equal(await storedOffset(scene), (await scene.log.offsets(AT)).lastStable);
  });

  test('are not read again once they are rows, even where the rows are gone', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const job = noting();
    await requestInTopic(scene.log, ...requests(['old']));
    const first = scene.workerOf([job]);
    await first.start();
    await endOf(events, first.runs, 'old');
    await first.stop();
    await scene.database.execute('DELETE FROM job_runs');
    const second = scene.workerOf([job]);
    await second.start();
    await requestInTopic(scene.log, ...requests(['new']));
    await endOf(events, second.runs, 'new');
    assert.deepEqual(job.seen, ['old', 'new']);
  });

  test('that cannot be read or stored are passed over', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const job = noting();
    const writer = await scene.log.writer([AT.topic]);
    const add = (value: Buffer) => writer.add(AT.topic, Buffer.from('noted'), value, { timestamp: Date.now() });
    const request = { job_name: 'noted', requested_at: Date.now(), requested_by: 'test', dry_run: false };
    const valid = (over: object) => add(codec.encode('RunRequest', { ...request, ...over }));
    valid({ run_id: 'first' });
    add(Buffer.from('no record'));
    valid({ run_id: 'with a NUL: \0' });
    valid({ run_id: 'long', job_name: 'x'.repeat(10_000) });
    valid({ run_id: '' });
    valid({ run_id: 'of a day that no calendar has', requested_at: 9e15 });
    valid({ run_id: 'last' });
    await writer.flush();
    await writer.close();
    const worker = scene.workerOf([job]);
    await worker.start();
    await endOf(events, worker.runs, 'last');
    assert.deepEqual(job.seen, ['first', 'last']);
    assert.equal((await scene.database.query('SELECT 1 FROM job_runs')).length, 2);
  });

  test('I6: go on behind every hostile record', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const job = noting();
    const writer = await scene.log.writer([AT.topic]);
    const request = { run_id: 'r', job_name: 'noted', requested_at: 1, requested_by: 'test', dry_run: false };
    const key = Buffer.from('noted');
    const values = [...blobs(key.length), ...spoiled(codec.encode('RunRequest', request))];
    for (const text of HOSTILE_TEXTS)
      for (const field of ['run_id', 'job_name', 'requested_by'])
        values.push(codec.encode('RunRequest', { ...request, [field]: text }));
    for (const requested_at of HOSTILE_TIMES) values.push(codec.encode('RunRequest', { ...request, requested_at }));
    for (const [n, value] of values.entries()) {
      if (key.length + value.length > RECORD_BYTES_MAX) continue;
      writer.add(AT.topic, n % 7 === 0 ? null : key, value, { timestamp: Date.now() });
      if (n % 50 === 0) {
        writer.add(AT.topic, key, codec.encode('RunRequest', { ...request, run_id: `good ${n}` }));
        await writer.flush();
      }
    }
    writer.add(AT.topic, key, codec.encode('RunRequest', { ...request, run_id: 'last' }));
    await writer.flush();
    await writer.close();
    const worker = scene.workerOf([job]);
    await worker.start();
    await endOf(events, worker.runs, 'last');
    const good = [...values.keys()].filter((n) => n % 50 === 0);
    for (const n of good) assert.ok(job.seen.includes(`good ${n}`), `good ${n}`);
    assert.equal(await storedOffset(scene), (await scene.log.offsets(AT)).lastStable);
    assert.deepEqual(worker.waiting, []);
  });

  test('of a topic that was made again are read from its start', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const job = noting();
    await requestInTopic(scene.log, ...requests(ids(0, 5)));
    const first = scene.workerOf([job]);
    await first.start();
    await endOf(events, first.runs, 'run 4');
    await first.stop();
    const config = (await scene.log.admin.describeTopic(AT.topic))!;
    await scene.log.admin.deleteTopic(AT.topic);
    await scene.log.admin.createTopic(config);
    await requestInTopic(scene.log, ...requests(ids(5, 12)));
    const second = scene.workerOf([job]);
    await second.start();
    await endOf(events, second.runs, 'run 11');
    assert.deepEqual(job.seen, ids(0, 12));
  });

  test('wait while Postgres or the log cannot be had, and the worker says what it waits for', async (t) => {
    const scene = await openJobScene(t, postgres.url);
    const job = noting();
    let isCut = false;
    const cut = new Proxy(scene.database, {
      get: (database, name) => {
        const value = Reflect.get(database, name) as unknown;
        if (name === 'transaction' && isCut) return () => Promise.reject(new Error('Postgres is away'));
        return typeof value === 'function' ? value.bind(database) : value;
      },
    });
    const worker = scene.workerOf([job], { database: cut });
    await worker.start();
    isCut = true;
    await requestInTopic(scene.log, ...requests(ids(0, 3)));
    await events.until('it says so', () =>
      worker.waiting.some(({ name, reason }) => /cannot be read/.test(name) && /Postgres is away/.test(reason!)),
    );
    isCut = false;
    await endOf(events, worker.runs, 'run 2');
    assert.deepEqual(job.seen, ids(0, 3));
    await events.until('it waits for nothing', () => worker.waiting.length === 0);
  });
});
