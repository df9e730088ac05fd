import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
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
