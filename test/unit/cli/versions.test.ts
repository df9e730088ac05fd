import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { besideFreshet } from '../../support/beside-freshet.js';
import { runCommand } from './run-command.js';

describe('freshet versions list', () => {
  it('shows the current versions, in a table and as JSON', async (test) => {
    const { freshet } = await besideFreshet(test);
    const { code, output, errors } = await freshet('versions', 'list');
    assert.equal(code, 0, errors);
    assert.match(output, /^artefact +current +since +pinned +versions\n/);
    assert.match(output, /^popularity +1 +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d +- +1\nstopwords +3 +\S+ \S+ +- +3\n$/m);
    const { artefacts } = JSON.parse((await freshet('versions', 'list', '--json')).output) as {
      artefacts: { artefact: string; current: number | null }[];
    };
    assert.deepEqual(
      artefacts.filter(({ current }) => current !== null).map(({ artefact }) => artefact),
      ['popularity', 'stopwords'],
    );
  });

  it('shows the versions of one artefact, newest first', async (test) => {
    const { freshet } = await besideFreshet(test);
    const { output } = await freshet('versions', 'list', 'stopwords');
    const rows = output.split('\n');
    assert.match(rows[1]!, /^3 +current .*1,234 words, 2 languages, 2,200 documents +2 of 2 passed$/);
    assert.match(rows[3]!, /^1 +retired, data gone/);
    const json = JSON.parse((await freshet('versions', 'list', 'stopwords', '--json')).output) as {
      versions: { version: number; created_at: string }[];
    };
    assert.deepEqual(
      json.versions.map(({ version }) => version),
      [3, 2, 1],
    );
    assert.equal(json.versions[0]!.created_at, '2025-06-04T02:00:00.000Z');
    assert.equal((await freshet('versions', 'list', 'als')).output, 'als has no version yet.\n');
  });
});

describe('freshet versions show', () => {
  it('shows the current version, or the given one', async (test) => {
    const { freshet } = await besideFreshet(test);
    const { output } = await freshet('versions', 'show', 'stopwords');
    assert.match(output, /^stopwords version 3\n {2}state +current\n/);
    assert.match(output, /^ {2}run +run-3$/m);
    assert.match(output, /^ {2}STOPWORDS_WORDS_MAX +3000$/m);
    assert.match(output, /^count +passed +1,234 words, at least 1 is required\.$/m);
    assert.match(output, /^terms\[0\] +0 +512/m);
    assert.match(output, /^stopwords\.jsonl +90,000 +abab/m);
    assert.match((await freshet('versions', 'show', 'stopwords', '1')).output, /state +retired; its data is gone/);
    const json = JSON.parse((await freshet('versions', 'show', 'stopwords', '2', '--json')).output) as object;
    assert.deepEqual(
      { ...json, manifest: null, created_at: null, activated_at: null },
      {
        ...{ artefact: 'stopwords', version: 2, state: 'retired', reaped: false, reason: null },
        ...{ manifest: null, created_at: null, activated_at: null },
      },
    );
  });

  it('names the existing versions', async (test) => {
    const { freshet } = await besideFreshet(test);
    const { code, errors } = await freshet('versions', 'show', 'stopwords', '7');
    assert.equal(code, 2);
    assert.match(errors, /There is no version 7 of stopwords; there are 3, 2, 1\./);
    assert.match((await freshet('versions', 'show', 'als')).errors, /No version of als is published yet/);
  });
});

describe('switching', () => {
  it('rolls back, promotes and pins in one command each, and shows what is current', async (test) => {
    const { freshet, versions } = await besideFreshet(test);
    const say = async (...args: string[]) => (await freshet('versions', ...args)).output.trim();
    assert.equal(
      await say('rollback', 'stopwords', '--reason', 'too many words'),
      'stopwords: version 2 is current now (it was version 3).',
    );
    assert.equal(
      await say('rollback', 'stopwords', '--to', '3'),
      'stopwords: version 3 is current now (it was version 2).',
    );
    assert.equal(
      await say('pin', 'stopwords', '2'),
      'stopwords: version 2 is current now (it was version 3); version 2 is pinned, so no new one replaces it.',
    );
    assert.equal(await say('pin', 'stopwords', 'none'), 'stopwords: version 2 stays current; nothing is pinned now.');
    const json = JSON.parse((await freshet('versions', 'promote', 'stopwords', '3', '--json')).output) as object;
    assert.equal('current' in json && json.current, 3);
    assert.deepEqual(versions.asked, [
      'rollback stopwords previous: too many words',
      'rollback stopwords 3',
      'pin stopwords 2',
      'pin stopwords none',
      'promote stopwords 3',
    ]);
  });

  it('ends with 1 and an error if there is no earlier version', async (test) => {
    const { freshet } = await besideFreshet(test);
    const { code, errors, output } = await freshet('versions', 'rollback', 'popularity');
    assert.equal(code, 1);
    assert.equal(output, '');
    assert.equal(errors, 'error: There is no earlier version of popularity to go back to.\n');
  });

  for (const [args, sentence] of [
    [['rollback', 'words'], /'words' is invalid.*The artefacts are popularity, .*stopwords/],
    [['rollback', 'stopwords', '--to', '0'], /whole number of at least 1/],
    [['promote', 'stopwords', '1.5'], /whole number of at least 1/],
    [['pin', 'stopwords'], /missing required argument 'version'/],
    [['pin', 'stopwords', 'all'], /whole number of at least 1/],
  ] as const) {
    it(`refuses ${args.join(' ')} with 2`, async () => {
      const { code, errors } = await runCommand(['versions', ...args]);
      assert.equal(code, 2, errors);
      assert.match(errors, sentence);
    });
  }
});
