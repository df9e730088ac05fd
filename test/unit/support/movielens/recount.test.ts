/** The recount in Python compared with sums done by hand, and with the reference over a random log. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { describe, it } from 'node:test';
import { Codec } from '../../../../schemas/codec.js';
import type { Event, Product } from '../../../../schemas/records.js';
import { load } from '../../../support/load.js';
import { type Answer, recount } from '../../../support/movielens/recount.js';
import { DEFAULT_SETTINGS, Reference } from '../../../support/reference.js';

const NOON = Date.UTC(2026, 10, 3, 12);
const DAY = 86_400_000;
const noPython = spawnSync('python3', ['--version']).status !== 0 && 'python3 is not in PATH';

function event(value: Partial<Event>): Event {
  const defaults = {
    event_id: 'e',
    user_id: 'u',
    product_id: 'p',
    category: null,
    event_type: 'view' as const,
    ts: NOON,
  };
  return { ...defaults, ...value };
}

const shoes: Product = { product_id: 'p', title: '', description: '', category: 'shoes', price: null, updated_at: 0 };
const score = (score: number, more = {}): Answer => ({
  source: 'test',
  kind: 'popularity',
  id: 'p',
  as_of: NOON,
  score,
  ...more,
});
const shares = (scores: Record<string, number>): Answer => ({
  source: 'test',
  kind: 'affinity',
  id: 'u',
  as_of: NOON,
  scores,
});

describe('recount', { skip: noPython }, () => {
  const events = [
    event({ event_id: '1', ts: NOON - 14 * DAY, event_type: 'purchase' }),
    event({ event_id: '1', ts: NOON - 14 * DAY, event_type: 'purchase' }),
    event({ event_id: '2', category: 'hats', event_type: 'add_to_cart', ts: NOON - 30 * DAY }),
    event({ event_id: '3', ts: (Math.floor(NOON / DAY) - 90) * DAY }),
  ];
  const right = 3 / 2 + 2 * 2 ** (-30 / 14);
  const old = 3 * 2 ** (-14 / 30);

  it('agrees with correct answers', async () => {
    const judgement = await recount(
      events,
      [shoes],
      [
        score(right, { category: 'shoes', views: 0, add_to_carts: 1, purchases: 1 }),
        shares({ shoes: old / (old + 1), hats: 1 / (old + 1) }),
      ],
    );
    assert.deepEqual(
      { ...judgement, worst: 0 },
      {
        checked: { 'test popularity': 1, 'test affinity': 1 },
        worst: 0,
        wrong: 0,
        examples: [],
      },
    );
    assert.ok(judgement.worst < 1e-14);
  });

  const wrongs: [string, Answer[], RegExp][] = [
    ['a score that is off', [score(right * (1 + 2e-9))], /score: off by 2e-09/],
    ['a wrong count', [score(right, { views: 1 })], /views 1 where 0 is right/],
    ['a wrong category', [score(right, { category: 'hats' })], /category 'hats' where 'shoes' is right/],
    ['a missing share', [shares({ shoes: 1 })], /categories \['shoes'\] where \['hats', 'shoes'\] are right/],
    ['a product no one viewed', [score(right), { ...score(1), id: 'q' }], /of q: there is nothing in the window/],
    ['a missing product', [{ ...score(1), id: 'q' }], /test popularity of p: missing/],
  ];
  for (const [what, answers, message] of wrongs) {
    it(`finds ${what}`, async () => {
      const { wrong, examples } = await recount(events, [shoes], answers);
      assert.ok(wrong > 0);
      assert.match(examples.join('\n'), message);
    });
  }

  it('agrees with the reference over a generated log', async () => {
    const codec = new Codec();
    const all: Event[] = [];
    for (const chunk of load({ endMs: NOON, events: 5000, users: 60, products: 80, categories: 7 }))
      for (let i = 0; i < chunk.count; i++)
        all.push(codec.decode('Event', chunk.bytes, chunk.valueStart[i], chunk.valueEnd[i]) as Event);
    const records = all.map((value, offset) => ({ partition: 0, offset, logTime: NOON, key: value.user_id, value }));
    const reference = new Reference(records, undefined, DEFAULT_SETTINGS);
    const as_of = NOON + DAY;
    const source = 'reference';
    const answers: Answer[] = [];
    for (const id of reference.products) {
      const answer = reference.popularity(id, as_of);
      if (answer !== null) answers.push({ source, kind: 'popularity', id, as_of, ...answer });
    }
    for (const id of reference.users) {
      const scores = reference.affinity(id, as_of);
      if (scores !== null) answers.push({ source, kind: 'affinity', id, as_of, scores: Object.fromEntries(scores) });
    }
    const { wrong, examples, worst } = await recount(all, [], answers);
    assert.deepEqual([wrong, examples], [0, []]);
    assert.ok(worst < 1e-12, `${worst}`);
  });
});
