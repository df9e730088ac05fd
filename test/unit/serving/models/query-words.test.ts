import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { QueryWords, withoutStopwords } from '../../../../serving/models/query-words.js';
import { FakeReaders } from '../../../support/serving.js';

describe('the words of a query', () => {
  const stopwords = new Set(['the', 'for', 'für', 'a']);

  it('are the words that are not stopwords, in any case and normalisation', () => {
    assert.equal(withoutStopwords('The best lamp  for A desk', stopwords), 'best lamp desk');
    assert.equal(withoutStopwords('Lampe FÜR den Flur', stopwords), 'Lampe den Flur');
    // A combining diaeresis is the same letter.
    assert.equal(withoutStopwords('fu\u0308r lamp', stopwords), 'lamp');
    assert.equal(withoutStopwords('red-bike', stopwords), 'red-bike');
  });

  it('are all of them if none would be left', () => {
    for (const query of ['the', 'for a', '!?', '']) assert.equal(withoutStopwords(query, stopwords), query);
  });

  it('lose the surest stopwords of every current language', async () => {
    const readers = new FakeReaders();
    readers.words.set('en', { the: 0.95, door: 0.55 });
    readers.words.set('de', { für: 0.7 });
    const words = new QueryWords(readers, { elapsed: () => 0 });
    assert.equal(await words.searchedFor('the door für mat'), 'door mat');
  });

  it('stay if stopwords are unavailable', async () => {
    const readers = new FakeReaders();
    readers.failure = new Error('down');
    assert.equal(await new QueryWords(readers, { elapsed: () => 0 }).searchedFor('the mat'), 'the mat');
  });
});
