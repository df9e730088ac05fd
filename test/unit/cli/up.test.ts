import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Compose, ComposeOptions, Running } from '../../../assembly/running.js';
import type { Settings } from '../../../assembly/settings.js';
import { FreshetError } from '../../../runtime/process/errors.js';
import { runCommand } from './run-command.js';

interface Script {
  readonly start?: () => Promise<void>;
  readonly stop?: () => Promise<void>;
  readonly failed?: Promise<Error>;
  readonly ready?: Promise<void>;
}

/** A composition that only records what is requested of it. */
function scripted(script: Script) {
  const seen: string[] = [];
  let given: { settings: Settings; options: ComposeOptions } | null = null;
  const compose: Compose = async (settings, options) => {
    given = { settings, options };
    const running: Running = {
      name: 'scripted',
      address: 'http://127.0.0.1:4711',
      parts: [
        { name: 'log', use: 'on disk' },
        { name: 'online store', use: 'in process' },
      ],
      ready: script.ready ?? new Promise(() => {}),
      failed: script.failed ?? new Promise(() => {}),
      start: async () => {
        seen.push('start');
        await script.start?.();
      },
      stop: async () => {
        seen.push('stop');
        await script.stop?.();
      },
    };
    return running;
  };
  return { compose, seen, given: () => given! };
}

/** Asks this process to stop, like Ctrl-C; the listener of `up` receives it. */
const interrupt = async () => {
  process.emit('SIGINT');
};

describe('freshet up', () => {
  it('shows what it uses and where the page is, and stops in order', async () => {
    const { compose, seen, given } = scripted({ start: async () => void setImmediate(interrupt) });
    const { code, output } = await runCommand(['up', '--port', '0', '--roles', 'serving, processor'], { compose });
    assert.equal(code, 0);
    assert.deepEqual(seen, ['start', 'stop']);
    assert.match(output, / {2}log +on disk\n {2}online store +in process\n {2}page +http:\/\/127\.0\.0\.1:4711\n/);
    assert.equal(given().settings.PORT, 0);
    assert.deepEqual(given().options.roles, ['processor', 'serving']);
    assert.equal(given().options.demo, null);
  });

  it('accepts the name of a kind for all roles of that kind', async () => {
    for (const [roles, expected] of [
      ['snapshotter', ['snapshotter:stopwords', 'snapshotter:faiss', 'snapshotter:als']],
      ['snapshotter:als, serving, snapshotter:als', ['serving', 'snapshotter:als']],
    ] as const) {
      const { compose, given } = scripted({ start: interrupt });
      assert.equal((await runCommand(['up', '--roles', roles], { compose })).code, 0);
      assert.deepEqual(given().options.roles, expected);
    }
  });

  it('says when it is ready', async () => {
    const ready = Promise.resolve();
    const { compose } = scripted({ ready, start: async () => void setImmediate(() => setImmediate(interrupt)) });
    const { output } = await runCommand(['up', '--demo'], { compose });
    assert.match(output, /Ctrl-C stops it\.\nReady after 0\.\d s: the demo shop is open\.\nStopped\.\n$/);
  });

  it('uses the last option about the demo', async () => {
    for (const [args, demo] of [
      [['--demo'], true],
      [['--demo', '--no-demo'], false],
    ] as const) {
      const { compose, given } = scripted({ start: interrupt });
      assert.equal((await runCommand(['up', ...args], { compose })).code, 0);
      assert.equal(given().options.demo !== null, demo);
    }
  });

  it('stops the parts already starting when asked to stop during the start', async () => {
    const { compose, seen } = scripted({
      start: () => {
        setImmediate(interrupt);
        return new Promise(() => {});
      },
    });
    const { code, output } = await runCommand(['up'], { compose });
    assert.equal(code, 0);
    assert.deepEqual(seen, ['start', 'stop']);
    assert.equal(output, 'Stopped.\n');
  });

  it('ends with 1 and the error when the start fails', async () => {
    const { compose } = scripted({
      start: async () => {
        throw new FreshetError('settings', 'Port 8080 is taken.');
      },
    });
    const { code, errors } = await runCommand(['up'], { compose });
    assert.equal(code, 1);
    assert.equal(errors, 'error: Port 8080 is taken.\n');
  });

  it('stops and ends with 1 when something fails for good later', async () => {
    const { compose, seen } = scripted({ failed: Promise.resolve(new Error('The disk is full.')) });
    const { code, errors } = await runCommand(['up'], { compose });
    assert.equal(code, 1);
    assert.deepEqual(seen, ['start', 'stop']);
    assert.equal(errors, 'error: The disk is full.\n');
  });

  it('does not wait indefinitely for a stop', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] });
    const { compose } = scripted({
      start: interrupt,
      stop: () => {
        setImmediate(() => t.mock.timers.tick(10_000));
        return new Promise(() => {});
      },
    });
    const { code, errors } = await runCommand(['up'], { compose });
    assert.equal(code, 1);
    assert.match(errors, /took longer than 10 s and was aborted/);
  });

  it('prints JSON on request', async () => {
    const { compose } = scripted({ start: async () => void setImmediate(interrupt) });
    const { output } = await runCommand(['up', '--json'], { compose });
    const said = JSON.parse(output) as { address: string; roles: string[] };
    assert.equal(said.address, 'http://127.0.0.1:4711');
    assert.equal(said.roles.length, 6);
  });
});
