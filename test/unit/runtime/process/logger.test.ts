import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, existsSync, openSync } from 'node:fs';
import { test } from 'node:test';

const MODULE = new URL('../../../../runtime/process/logger.js', import.meta.url).href;

test('a line never holds a password, nor the value of a setting that is a secret', () => {
  const said = `{ event: 'said', SHOP_PIN: 'hunter2', password: 'hunter2', settings: { SHOP_PIN: 'hunter2', SHOP_NAME: 'corner' } }`;
  const script = `import { createLogger } from '${MODULE}'; createLogger('info', ['SHOP_PIN']).info(${said});`;
  const { stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
  const line = JSON.parse(stderr) as { event: string; level: string; settings: { SHOP_NAME: string } };
  assert.deepEqual([line.event, line.level, line.settings.SHOP_NAME], ['said', 'INFO', 'corner']);
  assert.doesNotMatch(stderr, /hunter2/);
});

test('lines that cannot be written are dropped and counted, and the process goes on', {
  skip: !existsSync('/dev/full'),
}, () => {
  const script = `
    import { createLogger, droppedLogLines } from '${MODULE}';
    const logger = createLogger('info');
    for (let i = 0; i < 3; i++) logger.info({ event: 'said' });
    console.log('dropped ' + droppedLogLines());`;
  const full = openSync('/dev/full', 'w');
  const run = (errors: number | 'pipe') =>
    spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', errors],
    });
  try {
    const { stdout, status } = run(full);
    assert.equal(status, 0);
    assert.match(stdout, /^dropped 3$/m);
    assert.match(run('pipe').stdout, /^dropped 0$/m);
  } finally {
    closeSync(full);
  }
});
