/** The outside checker of the fault tests: clean if all is correct, and failing for every single deviation. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RawRecord } from '../../../publishing/audit/reference.js';
import { Codec, type SchemaName } from '../../../schemas/codec.js';
import type { Affinity, Event, EventType, Popularity } from '../../../schemas/records.js';
import { allTopics } from '../../../topics/all.js';
import { applyTopics } from '../../../topics/apply.js';
import { Checker, isClean, type Verdict } from '../../faults/harness/checker.js';
import { Follower } from '../../faults/harness/follower.js';
import { MemoryLog } from '../../support/memory-log.js';
import { DEFAULT_SETTINGS, EMPTY_CATALOGUE, Reference } from '../../support/reference.js';

const PARTITIONS = 2;
const DAY_MS = 86_400_000;
const codec = new Codec();

/** The output of a correct engine, to be falsified by a test. */
interface Written {
  readonly popularity: Map<string, Popularity>;
  readonly affinity: Map<string, Affinity>;
  readonly late: { topic: string; partition: number; offset: number }[];
  readonly dead: { topic: string; partition: number; offset: number }[];
}

function anEvent(n: number, over: Partial<Event> = {}): Event {
  const event_type = (['view', 'add_to_cart', 'purchase'] as EventType[])[n % 3]!;
  const ids = { event_id: `e${n}`, user_id: `u${n % 4}`, product_id: `p${n % 5}`, category: `c${n % 2}` };
  return { ...ids, event_type, ts: Date.now() - n * DAY_MS, ...over };
}

async function verdictOf(spoil: (written: Written) => void, acknowledged: readonly string[] = []): Promise<Verdict> {
  const log = new MemoryLog();
  await applyTopics(log.admin, allTopics(), { kind: 'embedded', partitions: PARTITIONS });
  const writer = await log.writer(['events', 'popularity.v1', 'affinity.v1', 'late-events', 'dead-letters']);
  const add = (topic: string, key: string, schema: SchemaName, value: object) =>
    writer.add(topic, Buffer.from(key), codec.encode(schema, value));
  const events = [
    ...Array.from({ length: 40 }, (_, n) => anEvent(n)),
    anEvent(3),
    anEvent(100, { ts: 0 }),
    anEvent(101, { event_type: 'gaze' as EventType }),
  ];
  for (const event of events) add('events', event.user_id, 'Event', event);
  writer.add('events', Buffer.from('u1'), Buffer.from('poison'));
  await writer.flush();

  const written = await rightAnswers(log);
  spoil(written);
  for (const [product, row] of written.popularity) add('popularity.v1', product, 'Popularity', row);
  for (const [user, row] of written.affinity) add('affinity.v1', user, 'Affinity', row);
  for (const source of written.late)
    add('late-events', 'u', 'LateEvent', { event: Buffer.of(), event_ts: 0, log_ts: 0, ...source });
  for (const source of written.dead) add('dead-letters', JSON.stringify(source), 'DeadLetter', letter(source));
  await writer.flush();
  const checker = new Checker({ log, partitions: PARTITIONS, stores: null, settleMsMax: 0 });
  try {
    return await checker.settle(new Set(acknowledged));
  } finally {
    await checker.close();
    await writer.close();
  }
}

async function rightAnswers(log: MemoryLog): Promise<Written> {
  const raw: RawRecord[] = [];
  const follower = new Follower(log, 'events', ({ timestamp, value, ...record }) => {
    const isPoison = value!.toString() === 'poison';
    const event = isPoison ? anEvent(0, { event_id: '' }) : (codec.decode('Event', value!) as Event);
    raw.push({ ...record, logTime: timestamp, value: event });
  });
  await follower.advance();
  await follower.close();
  const reference = new Reference(raw, EMPTY_CATALOGUE, { ...DEFAULT_SETTINGS, partitions: PARTITIONS });
  const as_of = Date.now();
  const source = ({ partition, offset }: RawRecord) => ({ topic: 'events', partition, offset });
  return {
    popularity: new Map(
      reference.products.map((id) => [id, { product_id: id, as_of, ...reference.popularity(id, as_of)! }]),
    ),
    affinity: new Map(
      reference.users.map((id) => {
        const scores = Object.fromEntries(reference.affinity(id, as_of)!);
        return [id, { user_id: id, as_of, scores }];
      }),
    ),
    late: reference.intake.late.map(source),
    dead: reference.intake.dead.map(({ record }) => source(record)),
  };
}

function letter(source: object) {
  return {
    ...{ id: JSON.stringify(source), kind: 'record', job_id: null, job_name: 'intake', source, record_key: null },
    ...{ size: 0, sha256: '', input: Buffer.of(), input_json: null, reason_code: 'future', error: '', stack: null },
    ...{ attempts: 1, created_at: 0, state: 'open', redrive_run_id: null },
  };
}

test('clean if everything matches a recount', async () => {
  const verdict = await verdictOf(() => undefined, ['e0', 'e39', 'poison']);
  assert.ok(isClean(verdict), verdict.words.join('\n'));
  assert.equal(verdict.events, 44);
  assert.equal(verdict.counted, 40);
});

const spoilt: readonly (readonly [string, (written: Written) => void, Pick<Verdict, 'lost' | 'double' | 'wrong'>])[] = [
  ['a view too few', ({ popularity }) => popularity.get('p0')!.views--, { lost: 1, double: 0, wrong: 0 }],
  ['a purchase too many', ({ popularity }) => popularity.get('p1')!.purchases++, { lost: 0, double: 1, wrong: 0 }],
  ['a product missing', ({ popularity }) => popularity.delete('p2'), { lost: 8, double: 0, wrong: 0 }],
  ['a score a millionth off', ({ popularity }) => scale(popularity.get('p3')!), { lost: 0, double: 0, wrong: 1 }],
  [
    'another category',
    ({ popularity }) => Object.assign(popularity.get('p4')!, { category: 'x' }),
    { lost: 0, double: 0, wrong: 1 },
  ],
  ['a user missing', ({ affinity }) => affinity.delete('u1'), { lost: 1, double: 0, wrong: 0 }],
  ['a user too many', ({ affinity }) => affinity.set('u9', aUser('u9')), { lost: 0, double: 1, wrong: 0 }],
  [
    'a wrong share',
    ({ affinity }) => Object.assign(affinity.get('u2')!.scores, { c0: 0.5 }),
    { lost: 0, double: 0, wrong: 1 },
  ],
  ['a late event missing', ({ late }) => late.pop(), { lost: 1, double: 0, wrong: 0 }],
  ['a dead letter twice', ({ dead }) => dead.push(dead[0]!), { lost: 0, double: 1, wrong: 0 }],
  ['a dead letter of a good record', ({ dead }) => dead.push(good()), { lost: 0, double: 1, wrong: 0 }],
];

for (const [what, spoil, expected] of spoilt)
  test(`${what} is found`, async () => {
    const { lost, double, wrong, words } = await verdictOf(spoil);
    assert.deepEqual({ lost, double, wrong }, expected, words.join('\n'));
    assert.ok(words.length > 0);
  });

test('an acknowledged event that the log does not hold is lost', async () => {
  const { lost, words } = await verdictOf(() => undefined, ['e1', 'never']);
  assert.equal(lost, 1);
  assert.match(words[0]!, /never/);
});

function scale(row: Popularity): void {
  row.score *= 1 + 1e-6;
}

function aUser(user_id: string): Affinity {
  return { user_id, as_of: Date.now(), scores: { c0: 1 } };
}

function good(): { topic: string; partition: number; offset: number } {
  return { topic: 'events', partition: 0, offset: 0 };
}
