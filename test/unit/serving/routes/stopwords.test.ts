import assert from 'node:assert/strict';
import { it } from 'node:test';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { servingFixture } from '../../../support/serving.js';

it('returns the words of a language in the order of the reader, with their version', async (test) => {
  const { app, readers } = await servingFixture(test);
  readers.words.set('de', { und: 1, der: 0.99, ['__proto__']: 0.5 });
  const answer = await app.inject('/v1/stopwords/de');
  assert.equal(answer.statusCode, 200);
  assert.equal(answer.body, '{"version":3,"language":"de","words":{"und":1,"der":0.99,"__proto__":0.5}}');
});

it('reads a language as the corpus does: any case, only the primary tag', async (test) => {
  const { app, readers } = await servingFixture(test);
  readers.words.set('pt', { de: 1 });
  for (const tag of ['pt', 'PT', 'pt-BR', 'Pt-Latn-BR'])
    assert.deepEqual((await app.inject(`/v1/stopwords/${tag}`)).json(), {
      version: 3,
      language: 'pt',
      words: { de: 1 },
    });
});

it('refuses an invalid language tag', async (test) => {
  const { app } = await servingFixture(test);
  for (const tag of ['english', 'pt_br', 'x', 'e%20n', '%00'])
    assert.equal((await app.inject(`/v1/stopwords/${tag}`)).statusCode, 400, tag);
});

it('answers 404 for a missing language, and names the existing ones', async (test) => {
  const { app, readers } = await servingFixture(test);
  readers.words.set('fi', { ja: 1 });
  readers.words.set('en', { the: 1 });
  const answer = await app.inject('/v1/stopwords/xx');
  assert.equal(answer.statusCode, 404);
  assert.equal(answer.json().detail, 'There are no stopwords for "xx"; the languages are en, fi.');
  assert.deepEqual((await app.inject('/v1/stopwords')).json(), { languages: ['en', 'fi'] });
});

it('answers 503 before the first version, and while a store is down', async (test) => {
  const { app, readers } = await servingFixture(test);
  const none = await app.inject('/v1/stopwords/en');
  assert.equal(none.statusCode, 503);
  assert.match(none.json().detail, /No stopwords are published yet, or .*: "freshet snapshot stopwords" makes one/);
  assert.ok(Number(none.headers['retry-after']) > 0);
  readers.failure = new FreshetError('connection', 'redis://secret');
  const down = await app.inject('/v1/stopwords/en');
  assert.equal(down.statusCode, 503);
  assert.ok(!down.body.includes('secret'));
});

it('counts reads of words by version, and nothing else', async (test) => {
  const { app, readers, metrics } = await servingFixture(test);
  readers.words.set('en', { the: 1 });
  for (const tag of ['en', 'EN', 'xx']) await app.inject(`/v1/stopwords/${tag}`);
  const text = await metrics.registry.getSingleMetricAsString('feature_reads_total');
  assert.match(text, /feature_reads_total\{artefact="stopwords",version="3"\} 2/);
});
