/** `freshet doctor`: shows the settings, checks every connection, and reports problems. */
import { Command } from 'commander';
import { messageOf } from '../runtime/process/errors.js';
import { type Check, fail, ok } from './doctor/check.js';
import { checkAddress, checkDataFolder } from './doctor/local-checks.js';
import { checkLog } from './doctor/log-checks.js';
import { checkPostgres } from './doctor/postgres-check.js';
import { checkRedis } from './doctor/redis-check.js';
import { checkRegistry } from './doctor/registry-check.js';
import { givenSettings, SECRET_NAMES, SETTING_NAMES, type Settings } from './settings.js';
import { Failed, type Shell } from './shell.js';
import { drawTable } from './table.js';

interface ShownSetting {
  readonly name: string;
  /** Null: not set, and without a default. */
  readonly value: string | null;
  readonly source: 'given' | 'default';
}

export function doctorCommand(shell: Shell): Command {
  return new Command('doctor')
    .summary('show the settings, check every connection')
    .description(
      'Shows the effective settings, without secrets, and checks the log, the topics, the registry, Redis, Postgres and the address to listen on. Estimates memory and restore time. Fails if something would not work.',
    )
    .option('--json', 'print as JSON')
    .addHelpText('after', '\nExample:\n  $ freshet doctor')
    .action(async ({ json }: { readonly json?: true }) => {
      const settings = tryLoad(shell);
      const checks = settings instanceof Error ? [fail('settings', messageOf(settings))] : await examineAll(shell);
      const shown = shownSettings(shell.terminal.environment, settings instanceof Error ? null : settings);
      if (json) await shell.json({ settings: shown, checks });
      else await shell.line(`${drawSettings(shown)}\n\n${drawChecks(checks)}`);
      if (checks.some(({ status }) => status === 'fail')) throw new Failed();
    });
}

function tryLoad(shell: Shell): Settings | Error {
  try {
    return shell.settings;
  } catch (error) {
    return error instanceof Error ? error : new Error(messageOf(error));
  }
}

async function examineAll(shell: Shell): Promise<readonly Check[]> {
  const { settings, logger } = shell;
  // One at a time: opening the log on disk takes the folder's lock for a moment.
  const folder = await checkDataFolder(settings);
  const address = await checkAddress(settings);
  const connections = await Promise.all([
    checkLog(shell),
    checkRegistry(settings),
    checkRedis(settings, logger),
    checkPostgres(settings, logger),
  ]);
  return [ok('settings', 'They are well formed.'), ...folder, ...connections.flat(), ...address];
}

/** `settings` null: they are invalid, so only the given values can be shown. */
export function shownSettings(
  environment: Readonly<Record<string, string | undefined>>,
  settings: Settings | null,
): ShownSetting[] {
  const given = givenSettings(environment);
  return SETTING_NAMES.map((name) => {
    const value = settings === null ? environment[name] : settings[name];
    const isGiven = given.has(name);
    return {
      name,
      value: textOf(name, isGiven || settings !== null ? value : undefined),
      source: isGiven ? 'given' : 'default',
    };
  });
}

function textOf(name: string, value: unknown): string | null {
  if (value === undefined) return null;
  if (SECRET_NAMES.includes(name)) return hostOf(String(value)) ?? '(set, not shown)';
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** A URL without what is secret in it; null for anything else. */
function hostOf(value: string): string | null {
  if (!/^\w+:\/\//.test(value) || !URL.canParse(value)) return null;
  const { protocol, username, password, host, pathname } = new URL(value);
  return `${protocol}//${username + password === '' ? '' : '***@'}${host}${pathname}`;
}

function drawSettings(settings: readonly ShownSetting[]): string {
  return drawTable(
    ['setting', 'value', ''],
    settings.map(({ name, value, source }) => [name, value ?? '-', source === 'default' ? 'default' : '']),
  );
}

function drawChecks(checks: readonly Check[]): string {
  const width = Math.max(...checks.map(({ name }) => name.length));
  return checks
    .map(({ name, status, sentence }) => `${status.padEnd(4)}  ${name.padEnd(width)}  ${sentence}`)
    .join('\n');
}
