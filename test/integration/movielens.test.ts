/**
 * Real ratings through the real system: the 100,000 ratings of MovieLens 100 K as events over real Kafka into real
 * Redis and Postgres, using a user's commands, and recounted in Python from the same files.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { messageOf } from '../../runtime/process/errors.js';
import type { Event, Product } from '../../schemas/records.js';
import { freshet, freshetUp, type RunningFreshet } from '../bench/freshet.js';
import {
  type BrokerPlace,
  type DatabasePlace,
  openBroker,
  openDatabase,
  openRedisStore,
  type RedisPlace,
} from '../bench/places.js';
import { httpAnswers, popularAnswers, postgresAnswers, redisAnswers } from '../support/movielens/answers.js';
import { fetchMovieLens, type MovieLensFiles } from '../support/movielens/fetch.js';
import {
  eventsOf,
  jsonLines,
  parseFilms,
  parseRatings,
  productsOf,
  REPEAT_EVERY,
} from '../support/movielens/ratings.js';
import { type Answer, type Judgement, recount } from '../support/movielens/recount.js';
import { untilVisible } from '../support/movielens/visible.js';
import { isRequired } from '../support/services/service.js';

const RATINGS = 100_000;
const USERS = 943;
const VISIBLE_MS_MAX = 180_000;

interface Stage {
  readonly broker: BrokerPlace;
  readonly redis: RedisPlace;
  readonly postgres: DatabasePlace;
}

/** Everything needed, or a sentence that says what is missing. */
async function prepare(): Promise<{ files: MovieLensFiles; stage: Stage } | string> {
  const opened: { close(): Promise<void> }[] = [];
  const keep = <T extends { close(): Promise<void> }>(place: T): T => {
    opened.push(place);
    return place;
  };
  try {
    const files = await fetchMovieLens();
    const stage = {
      broker: keep(await openBroker()),
      redis: keep(await openRedisStore()),
      postgres: keep(await openDatabase()),
    };
    return { files, stage };
  } catch (error) {
    for (const place of opened.reverse()) await place.close();
    if (isRequired('kafka')) throw error;
    return messageOf(error);
  }
}

const prepared = await prepare();

describe('I1: MovieLens 100 K over real Kafka', { skip: typeof prepared === 'string' && prepared }, () => {
  const { files, stage } = prepared as Exclude<typeof prepared, string>;
  let folder: string;
  let running: RunningFreshet;
  let events: Event[];
  let products: Product[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'freshet-movielens-'));
    const settings = {
      KAFKA_BROKERS: stage.broker.brokers,
      REDIS_URL: stage.redis.url,
      DATABASE_URL: stage.postgres.url,
      FRESHET_DATA_DIR: join(folder, 'data'),
      PARTITIONS: '4',
    };
    const films = parseFilms(files.films);
    events = eventsOf(parseRatings(files.ratings), films, Date.now());
    products = productsOf(films, Date.now());
    await writeFile(join(folder, 'events.jsonl'), jsonLines(events));
    await writeFile(join(folder, 'products.jsonl'), jsonLines(products));

    await freshet(['topics', 'apply'], settings);
    // Before the events: a product added later would show in a user's affinity only with their next event.
    await freshet(['produce', 'products', join(folder, 'products.jsonl')], settings);
    running = await freshetUp(settings);
    await freshet(['produce', 'events', join(folder, 'events.jsonl')], settings);
    await untilVisible(
      { log: stage.broker.log, online: stage.redis.store, database: stage.postgres.database },
      VISIBLE_MS_MAX,
    );
  });

  after(async () => {
    await running?.stop();
    await stage.postgres.close();
    await stage.redis.close();
    await stage.broker.close();
    await rm(folder, { recursive: true, force: true });
  });

  function agreed(judgement: Judgement, least: Readonly<Record<string, number>>): void {
    assert.deepEqual(judgement.examples, []);
    assert.equal(judgement.wrong, 0);
    for (const [group, count] of Object.entries(least))
      assert.ok((judgement.checked[group] ?? 0) >= count, `${group}: only ${judgement.checked[group]} checked`);
  }

  const ids = (pick: (event: Event) => string) => [...new Set(events.map(pick))];

  it('has all ratings and the repeats', () => {
    assert.equal(events.length, RATINGS + RATINGS / REPEAT_EVERY);
    assert.equal(ids(({ user_id }) => user_id).length, USERS);
  });

  it('returns over HTTP the results of the recount', async () => {
    const answers = await httpAnswers(
      running.address,
      ids(({ product_id }) => product_id),
      ids(({ user_id }) => user_id),
    );
    agreed(await recount(events, products, answers), { 'http popularity': 1500, 'http affinity': USERS - 50 });
  });

  it('lists the popular films in order', async () => {
    const list = await popularAnswers(running.address, 1000);
    const scores = list.map((answer) => (answer as Extract<Answer, { kind: 'popularity' }>).score);
    assert.deepEqual(
      scores,
      [...scores].sort((a, b) => b - a),
    );
    const rest = await httpAnswers(
      running.address,
      ids(({ product_id }) => product_id).filter((id) => !list.some((answer) => answer.id === id)),
      [],
    );
    const whole = [...list, ...rest.map((answer) => ({ ...answer, source: 'list' }))];
    agreed(await recount(events, products, whole), { 'list popularity': 1500 });
    const last = Math.min(...scores);
    const above = rest.filter((answer) => answer.kind === 'popularity' && answer.score > last * (1 + 1e-6));
    assert.deepEqual(above, [], 'a product that was left out scores more than the last of the list');
  });

  it('has the results of the recount in Redis', async () => {
    agreed(await recount(events, products, await redisAnswers(stage.redis.store)), {
      'redis popularity': 1500,
      'redis affinity': USERS - 50,
    });
  });

  it('has the results of the recount in Postgres', async () => {
    agreed(await recount(events, products, await postgresAnswers(stage.postgres.database)), {
      'postgres popularity': 1500,
      'postgres affinity': USERS - 50,
    });
  });
});
