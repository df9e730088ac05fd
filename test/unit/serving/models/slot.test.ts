import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Slot } from '../../../../serving/models/slot.js';

class Model {
  closed = 0;

  async close() {
    this.closed++;
  }
}

const failed = (error: unknown) => assert.fail(String(error));

describe('the slot of a version', () => {
  it('is empty until something is put in', () => {
    const slot = new Slot<Model>(failed);
    assert.equal(slot.take(), null);
    assert.equal(slot.version, null);
  });

  it('I33: gives a request one version, and closes the previous one when its last request has ended', () => {
    const slot = new Slot<Model>(failed);
    const [one, two] = [new Model(), new Model()];
    slot.put(1, one);
    const first = slot.take()!;
    const second = slot.take()!;
    slot.put(2, two);
    assert.equal(slot.take()!.model, two);
    assert.equal(first.model, one);
    first.release();
    // Releasing twice is like once: a failing request may release in two places.
    first.release();
    assert.equal(one.closed, 0);
    second.release();
    assert.deepEqual([one.closed, two.closed], [1, 0]);
  });

  it('closes an unused version at once', () => {
    const slot = new Slot<Model>(failed);
    const one = new Model();
    slot.put(1, one);
    slot.take()!.release();
    assert.equal(one.closed, 0);
    slot.put(2, new Model());
    assert.equal(one.closed, 1);
  });

  it('finally closes everything once, including versions in use', async () => {
    const slot = new Slot<Model>(failed);
    const [one, two] = [new Model(), new Model()];
    slot.put(1, one);
    const lease = slot.take()!;
    slot.put(2, two);
    await slot.close();
    lease.release();
    await slot.close();
    assert.deepEqual([one.closed, two.closed], [1, 1]);
    assert.equal(slot.take(), null);
  });

  it('reports a version that cannot be closed, and continues', async () => {
    const told: unknown[] = [];
    const slot = new Slot<{ close(): Promise<void> }>((error) => told.push(error));
    const wrong = new Error('no');
    slot.put(1, { close: () => Promise.reject(wrong) });
    await slot.close();
    assert.deepEqual(told, [wrong]);
  });
});
