import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decodeId, encodeId, Layout, popularityAt, rankScore } from '../../../publishing/layout.js';
import { type FeatureKeys, featureSet } from '../../../topics/feature-set.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

describe('rank scores', () => {
  test('return the score, decayed to any moment, within 1e-9', () => {
    for (const halfLifeMs of [HOUR_MS, 14 * DAY_MS, 24_000 * HOUR_MS]) {
      for (const score of [1e-12, 0.5, 1, 3, 123_456.789, 1e12]) {
        const asOf = Date.UTC(2026, 1, 28, 13, 45);
        for (const later of [0, 1, HOUR_MS, 10 * HOUR_MS]) {
          const expected = score * 2 ** (-later / halfLifeMs);
          const actual = popularityAt(rankScore(score, asOf, halfLifeMs), asOf + later, halfLifeMs);
          assert.ok(Math.abs(actual - expected) <= 1e-9 * expected, `${actual} is not ${expected}`);
        }
      }
    }
  });

  test('order products by their value at one moment, whenever their rows were written', () => {
    const halfLifeMs = DAY_MS;
    const early = rankScore(8, 0, halfLifeMs);
    const late = rankScore(3, DAY_MS, halfLifeMs);
    // 8 a day ago is worth 4 now.
    assert.ok(early > late);
    assert.ok(popularityAt(early, DAY_MS, halfLifeMs) > popularityAt(late, DAY_MS, halfLifeMs));
  });

  test('are finite for a score that has underflowed', () => {
    assert.ok(Number.isFinite(rankScore(0, Date.now(), HOUR_MS)));
    assert.ok(rankScore(0, 0, HOUR_MS) <= rankScore(Number.MIN_VALUE, 0, HOUR_MS));
  });
});

describe('keys', () => {
  test('of two ids never collide, whatever characters they have', () => {
    const layout = new Layout('shop:');
    const ids = ['a', 'a:b', 'a%3Ab', 'ä', 'a b', '', '*'];
    assert.equal(new Set(ids.map((id) => layout.features(featureSet(1)).affinityUser(id))).size, ids.length);
    for (const id of ids) assert.equal(decodeId(encodeId(id)), id);
    for (const id of ids) assert.ok(!encodeId(id).includes(':'));
  });

  test('carry prefix and version', () => {
    const layout = new Layout('shop:');
    const set = featureSet(2);
    const keys = layout.features(set);
    for (const [name, key] of Object.entries(set.keys)) assert.equal(keys[name as keyof FeatureKeys], `shop:${key}`);
    assert.equal(keys.popularityCategory('a:b'), 'shop:popularity:v2:cat:a%3Ab');
    assert.equal(keys.affinityUser('u/1'), 'shop:affinity:v2:user:u%2F1');
    assert.equal(keys.interactionsUser('u/1'), 'shop:interactions:v2:user:u%2F1');
    assert.equal(layout.currentVersion('popularity'), 'shop:meta:popularity:current');
    assert.equal(layout.versionSequence('popularity'), 'shop:meta:popularity:seq');
  });
});
