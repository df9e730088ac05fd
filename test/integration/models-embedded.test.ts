/** Recommendations, similar products and search, from events to answers, everything embedded. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Event } from '../../schemas/records.js';
import { freshet, freshetUp, type RunningFreshet } from '../bench/freshet.js';

const WAIT_MS_MAX = 60_000;
const USERS = 40;
const PRODUCTS = 24;
/** Two kinds whose buyers do not overlap. */
const KINDS = [
  { name: 'lamp', text: 'A reading lamp with a warm light for the bedroom' },
  { name: 'bike', text: 'A touring bike with gears and strong wheels for the road' },
];

interface Answer {
  readonly request_id: string;
  readonly version: number;
  readonly items: { readonly product_id: string; readonly score: number }[];
  readonly fallback?: string;
  readonly unknown_words?: readonly string[];
}

const kindOf = (i: number) => KINDS[i % 2]!.name;
const productId = (i: number) => `${kindOf(i)}-${String(i).padStart(2, '0')}`;

/** User i views ten products of kind i, in a circle, and buys the first of them. */
function historyOf(user: number): Event[] {
  const seen = Array.from({ length: 10 }, (_, step) => productId((user + 2 * step) % PRODUCTS));
  const at = Date.now() - 60_000;
  const event = (event_type: Event['event_type'], product_id: string, i: number) => ({
    event_id: `${user}-${event_type}-${i}`,
    user_id: `u${user}`,
    product_id,
    category: null,
    event_type,
    ts: at + i,
  });
  return [...seen.map((id, i) => event('view', id, i)), event('purchase', seen[0]!, 20)];
}

describe('models, embedded', () => {
  const base = mkdtempSync(join(tmpdir(), 'freshet-models-'));
  const settings = {
    FRESHET_DATA_DIR: join(base, 'data'),
    PORT: '0',
    INTERACTIONS_INTERVAL_S: '1',
    ALS_FACTORS: '8',
    ALS_INTERACTIONS_MIN: '2',
    ALS_REGULARIZATION: '1',
  };
  let running: RunningFreshet;

  const ask = (path: string) => fetch(`${running.address}${path}`);
  const answer = async (path: string): Promise<Answer> => {
    const response = await ask(path);
    assert.equal(response.status, 200, `${path}: ${await response.clone().text()}`);
    return (await response.json()) as Answer;
  };
  const until = async (holds: () => Promise<boolean>, what: string) => {
    const deadline = Date.now() + WAIT_MS_MAX;
    while (!(await holds())) {
      assert.ok(Date.now() < deadline, `not in time: ${what}`);
      await pause(50);
    }
  };
  const put = async (i: number) => {
    const { name, text } = KINDS[i % 2]!;
    const body = { title: `${name} ${i}`, description: text, category: name };
    const headers = { 'content-type': 'application/json' };
    const sent = { method: 'PUT', headers, body: JSON.stringify(body) };
    assert.equal((await fetch(`${running.address}/v1/products/${productId(i)}`, sent)).status, 202);
  };
  const isLoaded = (als: number, faiss: number) => async () => {
    const response = await ask(`/v1/products/${productId(0)}/similar`);
    return response.headers.get('x-versions') === `faiss=${faiss}, als=${als}`;
  };

  before(async () => {
    running = await freshetUp(settings);
    await until(async () => (await ask('/health/ready')).status === 200, 'ready');
    await Promise.all(Array.from({ length: PRODUCTS }, (_, i) => put(i)));
    const events = Array.from({ length: USERS }, (_, user) => historyOf(user)).flat();
    const body = events.map((event) => JSON.stringify(event)).join('\n');
    const headers = { 'content-type': 'application/x-ndjson' };
    assert.equal((await fetch(`${running.address}/v1/events`, { method: 'POST', headers, body })).status, 202);
    await until(async () => (await answer('/v1/popular?limit=100')).items.length === PRODUCTS, 'popularity');
  });

  after(async () => {
    await running?.stop();
    await freshet(['reset', '--yes'], settings);
    rmSync(base, { recursive: true, force: true });
  });

  it('before the first versions, recommendations are popular products, and the other endpoints say what is missing', async () => {
    const popular = await answer('/v1/users/u1/recommendations?limit=3');
    assert.equal(popular.fallback, 'popularity');
    assert.equal(popular.items.length, 3);
    for (const path of [`/v1/products/${productId(0)}/similar`, '/v1/search?q=lamp']) {
      const response = await ask(path);
      assert.equal(response.status, 503);
      assert.match(((await response.json()) as { detail: string }).detail, /"freshet snapshot faiss" makes the first/);
    }
  });

  it('a snapshot of each is published, and read within moments', async () => {
    await until(async () => (await embedded()) === PRODUCTS, 'embedded');
    await until(async () => (await interactions()) === USERS, 'interactions');
    assert.match(await freshet(['snapshot', 'faiss'], settings), /Version 1 of faiss is published: 24 products in/);
    assert.match(await freshet(['snapshot', 'als', '--dry-run'], settings), /A dry run: nothing was published\.\n$/);
    assert.match(await freshet(['snapshot', 'als'], settings), /Version 1 of als is published from [\d,]+ pairs in/);
    await until(isLoaded(1, 1), 'loaded');
  });

  const records = async (topic: string) => {
    const { records } = (await (await ask(`/v1/topics/${topic}/records?from=beginning&limit=1000`)).json()) as {
      records: { key: string; value: { items?: unknown[] } | null }[];
    };
    return records;
  };
  const embedded = async () => new Set((await records('embeddings')).map(({ key }) => key)).size;
  /** Users whose whole history is in their newest record. */
  const interactions = async () => {
    const newest = new Map((await records('interactions.v1')).map(({ key, value }) => [key, value?.items?.length]));
    return [...newest.values()].filter((items) => items === 10).length;
  };

  it('I34: recommends what similar users view, without what the user has bought', async () => {
    for (const user of [0, 1, 7]) {
      const bought = historyOf(user)[0]!.product_id;
      const path = `/v1/users/u${user}/recommendations`;
      const { items, fallback, version } = await answer(`${path}?limit=8`);
      assert.deepEqual([fallback, version, items.length], [undefined, 1, 8]);
      for (const { product_id } of items) assert.ok(product_id.startsWith(kindOf(user)), `${user}: ${product_id}`);
      assert.ok(!items.some(({ product_id }) => product_id === bought));
      const all = await answer(`${path}?limit=1000&include_seen=true`);
      assert.ok(all.items.some(({ product_id }) => product_id === bought));
      assert.equal((await answer(`${path}?limit=1000`)).items.length, all.items.length - 1);
    }
  });

  it('I34: gives an unknown user popular products', async () => {
    const { fallback, items } = await answer('/v1/users/nobody/recommendations?limit=4');
    assert.equal(fallback, 'popularity');
    const popular = await answer('/v1/popular?limit=4');
    assert.deepEqual(
      items.map(({ product_id }) => product_id),
      popular.items.map(({ product_id }) => product_id),
    );
  });

  it('finds similar products, never the product itself, and answers 404 for unknown ones', async () => {
    const { items } = await answer(`/v1/products/${productId(3)}/similar?limit=11`);
    assert.equal(items.length, 11);
    for (const { product_id } of items) assert.ok(product_id.startsWith('bike') && product_id !== productId(3));
    assert.equal((await ask('/v1/products/none/similar')).status, 404);
  });

  it('finds what a query names', async () => {
    for (const { name } of KINDS) {
      const { items } = await answer(`/v1/search?q=a+${name}+for+reading+or+the+road&limit=12`);
      assert.ok(items[0]!.product_id.startsWith(name), `${name}: ${items[0]!.product_id}`);
    }
    const { items } = await answer('/v1/search?q=bedroom&limit=12');
    for (const { product_id } of items) assert.ok(product_id.startsWith('lamp'), product_id);
  });

  it('finds exact titles first and words with a typing error, and says which words it does not know', async () => {
    for (const i of [4, 7, 20]) {
      const { items } = await answer(`/v1/search?q=${kindOf(i)}+${i}&limit=3`);
      assert.deepEqual(items[0], { product_id: productId(i), score: 1 });
    }
    const { items, unknown_words } = await answer('/v1/search?q=bedrom+xylophone&limit=24');
    assert.equal(items.length, PRODUCTS / 2);
    for (const { product_id } of items) assert.ok(product_id.startsWith('lamp'), product_id);
    assert.deepEqual(unknown_words, ['xylophone']);
  });

  it('I35: skips a product from its deletion on, in existing versions, until it is added again', async () => {
    const gone = productId(2);
    const paths = [
      '/v1/users/u0/recommendations?limit=1000&include_seen=true',
      `/v1/products/${productId(0)}/similar?limit=1000`,
      '/v1/search?q=lamp&limit=1000',
    ];
    const lists = () =>
      Promise.all(
        paths.map(async (path) => {
          const { version, fallback, items } = await answer(path);
          assert.deepEqual([version, fallback], [1, undefined], path);
          return items.map(({ product_id }) => product_id);
        }),
      );
    const own = async () => (await ask(`/v1/products/${gone}/similar`)).status;
    const before = await lists();
    for (const [i, list] of before.entries()) assert.ok(list.includes(gone), paths[i]);
    assert.equal((await fetch(`${running.address}/v1/products/${gone}`, { method: 'DELETE' })).status, 202);
    await until(async () => (await own()) === 404, 'deleted');
    const without = before.map((list) => list.filter((id) => id !== gone).sort());
    assert.deepEqual(
      (await lists()).map((list) => list.sort()),
      without,
    );
    await put(2);
    await until(async () => (await own()) === 200, 'added again');
    for (const [i, list] of (await lists()).entries()) assert.ok(list.includes(gone), paths[i]);
  });

  /** Repeats all requests until stopped; every answer is checked. */
  function load(check: (path: string, response: Response, body: Answer) => void) {
    const paths = ['/v1/users/u1/recommendations', `/v1/products/${productId(0)}/similar`, '/v1/search?q=lamp'];
    let asked = 0;
    let isOver = false;
    const loops = Array.from({ length: 6 }, async (_, i) => {
      for (let turn = i; !isOver; turn++) {
        const path = paths[turn % paths.length]!;
        const response = await ask(path);
        check(path, response, (await response.json()) as Answer);
        asked++;
      }
    });
    const all = Promise.all(loops);
    all.catch(() => undefined);
    return {
      asked: () => asked,
      stop: async () => {
        isOver = true;
        await all;
      },
    };
  }

  it('I33: switches to new versions and back under load without failing a request', async () => {
    const versions = new Set<string>();
    const busy = load((path, response, body) => {
      assert.equal(response.status, 200, `${path}: ${JSON.stringify(body)}`);
      assert.equal(body.fallback, undefined, path);
      assert.ok(body.items.length > 0, path);
      versions.add(`${path.split('/').at(-1)!.split('?')[0]} ${body.version}`);
    });
    await freshet(['snapshot', 'als'], settings);
    await freshet(['snapshot', 'faiss'], settings);
    await until(isLoaded(2, 2), 'the second versions');
    await freshet(['versions', 'rollback', 'als'], settings);
    await freshet(['versions', 'rollback', 'faiss'], settings);
    await until(isLoaded(1, 1), 'the first versions');
    const sofar = busy.asked();
    await until(async () => busy.asked() > sofar + 30, 'some more answers');
    await busy.stop();
    for (const kind of ['recommendations', 'similar', 'search'])
      for (const version of [1, 2]) assert.ok(versions.has(`${kind} ${version}`), `${kind} ${version}`);
    await until(async () => indexProcesses(running.pid).length === 3, 'the others closed');
  });

  it('survives the kill of its index processes under load, and recovers soon', async () => {
    const statuses = new Set<number>();
    const busy = load((path, response, body) => {
      statuses.add(response.status);
      if (response.status === 503) assert.equal(response.headers.get('retry-after'), '1', JSON.stringify(body));
      else assert.equal(response.status, 200, `${path}: ${JSON.stringify(body)}`);
      if (path.includes('recommendations')) assert.equal(response.status, 200, 'popular products are used instead');
    });
    const killed = indexProcesses(running.pid);
    assert.equal(killed.length, 3);
    for (const pid of killed) process.kill(pid, 'SIGKILL');
    const isWhole = async () => {
      const pids = indexProcesses(running.pid);
      if (pids.length !== 3 || pids.some((pid) => killed.includes(pid))) return false;
      const response = await ask('/v1/search?q=lamp');
      const recommended = (await (await ask('/v1/users/u1/recommendations')).json()) as Answer;
      return response.status === 200 && recommended.fallback === undefined && (await isLoaded(1, 1)());
    };
    await until(isWhole, 'recovered');
    await busy.stop();
    assert.ok(statuses.has(200));
  });

  it('counts reads, by artefact and version', async () => {
    const metrics = await (await ask('/metrics')).text();
    for (const artefact of ['als', 'faiss'])
      for (const version of [1, 2])
        assert.match(metrics, new RegExp(`feature_reads_total\\{artefact="${artefact}",version="${version}"\\} [1-9]`));
  });
});

/** Processes of FAISS that a process has started. */
function indexProcesses(parent: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const status = readFileSync(`/proc/${name}/stat`, 'utf8');
        const fields = status.slice(status.lastIndexOf(')') + 2).split(' ');
        const isIndex = readFileSync(`/proc/${name}/cmdline`, 'utf8').includes('runtime/models/faiss/child');
        return isIndex && fields[0] !== 'Z' && Number(fields[1]) === parent ? [Number(name)] : [];
      } catch {
        return [];
      }
    });
}
