/** Values that the page computes from the answers of the API, tested without a browser. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { WEB_FOLDER } from '../../serving/routes/page.js';

interface Item {
  readonly product_id: string;
  readonly score: number;
}
interface Moved {
  readonly place: number;
  readonly score: number;
  readonly move: number | null;
  readonly gain: number | null;
}
interface Memory {
  readonly spanSeconds: number;
  add(atMs: number, items: readonly Item[]): void;
  moves(): Map<string, Moved>;
  course(id: string): [number, number][];
}
interface Overview {
  readonly events: { readonly rate_per_second: number };
  readonly lag: { readonly activity: number; readonly popularity: number };
  readonly freshness_ms: { readonly redis: number | null; readonly postgres: number | null };
}
type Readiness = { readonly status: string; readonly waiting?: readonly string[] } | null;

/** The page's scripts are not part of the compiled source: they are loaded as the browser loads them. */
const load = async <T>(name: string) => (await import(pathToFileURL(join(WEB_FOLDER, name)).href)) as T;

const format = await load<{
  count(value: number): string;
  score(value: number): string;
  change(value: number): string;
  shortTime(ms: number): string;
  longTime(seconds: number): string;
  splitId(id: string, category: string): [string, string, string];
  percentages(shares: readonly number[]): number[];
  timeOfDay(iso: string): string;
}>('format.js');
const { RankingMemory, sparkline } = await load<{
  RankingMemory: new () => Memory;
  sparkline(course: readonly [number, number][], nowMs: number, width: number, height: number): string;
}>('movement.js');
const { healthOf } = await load<{
  healthOf(overview: Overview | null, readiness: Readiness): { state: string; text: string };
}>('health.js');

test('numbers and times are formatted for people', () => {
  assert.equal(format.count(1234567), '1,234,567');
  assert.equal(format.score(12.34), '12.3');
  assert.equal(format.score(12345.6), '12,346');
  assert.equal(format.change(3.04), '+3.0');
  assert.equal(format.change(-12), '−12.0');
  assert.equal(format.change(0.01), '–');
  for (const unknown of [format.count, format.score, format.change, format.shortTime, format.longTime])
    assert.equal(unknown(Number.NaN), '–');
  assert.equal(format.shortTime(182.4), '182\u00a0ms');
  assert.equal(format.shortTime(1440), '1.4\u00a0s');
  assert.equal(format.shortTime(180_000), '3\u00a0min');
  assert.equal(format.longTime(0.4), '0 s');
  assert.equal(format.longTime(59), '59 s');
  assert.equal(format.longTime(3_723), '1 h 2 min');
  assert.equal(format.longTime(86_400 * 3 + 7_200), '3 d 2 h');
  assert.equal(format.timeOfDay('2026-05-20T15:30:12.345Z'), '15:30:12 UTC');
  assert.equal(format.timeOfDay('never'), '');
});

test('ids are split into pieces, and no part is lost', () => {
  assert.deepEqual(format.splitId('garden-cedar-planter-12', 'garden'), ['garden-', 'cedar-planter', '-12']);
  assert.deepEqual(format.splitId('SKU 4711', 'garden'), ['', 'SKU 4711', '']);
  assert.deepEqual(format.splitId('garden-7', 'garden'), ['', 'garden-7', '']);
  assert.deepEqual(format.splitId('kitchen-kettle-3', 'garden'), ['', 'kitchen-kettle-3', '']);
  for (const id of ['a-1', '-1', 'x\ny-2', 'garden-', 'é-ü-9']) assert.equal(format.splitId(id, 'garden').join(''), id);
});

test('percentages add up to exactly 100.0', () => {
  assert.deepEqual(format.percentages([1 / 3, 1 / 3, 1 / 3]), [33.4, 33.3, 33.3]);
  assert.deepEqual(format.percentages([1]), [100]);
  assert.deepEqual(format.percentages([0, 0]), [0, 0]);
  assert.deepEqual(format.percentages([]), []);
  for (let n = 1; n < 40; n++) {
    const shares = Array.from({ length: n }, (_, i) => 1 / (i + 1.7));
    const sum = format.percentages(shares).reduce((total, percent) => total + percent, 0);
    assert.ok(Math.abs(sum - 100) < 1e-9, `${n}: ${sum}`);
  }
});

test('movement is relative to a minute ago, or to when the page was opened', () => {
  const memory = new RankingMemory();
  assert.equal(memory.moves().size, 0);
  assert.equal(memory.spanSeconds, 0);
  const list = (...ids: string[]) => ids.map((product_id, index) => ({ product_id, score: 100 - 10 * index }));
  memory.add(0, list('a', 'b', 'c'));
  assert.deepEqual(memory.moves().get('a'), { place: 1, score: 100, move: 0, gain: 0 });
  memory.add(10_000, list('b', 'a', 'c', 'd'));
  assert.equal(memory.spanSeconds, 10);
  assert.deepEqual(memory.moves().get('b'), { place: 1, score: 100, move: 1, gain: 10 });
  assert.deepEqual(memory.moves().get('a'), { place: 2, score: 90, move: -1, gain: -10 });
  assert.deepEqual(memory.moves().get('d'), { place: 4, score: 70, move: null, gain: null });
  for (let second = 11; second <= 80; second++) memory.add(second * 1_000, list('b', 'a', 'd', 'c'));
  assert.equal(memory.spanSeconds, 60);
  assert.equal(memory.moves().get('b')!.move, 0, 'older changes do not count');
});

test('rankings are dropped after two minutes', () => {
  const memory = new RankingMemory();
  for (let second = 0; second < 1_000; second++) memory.add(second * 1_000, [{ product_id: 'a', score: second }]);
  const course = memory.course('a');
  assert.ok(course.length >= 120 && course.length <= 127, String(course.length));
  assert.deepEqual(course.at(-1), [999_000, 999]);
  assert.deepEqual(memory.course('unknown'), []);
});

test('a sparkline stays within its box and does not magnify noise', () => {
  assert.equal(sparkline([[0, 5]], 0, 96, 24), '');
  const points = (course: readonly [number, number][]) =>
    sparkline(course, course.at(-1)![0], 96, 24)
      .split(' ')
      .map((point) => point.split(',').map(Number) as [number, number]);
  const rising = points(Array.from({ length: 60 }, (_, i) => [i * 1_000, 100 + i * i]));
  for (const [x, y] of rising) assert.ok(x >= 0 && x <= 96 && y >= 0 && y <= 24);
  assert.equal(rising[0]![0], 0);
  assert.equal(rising.at(-1)![0], 96);
  assert.ok(rising[0]![1] > 20 && rising.at(-1)![1] < 4, 'up is up');
  const noise = points(Array.from({ length: 60 }, (_, i) => [i * 1_000, 1_000 + (i % 2)]));
  const heights = noise.map(([, y]) => y);
  assert.ok(Math.max(...heights) - Math.min(...heights) < 1);
});

test('the state is one word and one sentence', () => {
  const fine: Overview = {
    events: { rate_per_second: 20 },
    lag: { activity: 3, popularity: 1 },
    freshness_ms: { redis: 150, postgres: null },
  };
  const ready = { status: 'ready' };
  assert.deepEqual(healthOf(fine, ready), { state: 'live', text: 'Live' });
  assert.deepEqual(healthOf(fine, null), { state: 'live', text: 'Live' }, 'a lost probe changes nothing');
  assert.equal(healthOf(null, null).state, 'unreachable');
  assert.deepEqual(healthOf(fine, { status: 'waiting', waiting: ['the history'] }), {
    state: 'starting',
    text: 'Starting: the history',
  });
  assert.equal(healthOf(fine, { status: 'waiting', waiting: [] }).text, 'Starting');
  assert.equal(healthOf({ ...fine, lag: { activity: 9_000, popularity: 0 } }, ready).state, 'behind');
  assert.equal(
    healthOf({ ...fine, freshness_ms: { redis: 150, postgres: 42_000 } }, ready).text,
    'Behind by 42.0\u00a0s',
  );
  const busy = { ...fine, events: { rate_per_second: 40_000 }, lag: { activity: 20_000, popularity: 0 } };
  assert.equal(healthOf(busy, ready).state, 'live', 'half a second of work does not count as behind');
});
