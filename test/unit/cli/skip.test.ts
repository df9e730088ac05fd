import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { runCommand } from './run-command.js';

async function freshetIn(t: TestContext) {
  const folder = await mkdtemp(join(tmpdir(), 'freshet-cli-skip-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const environment = { FRESHET_DATA_DIR: join(folder, 'data'), PORT: '0', PARTITIONS: '1' };
  return (args: readonly string[], input = '') => runCommand(args, { environment, input });
}

const EVENTS = ['a', 'b', 'c']
  .map((id) => JSON.stringify({ event_id: id, user_id: 'u', product_id: 'p', event_type: 'view', ts: 1 }))
  .join('\n');

describe('freshet skip', () => {
  it('gives up offsets, and lists them with who and why', async (t) => {
    const freshet = await freshetIn(t);
    await freshet(['produce', 'events', '-'], EVENTS);
    assert.match((await freshet(['skip', '--list'])).output, /^Nothing was skipped\.$/m);
    const skip = ['skip', 'events', '0', '--from', '1', '--reason', 'a disk error'];
    const asked = await freshet(skip);
    assert.equal(asked.code, 2);
    assert.match(asked.errors, /This gives up offset 1 of events\[0\] for every reader, permanently: add --yes/);
    const { code, output, errors } = await freshet([...skip, '--yes']);
    assert.equal(code, 0, errors);
    assert.match(output, /^events\[0\]: offset 1 given up in the log in .*; readers go on at 2\.\n$/);
    const list = await freshet(['skip', '--list', '--json']);
    const [one] = (JSON.parse(list.output) as { skips: Record<string, unknown>[] }).skips;
    assert.deepEqual([one!['from'], one!['to'], one!['reason']], [1, 2, 'a disk error']);
    assert.match(String(one!['requested_by']), /^user ./);
    assert.match((await freshet(['skip', '--list', 'events'])).output, /events +0 +1 +2 .*a disk error/);
    assert.match((await freshet(['skip', '--list', 'products'])).output, /Nothing was skipped/);
  });

  it('names what is missing or wrong', async (t) => {
    const freshet = await freshetIn(t);
    const refused = async (args: readonly string[], sentence: RegExp) => {
      const { code, errors } = await freshet(['skip', ...args, '--yes']);
      assert.equal(code, 2, errors);
      assert.match(errors, sentence);
    };
    await refused(['events', '0'], /Give a topic, a partition, --from and --reason; or --list\./);
    await refused(['events', '0', '--from', '1', '--to', '1', '--reason', 'x'], /must be above "from", 1/);
    await refused(['events', 'one', '--from', '1', '--reason', 'x'], /whole number, 0 or more/);
    await refused(['events', '0', '--from', '7', '--reason', 'x'], /events\[0\] holds the offsets 0 to -1/);
  });
});
