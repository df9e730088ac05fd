import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import type { ErasureStatus } from '../../../publishing/erasure/certificate.js';
import { runCommand } from './run-command.js';

async function freshetIn(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-cli-erase-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const environment = { FRESHET_DATA_DIR: join(folder, 'data'), PORT: '0' };
  return (...args: string[]) => runCommand(args, { environment });
}

describe('freshet erase, while no Freshet runs', () => {
  it('writes the request, and says that no process acts on it', async (t) => {
    const freshet = await freshetIn(t);
    const { code, errors } = await freshet('erase', 'user', 'u1', '--yes', '--reason', 'a letter');
    assert.equal(code, 1);
    assert.match(errors, /The request is written, but no process acts on it\. .*"freshet up"/);
    const { output } = await freshet('consume', 'events', '--json');
    assert.deepEqual(
      [JSON.parse(output)].map(({ key, value }) => [key, value]),
      [['u1', null]],
    );
    const shown = await freshet('erase', 'user', 'u1', '--show', '--json');
    assert.equal(shown.code, 1, 'still waiting');
    const status = JSON.parse(shown.output) as ErasureStatus;
    assert.equal(status.state, 'waiting');
    assert.equal(status.reason, 'a letter');
    assert.equal(status.cut?.offset, 0);
    assert.deepEqual(status.waits_for, ['a task of version 1 to erase the user']);
  });

  it('exits once the request is written if it must not wait', async (t) => {
    const freshet = await freshetIn(t);
    const { code, output } = await freshet('erase', 'product', 'p1', '--yes', '--no-wait');
    assert.equal(code, 0);
    assert.match(output, /^Written to the log in .*; "freshet erase product p1 --show" shows its state\.\n$/);
    const json = await freshet('erase', 'product', 'p1', '--yes', '--no-wait', '--json');
    assert.deepEqual(JSON.parse(json.output), { subject: 'product:p1' });
  });

  it('fails if no erasure was requested', async (t) => {
    const freshet = await freshetIn(t);
    await freshet('erase', 'user', 'u1', '--yes', '--no-wait');
    const { code, errors } = await freshet('erase', 'user', 'u2', '--show');
    assert.equal(code, 1);
    assert.match(errors, /No erasure of user u2 was requested in the log in/);
  });
});
