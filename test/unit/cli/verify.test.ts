import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { runCommand } from './run-command.js';

it('shows an example', async () => {
  const { code, output } = await runCommand(['verify', '--help']);
  assert.equal(code, 0);
  assert.match(output, /Example:\n {2}\$ freshet verify --sample all/);
});

for (const sample of ['0%', '101%', '1', '-1%', 'some', '1e1%'])
  it(`refuses --sample ${sample}`, async () => {
    const { code, errors } = await runCommand(['verify', `--sample=${sample}`]);
    assert.equal(code, 2);
    assert.match(errors, /Give a percentage above 0%, such as 1% or 0\.5%, or "all"/);
  });

it('says that nothing is served if nothing runs', async (test) => {
  const folder = mkdtempSync(join(tmpdir(), 'freshet-verify-'));
  test.after(() => rmSync(folder, { recursive: true, force: true }));
  const environment = { FRESHET_DATA_DIR: join(folder, 'data') };
  const { code, errors } = await runCommand(['verify'], { environment });
  assert.equal(code, 1);
  assert.match(errors, /^error: Nothing runs on the data folder .*: start "freshet up" first/);
});
