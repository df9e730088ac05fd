import assert from 'node:assert/strict';
import { it } from 'node:test';
import { KeptFresh } from '../../../../serving/models/kept-fresh.js';

function scene() {
  const clock = { at: 0, elapsed: () => clock.at };
  const loads: PromiseWithResolvers<number>[] = [];
  const kept = new KeptFresh(
    () => {
      const load = withResolvers<number>();
      loads.push(load);
      return load.promise;
    },
    clock,
    1_000,
  );
  return { clock, loads, kept };
}

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: Error): void;
}

function withResolvers<T>(): PromiseWithResolvers<T> {
  let settle: Omit<PromiseWithResolvers<T>, 'promise'>;
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { promise, ...settle! };
}

it('loads once for all callers, and keeps the value while it is fresh', async () => {
  const { clock, loads, kept } = scene();
  const asked = [kept.get(), kept.get()];
  loads[0]!.resolve(1);
  assert.deepEqual(await Promise.all(asked), [1, 1]);
  clock.at = 999;
  assert.equal(await kept.get(), 1);
  assert.equal(loads.length, 1);
});

it('returns the current value while it reloads, and keeps it when that fails', async () => {
  const { clock, loads, kept } = scene();
  const first = kept.get();
  loads[0]!.resolve(1);
  await first;
  clock.at = 1_000;
  assert.equal(await kept.get(), 1);
  loads[1]!.reject(new Error('down'));
  await loads[1]!.promise.catch(() => undefined);
  await Promise.resolve();
  assert.equal(await kept.get(), 1);
  await new Promise(setImmediate);
  assert.equal(await kept.get(), 1);
  loads.at(-1)!.resolve(2);
  await new Promise(setImmediate);
  assert.equal(await kept.get(), 2);
});

it('fails if there is no value yet, and retries', async () => {
  const { loads, kept } = scene();
  const failing = kept.get();
  loads[0]!.reject(new Error('down'));
  await assert.rejects(failing, /down/);
  const again = kept.get();
  loads[1]!.resolve(3);
  assert.equal(await again, 3);
});
