/** The contract of every online store for versions: part of the suite in online-store.ts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hasCode } from '../../runtime/process/errors.js';
import type { OnlineStore, StoreOperation } from '../../runtime/stores/online-store.js';
import {
  checksumKey,
  partsKey,
  settingsKey,
  stagedKey,
  type VersionedKeys,
} from '../../runtime/stores/versioned-keys.js';

const SEED = 20_260_102;

export interface VersionSuite {
  readonly store: () => OnlineStore;
  readonly place: () => string;
  readonly bound: () => Promise<{ mustWrite(...operations: StoreOperation[]): Promise<void> }>;
}

type Parts = Readonly<Record<string, readonly string[]>>;

function keysBelow(at: string, hasParts = true): VersionedKeys {
  const plain = hasParts ? { prefix: `${at}words:`, parts: 'parts' } : null;
  return { current: `${at}current`, token: `${at}token`, noted: `${at}v`, plain };
}

/** A whole version: its parts with their fields, all containing the version's number. */
function staging(keys: VersionedKeys, version: number, parts: Parts): StoreOperation[] {
  const counts = Object.entries(parts).map(([part, fields]): [string, string] => [part, String(fields.length)]);
  return [
    ...Object.entries(parts).map(
      ([part, fields]): StoreOperation => ({
        op: 'hreplace',
        key: stagedKey(keys.plain!, version, part),
        fields: fields.map((field): [string, string] => [field, String(version)]),
      }),
    ),
    { op: 'hreplace', key: partsKey(keys, version)!, fields: counts },
    { op: 'set', key: checksumKey(keys, version), value: `sum ${version}` },
  ];
}

export function versionConformance({ store, place, bound }: VersionSuite): void {
  const to = (version: number, seq: number, timeline = 1) => ({
    ...{ version, token: { timeline, seq } },
    ...{ checksum: `sum ${version}`, settings: null },
  });
  const set = async () => {
    const at = place();
    const keys = keysBelow(at);
    const { mustWrite } = await bound();
    const stage = (version: number, parts: Parts) => mustWrite(...staging(keys, version, parts));
    const read = async (part: string, version: number | null = null) => {
      const { found, version: which, fields } = await store().readPart(keys, version, part);
      assert.ok([...fields.values()].every((value) => value === String(which)));
      return found === 'whole' ? [which, ...[...fields.keys()].sort()] : found;
    };
    return { at, keys, stage, read, mustWrite };
  };

  test('initially nothing is current', async () => {
    const { keys, stage, read } = await set();
    assert.deepEqual(await store().heldVersion(keys), { version: null, token: null });
    assert.equal(await read('a'), 'absent');
    await stage(1, { a: ['x'] });
    assert.equal(await read('a'), 'absent');
    assert.deepEqual(await read('a', 1), [1, 'x']);
  });

  test('a switch needs a newer token, and a higher timeline is newer than any number', async () => {
    const { keys, stage } = await set();
    await stage(1, { a: ['x'] });
    await stage(2, { a: ['x'] });
    assert.equal(await store().switchVersion(keys, to(1, 5)), 'switched');
    assert.deepEqual(await store().heldVersion(keys), { version: 1, token: { timeline: 1, seq: 5 } });
    for (const seq of [5, 4, 0]) assert.equal(await store().switchVersion(keys, to(2, seq)), 'older');
    assert.equal(await store().switchVersion(keys, to(2, 10)), 'switched');
    assert.equal(await store().switchVersion(keys, to(1, 1, 2)), 'switched');
    assert.equal(await store().switchVersion(keys, to(2, 99, 1)), 'older');
    assert.deepEqual(await store().heldVersion(keys), { version: 1, token: { timeline: 2, seq: 1 } });
  });

  test('a value that is not a token is older than every token', async () => {
    const { keys, stage, mustWrite } = await set();
    await stage(1, { a: ['x'] });
    await mustWrite({ op: 'set', key: keys.token, value: '7' }, { op: 'set', key: keys.current, value: '1' });
    assert.deepEqual(await store().heldVersion(keys), { version: 1, token: null });
    assert.equal(await store().switchVersion(keys, to(1, 1)), 'switched');
    await assert.rejects(store().switchVersion(keys, to(1, 0.5)), (error) => hasCode(error, 'invalid_data'));
    await assert.rejects(store().switchVersion(keys, to(0, 9)), (error) => hasCode(error, 'invalid_data'));
  });

  test('a switch to an incomplete version is refused and changes nothing', async () => {
    const { keys, stage, read, mustWrite } = await set();
    await stage(1, { a: ['x'] });
    assert.equal(await store().switchVersion(keys, to(1, 1)), 'switched');
    assert.equal(await store().switchVersion(keys, to(2, 2)), 'not_staged');
    await stage(2, { a: ['y'], b: ['y'] });
    assert.equal(await store().switchVersion(keys, { ...to(2, 2), checksum: 'other' }), 'not_staged');
    await mustWrite({ op: 'del', key: stagedKey(keys.plain!, 2, 'b') });
    assert.equal(await store().switchVersion(keys, to(2, 2)), 'not_staged');
    assert.deepEqual(await store().heldVersion(keys), { version: 1, token: { timeline: 1, seq: 1 } });
    assert.deepEqual(await read('a'), [1, 'x']);
    assert.deepEqual(await read('a', 2), [2, 'y']);
  });

  test('parts are renamed with their version, forwards and back', async () => {
    const { at, keys, stage, read } = await set();
    await stage(1, { a: ['x', 'y'], gone: ['z'] });
    await stage(2, { a: ['q'], come: ['r'] });
    for (let round = 0; round < 3; round++) {
      assert.equal(await store().switchVersion(keys, to(1, 10 * round + 1)), 'switched');
      assert.deepEqual([await read('a'), await read('gone'), await read('come')], [[1, 'x', 'y'], [1, 'z'], 'no_part']);
      assert.deepEqual(
        [await read('a', 2), await read('come', 2), await read('gone', 2)],
        [[2, 'q'], [2, 'r'], 'no_part'],
      );
      assert.deepEqual((await store().keys(`${at}words:`)).sort(), [
        ...[`${at}words:a`, `${at}words:gone`, `${at}words:v2:a`, `${at}words:v2:come`],
      ]);
      assert.equal(await store().switchVersion(keys, to(2, 10 * round + 2)), 'switched');
      assert.deepEqual([await read('a'), await read('come'), await read('gone')], [[2, 'q'], [2, 'r'], 'no_part']);
      assert.deepEqual(await read('gone', 1), [1, 'z']);
    }
  });

  test('a newer token for the same version moves nothing, except parts that were staged again', async () => {
    const { keys, stage, read, mustWrite } = await set();
    await stage(1, { a: ['x'], b: ['x'] });
    assert.equal(await store().switchVersion(keys, to(1, 1)), 'switched');
    assert.equal(await store().switchVersion(keys, to(1, 2)), 'switched');
    assert.deepEqual(await read('a'), [1, 'x']);
    await mustWrite({ op: 'del', key: `${keys.plain!.prefix}a` });
    assert.equal(await read('a'), 'absent');
    assert.equal(await store().switchVersion(keys, to(1, 3)), 'not_staged');
    await stage(1, { a: ['x'], b: ['x'] });
    assert.equal(await store().switchVersion(keys, to(1, 3)), 'switched');
    assert.deepEqual(
      [await read('a'), await read('b')],
      [
        [1, 'x'],
        [1, 'x'],
      ],
    );
  });

  test('a part with another number of fields than was counted is not read', async () => {
    const { keys, stage, read, mustWrite } = await set();
    await stage(1, { a: ['x', 'y'] });
    await store().switchVersion(keys, to(1, 1));
    await mustWrite({ op: 'hdel', key: `${keys.plain!.prefix}a`, field: 'y' });
    assert.equal(await read('a'), 'absent');
    await mustWrite({ op: 'hset', key: `${keys.plain!.prefix}a`, field: 'y', value: '1' });
    assert.deepEqual(await read('a'), [1, 'x', 'y']);
    await mustWrite({ op: 'del', key: checksumKey(keys, 1) });
    assert.equal(await read('a'), 'absent');
  });

  test('without parts a switch sets pointer, token and settings', async () => {
    const at = place();
    const keys = keysBelow(at, false);
    const settings = '{"half_life_ms": 1}';
    const live = { version: 3, token: { timeline: 1, seq: 1 }, checksum: null, settings };
    assert.equal(await store().switchVersion(keys, live), 'switched');
    assert.equal(await store().get(settingsKey(keys, 3)), settings);
    assert.equal(await store().get(keys.current), '3');
    assert.equal(await store().switchVersion(keys, { ...live, version: 4 }), 'older');
    await assert.rejects(store().readPart(keys, null, 'a'), (error) => hasCode(error, 'invalid_data'));
  });

  test('parts and fields may have unusual names', async () => {
    const { keys, stage, read } = await set();
    const parts = { '': ['a'], 'zh-Hant': ['é', '字', '__proto__', 'a:b'], 'v1:a': ['x'], '*': ['y'] };
    await stage(1, parts);
    await stage(2, parts);
    await store().switchVersion(keys, to(1, 1));
    await store().switchVersion(keys, to(2, 2));
    for (const version of [1, 2])
      for (const [part, fields] of Object.entries(parts))
        assert.deepEqual(await read(part, version), [version, ...[...fields].sort()], `${version} ${part}`);
  });

  test('discarded keys and positions of sinks are gone', async () => {
    const { at, keys, stage, read } = await set();
    await stage(1, { a: ['x'] });
    const id = { sink: `${at}sink`, topic: 't', partition: 0 };
    await store().open(id);
    await store().discard([stagedKey(keys.plain!, 1, 'a'), `${at}never`], [id]);
    assert.equal(await read('a', 1), 'absent');
    assert.equal(await store().position(id), null);
    await store().discard([]);
  });

  test('I22: a reader sees one version during switches', async () => {
    const { keys, stage, read } = await set();
    const fields = Array.from({ length: 200 }, (_, i) => `f${i}`);
    for (const version of [1, 2]) await stage(version, { a: fields, b: fields });
    await store().switchVersion(keys, to(1, 1));
    let seq = 1;
    let isOver = false;
    const switching = (async () => {
      while (seq < 200) assert.equal(await store().switchVersion(keys, to(1 + (seq % 2), ++seq)), 'switched');
      isOver = true;
    })();
    let seen = 0;
    const reading = Array.from({ length: 3 }, async () => {
      while (!isOver) {
        for (const part of ['a', 'b']) assert.equal(((await read(part)) as unknown[]).length, 1 + fields.length);
        seen++;
        // The in-process store answers at once; the others need a turn of the event loop.
        await new Promise(setImmediate);
      }
    });
    await Promise.all([switching, ...reading]);
    assert.ok(seen > 0);
  });

  test('any order of staging, switching and discarding gives the same result as a plain model', async () => {
    const version = fc.integer({ min: 1, max: 3 });
    const parts = fc.subarray(['a', 'b', 'c'], { minLength: 1 });
    const step = fc.oneof(
      { weight: 2, arbitrary: fc.record({ do: fc.constant('stage' as const), version, parts }) },
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant('switch' as const), version, ahead: fc.integer({ min: -1, max: 3 }) }),
      },
      fc.record({ do: fc.constant('lose' as const), version, part: fc.constantFrom('a', 'b', 'c') }),
    );
    let switched = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 24 }), async (steps) => {
        const { at, keys, mustWrite } = await set();
        const model = new Model();
        for (const each of steps) {
          if (each.do === 'stage') {
            // A version is staged once, and again only with the same contents.
            const whole = model.stage(each.version, each.parts);
            await mustWrite(...staging(keys, each.version, Object.fromEntries(whole.map((part) => [part, ['x']]))));
          } else if (each.do === 'switch') {
            const seq = Math.max(0, model.seq + each.ahead);
            const expected = model.switch(each.version, seq);
            if (expected === 'switched') switched++;
            assert.equal(await store().switchVersion(keys, to(each.version, seq)), expected);
          } else {
            model.names.delete(`v${each.version}:${each.part}`);
            await store().discard([stagedKey(keys.plain!, each.version, each.part)]);
          }
          const names = (await store().keys(`${at}words:`)).map((key) => key.slice(`${at}words:`.length));
          assert.deepEqual(names.sort(), [...model.names.keys()].sort());
          for (const [name, owner] of model.names)
            assert.equal(await store().hget(`${at}words:${name}`, 'x'), String(owner), name);
        }
      }),
      { seed: SEED, numRuns: 120 },
    );
    assert.ok(switched > 100, `only ${switched} switches: too few to test anything`);
  });
}

/** Names of parts, each with its version. */
class Model {
  readonly names = new Map<string, number>();
  readonly #staged = new Map<number, readonly string[]>();
  #current: number | null = null;
  /** -1 before the first switch; any number from 0 on is newer. */
  seq = -1;

  stage(version: number, parts: readonly string[]): readonly string[] {
    const whole = this.#staged.get(version) ?? parts;
    this.#staged.set(version, whole);
    for (const part of whole) this.names.set(`v${version}:${part}`, version);
    return whole;
  }

  switch(version: number, seq: number): 'switched' | 'older' | 'not_staged' {
    if (seq <= this.seq) return 'older';
    const parts = this.#staged.get(version);
    if (parts === undefined) return 'not_staged';
    const isHere = (part: string) =>
      this.names.has(`v${version}:${part}`) || (this.#current === version && this.names.has(part));
    if (!parts.every(isHere)) return 'not_staged';
    if (this.#current !== null && this.#current !== version)
      for (const part of this.#staged.get(this.#current)!) this.#move(part, `v${this.#current}:${part}`);
    for (const part of parts) this.#move(`v${version}:${part}`, part);
    this.#current = version;
    this.seq = seq;
    return 'switched';
  }

  #move(from: string, to: string): void {
    const owner = this.names.get(from);
    if (owner === undefined) return;
    this.names.delete(from);
    this.names.set(to, owner);
  }
}
