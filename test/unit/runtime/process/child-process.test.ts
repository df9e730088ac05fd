/** A module in a separate process: every way in which it can end is reported, and none of them throws. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Child, type ChildOptions, howItEnded } from '../../../../runtime/process/child-process.js';

interface Message {
  readonly echo?: unknown;
  readonly way?: string;
}

function started(over: Partial<ChildOptions<never>> = {}) {
  let heard: (message: never) => void = () => undefined;
  const child = new Child<Message, never>({
    entry: new URL('./child-module.js', import.meta.url),
    inherited: ['PATH'],
    onMessage: (message) => heard(message),
    ...over,
  });
  const answer = <T>(message: Message) =>
    new Promise<T>((resolve) => {
      heard = resolve;
      child.send(message);
    });
  return { child, answer };
}

describe('a child process', () => {
  test('answers messages, columns as they are', async () => {
    const { child, answer } = started();
    assert.ok(child.pid !== undefined);
    const { echo } = await answer<{ echo: Float32Array }>({ echo: new Float32Array([1.5, 2]) });
    assert.deepEqual(echo, new Float32Array([1.5, 2]));
    await child.kill();
    child.send({ echo: 1 });
  });

  test('gets the variables that are named and no others', async (t) => {
    process.env['FRESHET_TEST_SECRET'] = 'secret';
    process.env['FRESHET_TEST_GIVEN'] = 'ours';
    t.after(() => {
      delete process.env['FRESHET_TEST_SECRET'];
      delete process.env['FRESHET_TEST_GIVEN'];
    });
    const { child, answer } = started({
      inherited: ['FRESHET_TEST_GIVEN'],
      environment: { OWN: 'yes' },
      memoryMb: 64,
    });
    const seen = await answer<{ environment: NodeJS.ProcessEnv; collects: boolean }>({ way: 'environment' });
    assert.equal(seen.environment['FRESHET_TEST_GIVEN'], 'ours');
    assert.equal(seen.environment['OWN'], 'yes');
    assert.equal(seen.environment['FRESHET_TEST_SECRET'], undefined);
    assert.equal(seen.collects, true);
    await child.kill();
  });

  test('that ends by itself leaves its code and its last line', async () => {
    let output = '';
    const { child } = started({ onErrorOutput: (text) => (output += text) });
    child.send({ way: 'exit' });
    const end = await child.ended;
    assert.deepEqual([end.code, end.signal, end.lastLine, end.ranOutOfMemory], [7, null, 'last words', false]);
    assert.equal(howItEnded(end), 'exit code 7');
    assert.match(output, /first words\nlast words/);
  });

  test('that needs more memory than it may have ends alone', async () => {
    const { child } = started({ memoryMb: 32 });
    child.send({ way: 'hoard' });
    const end = await child.ended;
    assert.equal(end.ranOutOfMemory, true);
  });

  test('that does not stop when it is asked to is killed', async () => {
    const { child, answer } = started();
    await answer({ way: 'ignore' });
    child.stop(50);
    assert.equal(howItEnded(await child.ended), 'SIGKILL');
  });

  test('that stops in time is not killed', async () => {
    const { child, answer } = started();
    await answer({ echo: 1 });
    child.stop(60_000);
    assert.equal(howItEnded(await child.ended), 'SIGTERM');
  });

  test('that cannot be started says why', async (t) => {
    const { execPath } = process;
    process.execPath = '/nowhere/node';
    t.after(() => {
      process.execPath = execPath;
    });
    const { child } = started();
    assert.match(howItEnded(await child.ended), /ENOENT/);
    assert.equal(child.pid, undefined);
  });
});
