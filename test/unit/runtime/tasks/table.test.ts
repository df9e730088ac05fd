/** A table that cannot read its topic for a while says so, keeps what it has, and goes on by itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FreshetError } from '../../../../runtime/process/errors.js';
import { silentLogger } from '../../../../runtime/process/logger.js';
import { GlobalTable } from '../../../../runtime/tasks/table.js';
import { Codec } from '../../../../schemas/codec.js';
import { ManualClock } from '../../../support/manual-clock.js';
import { append, ScriptedLog } from '../../../support/scripted-log.js';

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

for (const code of ['access', 'invalid_data', 'connection'] as const)
  test(`a registry that answers with ${code} for a while costs no value`, async () => {
    const log = new ScriptedLog();
    const config = { cleanup: 'compact', retentionMs: -1, logAppendTime: true, settings: {}, partitions: 1 } as const;
    await log.admin.createTopic({ name: 'products', ...config });
    const codec = new Codec();
    let refuses = false;
    const prepare = codec.prepare.bind(codec);
    codec.prepare = async (...args) => {
      if (refuses) throw new FreshetError(code, 'the registry does not answer');
      return prepare(...args);
    };
    const clock = new ManualClock(1_000);
    const project = () => 'shown';
    const table = new GlobalTable({ topic: 'products', log, codec, logger: silentLogger, clock, project });
    const put = (key: string) => append(log, 'products', Buffer.from(key), Buffer.from('v'), 0);
    const until = async (holds: () => boolean) => {
      for (let i = 0; !holds(); i++) {
        assert.ok(i < 2_000);
        clock.advance(100);
        await turn();
      }
    };
    await put('a');
    await table.start();
    assert.deepEqual([table.get('a'), table.problem], ['shown', null]);
    refuses = true;
    await put('b');
    await until(() => table.problem !== null);
    assert.match(table.problem!, /the registry does not answer/);
    assert.deepEqual([table.get('a'), table.get('b')], ['shown', undefined]);
    refuses = false;
    await until(() => table.get('b') === 'shown');
    await until(() => table.problem === null);
    await table.stop();
  });
