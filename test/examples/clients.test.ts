/** The examples as readers run them: against real Kafka, Redis and Postgres, with Freshet running alongside. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { lastCategories } from '../../examples/own-feature/last-category.js';
import { createProducer, createReader } from '../../exports/index.js';
import { projectRoot } from '../../schemas/project-root.js';
import { freshetUp, type RunningFreshet } from '../bench/freshet.js';
import { begin, run } from '../support/example.js';
import { PYTHON_SETTINGS, pythonPackages } from '../support/python.js';
import { isRequired } from '../support/services/service.js';
import { openStage, type Stage } from '../support/services/stage.js';

const WAIT_MS_MAX = 120_000;
const USERS = 60;
const PYTHON = join(projectRoot, 'examples', 'python');
const compiled = (path: string) => fileURLToPath(new URL(`../../examples/${path}`, import.meta.url));

const found = await openStage();
const python = typeof found === 'string' ? { missing: found } : await pythonPackages(join(PYTHON, 'requirements.txt'));
const noPython = 'missing' in python && python.missing;
if (noPython && isRequired('kafka')) throw new Error(noPython);

describe('I21: examples', { skip: typeof found === 'string' && found }, () => {
  const stage = found as Stage;
  let folder: string;
  let freshet: RunningFreshet;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-examples-'));
    freshet = await freshetUp({ ...stage.settings, FRESHET_DATA_DIR: join(folder, 'data'), PARTITIONS: '3' });
  });

  after(async () => {
    await freshet?.stop();
    await stage.close();
    await rm(folder, { recursive: true, force: true });
  });

  const example = (path: string, ...args: string[]) =>
    run(process.execPath, [compiled(path), ...args], { settings: stage.settings, folder });

  async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (!(await holds())) {
      assert.ok(Date.now() < deadline, `not ${what} within ${WAIT_MS_MAX / 1000} s`);
      await pause(50);
    }
  }

  const popularity = async (product: string) => {
    const answer = await fetch(`${freshet.address}/v1/products/${product}/popularity`);
    return answer.status === 200 ? ((await answer.json()) as { views: number; purchases: number }) : null;
  };

  const deadLetters = async () => {
    let count = 0;
    const topic = 'dead-letters';
    for (let partition = 0; partition < 3; partition++)
      count += (await stage.broker.log.offsets({ topic, partition })).lastStable;
    return count;
  };

  it('typescript: produced events are counted, and read back from Redis and Kafka', async () => {
    assert.equal(await example('typescript/produce.js'), '3 events are in the log\n');
    await until('visible', async () => (await popularity('lamp-1'))?.purchases === 1);
    await until('in Redis', async () => (await stage.redis.store.zcard('popularity:v1:all')) === 1);
    const said = await example('typescript/read.js', '1');
    assert.match(said, /^popularity\.v1: \[\s*\{\s*product_id: 'lamp-1',\s*score: (5\.9\d+|6)\b/);
    assert.match(said, /^affinity of u-42: \{ home: 1 \}$/m);
    assert.match(said, /^v1 lamp-1: [\d.]+$/m);

    const reader = createReader({ settings: stage.settings });
    const lamp = (await reader.getPopularity('lamp-1'))!;
    const answer = (await (await fetch(`${freshet.address}/v1/products/lamp-1/popularity`)).json()) as {
      score: number;
    };
    assert.ok(Math.abs(lamp.score / answer.score - 1) < 1e-3, `${lamp.score} is not ${answer.score}`);
    assert.deepEqual([lamp.product_id, lamp.category, lamp.version], ['lamp-1', 'home', 1]);
    assert.equal(await reader.getPopularity('unknown'), null);
    assert.equal(await reader.getAffinity('unknown'), null);
    assert.deepEqual((await reader.getPopular({ category: 'unknown' })).items, []);
    assert.equal(await reader.getInteractions('unknown'), null);
    await until('interactions are in Redis', async () => (await reader.getInteractions('u-42')) !== null);
    const [first] = (await reader.getInteractions('u-42'))!.items;
    assert.equal(first!.product_id, 'lamp-1');
    const headers = { 'content-type': 'application/json' };
    const asked = JSON.stringify({ users: ['u-42', 'unknown'], products: ['lamp-1'] });
    const batch = (await (
      await fetch(`${freshet.address}/v1/features`, { method: 'POST', headers, body: asked })
    ).json()) as {
      users: { affinity: { scores: object } | null; interactions: { items: { product_id: string }[] } | null }[];
      products: { popularity: { score: number } | null }[];
    };
    assert.deepEqual(batch.users[0]!.affinity?.scores, { home: 1 });
    assert.equal(batch.users[0]!.interactions?.items[0]?.product_id, 'lamp-1');
    assert.deepEqual(batch.users[1], { user_id: 'unknown', affinity: null, interactions: null });
    assert.ok(Math.abs(batch.products[0]!.popularity!.score / answer.score - 1) < 1e-3);
    const models = createReader({ settings: stage.settings, serving: { address: freshet.address } });
    const { items, fallback } = await models.getRecommendations('newcomer', 5);
    assert.deepEqual([items[0]?.product_id, fallback], ['lamp-1', 'popularity'], 'no model is published yet');
    await assert.rejects(models.search('lamp'), { code: 'unavailable' });
    await models.close();
    await reader.close();
  });

  it('python: a producer that writes users to the partitions where Freshet expects them', {
    skip: noPython,
  }, async () => {
    const events = Array.from({ length: USERS }, (_, i) =>
      JSON.stringify({
        event_id: `py-${i}`,
        user_id: `müller-${i}`,
        product_id: 'kite-1',
        event_type: 'view',
        ts: Date.now(),
      }),
    );
    const settings = { ...stage.settings, ...PYTHON_SETTINGS, PYTHONPATH: (python as { path: string }).path };
    const said = await run('python3', [join(PYTHON, 'produce.py')], { settings, input: events.join('\n') });
    assert.equal(said, `${USERS} events are in the log\n`);
    await until('counted', async () => (await popularity('kite-1'))?.views === USERS);
    assert.equal(await deadLetters(), 0);
  });

  it('python: a consumer that reads popularity.v1', { skip: noPython }, async () => {
    const settings = { ...stage.settings, ...PYTHON_SETTINGS, PYTHONPATH: (python as { path: string }).path };
    const reading = begin('python3', [join(PYTHON, 'consume.py')], { settings });
    try {
      await reading.until(/^lamp-1 \d+\.\d+ \d{4}-\d\d-\d\dT[\d:.]+\+00:00$/m);
      const reader = createReader({ settings: stage.settings });
      const { score } = (await reader.table('popularity')).get('lamp-1')!;
      await reader.close();
      const last = [...reading.output().matchAll(/^lamp-1 (\S+)/gm)].at(-1)![1];
      assert.equal(Number(last), score, 'the same double on both sides');
    } finally {
      reading.child.kill('SIGKILL');
      await reading.ended;
    }
  });

  it('own-feature: a process with all tasks is killed, and the other one ends with the correct result', async () => {
    const start = () =>
      begin(process.execPath, [compiled('own-feature/main.js')], { settings: stage.settings, folder });
    const members = [start()];
    const producer = await createProducer({ settings: stage.settings });
    const reader = createReader({ settings: stage.settings });
    try {
      await members[0]!.until(/^running$/m);
      const truth = new Map<string, string>();
      const send = (round: number) =>
        producer.sendAll(
          'events',
          Array.from({ length: USERS }, (_, i) => {
            truth.set(`own-${i}`, `c${(i + round) % 7}`);
            const ids = { event_id: `own-${round}-${i}`, user_id: `own-${i}`, product_id: 'p' };
            return { ...ids, category: `c${(i + round) % 7}`, event_type: 'view' as const, ts: Date.now() };
          }),
        );
      assert.equal(await send(1), USERS);
      const seen = new Map<string, string>();
      const isTrue = () => [...truth].every(([user, category]) => seen.get(user) === category);
      const giveUp = AbortSignal.timeout(WAIT_MS_MAX);
      let round = 1;
      for await (const { key, value } of reader.records(lastCategories, { signal: giveUp })) {
        if (key.startsWith('own-')) seen.set(key, value?.category ?? 'gone');
        if (!isTrue()) continue;
        if (round === 3) break;
        round++;
        if (round === 2) {
          members.push(start());
          await members[1]!.until(/^running$/m);
          members[0]!.child.kill('SIGKILL');
        }
        await send(round);
      }
      assert.deepEqual([...seen].sort(), [...truth].sort());
      members[1]!.child.kill('SIGTERM');
      assert.deepEqual(await members[1]!.ended.then(({ code, errors }) => [code, errors]), [0, '']);
    } finally {
      await producer.close();
      await reader.close();
      for (const member of members) member.child.kill('SIGKILL');
      await Promise.all(members.map(({ ended }) => ended));
    }
  });
});
