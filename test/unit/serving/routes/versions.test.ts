import assert from 'node:assert/strict';
import { describe, it, type TestContext } from 'node:test';
import { SNAPSHOT_JOBS } from '../../../../assembly/snapshotters.js';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { servingFixture, tokenEntry, withTokens } from '../../../support/serving.js';
import { FakeRuns } from '../../../support/versions.js';

interface Answer {
  readonly current: number | null;
  readonly pinned: number | null;
  readonly versions: { version: number; state: string; created_at: string; activated_at: string | null }[];
}

async function open(test: TestContext) {
  const fixture = await servingFixture(test);
  const post = async (path: string, payload?: object) => {
    const answer = await fixture.app.inject({
      method: 'POST',
      url: `/v1/versions/${path}`,
      ...(payload === undefined ? {} : { payload }),
    });
    return { status: answer.statusCode, body: answer.json() as Answer & { detail: string } };
  };
  return { ...fixture, post };
}

describe('GET /v1/versions/{artefact}', () => {
  it('returns the versions, newest first, with their manifests', async (test) => {
    const { app } = await open(test);
    const answer = await app.inject('/v1/versions/stopwords');
    assert.equal(answer.statusCode, 200);
    const { versions, ...head } = answer.json();
    assert.deepEqual(head, { artefact: 'stopwords', current: 3, candidate: null, share: 0, pinned: null });
    assert.deepEqual(
      versions.map(({ version, state, reaped }: { version: number; state: string; reaped: boolean }) => [
        version,
        state,
        reaped,
      ]),
      [
        [3, 'current', false],
        [2, 'retired', false],
        [1, 'retired', true],
      ],
    );
    assert.equal(versions[0].created_at, '2025-06-04T02:00:00.000Z');
    assert.equal(versions[0].manifest.counts.words, 1_234);
  });

  it('returns an empty list for an artefact without versions, 404 for an unknown one', async (test) => {
    const { app } = await open(test);
    assert.deepEqual((await app.inject('/v1/versions/faiss')).json().versions, []);
    const none = await app.inject('/v1/versions/toString');
    assert.equal(none.statusCode, 404);
    assert.match(none.json().detail, /There is no artefact "toString"; the artefacts are popularity, .*stopwords/);
  });
});

describe('GET /v1/versions', () => {
  it('names the job of every snapshotter, also before a first version', async (test) => {
    const runs = Object.assign(new FakeRuns(), { jobs: SNAPSHOT_JOBS });
    const { app } = await servingFixture(test, { runs });
    const { artefacts } = (await app.inject('/v1/versions')).json();
    const jobs = artefacts.flatMap(({ job }: { job: string | null }) => job ?? []);
    assert.deepEqual(jobs.sort(), [...SNAPSHOT_JOBS].sort());
  });

  it('summarises the artefacts that have versions or a job that makes them', async (test) => {
    const { app } = await open(test);
    const { artefacts } = (await app.inject('/v1/versions')).json();
    assert.deepEqual(artefacts, [
      {
        ...{ artefact: 'popularity', current: 1, candidate: null, share: 0, pinned: null },
        ...{ activated_at: '2025-06-02T02:00:01.000Z', count: 1, job: null },
      },
      {
        ...{ artefact: 'stopwords', current: 3, candidate: null, share: 0, pinned: null },
        ...{ activated_at: '2025-06-04T02:00:01.000Z', count: 3, job: 'stopwords' },
      },
    ]);
  });
});

describe('switching', () => {
  it('rolls back to the previous version, or to the one given, and stores the reason', async (test) => {
    const { post, versions } = await open(test);
    const { status, body } = await post('stopwords/rollback');
    assert.equal(status, 200);
    assert.equal(body.current, 2);
    assert.equal((await post('stopwords/rollback', { to: 3, reason: 'it was good' })).body.current, 3);
    assert.equal((await post('stopwords/rollback', { to: null, reason: null })).body.current, 2);
    assert.deepEqual(versions.asked, [
      'rollback stopwords previous',
      'rollback stopwords 3: it was good',
      'rollback stopwords previous',
    ]);
  });

  it('answers 409 with a sentence if there is no earlier version', async (test) => {
    const { post } = await open(test);
    const first = await post('popularity/rollback', {});
    assert.equal(first.status, 409);
    assert.equal(first.body.detail, 'There is no earlier version of popularity to go back to.');
    const reaped = await post('stopwords/promote', { version: 1 });
    assert.equal(reaped.status, 409);
    assert.match(reaped.body.detail, /Version 1 of stopwords has no data/);
    assert.equal((await post('stopwords/promote', {})).status, 409, 'none is verified');
  });

  it('promotes and pins', async (test) => {
    const { post, versions } = await open(test);
    assert.equal((await post('stopwords/pin', { version: 2 })).body.pinned, 2);
    versions.publish('stopwords', 4);
    const promoted = (await post('stopwords/promote')).body;
    assert.deepEqual([promoted.current, promoted.pinned], [4, 2]);
    assert.equal((await post('stopwords/pin', { version: null })).body.pinned, null);
  });

  for (const [path, payload, sentence] of [
    ['rollback', { to: 0 }, /"to" must be the number of a version/],
    ['rollback', { to: '2' }, /"to" must be the number/],
    ['rollback', { reason: 7 }, /"reason" must be a string/],
    ['rollback', { reason: 'x'.repeat(1_001) }, /more than 1000 characters/],
    ['rollback', { version: 2 }, /"version" is not a field of a rollback; the fields are to, reason/],
    ['rollback', [], /A rollback must be a JSON object/],
    ['promote', { version: 1.5 }, /"version" must be the number/],
    ['promote', { to: 2 }, /"to" is not a field of a promotion/],
    ['pin', undefined, /A pin must be a JSON object/],
    ['pin', {}, /"version" is missing: give a version to pin, or null/],
    ['pin', { version: 2 ** 31 }, /"version" must be the number/],
  ] as const) {
    it(`refuses ${path} of ${JSON.stringify(payload)?.slice(0, 40)}`, async (test) => {
      const { post, versions } = await open(test);
      const { status, body } = await post(`stopwords/${path}`, payload);
      assert.equal(status, 400, JSON.stringify(body));
      assert.match(body.detail, sentence);
      assert.deepEqual(versions.asked, []);
    });
  }

  it('answers 404 for an unknown artefact, and 503 while the stores are down', async (test) => {
    const { post, versions } = await open(test);
    assert.equal((await post('words/rollback')).status, 404);
    versions.failure = new FreshetError('connection', 'postgres://secret');
    const down = await post('stopwords/rollback');
    assert.equal(down.status, 503);
    assert.ok(!JSON.stringify(down.body).includes('secret'));
  });
});

describe('GET /v1/access', () => {
  it('returns what a token may do, so that a page can offer only that', async (test) => {
    const { app } = await servingFixture(test, withTokens([tokenEntry('r', 'reader'), tokenEntry('o', 'operator')]));
    const ask = async (token: string) =>
      (await app.inject({ url: '/v1/access', headers: { authorization: `Bearer ${token}` } })).json();
    assert.deepEqual(await ask('r'), { role: 'reader', may: ['read'] });
    assert.ok((await ask('o')).may.includes('operate'));
  });

  it('is everything if no tokens are required', async (test) => {
    const { app } = await servingFixture(test);
    const { role, may } = (await app.inject('/v1/access')).json();
    assert.equal(role, null);
    assert.deepEqual(may, ['read', 'write', 'operate', 'raw', 'erase']);
  });
});
