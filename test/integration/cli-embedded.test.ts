import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { openDataFolder } from '../../runtime/process/data-folder.js';
import { runCommand, type Said } from '../unit/cli/run-command.js';

let base: string;
let data: string;
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), 'freshet-cli-'));
  data = join(base, 'data');
});
afterEach(() => rmSync(base, { recursive: true, force: true }));

function freshet(args: readonly string[], input?: string, more: Record<string, string> = {}): Promise<Said> {
  return runCommand(args, {
    environment: { FRESHET_DATA_DIR: data, PORT: '0', ...more },
    ...(input === undefined ? {} : { input }),
  });
}

const event = (id: string, more: object = {}) =>
  JSON.stringify({
    event_id: id,
    user_id: 'u1',
    product_id: 'p1',
    event_type: 'view',
    ts: '2025-06-01T12:00:00.5+02:00',
    ...more,
  });

interface Consumed {
  readonly key: string;
  readonly value: Record<string, unknown> | null;
}

async function consumed(topic: string, ...options: string[]): Promise<Consumed[]> {
  const { code, output, errors } = await freshet(['consume', topic, '--json', ...options]);
  assert.equal(code, 0, errors);
  return output
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Consumed);
}

describe('freshet produce and consume on the log on disk', () => {
  it('writes lines and reads them back, also after a restart', async () => {
    const lines = [event('a'), event('b', { ts: 1_748_772_000_500, category: 'toys' })].join('\n');
    const { code, output } = await freshet(['produce', 'events', '-'], lines);
    assert.equal(code, 0);
    assert.equal(output, '2 records written to events.\n');
    const records = await consumed('events', '--from-beginning');
    assert.deepEqual(
      records.map(({ key, value }) => ({ key, id: value?.['event_id'], ts: value?.['ts'] })),
      [
        { key: 'u1', id: 'a', ts: Date.UTC(2025, 5, 1, 10, 0, 0, 500) },
        { key: 'u1', id: 'b', ts: 1_748_772_000_500 },
      ],
    );
  });

  it('deletes by a null value, and requires key and record to match', async () => {
    const product = { product_id: 'p1', title: 'Kite', description: 'Flies', category: 'toys', updated_at: 1 };
    const lines = [
      JSON.stringify({ key: 'p1', value: product }),
      JSON.stringify({ key: 'p1', value: null }),
      JSON.stringify({ key: 'other', value: product }),
    ].join('\n');
    const { code, errors } = await freshet(['produce', 'products', '-'], lines);
    assert.equal(code, 1);
    assert.match(errors, /^line 3: "key" must be the value's product_id, "p1"/);
    const records = await consumed('products', '--from-beginning');
    assert.deepEqual(
      records.map(({ key, value }) => [key, value?.['title'] ?? null]),
      [
        ['p1', 'Kite'],
        ['p1', null],
      ],
    );
  });

  it('stops at the first bad line and says how many were written', async () => {
    const file = join(base, 'events.jsonl');
    writeFileSync(file, [event('a'), '', event('b', { event_type: 'look' }), event('c')].join('\n'));
    const { code, output, errors } = await freshet(['produce', 'events', file]);
    assert.equal(code, 1);
    assert.match(errors, /^line 3: "event_type" must be view, add_to_cart or purchase \(it is "look"\)\.\nStopped/);
    assert.equal(output, '1 record written to events, 1 bad line not.\n');
    assert.equal((await consumed('events', '--from-beginning')).length, 1);
  });

  it('continues with --skip-bad and reports every bad line', async () => {
    const long = 'x'.repeat(257);
    const lines = [
      event('a'),
      'nonsense',
      event('b', { user_id: long }),
      event('c', { colour: 'red' }),
      event('d', { ts: 'yesterday' }),
      '{"key":"u1","value":null}',
      event('e'),
    ].join('\n');
    const { code, output, errors } = await freshet(['produce', 'events', '-', '--skip-bad', '--json'], lines);
    assert.equal(code, 1);
    const {
      written,
      rejected,
      errors: listed,
    } = JSON.parse(output) as {
      written: number;
      rejected: number;
      errors: { line: number; error: string }[];
    };
    assert.deepEqual([written, rejected], [2, 5]);
    assert.deepEqual(
      listed.map(({ line }) => line),
      [2, 3, 4, 5, 6],
    );
    for (const { line, error } of listed) assert.ok(errors.includes(`line ${line}: ${error}`), errors);
    assert.deepEqual(
      (await consumed('events', '--from-beginning')).map(({ value }) => value?.['event_id']),
      ['a', 'e'],
    );
  });

  it('shows the newest records, or the requested number of them, from the requested partition', async () => {
    const lines = Array.from({ length: 50 }, (_, i) => event(`e${i}`, { user_id: `u${i}` })).join('\n');
    assert.equal((await freshet(['produce', 'events', '-'], lines)).code, 0);
    assert.equal((await consumed('events')).length, 10);
    assert.equal((await consumed('events', '--limit', '3')).length, 3);
    assert.equal((await consumed('events', '--from-beginning', '--limit', '7')).length, 7);
    const all = await consumed('events', '--limit', '1000');
    assert.equal(new Set(all.map(({ key }) => key)).size, 50);
    let sum = 0;
    for (const partition of ['0', '1', '2', '3'])
      sum += (await consumed('events', '--from-beginning', '--partition', partition)).length;
    assert.equal(sum, 50);
    const none = await freshet(['consume', 'events', '--partition', '4']);
    assert.equal(none.code, 2);
    assert.match(none.errors, /has the partitions 0 to 3, not 4/);
  });

  it('reports a topic that does not exist yet', async () => {
    const { code, errors } = await freshet(['consume', 'events']);
    assert.equal(code, 1);
    assert.match(errors, /Topic events does not exist in the log in .*: run "freshet topics apply" first/);
  });
});

describe('freshet topics on the log on disk', () => {
  it('creates missing topics, then finds everything as declared', async () => {
    const dry = await freshet(['topics', 'apply', '--dry-run']);
    assert.match(dry.output, /^events +missing +4$/m);
    const first = await freshet(['topics', 'apply']);
    assert.equal(first.code, 0);
    assert.match(first.output, /^events +created +4$/m);
    const second = await freshet(['topics', 'apply']);
    assert.match(second.output, /^events +as declared +4$/m);
    assert.match((await freshet(['topics', 'show', 'events'])).output, /^partition +first offset/m);
  });

  it('refuses another number of partitions under keyed state, and deletes only the named topics', async () => {
    await freshet(['topics', 'apply']);
    const { code, errors } = await freshet(['topics', 'apply'], undefined, { PARTITIONS: '8' });
    assert.equal(code, 1);
    assert.match(errors, /^error: Topic "events" has 4 partitions where 8 are declared/);
    const unknown = await freshet(['topics', 'apply', '--delete', 'nothing']);
    assert.equal(unknown.code, 1);
    assert.match(unknown.errors, /There is no topic nothing to delete/);
  });
});

describe('freshet doctor', () => {
  it('works with nothing configured, and leaves nothing behind', async () => {
    const { code, output } = await freshet(['doctor']);
    assert.equal(code, 0, output);
    assert.match(output, /^ok +log +KAFKA_BROKERS is not set/m);
    assert.match(output, /^PORT +0$/m);
    assert.match(output, /^HOST +127\.0\.0\.1 +default$/m);
    assert.ok(!existsSync(data));
  });

  it('inspects an existing log, and estimates', async () => {
    await freshet(['produce', 'events', '-'], event('a'));
    const { code, output } = await freshet(['doctor', '--json']);
    assert.equal(code, 0);
    const { checks } = JSON.parse(output) as { checks: { name: string; status: string; sentence: string }[] };
    const sentence = (name: string) => checks.find((check) => check.name === name)?.sentence ?? '';
    assert.match(sentence('log time'), /LogAppendTime/);
    assert.match(sentence('topics'), /as declared/);
    assert.match(sentence('estimate'), /^1 events and 0 products: at most 161 MB/);
  });

  it('fails on settings that cannot work, hides secrets, and does not stop at the first problem', async () => {
    const { code, output } = await freshet(['doctor'], undefined, {
      HOST: '0.0.0.0',
      REDIS_URL: 'redis://:hunter2@127.0.0.1:1',
      DATABASE_URL: 'postgres://me:hunter2@127.0.0.1:1/shop',
      SCHEMA_REGISTRY_URL: 'http://127.0.0.1:1',
    });
    assert.equal(code, 1);
    for (const name of ['redis', 'postgres', 'registry', 'address'])
      assert.match(output, new RegExp(`^fail +${name} `, 'm'));
    assert.match(output, /^REDIS_URL +redis:\/\/\*\*\*@127\.0\.0\.1:1$/m);
    assert.doesNotMatch(output, /hunter2/);
  });

  it('reports invalid settings as a finding', async () => {
    const { code, output } = await freshet(['doctor'], undefined, { LOG_LEVEL: 'loud' });
    assert.equal(code, 1);
    assert.match(output, /^fail +settings +Wrong settings:\n {2}LOG_LEVEL: /m);
    assert.match(output, /^LOG_LEVEL +loud$/m);
  });
});

describe('a data folder that another process holds', () => {
  it('makes commands fail with an explanation until it listens', async () => {
    const folder = await openDataFolder(data);
    try {
      for (const args of [
        ['produce', 'events', '-'],
        ['topics', 'list'],
        ['reset', '--yes'],
      ]) {
        const { code, errors } = await freshet(args, '');
        assert.equal(code, 1);
        assert.match(
          errors,
          new RegExp(`^error: .*rocess ${process.pid}.*${args[0] === 'reset' ? 'Stop that process' : 'try again'}`),
        );
      }
    } finally {
      await folder.release();
    }
  });

  it('shows the address if it does not answer', async () => {
    const folder = await openDataFolder(data);
    await folder.announce('http://127.0.0.1:1');
    try {
      const { code, errors } = await freshet(['topics', 'list']);
      assert.equal(code, 1);
      assert.match(errors, /does not answer at http:\/\/127\.0\.0\.1:1 \(.*\): is it still starting, or stopping\?/);
    } finally {
      await folder.release();
    }
  });
});

describe('freshet reset', () => {
  it('empties the folder once confirmed', async () => {
    await freshet(['produce', 'events', '-'], event('a'));
    const asked = await freshet(['reset']);
    assert.equal(asked.code, 2);
    assert.match(asked.errors, /add --yes/);
    const { code, output } = await freshet(['reset', '--yes']);
    assert.equal(code, 0);
    assert.match(output, /is empty now/);
    assert.deepEqual(readdirSync(data), ['freshet.json']);
    assert.equal((await freshet(['consume', 'events'])).code, 1);
  });

  it('touches only a Freshet data folder', async () => {
    mkdirSync(data);
    writeFileSync(join(data, 'thesis.txt'), 'x');
    const { code, errors } = await freshet(['reset', '--yes']);
    assert.equal(code, 1);
    assert.match(errors, /is not a Freshet data folder: nothing was deleted/);
    assert.deepEqual(readdirSync(data), ['thesis.txt']);
  });

  it('accepts a folder that does not exist', async () => {
    assert.equal((await freshet(['reset', '--yes'])).code, 0);
    assert.ok(!existsSync(data));
  });
});
