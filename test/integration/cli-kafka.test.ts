import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { loadSettings } from '../../assembly/settings.js';
import { openKafkaLog } from '../../runtime/log/kafka/log.js';
import type { Log } from '../../runtime/log/log.js';
import { silentLogger } from '../../runtime/process/logger.js';
import { startTestRegistry, type TestRegistry } from '../support/registry.js';
import { startBroker } from '../support/services/kafka.js';
import { LocalBroker } from '../support/services/local-broker.js';
import { isRequired } from '../support/services/service.js';
import { runCommand } from '../unit/cli/run-command.js';

const EVENT = { event_id: 'a', user_id: 'u1', product_id: 'p1', event_type: 'view', ts: '2025-06-01T12:00:00Z' };

/** A private broker: topic names are fixed, and this test deletes some. */
const broker = await startBroker();
const missing = broker instanceof LocalBroker ? false : broker.missing;
if (missing !== false && isRequired('kafka')) throw new Error(`REQUIRE_REAL names kafka, but ${missing}.`);

describe('commands on Kafka and a registry', { skip: missing }, () => {
  let base: string;
  let registry: TestRegistry;
  let log: Log;
  const address = broker instanceof LocalBroker ? broker.address : '';

  before(async () => {
    base = mkdtempSync(join(tmpdir(), 'freshet-cli-kafka-'));
    registry = await startTestRegistry();
    log = await openKafkaLog(loadSettings({ KAFKA_BROKERS: address }), silentLogger);
  });

  after(async () => {
    await log.close();
    await registry.close();
    rmSync(base, { recursive: true, force: true });
    if (broker instanceof LocalBroker) await broker.stop();
  });

  const freshet = (args: readonly string[], input = '', more: Record<string, string> = {}) =>
    runCommand(args, {
      environment: { KAFKA_BROKERS: address, FRESHET_DATA_DIR: join(base, 'data'), PORT: '0', ...more },
      input,
    });

  it('topics must be created before records are produced', async () => {
    const { code, errors } = await freshet(['produce', 'events', '-'], JSON.stringify(EVENT));
    assert.equal(code, 1);
    assert.match(errors, /Topic events does not exist in Kafka at .*: run "freshet topics apply" first/);
    const applied = await freshet(['topics', 'apply'], '', { PARTITIONS: '3' });
    assert.equal(applied.code, 0, applied.errors);
    assert.match(applied.output, /^events +created +3$/m);
    const config = await log.admin.describeTopic('events');
    assert.equal(config?.logAppendTime, true);
    assert.equal(config?.retentionMs, 100 * 86_400_000);
  });

  it('apply finds the topics it created, and refuses another number of partitions', async () => {
    const again = await freshet(['topics', 'apply', '--json'], '', { PARTITIONS: '3' });
    const { topics } = JSON.parse(again.output) as { topics: { action: string; differences: string[] }[] };
    assert.deepEqual(
      topics.filter(({ action }) => action !== 'same'),
      [],
    );
    const { code, errors } = await freshet(['topics', 'apply'], '', { PARTITIONS: '4' });
    assert.equal(code, 1);
    assert.match(errors, /Topic "events" has 3 partitions where 4 are declared/);
  });

  it('apply deletes the named topics, and nothing else', async () => {
    await log.admin.createTopic({
      name: 'left-over',
      partitions: 1,
      cleanup: 'delete',
      retentionMs: 60_000,
      logAppendTime: false,
      settings: {},
    });
    const { code, output } = await freshet(['topics', 'apply', '--delete', 'left-over'], '', { PARTITIONS: '3' });
    assert.equal(code, 0);
    assert.match(output, /^left-over deleted$/m);
    assert.ok(!(await log.admin.listTopics()).includes('left-over'));
    assert.ok((await log.admin.listTopics()).includes('events'));
  });

  it('produce registers the schema and writes in its framing; consume reads both framings', async () => {
    const own = await freshet(['produce', 'events', '-'], JSON.stringify(EVENT));
    assert.equal(own.code, 0, own.errors);
    const framed = await freshet(['produce', 'events', '-'], JSON.stringify({ ...EVENT, event_id: 'b' }), {
      SCHEMA_REGISTRY_URL: registry.url,
    });
    assert.equal(framed.code, 0, framed.errors);
    assert.ok(registry.requests.includes('POST /subjects/events-value/versions'), registry.requests.join('\n'));
    assert.deepEqual(await firstBytes(), [0xc3, 0x00]);
    const { output } = await freshet(['consume', 'events', '--json'], '', { SCHEMA_REGISTRY_URL: registry.url });
    const ids = output
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { value: { event_id: string } }).value.event_id);
    assert.deepEqual(ids, ['a', 'b']);
  });

  /** First byte of every value in events, in log order (all have the same key). */
  async function firstBytes(): Promise<number[]> {
    const found: number[] = [];
    for (const partition of [0, 1, 2]) {
      const { earliest, lastStable } = await log.offsets({ topic: 'events', partition });
      const reader = log.reader([{ topic: 'events', partition, offset: earliest }]);
      while (reader.position({ topic: 'events', partition }) < lastStable)
        for (const { bytes, count, valueStart } of await reader.poll())
          for (let row = 0; row < count; row++) found.push(bytes[valueStart[row]!]!);
      await reader.close();
    }
    return found;
  }

  it('doctor finds no problems, and explains what a single broker means', async () => {
    const { code, output } = await freshet(['doctor'], '', { SCHEMA_REGISTRY_URL: registry.url, PARTITIONS: '3' });
    assert.equal(code, 0, output);
    assert.match(output, /^ok +log +Kafka at .* answers; (\d+) of \1 topics exist\.$/m);
    assert.match(output, /^ok +log time +events carries LogAppendTime/m);
    assert.match(output, /^warn +durability +min\.insync\.replicas of events is 1/m);
    assert.match(
      output,
      /^ok +registry +It answers; 1 of \d+ subjects are registered, and our schemas are compatible\.$/m,
    );
    const other = await freshet(['doctor'], '', { PARTITIONS: '5' });
    assert.equal(other.code, 1);
    assert.match(other.output, /^fail +topics +Topic "events" has 3 partitions where 5 are declared/m);
  });

  it('an unreachable broker is reported in one sentence', async () => {
    const { code, errors } = await freshet(['topics', 'list'], '', { KAFKA_BROKERS: '127.0.0.1:1' });
    assert.equal(code, 1);
    assert.match(errors, /^error: [^\n]*127\.0\.0\.1:1[^\n]*\n$/);
  });
});
