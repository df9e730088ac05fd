import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { TermLists } from '../../../../processors/corpus/term-lists.js';

const into = new Int32Array(200_000);

function listOf(lists: TermLists, document: number): number[] {
  return [...into.subarray(0, lists.read(document, into))];
}

test('lists keep what was put in, whatever is added and removed', () => {
  const terms = fc.uniqueArray(fc.integer({ min: 0, max: 2 ** 30 }), { maxLength: 40 });
  const step = fc.tuple(fc.integer({ min: 0, max: 30 }), fc.option(terms, { freq: 4 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const lists = new TermLists();
      const wanted = new Map<number, number[]>();
      for (const [document, list] of steps) {
        if (list === null) {
          lists.drop(document);
          wanted.delete(document);
          continue;
        }
        const ascending = Int32Array.from(list).sort();
        lists.put(document, ascending, ascending.length);
        wanted.set(document, [...ascending]);
      }
      for (const [document, list] of wanted) {
        assert.equal(lists.countOf(document), list.length);
        assert.deepEqual(listOf(lists, document), list);
      }
    }),
    { seed: 7 },
  );
});

test('a list costs about two bytes a term, and holes are closed', () => {
  const lists = new TermLists();
  const documents = 30_000;
  const terms = (document: number, round: number) =>
    Int32Array.from({ length: 70 }, (_, i) => i * 130 + ((document * 7 + round) % 100));
  for (let document = 0; document < documents; document++) lists.put(document, terms(document, 0), 70);
  assert.ok(lists.bytesLive / documents / 70 < 2.1, `${lists.bytesLive / documents / 70} bytes a term`);
  const live = lists.bytesLive;
  for (let round = 1; round < 12; round++)
    for (let document = 0; document < documents; document++)
      if ((document + round) % 3 === 0) lists.put(document, terms(document, round), 70);
  assert.ok(lists.bytesHeld < 2 * live + 3 * 4 * 65_536 + 2 * 1024 * 1024, `${lists.bytesHeld} held, ${live} live`);
  for (let document = 0; document < documents; document += 997) {
    const round = 11 - ((((document + 11) % 3) + 3) % 3);
    assert.deepEqual(listOf(lists, document), [...terms(document, round)]);
  }
  for (let document = 0; document < documents; document++) lists.drop(document);
  assert.equal(lists.bytesLive, 0);
  assert.ok(lists.bytesHeld < 3 * 4 * 65_536 + 2 * 1024 * 1024);
});

test('a list longer than a chunk has a chunk to itself', () => {
  const lists = new TermLists();
  const long = Int32Array.from({ length: 131_072 }, (_, i) => i * 8191);
  lists.put(0, long, long.length);
  lists.put(1, Int32Array.of(5), 1);
  assert.deepEqual(listOf(lists, 0), [...long]);
  assert.deepEqual(listOf(lists, 1), [5]);
});
