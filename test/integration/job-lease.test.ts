/** I25: the lease of a job: one holder, trusted no longer than it is safe. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { takeLease } from '../../jobs/lease.js';
import { systemClock } from '../../runtime/process/clock.js';
import { hasCode } from '../../runtime/process/errors.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { openJobScene } from '../support/jobs.js';
import { Events } from '../support/publishing.js';
import { startPostgres } from '../support/services/postgres.js';
import type { Service } from '../support/services/service.js';

const events = new Events();

describe('a lease', () => {
  let postgres: Service;
  before(async () => {
    postgres = await startPostgres();
  });
  after(() => postgres.stop());

  test('is held by one, is renewed, and goes to the next when its heartbeat is too old', async (t) => {
    const { database } = await openJobScene(t, postgres.url);
    const options = { database, clock: systemClock, logger: silentLogger, boundMs: 1_000 };
    const first = (await takeLease(options, 'job'))!;
    t.after(() => first.release());
    assert.equal(first.epoch, 1);
    assert.equal(await takeLease(options, 'job'), null);
    assert.ok((await takeLease(options, 'other job')) !== null);
    const beatAt = async () =>
      (await database.query<{ at: Date }>("SELECT heartbeat_at AS at FROM job_leases WHERE job_name = 'job'"))[0]!.at;
    const begun = await beatAt();
    await events.until('a heartbeat', async () => (await beatAt()) > begun);
    first.check();
    await database.execute("UPDATE job_leases SET heartbeat_at = now() - interval '2 s' WHERE job_name = 'job'");
    const second = (await takeLease(options, 'job'))!;
    assert.equal(second.epoch, 2);
    await events.until('the first one notices', () => first.lost.aborted);
    assert.throws(
      () => first.check(),
      (error) => hasCode(error, 'fenced'),
    );
    await first.release();
    assert.equal(await takeLease(options, 'job'), null, 'a former holder gives nothing away');
    await second.release();
    await second.release();
    const third = (await takeLease(options, 'job'))!;
    assert.equal(third.epoch, 3);
    await third.release();
  });

  test('is no longer trusted before anybody else can have it', async (t) => {
    const { database } = await openJobScene(t, postgres.url);
    const boundMs = 900;
    const silent = { ...database, query: database.query.bind(database), execute: () => new Promise<number>(() => {}) };
    const options = { database: silent, clock: systemClock, logger: silentLogger, boundMs };
    const lease = (await takeLease(options, 'job'))!;
    const other = { database, clock: systemClock, logger: silentLogger, boundMs };
    let wasTrusted = true;
    await events.until('the lease is free', async () => {
      wasTrusted = !lease.lost.aborted;
      return (await takeLease(other, 'job')) !== null;
    });
    assert.equal(wasTrusted, false);
  });
});
