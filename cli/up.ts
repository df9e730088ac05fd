/** `freshet up`: starts the chosen roles in this process and stops them in order on request. */
import { Command, Option } from 'commander';
import { ALL_ROLES, type Role } from '../assembly/roles/all.js';
import type { Compose, Running } from '../assembly/running.js';
import { FreshetError, messageOf } from '../runtime/process/errors.js';
import { createLogger } from '../runtime/process/logger.js';
import { loadSettings, SECRET_NAMES, type Settings } from './settings.js';
import { type Shell, UsageError } from './shell.js';
import { listenForStop, type StopSignal } from './stop-signal.js';

interface UpCommandOptions {
  readonly roles?: string;
  readonly demo?: boolean;
  readonly port?: string;
  readonly json?: true;
}

/** Longest time a stop may take before the process ends anyway. */
const STOP_MS_MAX = 10_000;

export function upCommand(shell: Shell, compose: Compose): Command {
  return new Command('up')
    .summary('start everything, or the given roles, in this process')
    .description(
      'Starts everything in one process: the log (or the connection to Kafka), the stores, the processors, the publishers and the page. Anything not configured is started privately in the data folder.',
    )
    .addOption(new Option('--roles <roles>', `comma-separated among ${ROLE_NAMES.join(', ')}; all by default`))
    .option('--demo', 'load the demo shop, then send live traffic (DEMO_RATE events a second)')
    .option('--no-demo', 'no demo shop (the default)')
    .option('--port <port>', 'listen here instead of PORT')
    .option('--json', 'print what was started as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet up --demo --port 8090\n\nCtrl-C stops in order; twice, at once.')
    .action(async (options: UpCommandOptions) => {
      const roles = parseRoles(options.roles);
      const settings = settingsFor(shell, options.port);
      await up(shell, compose, settings, { roles, demo: options.demo === true, json: options.json === true });
    });
}

/** A kind of role stands for all of that kind: `snapshotter` is every snapshotter. */
const KINDS = [...new Set(ALL_ROLES.filter((role) => role.includes(':')).map((role) => role.split(':', 1)[0]!))];
const ROLE_NAMES: readonly string[] = [...ALL_ROLES, ...KINDS];

function parseRoles(text: string | undefined): readonly Role[] {
  if (text === undefined) return ALL_ROLES;
  const named = text.split(',').map((role) => role.trim());
  const wanted = (role: Role) => named.includes(role) || named.includes(role.split(':', 1)[0]!);
  for (const name of named)
    if (!ROLE_NAMES.includes(name))
      throw new UsageError(`--roles: "${name}" is not a role; the roles are ${ROLE_NAMES.join(', ')}.`);
  return ALL_ROLES.filter(wanted);
}

/** The option overrides the setting, so that it is checked in the same way. */
function settingsFor(shell: Shell, port: string | undefined): Settings {
  return port === undefined ? shell.settings : loadSettings({ ...shell.terminal.environment, PORT: port });
}

interface UpOptions {
  readonly roles: readonly Role[];
  readonly demo: boolean;
  readonly json: boolean;
}

async function up(shell: Shell, compose: Compose, settings: Settings, options: UpOptions): Promise<void> {
  const { roles } = options;
  const stop = listenForStop();
  try {
    const isWatched = shell.terminal.errors.isTTY === true;
    const shown = isWatched
      ? (await import('./shown-log.js')).shownLog(!('NO_COLOR' in shell.terminal.environment))
      : null;
    const logger = createLogger(logLevel(shell, settings), SECRET_NAMES, shown);
    const demo = options.demo ? (await import('./demo/demo-shop.js')).demoShop(settings) : null;
    const running = await compose(settings, { roles, demo, logger });
    const failure = await runUntilStopped(shell, running, options, stop);
    await stopInTime(running);
    if (failure !== null) throw failure;
    if (!options.json) await shell.line('Stopped.');
  } finally {
    stop.close();
  }
}

/** Resolves with null on a request to stop, with the error if a running part has failed for good. */
async function runUntilStopped(
  shell: Shell,
  running: Running,
  options: UpOptions,
  stop: StopSignal,
): Promise<Error | null> {
  const startedAt = performance.now();
  const stopped = new Promise<null>((resolve) => {
    if (stop.signal.aborted) resolve(null);
    stop.signal.addEventListener('abort', () => resolve(null), { once: true });
  });
  const outcome = await Promise.race([
    running.start().then(() => 'started' as const, toError),
    stopped,
    running.failed,
  ]);
  if (outcome !== 'started') return outcome;
  await announce(shell, running, options);
  const ended = Promise.race([stopped, running.failed]);
  const isReady = await Promise.race([running.ready.then(() => true), ended.then(() => false)]);
  if (isReady) await announceReady(shell, startedAt, options);
  return await ended;
}

/** A person at a terminal reads our lines, not JSON: unless LOG_LEVEL is set, only problems are logged there. */
function logLevel({ terminal }: Shell, settings: Settings): string {
  return terminal.errors.isTTY && !terminal.environment['LOG_LEVEL'] ? 'warn' : settings.LOG_LEVEL;
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(messageOf(error));
}

async function announce(shell: Shell, running: Running, options: UpOptions): Promise<void> {
  const { address, parts } = running;
  if (options.json) {
    await shell.line(JSON.stringify({ address, roles: options.roles, demo: options.demo, parts }));
    return;
  }
  const width = Math.max(...parts.map(({ name }) => name.length));
  await shell.line('Freshet is up:');
  for (const { name, use } of parts) await shell.line(`  ${name.padEnd(width)}  ${use}`);
  if (address !== null) await shell.line(`  ${'page'.padEnd(width)}  ${address}`);
  await shell.line('Ctrl-C stops it.');
}

async function announceReady(shell: Shell, startedAt: number, { demo, json }: UpOptions): Promise<void> {
  if (json) return;
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  await shell.line(`Ready after ${seconds} s${demo ? ': the demo shop is open' : ''}.`);
}

async function stopInTime(running: Running): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<'late'>((resolve) => {
    timer = setTimeout(() => resolve('late'), STOP_MS_MAX);
  });
  try {
    if ((await Promise.race([running.stop().then(() => 'stopped' as const), late])) === 'late')
      throw new FreshetError(
        'timeout',
        `The stop took longer than ${STOP_MS_MAX / 1000} s and was aborted; uncommitted work is repeated at the next start.`,
      );
  } finally {
    clearTimeout(timer);
  }
}
