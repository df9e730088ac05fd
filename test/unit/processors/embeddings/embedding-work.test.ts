/**
 * I29: a product has the vector of its newest text and of the current model, and no text is embedded twice needlessly.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { contentHash } from '../../../../processors/embeddings/product-text.js';
import { FreshetError, hasCode } from '../../../../runtime/process/errors.js';
import { takeFaultPoints } from '../../../../runtime/process/fault-points.js';
import { embeddings, embeddingsSet } from '../../../../topics/embeddings.js';
import { products } from '../../../../topics/events.js';
import { partitionOf } from '../../../../topics/partition.js';
import { written } from '../../../support/scripted-log.js';
import { CountingEmbedder, numbersOf, Stage, vectorOf } from './stage.js';

describe('a product', () => {
  test('has a vector of its title and description, with model and content hash', async () => {
    const stage = await Stage.of();
    await stage.put('p1', { title: ' Oak desk ', description: 'Solid.\n' });
    await stage.put('p2', { title: 'Lamp' });
    const embedder = new CountingEmbedder('m');
    await stage.pass(embedder);
    const table = await stage.table();
    assert.deepEqual([...table.keys()].sort(), ['p1', 'p2']);
    const { model, content_hash } = table.get('p1')!;
    assert.equal(model, 'm');
    assert.equal(content_hash, contentHash('m', 'Oak desk\nSolid.'));
    assert.deepEqual(numbersOf(table.get('p1')!), vectorOf('m', 'Oak desk\nSolid.'));
    assert.deepEqual(numbersOf(table.get('p2')!), vectorOf('m', 'Lamp'));
    assert.equal(await stage.counted('embedded'), 2);
  });

  test('is embedded again for another text, not for another price or category', async () => {
    const stage = await Stage.of();
    await stage.put('p1', { title: 'Desk' });
    const embedder = new CountingEmbedder('m');
    await stage.restore(embedder);
    stage.run();
    await stage.until('it is embedded', () => embedder.texts.length === 1);
    await stage.put('p1', { title: 'Desk', price: 12, category: 'other' });
    await stage.until('it is read', async () => (await stage.counted('unchanged')) === 1);
    await stage.put('p1', { title: 'Desk', description: 'now in white' });
    await stage.until('it is embedded again', () => embedder.texts.length === 2);
    await stage.until('it is committed', () => stage.isSettled());
    await stage.stop();
    assert.deepEqual(embedder.texts, ['Desk', 'Desk\nnow in white']);
    assert.deepEqual(numbersOf((await stage.table()).get('p1')!), vectorOf('m', 'Desk\nnow in white'));
  });

  test('without any text, or deleted, or unreadable, has none', async () => {
    const stage = await Stage.of();
    for (const id of ['a', 'b', 'c', 'd']) await stage.put(id, { title: id });
    await stage.put('e', { title: ' ', description: '\n' });
    await stage.pass(new CountingEmbedder('m'));
    assert.deepEqual([...(await stage.table()).keys()].sort(), ['a', 'b', 'c', 'd']);
    await stage.put('a', null);
    await stage.put('b', { title: '' });
    await stage.put('c', Buffer.from('no Avro at all'));
    await stage.put('e', null);
    await stage.pass(new CountingEmbedder('m'));
    assert.deepEqual([...(await stage.table()).keys()], ['d']);
    assert.equal(await stage.counted('removed'), 3);
    const letters = await stage.deadLetters();
    assert.deepEqual(
      letters.map(({ reason_code, job_name, record_key }) => [reason_code, job_name, record_key?.toString()]),
      [['unknown_framing', 'embeddings', 'c']],
    );
  });

  test('in the wrong partition, or under another key, is a dead letter and changes nothing', async () => {
    const stage = await Stage.of();
    await stage.put('p', { title: 'right' });
    const home = partitionOf(2, Buffer.from('p'));
    await stage.put('p', { title: 'wrong' }, 1 - home);
    await stage.put('q', { product_id: 'z', title: 'of z' });
    const embedder = new CountingEmbedder('m');
    await stage.pass(embedder);
    assert.deepEqual(embedder.texts, ['right']);
    const codes = (await stage.deadLetters()).map(({ reason_code }) => reason_code);
    assert.deepEqual(codes.sort(), ['key_mismatch', 'wrong_partition']);
    // The letters are written once, however often the records are read again.
    await stage.pass(new CountingEmbedder('other'));
    assert.equal((await stage.deadLetters()).length, 2);
  });

  test('that changes several times before it is read is embedded once, with its newest text', async () => {
    const stage = await Stage.of();
    const embedder = new CountingEmbedder('m');
    await stage.pass(embedder);
    for (const title of ['one', 'two', 'three']) await stage.put('p', { title });
    await stage.pass(embedder);
    assert.deepEqual(embedder.texts, ['three']);
    assert.equal(await stage.counted('overwritten'), 2);
  });
});

test('that was deleted and returns with the same text has a vector again', async () => {
  const stage = await Stage.of();
  await stage.put('p', { title: 'text' });
  const embedder = new CountingEmbedder('m');
  await stage.restore(embedder);
  stage.run();
  await stage.until('it is embedded', () => embedder.texts.length === 1);
  await stage.put('p', null);
  await stage.until('it is gone', async () => (await stage.counted('removed')) === 1);
  await stage.put('p', { title: 'text' });
  await stage.until('it is back', async () => embedder.texts.length === 2 && (await stage.isSettled()));
  await stage.stop();
  assert.deepEqual([...(await stage.table()).keys()], ['p']);
});

describe('a restart', () => {
  test('embeds nothing again, and continues at the marker', async () => {
    const stage = await Stage.of();
    for (let i = 0; i < 50; i++) await stage.put(`p${i}`, { title: `title ${i}` });
    await stage.pass(new CountingEmbedder('m'));
    const before = (await written(stage.log, embeddings.name)).length;
    const second = new CountingEmbedder('m');
    await stage.put('p7', { title: 'changed' });
    await stage.pass(second);
    assert.deepEqual(second.texts, ['changed']);
    assert.equal((await written(stage.log, embeddings.name)).length, before + 1);
  });

  test('after one crash before and one after the commit ends with the same table, and letters once', async () => {
    for (const point of ['commit.written', 'commit.acknowledged'] as const) {
      const stage = await Stage.of();
      for (let i = 0; i < 300; i++) await stage.put(`p${i}`, { title: `title ${i}` });
      await stage.put('bad', Buffer.from('?'));
      let commits = 0;
      takeFaultPoints((at) => {
        if (at === point && ++commits === 2) throw new FreshetError('connection', 'a crash');
      });
      const first = new CountingEmbedder('m');
      await stage.restore(first);
      await assert.rejects(stage.settle(), /a crash/);
      takeFaultPoints(null);
      const kept = (await stage.table()).size;
      const second = new CountingEmbedder('m');
      await stage.pass(second);
      const table = await stage.table();
      assert.equal(table.size, 300);
      for (const [id, embedding] of table)
        assert.deepEqual(numbersOf(embedding), vectorOf('m', `title ${id.slice(1)}`));
      assert.equal(second.texts.length, 300 - kept, 'what was committed is not embedded again');
      assert.equal((await stage.deadLetters()).length, 1);
    }
  });

  test('fences the previous owner: what it embeds later is not written', async () => {
    const stage = await Stage.of({ productPartitions: 1, embeddingPartitions: 1 });
    await stage.put('p', { title: 'text' });
    const slow = new CountingEmbedder('m');
    let begin = () => {};
    let release = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    slow.before = () => {
      begin();
      return new Promise((resolve) => {
        release = resolve;
      });
    };
    const [zombie] = stage.newTasks(slow);
    await zombie!.restore();
    const stop = new AbortController();
    const running = zombie!.run(stop.signal);
    await begun;
    await stage.pass(new CountingEmbedder('m'));
    const before = await written(stage.log, embeddings.name);
    release();
    await assert.rejects(running, (error) => hasCode(error, 'fenced'));
    await zombie!.close();
    assert.deepEqual(await written(stage.log, embeddings.name), before);
  });

  test('refuses a marker beyond the end of the catalogue, and never resets it', async () => {
    const stage = await Stage.of();
    for (let i = 0; i < 20; i++) await stage.put(`p${i}`, { title: 'x' });
    await stage.pass(new CountingEmbedder('m'));
    await stage.log.recreate(products.name);
    await assert.rejects(stage.restore(new CountingEmbedder('m')), (error) => hasCode(error, 'offset_out_of_range'));
  });

  test('that stops in the middle of a chunk keeps its complete parts, of the backlog and of live changes', async () => {
    for (const isLive of [false, true]) {
      // The only commit is the last one.
      const stage = await Stage.of({ productPartitions: 1, embeddingPartitions: 1, commitIntervalMs: 1_000 });
      if (isLive) await stage.pass(new CountingEmbedder('m'));
      for (let i = 0; i < 300; i++) await stage.put(`p${i}`, { title: `title ${i}` });
      const stopping = new CountingEmbedder('m');
      stopping.before = async () => {
        if (stopping.texts.length < 128) return;
        void stage.stop().catch(() => undefined);
        throw new FreshetError('state', 'the embedding was stopped');
      };
      await stage.restore(stopping);
      stage.run();
      await stage.until('it stops', () => stage.log.writersOpen === 0);
      await stage.stop();
      assert.equal((await stage.table()).size, 128);
      const second = new CountingEmbedder('m');
      await stage.pass(second);
      assert.equal(second.texts.length, 172);
    }
  });
});

describe('another model', () => {
  test('embeds everything again; old vectors stay until they are replaced; a live change is never overtaken', async () => {
    const stage = await Stage.of({ productPartitions: 1, embeddingPartitions: 1 });
    for (let i = 0; i < 400; i++) await stage.put(`p${i}`, { title: `title ${i}` });
    await stage.pass(new CountingEmbedder('old'));
    const next = new CountingEmbedder('new');
    const sizes: number[] = [];
    next.before = async () => {
      sizes.push((await stage.table()).size);
      if (next.texts.length >= 128) next.before = async () => undefined;
      else await stage.put('p399', { title: 'changed meanwhile' });
    };
    await stage.pass(next);
    const table = await stage.table();
    assert.equal(table.size, 400);
    for (const [id, embedding] of table) {
      const text = id === 'p399' ? 'changed meanwhile' : `title ${id.slice(1)}`;
      assert.equal(embedding.model, 'new');
      assert.deepEqual(numbersOf(embedding), vectorOf('new', text), id);
    }
    assert.ok(sizes.every((size) => size === 400));
    assert.equal(next.texts.length, 400, 'the overtaken text was not embedded');
    assert.ok(next.texts.indexOf('changed meanwhile') < 300, 'a live change does not wait for the whole catalogue');
  });

  test('stopped half-way continues where it stopped', async () => {
    const stage = await Stage.of();
    for (let i = 0; i < 600; i++) await stage.put(`p${i}`, { title: `title ${i}` });
    await stage.pass(new CountingEmbedder('old'));
    const first = new CountingEmbedder('new');
    await stage.restore(first);
    stage.run();
    await stage.until('some are done', () => first.texts.length > 200);
    await stage.stop();
    const done = [...(await stage.table()).values()].filter(({ model }) => model === 'new').length;
    const second = new CountingEmbedder('new');
    await stage.pass(second);
    assert.equal(second.texts.length, 600 - done);
    assert.ok([...(await stage.table()).values()].every(({ model }) => model === 'new'));
  });

  test('removes vectors of products that are no longer in the compacted catalogue', async () => {
    const stage = await Stage.of();
    for (const id of ['a', 'b', 'c']) await stage.put(id, { title: id });
    await stage.pass(new CountingEmbedder('old'));
    await stage.put('b', null);
    stage.log.compact(products.name, { dropTombstones: true });
    await stage.pass(new CountingEmbedder('new'));
    assert.deepEqual([...(await stage.table()).keys()].sort(), ['a', 'c']);
  });

  test('keeps the vector of a product that returns in the meantime', async () => {
    const stage = await Stage.of();
    for (const id of ['a', 'b']) await stage.put(id, { title: id });
    await stage.pass(new CountingEmbedder('old'));
    await stage.put('b', null);
    stage.log.compact(products.name, { dropTombstones: true });
    await stage.restore(new CountingEmbedder('new'));
    await stage.put('b', { title: 'back' });
    await stage.settle();
    const table = await stage.table();
    assert.deepEqual(numbersOf(table.get('b')!), vectorOf('new', 'back'));
    assert.deepEqual(numbersOf(table.get('a')!), vectorOf('new', 'a'));
  });

  test('is delayed by a stream of live changes, but not stopped by it', async () => {
    const stage = await Stage.of({ productPartitions: 1, embeddingPartitions: 1 });
    for (let i = 0; i < 600; i++) await stage.put(`p${i}`, { title: `title ${i}` });
    let price = 0;
    const change = () => stage.put('p0', { title: 'title 0', price: ++price });
    await change();
    const { reader } = stage.log;
    stage.log.reader = (...args) => {
      const found = reader.apply(stage.log, args);
      const poll = found.poll.bind(found);
      // Whenever something was read, the next record is already there.
      return Object.assign(found, {
        poll: async () => {
          const batches = await poll();
          if (stage.waiting > 0) await change();
          return batches;
        },
      });
    };
    await stage.restore(new CountingEmbedder('m'));
    stage.run();
    await stage.until('nothing waits', () => stage.waiting === 0);
    await stage.until('all is committed', () => stage.isSettled());
    await stage.stop();
    assert.ok(price > 3, 'every poll of the live reader found something');
    assert.equal((await stage.table()).size, 600);
  });
});

test('without its markers finds out which products are pending, and which vectors are superfluous', async () => {
  const stage = await Stage.of();
  for (const id of ['a', 'b', 'c']) await stage.put(id, { title: id });
  await stage.pass(new CountingEmbedder('m'));
  await stage.put('a', null);
  await stage.put('b', { title: 'changed' });
  await stage.log.recreate(embeddingsSet(1).topics.embeddingsChangelog.name);
  const second = new CountingEmbedder('m');
  await stage.pass(second);
  assert.deepEqual(second.texts, ['changed']);
  assert.deepEqual([...(await stage.table()).keys()].sort(), ['b', 'c']);
});

test('partition counts of catalogue and vectors may differ', async () => {
  const stage = await Stage.of({ productPartitions: 3, embeddingPartitions: 2 });
  for (let i = 0; i < 30; i++) await stage.put(`p${i}`, { title: `title ${i}` });
  await stage.pass(new CountingEmbedder('m'));
  const second = new CountingEmbedder('m');
  await stage.put('p3', null);
  await stage.pass(second);
  assert.deepEqual(second.texts, []);
  assert.equal((await stage.table()).size, 29);
  await stage.pass(new CountingEmbedder('another'));
  const table = [...(await stage.table()).values()];
  assert.equal(table.length, 29);
  assert.ok(table.every(({ model }) => model === 'another'));
  assert.equal(await stage.counted('removed'), 1, "no task removes another's vectors");
});

test('1 % of the products changed cost at most 2 % of a full run', async () => {
  const stage = await Stage.of();
  for (let i = 0; i < 2_000; i++) await stage.put(`p${i}`, { title: `title ${i}` });
  const full = new CountingEmbedder('m');
  await stage.pass(full);
  const changed = new CountingEmbedder('m');
  for (let i = 0; i < 2_000; i++) await stage.put(`p${i}`, { title: i < 20 ? `new ${i}` : `title ${i}`, price: i });
  await stage.pass(changed);
  assert.equal(full.texts.length, 2_000);
  assert.equal(changed.texts.length, 20);
  assert.equal(await stage.counted('embedded'), 2_020);
  assert.equal(await stage.counted('unchanged'), 1_980);
});
