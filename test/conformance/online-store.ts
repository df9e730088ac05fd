/**
 * The contract of every implementation of the online store port (runtime/stores/online-store.ts), written once and run
 * on Redis and on the local store. A server may be shared: all keys and sinks of a run have names of its own.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { type ErrorCode, FreshetError } from '../../runtime/process/errors.js';
import type { OnlineStore, SinkId, SinkPosition, StoreOperation } from '../../runtime/stores/online-store.js';
import { NaiveStore, rankedNaively } from './naive-store.js';
import { versionConformance } from './online-store-versions.js';

export interface OpenedStore {
  readonly store: OnlineStore;
  /** Closes the store, and its server if it has its own, and opens it again. */
  readonly reopen: () => Promise<OnlineStore>;
}

const INCARNATION = 'life-1';
const SEED = 20_240_229;
const withCode = (code: ErrorCode) => (error: unknown) => {
  assert.ok(error instanceof FreshetError, `expected a FreshetError, got ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return true;
};

/** One owner of one sink, which counts the offsets. */
class Owner {
  readonly store: OnlineStore;
  readonly id: SinkId;
  #epoch = 0;
  #offset = 0;

  constructor(store: OnlineStore, id: SinkId) {
    this.store = store;
    this.id = id;
  }

  get epoch(): number {
    return this.#epoch;
  }

  async open(): Promise<SinkPosition> {
    const position = await this.store.open(this.id);
    this.#epoch = position.epoch;
    this.#offset = position.nextOffset;
    return position;
  }

  /** Writes a batch of one offset. */
  async write(operations: readonly StoreOperation[]): Promise<string> {
    const expectedOffset = this.#offset;
    const batch = { id: this.id, epoch: this.#epoch, expectedOffset, nextOffset: expectedOffset + 1 };
    const result = await this.store.apply({ ...batch, incarnation: INCARNATION, at: 1_700_000_000_000 }, operations);
    if (result === 'applied') this.#offset++;
    return result;
  }

  async mustWrite(...operations: StoreOperation[]): Promise<void> {
    assert.equal(await this.write(operations), 'applied');
  }
}

/** Registers the suite under `name`. One store serves all tests; each test has its own keys and sink. */
export function onlineStoreConformance(name: string, open: () => Promise<OpenedStore>): void {
  describe(`online store port: ${name}`, () => {
    const run = `conformance-${randomBytes(4).toString('hex')}`;
    let opened: OpenedStore;
    let store: OnlineStore;
    let count = 0;

    before(async () => {
      opened = await open();
      store = opened.store;
    });
    after(async () => {
      await removeKeys();
      await store.close();
    });

    const sink = (): SinkId => ({ sink: `${run}.${++count}`, topic: 'popularity.v1', partition: 3 });
    /** A prefix for the keys of one test. */
    const place = () => `${run}:${++count}:`;
    const owner = async (id = sink()) => {
      const created = new Owner(store, id);
      await created.open();
      return created;
    };
    const removeKeys = async () => {
      const keys = await store.keys(`${run}:`);
      const cleaner = await owner();
      for (let i = 0; i < keys.length; i += 10_000)
        await cleaner.mustWrite(...keys.slice(i, i + 10_000).map((key) => ({ op: 'del', key }) as const));
    };

    describe('I5: fencing', () => {
      test('an unknown sink has no position; taking over increments the epoch', async () => {
        const id = sink();
        assert.equal(await store.position(id), null);
        assert.deepEqual(await store.open(id), { epoch: 1, nextOffset: 0, updatedAt: 0, incarnation: '' });
        assert.deepEqual(await store.open(id), { epoch: 2, nextOffset: 0, updatedAt: 0, incarnation: '' });
        assert.deepEqual(await store.position(id), { epoch: 2, nextOffset: 0, updatedAt: 0, incarnation: '' });
      });

      test('a batch moves the position and stores time and incarnation; the next owner starts there', async () => {
        const id = sink();
        const { epoch } = await store.open(id);
        const batch = {
          id,
          epoch,
          expectedOffset: 0,
          nextOffset: 2 ** 40,
          incarnation: 'a:b é',
          at: 1_700_000_000_123,
        };
        assert.equal(await store.apply(batch, []), 'applied');
        const left = { nextOffset: 2 ** 40, updatedAt: 1_700_000_000_123, incarnation: 'a:b é' };
        assert.deepEqual(await store.position(id), { epoch: 1, ...left });
        assert.deepEqual(await store.open(id), { epoch: 2, ...left });
      });

      test('the former owner is fenced and changes nothing', async () => {
        const key = place();
        const former = await owner();
        await former.mustWrite({ op: 'set', key, value: 'former' });
        const successor = await owner(former.id);
        assert.equal(await former.write([{ op: 'set', key, value: 'late' }]), 'fenced');
        assert.equal(await store.get(key), 'former');
        await successor.mustWrite({ op: 'set', key, value: 'successor' });
        assert.equal(await former.write([{ op: 'del', key }]), 'fenced');
        assert.equal(await store.get(key), 'successor');
      });

      test('a batch at another offset changes nothing', async () => {
        const key = place();
        const { id, epoch, mustWrite } = await bound();
        await mustWrite({ op: 'set', key, value: 'one' });
        for (const expectedOffset of [0, 2]) {
          const batch = { id, epoch, expectedOffset, nextOffset: 3, incarnation: INCARNATION, at: 1 };
          assert.equal(await store.apply(batch, [{ op: 'set', key, value: 'two' }]), 'offset_mismatch');
        }
        assert.equal(await store.get(key), 'one');
        assert.equal((await store.position(id))?.nextOffset, 1);
      });

      test('a store without a position, or with an older epoch, is at another offset', async () => {
        const id = sink();
        const batch = { id, epoch: 5, expectedOffset: 0, nextOffset: 1, incarnation: INCARNATION, at: 1 };
        const key = place();
        assert.equal(await store.apply(batch, [{ op: 'set', key, value: 'x' }]), 'offset_mismatch');
        await store.open(id);
        assert.equal(await store.apply(batch, [{ op: 'set', key, value: 'x' }]), 'offset_mismatch');
        assert.equal(await store.get(key), null);
      });

      test('rewind resets the position under the same epoch and keeps the data', async () => {
        const key = place();
        const { id, epoch, mustWrite } = await bound();
        await mustWrite({ op: 'set', key, value: 'kept' });
        assert.equal(await store.rewind(id, epoch), true);
        assert.deepEqual(await store.position(id), { epoch, nextOffset: 0, updatedAt: 0, incarnation: '' });
        assert.equal(await store.get(key), 'kept');
        await store.open(id);
        assert.equal(await store.rewind(id, epoch), false, 'a former owner cannot rewind');
      });

      test('rewind creates a position if the store was emptied or is behind', async () => {
        const id = sink();
        assert.equal(await store.rewind(id, 7), true);
        assert.equal((await store.position(id))?.epoch, 7);
        assert.equal(await store.rewind(id, 9), true);
        assert.equal((await store.position(id))?.epoch, 9);
        const batch = { id, epoch: 9, expectedOffset: 0, nextOffset: 1, incarnation: INCARNATION, at: 1 };
        assert.equal(await store.apply(batch, []), 'applied');
      });

      test('sinks do not affect each other, whatever their names', async () => {
        const base = `${run}.${++count}`;
        const ids: SinkId[] = [
          { sink: base, topic: 'a:b', partition: 1 },
          { sink: `${base}:a`, topic: 'b', partition: 1 },
          { sink: base, topic: 'a', partition: 1 },
          { sink: base, topic: 'a:b', partition: 11 },
          { sink: base, topic: 'a:b:1', partition: 1 },
        ];
        for (const [i, id] of ids.entries()) {
          const { epoch } = await store.open(id);
          assert.equal(epoch, 1, JSON.stringify(id));
          const batch = { id, epoch, expectedOffset: 0, nextOffset: i + 1, incarnation: INCARNATION, at: 1 };
          assert.equal(await store.apply(batch, []), 'applied');
        }
        for (const [i, id] of ids.entries()) assert.equal((await store.position(id))?.nextOffset, i + 1);
      });

      test('of many batches at the same offset, exactly one is applied', async () => {
        const key = place();
        const id = sink();
        const { epoch } = await store.open(id);
        const batch = { id, epoch, expectedOffset: 0, nextOffset: 1, incarnation: INCARNATION, at: 1 };
        const field = (i: number): StoreOperation => ({ op: 'hset', key, field: String(i), value: 'x' });
        const results = await Promise.all(Array.from({ length: 20 }, (_, i) => store.apply(batch, [field(i)])));
        assert.equal(results.filter((result) => result === 'applied').length, 1);
        assert.equal(results.filter((result) => result === 'offset_mismatch').length, 19);
        assert.deepEqual([...(await store.hgetall(key)).keys()], [String(results.indexOf('applied'))]);
      });
    });

    const bound = async (id = sink()) => {
      const one = await owner(id);
      return {
        id,
        epoch: one.epoch,
        write: (operations: readonly StoreOperation[]) => one.write(operations),
        mustWrite: (...operations: StoreOperation[]) => one.mustWrite(...operations),
      };
    };

    describe('operations', () => {
      test('zadd adds and replaces, zrem removes, an empty set disappears', async () => {
        const key = place();
        const { mustWrite } = await bound();
        await mustWrite(
          { op: 'zadd', key, member: 'a', score: 1 },
          { op: 'zadd', key, member: 'b', score: 2 },
          { op: 'zadd', key, member: 'a', score: 3 },
        );
        assert.deepEqual(await store.ztop(key, 10), [
          { member: 'a', score: 3 },
          { member: 'b', score: 2 },
        ]);
        assert.equal(await store.zscore(key, 'a'), 3);
        assert.equal(await store.zscore(key, 'c'), null);
        assert.equal(await store.zcard(key), 2);
        await mustWrite({ op: 'zrem', key, member: 'a' }, { op: 'zrem', key, member: 'never' });
        assert.equal(await store.zcard(key), 1);
        await mustWrite({ op: 'zrem', key, member: 'b' });
        assert.equal(await store.zcard(key), 0);
        assert.deepEqual(await store.keys(key), []);
      });

      test('hset, hdel and hreplace; an empty hash disappears', async () => {
        const key = place();
        const { mustWrite } = await bound();
        await mustWrite({ op: 'hset', key, field: 'a', value: '1' }, { op: 'hset', key, field: 'b', value: '2' });
        await mustWrite({ op: 'hset', key, field: 'a', value: '3' });
        assert.deepEqual(
          await store.hgetall(key),
          new Map([
            ['a', '3'],
            ['b', '2'],
          ]),
        );
        assert.equal(await store.hget(key, 'a'), '3');
        assert.equal(await store.hget(key, 'c'), null);
        assert.deepEqual(await store.hmget(key, ['c', 'b', 'a', 'b']), [null, '2', '3', '2']);
        assert.deepEqual(await store.hmget(key, []), []);
        await mustWrite({
          op: 'hreplace',
          key,
          fields: [
            ['c', '4'],
            ['d', '5'],
            ['c', '6'],
          ],
        });
        assert.deepEqual(
          await store.hgetall(key),
          new Map([
            ['c', '6'],
            ['d', '5'],
          ]),
        );
        await mustWrite({ op: 'hdel', key, field: 'c' }, { op: 'hdel', key, field: 'never' });
        assert.deepEqual(await store.hgetall(key), new Map([['d', '5']]));
        await mustWrite({ op: 'hdel', key, field: 'd' });
        assert.deepEqual(await store.keys(key), []);
        await mustWrite({ op: 'hset', key, field: 'e', value: '' });
        await mustWrite({ op: 'hreplace', key, fields: [] });
        assert.deepEqual(await store.keys(key), []);
      });

      test('keyPages returns every name with the prefix, though each page is discarded before the next', async () => {
        const key = place();
        const { mustWrite } = await bound();
        const names = Array.from({ length: 5_000 }, (_, i) => `${key}user:[*]${i}`);
        const set = (name: string) => ({ op: 'set', key: name, value: '1' }) as const;
        await mustWrite(...names.map(set), set(`${key}other`));
        const met = new Set<string>();
        let pages = 0;
        for await (const page of store.keyPages(`${key}user:[*]`)) {
          assert.ok(page.length > 0 && page.length < names.length);
          for (const name of page) met.add(name);
          await store.discard(page);
          pages++;
        }
        assert.deepEqual([...met].sort(), names.sort());
        assert.ok(pages > 1);
        assert.deepEqual(await store.keys(key), [`${key}other`]);
        for await (const page of store.keyPages(`${key}none`)) assert.fail(`there is ${page}`);
      });

      test('hnumbers: every number is read back unchanged', async () => {
        const key = place();
        const { mustWrite, write } = await bound();
        const values = [0, 1, -1, 0.1, 0.5, 1 / 3, 2 ** -13, 2 ** -13 - 2 ** -66, 1 - 2 ** -53, 1e-300, 5e-324, 1e300];
        for (let i = 0, state = 1; i < 500; i++) {
          state = (state * 48_271) % 2_147_483_647;
          values.push((state / 2_147_483_647) ** 4);
        }
        const fields = values.map((_, i) => (i === 7 ? 'ä'.repeat(20) : `field ${i}`));
        await mustWrite({ op: 'hset', key, field: 'before', value: '' }, { op: 'hnumbers', key, fields, values });
        const found = await store.hgetall(key);
        assert.deepEqual([...found.keys()].sort(), [...fields].sort());
        assert.deepEqual(
          fields.map((field) => Number(found.get(field))),
          values,
        );
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY])
          await assert.rejects(
            write([{ op: 'hnumbers', key, fields: ['a'], values: [value] }]),
            withCode('invalid_data'),
          );
        await assert.rejects(write([{ op: 'hnumbers', key, fields: ['a'], values: [] }]), withCode('invalid_data'));
        await mustWrite({ op: 'hnumbers', key, fields: [], values: [] });
        assert.deepEqual(await store.keys(key), []);
      });

      test('set and del', async () => {
        const key = place();
        const { mustWrite } = await bound();
        await mustWrite({ op: 'set', key, value: 'one' }, { op: 'set', key, value: 'two' });
        assert.equal(await store.get(key), 'two');
        await mustWrite({ op: 'del', key }, { op: 'del', key: `${key}never` });
        assert.equal(await store.get(key), null);
      });

      test('set, del and hreplace replace a value of another kind', async () => {
        const key = place();
        const { mustWrite } = await bound();
        await mustWrite({ op: 'zadd', key, member: 'a', score: 1 });
        await mustWrite({ op: 'set', key, value: 'text' });
        assert.equal(await store.get(key), 'text');
        await mustWrite({ op: 'hreplace', key, fields: [['a', '1']] });
        assert.equal(await store.hget(key, 'a'), '1');
        await mustWrite({ op: 'del', key }, { op: 'zadd', key, member: 'a', score: 2 });
        assert.equal(await store.zscore(key, 'a'), 2);
      });

      test('operations on one key keep their order', async () => {
        const key = place();
        const other = place();
        const { mustWrite } = await bound();
        await mustWrite(
          { op: 'zadd', key, member: 'a', score: 1 },
          { op: 'hset', key: other, field: 'f', value: 'early' },
          { op: 'zrem', key, member: 'a' },
          { op: 'hreplace', key: other, fields: [['g', 'middle']] },
          { op: 'zadd', key, member: 'b', score: 2 },
          { op: 'zadd', key, member: 'a', score: 5 },
          { op: 'hset', key: other, field: 'g', value: 'late' },
          { op: 'hset', key: other, field: 'h', value: 'x' },
          { op: 'hdel', key: other, field: 'h' },
        );
        assert.deepEqual(await store.ztop(key, 10), [
          { member: 'a', score: 5 },
          { member: 'b', score: 2 },
        ]);
        assert.deepEqual(await store.hgetall(other), new Map([['g', 'late']]));
      });

      test('reading a key that is absent or of another kind', async () => {
        const key = place();
        assert.equal(await store.get(key), null);
        assert.equal(await store.hget(key, 'f'), null);
        assert.deepEqual(await store.hmget(key, ['f', 'g']), [null, null]);
        assert.deepEqual(await store.hgetall(key), new Map());
        assert.equal(await store.zscore(key, 'm'), null);
        assert.deepEqual(await store.ztop(key, 10), []);
        assert.equal(await store.zcard(key), 0);
        const { mustWrite } = await bound();
        await mustWrite({ op: 'set', key, value: 'text' });
        await assert.rejects(store.hget(key, 'f'), withCode('invalid_data'));
        await assert.rejects(store.ztop(key, 10), withCode('invalid_data'));
      });

      test('keys lists the keys with a literal prefix, and no positions', async () => {
        const at = place();
        const { mustWrite } = await bound();
        const names = ['a', 'a*', 'a?b', 'a[bc]', 'ab', 'A', 'a\\'];
        await mustWrite(...names.map((each): StoreOperation => ({ op: 'set', key: at + each, value: 'x' })));
        const listed = async (prefix: string) =>
          (await store.keys(at + prefix)).map((key) => key.slice(at.length)).sort();
        assert.deepEqual(await listed(''), [...names].sort());
        assert.deepEqual(await listed('a'), names.filter((each) => each.startsWith('a')).sort());
        for (const each of ['a*', 'a?', 'a[', 'a\\', 'b'])
          assert.deepEqual(
            await listed(each),
            names.filter((one) => one.startsWith(each)),
          );
        assert.deepEqual(
          (await store.keys('')).filter((key) => key.includes(`${run}.`)),
          [],
        );
      });
    });

    describe('regroup', () => {
      const groupsOf = (at: string) => ({ groups: `${at}groups`, prefix: `${at}set:` });
      const members = async (at: string, group: string) =>
        (await store.ztop(`${at}set:${group}`, 100)).map(({ member, score }) => `${member}=${score}`);

      test('a member moves between sets and leaves no stale entry', async () => {
        const at = place();
        const { mustWrite } = await bound();
        const move = (member: string, group: string | null, score: number): StoreOperation => ({
          op: 'regroup',
          ...groupsOf(at),
          member,
          group,
          score,
        });
        await mustWrite(move('p1', 'shoes', 1), move('p2', 'shoes', 2), move('p3', 'hats', 3));
        assert.deepEqual(await members(at, 'shoes'), ['p2=2', 'p1=1']);
        await mustWrite(move('p1', 'hats', 4), move('p2', 'shoes', 5));
        assert.deepEqual(await members(at, 'shoes'), ['p2=5']);
        assert.deepEqual(await members(at, 'hats'), ['p1=4', 'p3=3']);
        assert.deepEqual(
          await store.hgetall(`${at}groups`),
          new Map([
            ['p1', 'hats'],
            ['p2', 'shoes'],
            ['p3', 'hats'],
          ]),
        );
        await mustWrite(move('p1', null, 0), move('p2', null, 0), move('never', null, 0));
        assert.deepEqual(await members(at, 'hats'), ['p3=3']);
        assert.deepEqual((await store.keys(at)).sort(), [`${at}groups`, `${at}set:hats`]);
      });

      test('the same member several times in one batch ends where the last operation puts it', async () => {
        const at = place();
        const { mustWrite } = await bound();
        const move = (group: string | null, score: number): StoreOperation => ({
          op: 'regroup',
          ...groupsOf(at),
          member: 'p',
          group,
          score,
        });
        await mustWrite(move('a', 1), move('b', 2), move(null, 0), move('c', 3), move('a', 4));
        assert.deepEqual(await members(at, 'a'), ['p=4']);
        await mustWrite(move('b', 5), move(null, 0));
        assert.deepEqual(await store.keys(at), []);
        await mustWrite(move('', 6));
        assert.deepEqual(await members(at, ''), ['p=6'], 'an empty name is a valid group');
      });

      test('direct changes of the same sets and of the groups hash keep their order in the batch', async () => {
        const at = place();
        const { mustWrite } = await bound();
        const move = (member: string, group: string, score: number): StoreOperation => ({
          op: 'regroup',
          ...groupsOf(at),
          member,
          group,
          score,
        });
        await mustWrite(move('p', 'a', 1), { op: 'zadd', key: `${at}set:a`, member: 'p', score: 9 }, move('p', 'b', 2));
        assert.deepEqual(await members(at, 'a'), []);
        assert.deepEqual(await members(at, 'b'), ['p=2']);
        await mustWrite(
          { op: 'del', key: `${at}set:b` },
          move('q', 'b', 3),
          { op: 'del', key: `${at}groups` },
          move('q', 'a', 4),
        );
        assert.deepEqual(await members(at, 'b'), ['q=3'], 'a member deleted from the groups hash stays where it was');
        assert.deepEqual(await members(at, 'a'), ['q=4']);
      });

      test('a former set that is now another kind is not touched', async () => {
        const at = place();
        const { mustWrite } = await bound();
        await mustWrite({ op: 'regroup', ...groupsOf(at), member: 'p', group: 'a', score: 1 });
        await mustWrite({ op: 'set', key: `${at}set:a`, value: 'text' });
        await mustWrite({ op: 'regroup', ...groupsOf(at), member: 'p', group: 'b', score: 2 });
        assert.equal(await store.get(`${at}set:a`), 'text');
        assert.deepEqual(await members(at, 'b'), ['p=2']);
      });
    });

    describe('all or nothing', () => {
      test('a key of another kind anywhere refuses the whole batch', async () => {
        const at = place();
        const { id, write, mustWrite } = await bound();
        await mustWrite(
          { op: 'set', key: `${at}text`, value: 'text' },
          { op: 'hset', key: `${at}hash`, field: 'f', value: 'v' },
          { op: 'zadd', key: `${at}set`, member: 'm', score: 1 },
        );
        const bad: StoreOperation[] = [
          { op: 'zadd', key: `${at}hash`, member: 'm', score: 1 },
          { op: 'zrem', key: `${at}text`, member: 'm' },
          { op: 'hset', key: `${at}set`, field: 'f', value: 'v' },
          { op: 'hdel', key: `${at}text`, field: 'f' },
          { op: 'regroup', groups: `${at}set`, prefix: `${at}g:`, member: 'm', group: 'a', score: 1 },
          { op: 'regroup', groups: `${at}g`, prefix: at, member: 'm', group: 'hash', score: 1 },
        ];
        for (const operation of bad) {
          const batch: StoreOperation[] = [
            { op: 'set', key: `${at}new`, value: 'x' },
            { op: 'del', key: `${at}other` },
            operation,
          ];
          await assert.rejects(write(batch), withCode('invalid_data'), JSON.stringify(operation));
          assert.equal(await store.get(`${at}new`), null, `${operation.op} left half a batch`);
        }
        assert.equal((await store.position(id))?.nextOffset, 1);
        assert.equal(await store.zscore(`${at}set`, 'm'), 1);
        await mustWrite({ op: 'set', key: `${at}new`, value: 'x' });
      });

      test('values that no store could keep are refused before anything is written', async () => {
        const key = place();
        const { id, epoch, write } = await bound();
        const first: StoreOperation = { op: 'set', key: `${key}new`, value: 'x' };
        const half = '\ud800';
        const bad: StoreOperation[] = [
          { op: 'zadd', key, member: 'm', score: Number.NaN },
          { op: 'zadd', key, member: 'm', score: Number.POSITIVE_INFINITY },
          { op: 'regroup', groups: `${key}g`, prefix: key, member: 'm', group: 'a', score: Number.NEGATIVE_INFINITY },
          { op: 'zadd', key, member: half, score: 1 },
          { op: 'zadd', key: key + half, member: 'm', score: 1 },
          { op: 'hset', key, field: half, value: 'v' },
          { op: 'hset', key, field: 'f', value: half },
          { op: 'hreplace', key, fields: [['f', half]] },
          { op: 'set', key, value: `a${half}b` },
        ];
        for (const operation of bad)
          await assert.rejects(write([first, operation]), withCode('invalid_data'), JSON.stringify(operation));
        await assert.rejects(
          write([first, { op: 'zadd', key, member: 'm', score: 1 }, { op: 'hset', key, field: 'f', value: 'v' }]),
          withCode('invalid_data'),
        );
        const fence = { id, epoch, incarnation: INCARNATION, at: 1 };
        for (const [expectedOffset, nextOffset] of [
          [0, -1],
          [0, 1.5],
          [2, 1],
          [0, 2 ** 53],
        ] as const)
          await assert.rejects(
            store.apply({ ...fence, expectedOffset, nextOffset }, [first]),
            withCode('invalid_data'),
          );
        assert.equal(await store.get(`${key}new`), null);
        assert.equal((await store.position(id))?.nextOffset, 0);
      });

      test('a batch of 20,000 operations is one batch', async () => {
        const at = place();
        const { write, mustWrite } = await bound();
        const operations: StoreOperation[] = Array.from({ length: 5_000 }, (_, i) => i).flatMap(
          (i): StoreOperation[] => [
            { op: 'zadd', key: `${at}all`, member: `p${i}`, score: i },
            {
              op: 'regroup',
              groups: `${at}groups`,
              prefix: `${at}set:`,
              member: `p${i}`,
              group: `c${i % 7}`,
              score: i,
            },
            { op: 'hset', key: `${at}day`, field: `p${i}`, value: String(i) },
            {
              op: 'hreplace',
              key: `${at}user:${i}`,
              fields: [
                ['a', '0.25'],
                ['b', '0.75'],
              ],
            },
          ],
        );
        await mustWrite(...operations);
        assert.equal(await store.zcard(`${at}all`), 5_000);
        assert.equal(await store.zcard(`${at}set:c0`), 715);
        assert.equal((await store.hgetall(`${at}day`)).size, 5_000);
        assert.equal((await store.hgetall(`${at}groups`)).size, 5_000);
        assert.equal((await store.keys(`${at}user:`)).length, 5_000);
        assert.equal(await store.hget(`${at}user:4999`, 'b'), '0.75');
        await mustWrite(
          ...Array.from(
            { length: 20_000 },
            (_, i): StoreOperation => ({
              op: 'regroup',
              groups: `${at}groups`,
              prefix: `${at}set:`,
              member: `p${i}`,
              group: i < 5_000 ? null : 'rest',
              score: i,
            }),
          ),
        );
        assert.equal(await store.zcard(`${at}set:c0`), 0);
        assert.equal(await store.zcard(`${at}set:rest`), 15_000);
        const wrong: StoreOperation = { op: 'hset', key: `${at}all`, field: 'f', value: 'v' };
        await assert.rejects(write([...operations.slice(0, 10_000), wrong]), withCode('invalid_data'));
        await assert.rejects(write(Array.from({ length: 100_001 }, () => wrong)), withCode('invalid_data'));
        assert.equal(await store.zcard(`${at}set:c0`), 0, 'nothing of the refused batch was written');
      });

      test('a hash of 20,000 fields and a text of 2 MB', async () => {
        const at = place();
        const { mustWrite } = await bound();
        const fields = Array.from({ length: 20_000 }, (_, i) => [`field ${i}`, `é${i}`] as const);
        await mustWrite(
          { op: 'hreplace', key: `${at}hash`, fields },
          { op: 'set', key: `${at}text`, value: 'é'.repeat(1_000_000) },
        );
        assert.deepEqual(await store.hgetall(`${at}hash`), new Map(fields));
        assert.equal((await store.get(`${at}text`))?.length, 1_000_000);
      });
    });

    describe('ids, scores, order', () => {
      const ODD = [
        '',
        ' ',
        ':',
        'a:b',
        '0',
        '-1',
        'null',
        '__proto__',
        'constructor',
        '\u0000',
        'a\r\nb',
        '"\\\'',
        'ß',
        'e\u0301',
        'é',
        '日本語',
        '👍🏽',
        '\uffff',
        '\u{10ffff}',
        'x'.repeat(256),
        '日'.repeat(85),
        '{tag}',
        '%41',
        '*',
      ];

      test('any text is a key, a member, a field, a value and a group', async () => {
        const at = place();
        const { mustWrite } = await bound();
        await mustWrite(
          ...ODD.flatMap((text, i): StoreOperation[] => [
            { op: 'zadd', key: `${at}set`, member: text, score: i },
            { op: 'hset', key: `${at}hash`, field: text, value: text },
            { op: 'set', key: `${at}key:${text}`, value: text },
            { op: 'regroup', groups: `${at}groups`, prefix: `${at}group:`, member: text, group: text, score: i },
          ]),
        );
        assert.deepEqual(
          (await store.ztop(`${at}set`, 100)).map(({ member }) => member),
          [...ODD].reverse(),
        );
        assert.deepEqual(await store.hgetall(`${at}hash`), new Map(ODD.map((text) => [text, text])));
        assert.deepEqual(await store.hmget(`${at}hash`, ODD), ODD);
        assert.deepEqual(await store.hgetall(`${at}groups`), new Map(ODD.map((text) => [text, text])));
        for (const [i, text] of ODD.entries()) {
          assert.equal(await store.get(`${at}key:${text}`), text);
          assert.equal(await store.zscore(`${at}set`, text), i);
          assert.deepEqual(await store.ztop(`${at}group:${text}`, 10), [{ member: text, score: i }]);
        }
        assert.deepEqual((await store.keys(`${at}key:`)).sort(), ODD.map((text) => `${at}key:${text}`).sort());
      });

      test('scores are read back exactly', async () => {
        const key = place();
        const { mustWrite } = await bound();
        const scores = [
          0.1 + 0.2,
          1 / 3,
          -1 / 3,
          Number.MAX_VALUE,
          -Number.MAX_VALUE,
          Number.MIN_VALUE,
          2 ** 53 - 1,
          1e21,
          1405.123456789012,
          0,
        ];
        await mustWrite(...scores.map((score, i): StoreOperation => ({ op: 'zadd', key, member: `m${i}`, score })));
        for (const [i, score] of scores.entries()) assert.equal(await store.zscore(key, `m${i}`), score);
        assert.deepEqual(
          (await store.ztop(key, 100)).map(({ score }) => score),
          [...scores].sort((a, b) => b - a),
        );
        await mustWrite({ op: 'zadd', key, member: 'zero', score: -0 });
        assert.equal(await store.zscore(key, 'zero'), 0);
      });

      test('the best first, ties by member descending, as many as requested', async () => {
        const key = place();
        const { mustWrite } = await bound();
        const scores = new Map(ODD.map((text) => [text, 1]));
        for (let i = 0; i < 3_000; i++) scores.set(`p${i}`, (i * 7919) % 500);
        await mustWrite(...[...scores].map(([member, score]): StoreOperation => ({ op: 'zadd', key, member, score })));
        const expected = rankedNaively(scores);
        for (const limit of [1, 20, 1000, 1001, 3_000, 10_000])
          assert.deepEqual(await store.ztop(key, limit), expected.slice(0, limit), `limit ${limit}`);
        assert.deepEqual(await store.ztop(key, 0), []);
        assert.deepEqual(await store.ztop(key, -1), []);
      });

      test('the ranking follows every change', async () => {
        const key = place();
        const { mustWrite } = await bound();
        const scores = new Map<string, number>();
        const random = fc.sample(fc.tuple(fc.nat(1500), fc.nat(50), fc.integer({ min: 0, max: 9 })), {
          numRuns: 6_000,
          seed: SEED,
        });
        for (let from = 0; from < random.length; from += 100) {
          const operations = random.slice(from, from + 100).map(([who, score, kind]): StoreOperation => {
            const member = `p${who}`;
            if (kind > 1) {
              scores.set(member, score);
              return { op: 'zadd', key, member, score };
            }
            scores.delete(member);
            return { op: 'zrem', key, member };
          });
          await mustWrite(...operations);
          const limit = [1, 20, 1000][(from / 100) % 3]!;
          assert.deepEqual(await store.ztop(key, limit), rankedNaively(scores).slice(0, limit));
        }
      });
    });

    test('any batches give the same result as in the naive store', async () => {
      const name = fc.constantFrom('a', 'b', 'c', 'ab');
      const text = fc.constantFrom('', 'a', 'b', 'é');
      const score = fc.integer({ min: -3, max: 3 });
      const operation: fc.Arbitrary<StoreOperation> = fc.oneof(
        { weight: 3, arbitrary: fc.record({ op: fc.constant('zadd' as const), key: name, member: text, score }) },
        fc.record({ op: fc.constant('zrem' as const), key: name, member: text }),
        { weight: 2, arbitrary: fc.record({ op: fc.constant('hset' as const), key: name, field: text, value: text }) },
        fc.record({ op: fc.constant('hdel' as const), key: name, field: text }),
        fc.record({
          op: fc.constant('hreplace' as const),
          key: name,
          fields: fc.array(fc.tuple(text, text), { maxLength: 3 }),
        }),
        fc.array(fc.tuple(text, fc.constantFrom(0, 0.25, 1, -3)), { maxLength: 3 }).chain((pairs) =>
          fc.record({
            op: fc.constant('hnumbers' as const),
            key: name,
            fields: fc.constant(pairs.map(([field]) => field)),
            values: fc.constant(pairs.map(([, value]) => value)),
          }),
        ),
        fc.record({ op: fc.constant('set' as const), key: name, value: text }),
        { weight: 2, arbitrary: fc.record({ op: fc.constant('del' as const), key: name }) },
        {
          weight: 4,
          arbitrary: fc.record({
            op: fc.constant('regroup' as const),
            groups: fc.constantFrom('c', 'groups', 'groups'),
            prefix: fc.constantFrom('', 'a', 'set:', 'set:'),
            member: text,
            group: fc.option(name, { nil: null }),
            score,
          }),
        },
      );
      const batches = fc.array(fc.array(operation, { maxLength: 12 }), { maxLength: 6 });
      let applied = 0;
      await fc.assert(
        fc.asyncProperty(batches, async (given) => {
          const at = place();
          const { write } = await bound();
          const naive = new NaiveStore();
          for (const batch of given) {
            const operations = batch.map((each) => under(at, each));
            const expected = naive.apply(operations) ? 'applied' : 'invalid_data';
            const result = await write(operations).catch((error: unknown) =>
              error instanceof FreshetError ? error.code : String(error),
            );
            assert.equal(result, expected);
            if (result === 'applied' && operations.length > 0) applied++;
            assert.deepEqual(await contents(at), contentsOf(naive));
          }
        }),
        { seed: SEED, numRuns: 300 },
      );
      assert.ok(applied > 200, `only ${applied} batches were applied: too few to test anything`);
    });

    /** All keys under a prefix, in a comparable form. */
    const contents = async (at: string) => {
      const found = new Map<string, unknown>();
      for (const key of (await store.keys(at)).sort()) {
        const kind = await Promise.any([
          store.ztop(key, 100).then((top) => ({ top })),
          store.hgetall(key).then((fields) => ({ fields: new Map([...fields].sort()) })),
          store.get(key).then((value) => ({ value })),
        ]);
        found.set(key, kind);
      }
      return found;
    };

    describe('versions', () => versionConformance({ place, bound, store: () => store }));

    test('reopening finds everything', async () => {
      const at = place();
      const { id, epoch, mustWrite } = await bound();
      await mustWrite(
        { op: 'set', key: `${at}text`, value: 'text é' },
        { op: 'hset', key: `${at}hash`, field: 'f', value: 'v' },
        { op: 'zadd', key: `${at}set`, member: 'm', score: 1 / 3 },
        { op: 'regroup', groups: `${at}groups`, prefix: `${at}in:`, member: 'p', group: 'a', score: 1 },
      );
      const before = await contents(at);
      const position = await store.position(id);
      const old = store;
      store = await opened.reopen();
      await assert.rejects(old.get(`${at}text`), withCode('state'));
      await old.close();
      assert.deepEqual(await contents(at), before);
      assert.deepEqual(await store.position(id), position);
      const batch = { id, epoch, expectedOffset: 1, nextOffset: 2, incarnation: INCARNATION, at: 2 };
      const move: StoreOperation = {
        op: 'regroup',
        groups: `${at}groups`,
        prefix: `${at}in:`,
        member: 'p',
        group: 'b',
        score: 2,
      };
      assert.equal(await store.apply(batch, [move]), 'applied', 'the owner continues where it was');
      assert.deepEqual(await store.ztop(`${at}in:a`, 10), []);
      await store.ping();
      assert.deepEqual(await store.advice(), []);
    });
  });
}

/** The operation with a prefix on all its keys. */
function under(at: string, operation: StoreOperation): StoreOperation {
  if (operation.op === 'regroup') return { ...operation, groups: at + operation.groups, prefix: at + operation.prefix };
  return { ...operation, key: at + operation.key };
}

function contentsOf(naive: NaiveStore): Map<string, unknown> {
  const found = new Map<string, unknown>();
  for (const [key, value] of [...naive.values].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (value.kind === 'string') found.set(key, { value: value.text });
    else if (value.kind === 'hash') found.set(key, { fields: new Map([...value.fields].sort()) });
    else found.set(key, { top: rankedNaively(value.scores) });
  }
  return found;
}
