/** From captured records to the files of a version. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { readFactors } from '../../../../publishing/versions/artefacts/factor-file.js';
import type { Check, Manifest } from '../../../../publishing/versions/manifest.js';
import { systemClock } from '../../../../runtime/process/clock.js';
import { hasCode } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { checkModel } from '../../../../snapshotters/als/checks.js';
import type { Distribution } from '../../../../snapshotters/als/distribution.js';
import type { Evaluation } from '../../../../snapshotters/als/evaluation.js';
import type { modelCard } from '../../../../snapshotters/als/model-card.js';
import { snapshotter } from '../../../../snapshotters/als/snapshotter.js';
import { makeSnapshot } from '../../../../snapshotters/make.js';
import type { BuildReport } from '../../../../snapshotters/snapshotter.js';
import { MemoryLog } from '../../../support/memory-log.js';
import { addRows, buildContext, codec, encoded, type Row, tasteRows } from './scene.js';

type Context = Awaited<ReturnType<typeof buildContext>>;

function build(context: Context, rows: readonly Row[]): Promise<BuildReport> {
  return snapshotter.build(addRows(snapshotter.createCapture(codec, context.settings), rows), context);
}

function manifestOf(report: BuildReport): Manifest {
  const { settings, counts, figures, checks } = report;
  const about = { artefact: 'als', run_id: 'r', created_at: '', code_version: '', inputs: [], files: [] } as const;
  return { ...about, settings, counts, figures, checks };
}

const failed = (checks: readonly Check[]) => checks.filter(({ passed }) => !passed).map(({ name }) => name);
const rows = tasteRows(21, 500, 160, 12);

describe('the ALS snapshotter', () => {
  test('writes the factors of all eligible users and products, in order of their ids, and a card', async (t) => {
    const context = await buildContext(t);
    const phases = new Set<string>();
    const strangers: Row[] = [
      ['too-few', [{ product: 'product-1', weight: 3, count: 4 }]],
      ['gone', [{ product: 'product-1', weight: 3, count: 9 }]],
      ['gone', null],
    ];
    const report = await build({ ...context, progress: (phase) => phases.add(phase) }, [...rows, ...strangers]);
    assert.deepEqual((await readdir(context.folder)).sort(), [...report.files].sort());
    assert.deepEqual([...phases], ['train', 'write', 'indexes']);
    const users: string[] = [];
    for await (const { id, factors } of readFactors(join(context.folder, 'user_factors.bin'))) {
      assert.equal(factors.length, 16);
      users.push(id);
    }
    assert.deepEqual(users, rows.map(([user]) => user).sort());
    let products = 0;
    for await (const { factors } of readFactors(join(context.folder, 'item_factors.bin'))) {
      assert.ok(factors.some((value) => value !== 0));
      products++;
    }
    assert.equal(report.counts['users'], users.length);
    assert.equal(report.counts['products'], products);
    assert.equal(report.counts['users_left_out'], 1);
    assert.deepEqual(failed(report.checks), []);
    assert.deepEqual(report.result, { records_processed: report.counts['pairs'] });
    const card = JSON.parse(await readFile(join(context.folder, 'model_card.json'), 'utf8')) as ReturnType<
      typeof modelCard
    >;
    assert.deepEqual(report.figures['model_card'], card);
    assert.ok(card.evaluation.model.ndcg_at_10 > card.evaluation.popularity.ndcg_at_10);
    assert.equal(card.evaluation.current_version, null);
    assert.match(report.summary.at(-1)!, /factors of 500 users and \d+ products, 16 each/);
  });

  test('captures from a log like any other: a finished folder described by its manifest', async (t) => {
    const { folder, settings } = await buildContext(t);
    const log = new MemoryLog();
    await log.admin.createTopic({
      name: 'interactions.v1',
      partitions: 3,
      cleanup: 'compact',
      retentionMs: -1,
      logAppendTime: false,
      settings: {},
    });
    const writer = await log.writer(['interactions.v1']);
    for (const [user, items] of rows) writer.add('interactions.v1', Buffer.from(user), encoded(user, items!));
    await writer.flush();
    const built = await makeSnapshot({
      snapshotter,
      job: {
        runId: 'run',
        settings,
        runFolder: join(folder, 'run'),
        previous: null,
        pace: { savepointMs: 1, fetchBytes: 20_000 },
      },
      log,
      codec,
      clock: systemClock,
      logger: silentLogger,
      progress: () => undefined,
      signal: new AbortController().signal,
    });
    assert.equal(built!.records, rows.length);
    assert.equal(built!.manifest.artefact, 'als');
    assert.equal(built!.manifest.inputs.length, 3);
    const names = built!.manifest.files.map(({ name }) => name);
    assert.deepEqual(names, [
      'item_factors.bin',
      'model_card.json',
      'neighbours.faiss',
      'products.faiss',
      'user_factors.bin',
    ]);
    // The order in which partitions are read makes no difference.
    const direct = await buildContext(t);
    await build(direct, rows);
    for (const name of names)
      assert.deepEqual(await readFile(join(built!.folder, name)), await readFile(join(direct.folder, name)), name);
  });

  test('I32: the same records give the same bytes', async (t) => {
    const folders: string[] = [];
    for (const threads of ['1', '2']) {
      const context = await buildContext(t, { ALS_THREADS: threads });
      await build(context, threads === '1' ? rows : [...rows].reverse());
      folders.push(context.folder);
    }
    for (const name of await readdir(folders[0]!))
      assert.deepEqual(await readFile(join(folders[0]!, name)), await readFile(join(folders[1]!, name)), name);
  });

  test('the build is compared with the current version, and losing half of it fails', async (t) => {
    const first = manifestOf(await build(await buildContext(t), rows));
    const previous = { version: 7, folder: '/nowhere', manifest: first };
    const same = await build(await buildContext(t, {}, previous), rows);
    assert.deepEqual(failed(same.checks), []);
    const { evaluation } = same.figures as { evaluation: ReturnType<typeof modelCard>['evaluation'] };
    assert.equal(evaluation.current_version!.version, 7);
    assert.equal(evaluation.current_version!.ndcg_at_10, evaluation.model.ndcg_at_10);
    const fewer = await build(await buildContext(t, {}, previous), rows.slice(0, 240));
    assert.deepEqual(failed(fewer.checks), ['users']);
  });

  test('without structure in the data the model is no better than popularity, and not published', async (t) => {
    // What everyone does is unrelated to what they do last: the few popular products.
    const mixed = rows.map(([user, items], u): Row => {
      const last = { product: `popular-${u % 3}`, weight: 2, count: 2, lastTs: 99 };
      return [user, [...items!.filter((_, i) => i % 2 === u % 2), last]];
    });
    const half = mixed.map(
      ([user, items], u): Row => [
        user,
        u % 2 === 0
          ? items
          : [
              { ...items!.at(-1)!, count: 5 },
              { product: `popular-${(u + 1) % 3}`, weight: 5 },
            ],
      ],
    );
    const report = await build(await buildContext(t), half);
    assert.deepEqual(failed(report.checks), ['ndcg']);
    assert.ok(!report.files.includes('products.faiss'), 'it will not be searched');
  });

  test('only ten products give a small model that is not judged', async (t) => {
    const report = await build(await buildContext(t, { ALS_FACTORS: '64' }), tasteRows(2, 300, 10, 5));
    assert.deepEqual(failed(report.checks), []);
    assert.match(report.checks.find(({ name }) => name === 'ndcg')!.sentence, /not judged below/);
  });

  test('nothing captured, all left out, a weight that is not a number: a clear explanation, no files', async (t) => {
    const weight = Number.NaN;
    const cases: [readonly Row[], RegExp][] = [
      [[], /contains no pair of a user and a product.*current version stays/],
      [[['u', [{ product: 'p', weight: 1, count: 2 }]]], /none of .* has 5 interactions or more.*ALS_INTERACTIONS_MIN/],
      [[...rows, ['odd', [{ product: 'p', weight }]]], /a record that cannot be used\. user "odd".*weight NaN/],
    ];
    for (const [some, said] of cases) {
      const context = await buildContext(t);
      await assert.rejects(build(context, some), (error) => hasCode(error, 'invalid_data') && said.test(String(error)));
      assert.deepEqual(await readdir(context.folder), []);
    }
  });

  test('too little memory is reported before training', async (t) => {
    const context = await buildContext(t, { SNAPSHOT_MEMORY_MB: '64', ALS_FACTORS: '512' });
    await assert.rejects(
      build(context, tasteRows(4, 15_000, 300, 6)),
      (error) => hasCode(error, 'settings') && /SNAPSHOT_MEMORY_MB leaves \d+ for it/.test(String(error)),
    );
  });
});

describe('checks of a model', () => {
  const side: Distribution = { rows: 100, notFinite: 0, zeroRows: 0, norm: { min: 1, median: 1, p99: 2, max: 3 } };
  const evaluation: Evaluation = {
    heldOut: 300,
    asked: 300,
    candidates: 100,
    model: { ndcg: 0.1, recall: 0.2 },
    popularity: { ndcg: 0.05, recall: 0.1 },
    ndcgError: 0.01,
    leadError: 0.01,
  };
  const previous = { version: 3, users: 100, products: 100, asked: 300, ndcg: 0.1, recall: 0.2 };
  const good = { users: side, products: side, evaluation, previous };
  const check = (over: Partial<Parameters<typeof checkModel>[0]>) => failed(checkModel({ ...good, ...over }));

  test('each check fails independently, for its own reason', (_: TestContext) => {
    assert.deepEqual(check({}), []);
    assert.deepEqual(check({ users: { ...side, notFinite: 1 } }), ['finite']);
    assert.deepEqual(check({ products: { ...side, zeroRows: 6 } }), ['distribution']);
    assert.deepEqual(check({ products: { ...side, norm: { ...side.norm, max: 1001 } } }), ['distribution']);
    assert.deepEqual(check({ users: { ...side, rows: 49 } }), ['users']);
    assert.deepEqual(check({ products: { ...side, rows: 49 } }), ['products']);
    const popular = { ...evaluation, popularity: { ndcg: 0.1, recall: 0.2 } };
    assert.deepEqual(check({ evaluation: popular }), ['ndcg']);
    assert.deepEqual(check({ evaluation: { ...popular, asked: 199 } }), []);
    assert.deepEqual(check({ evaluation: { ...popular, candidates: 49 } }), []);
    assert.deepEqual(check({ previous: { ...previous, ndcg: 0.21 } }), ['ndcg_before']);
    assert.deepEqual(check({ previous: { ...previous, ndcg: 0.21, asked: 100 } }), []);
    assert.deepEqual(
      check({ previous: { version: 1, users: null, products: null, asked: null, ndcg: null, recall: null } }),
      [],
    );
  });
});
