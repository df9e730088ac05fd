import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { eventsOf, parseFilms, parseRatings, productsOf, REPEAT_EVERY } from '../../../support/movielens/ratings.js';
import { DEFAULT_SETTINGS, intake } from '../../../support/reference.js';

const NOW = Date.UTC(2026, 10, 3, 12);
const DAY = 86_400_000;
const RATINGS = `user_id:token\titem_id:token\trating:float\ttimestamp:float
196\t242\t3\t881250949
186\t1\t5\t891717742
22\t3\t4\t878887116
`;
const FILMS = `item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq
1\tToy Story\t1995\tAnimation Children's Comedy
3\tFour Rooms\t1995\tThriller
242\tKolya\t1996\tComedy
267\tunknown\t\tunknown
`;

describe('MovieLens as a shop', () => {
  const films = parseFilms(FILMS);
  const events = eventsOf(parseRatings(RATINGS), films, NOW);

  it('scales the first rating to the start and the last to an hour ago', () => {
    const [first, repeat, second, last] = events;
    assert.equal(first?.ts, Math.floor(NOW / DAY) * DAY - 87 * DAY);
    assert.deepEqual(repeat, first);
    assert.equal(last?.ts, NOW - 3_600_000);
    const share = (881250949 - 878887116) / (891717742 - 878887116);
    assert.equal(second?.ts, first!.ts + Math.floor(share * (last!.ts - first!.ts)));
  });

  it('buys at 5 stars, adds to the cart at 4, views below', () => {
    assert.deepEqual(
      events.map(({ product_id, event_type }) => [product_id, event_type]),
      [
        ['film-3', 'add_to_cart'],
        ['film-3', 'add_to_cart'],
        ['film-242', 'view'],
        ['film-1', 'purchase'],
      ],
    );
  });

  it('gives odd films their own category and leaves the rest to the catalogue', () => {
    assert.deepEqual(
      events.map(({ category }) => category),
      ['Thriller', 'Thriller', null, 'Comedy'],
    );
    assert.deepEqual(
      productsOf(films, NOW).map(({ product_id, category }) => [product_id, category]),
      [
        ['film-1', 'Animation'],
        ['film-3', 'Thriller'],
        ['film-242', 'Comedy'],
      ],
    );
  });

  it('produces events that all count, except the repeats', () => {
    const ratings = Array.from({ length: 2 * REPEAT_EVERY }, (_, i) => ({ user: '1', item: `${i}`, stars: 5, at: i }));
    const records = eventsOf(ratings, [], NOW).map((value, offset) => ({
      partition: 0,
      offset,
      logTime: NOW + DAY,
      key: value.user_id,
      value,
    }));
    const { counted, duplicates } = intake(records, DEFAULT_SETTINGS);
    assert.deepEqual([counted.length, duplicates.length], [2 * REPEAT_EVERY, 2]);
  });
});
