/**
 * I38: a private Redis or Postgres that dies is started again under the same address; what it serves is right again
 * without anybody's help. One that cannot stay up ends the process with a sentence.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { silentLogger } from '../../runtime/process/logger.js';
import type { ServerProcess } from '../../runtime/stores/private-server.js';
import { supervise } from '../../runtime/stores/supervisor.js';
import { EmbeddedScene } from '../faults/harness/embedded-scene.js';
import { childrenNamed } from '../support/processes.js';

const EVENTS = 1000;

test('I38: killed private servers come back, and what they serve is right', { timeout: 120_000 }, async (t) => {
  const scene = await EmbeddedScene.open(t);
  await scene.deployment.start();
  await scene.send(EVENTS);
  await scene.verify();
  for (const program of ['redis-server', 'postgres']) {
    const [pid] = childrenNamed(scene.deployment.pid, program);
    if (pid === undefined && program === 'redis-server') continue;
    assert.ok(pid !== undefined, `no ${program} runs`);
    process.kill(pid, 'SIGKILL');
    await scene.deployment.until(async () => {
      const [again] = childrenNamed(scene.deployment.pid, program);
      return again !== undefined && again !== pid;
    }, `running a new ${program}`);
    await scene.deployment.until(
      async () => (await fetch(`${scene.deployment.address}/health/ready`)).status === 200,
      'ready again',
    );
    await scene.send(EVENTS);
    await scene.verify();
  }
});

/** A server that ends as soon as it has started. */
async function shortLived(): Promise<ServerProcess> {
  const child = spawn('true');
  const gone = once(child, 'exit').then(() => undefined);
  let end: string | null = null;
  void gone.then(() => {
    end = 'it ended (code 0)';
  });
  return { pid: child.pid!, gone, ended: () => end, stop: () => gone };
}

test('I38: a server that keeps dying is given up with a sentence, and stopping is always possible', async (t) => {
  // Waiting for a restart does not keep a process alive.
  const alive = setInterval(() => undefined, 1_000);
  t.after(() => clearInterval(alive));
  let starts = 1;
  const failed = new Promise<Error>((resolve) => {
    void shortLived().then((server) => {
      const again = () => {
        starts++;
        return shortLived();
      };
      supervise({ name: 'Private Redis', server, again, logger: silentLogger, onFailed: resolve });
    });
  });
  assert.match((await failed).message, /^Private Redis died 7 times in a row and is not started again: it ended/);
  assert.equal(starts, 7);
  const watch = supervise({
    name: 'Private Redis',
    server: await shortLived(),
    again: shortLived,
    logger: silentLogger,
    onFailed: () => assert.fail('it was stopped'),
  });
  await watch.stop();
  await watch.stop();
});
