/** The command `freshet`: finds the command, runs it, turns errors into one sentence and an exit code. */
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Command, CommanderError } from 'commander';
import { composeUp } from '../assembly/compose.js';
import type { Compose } from '../assembly/running.js';
import { asError } from '../runtime/process/errors.js';
import { consumeCommand } from './consume.js';
import { doctorCommand } from './doctor.js';
import { eraseCommand } from './erase.js';
import { modelCommand } from './model.js';
import { packageVersion } from './package-version.js';
import { produceCommand } from './produce.js';
import { resetCommand } from './reset.js';
import { Failed, Shell, type Terminal, UsageError } from './shell.js';
import { skipCommand } from './skip.js';
import { snapshotCommand } from './snapshot.js';
import { statusCommand } from './status.js';
import { topicsCommand } from './topics.js';
import { upCommand } from './up.js';
import { verifyCommand } from './verify.js';
import { versionsCommand } from './versions.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const LINGER_MS = 1_000;

/** Runs one command line (without the program's name); returns the exit code. Never throws. */
export async function main(args: readonly string[], terminal: Terminal, compose: Compose = composeUp): Promise<number> {
  const shell = new Shell(terminal);
  const program = freshet(shell, compose);
  try {
    if (args.length === 0) {
      program.outputHelp();
      return 0;
    }
    await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, shell);
  }
}

function freshet(shell: Shell, compose: Compose): Command {
  const { output, errors } = shell.terminal;
  const program = new Command('freshet')
    .description('Features for recommendation and search, always fresh: folded from events exactly once.')
    .version(packageVersion())
    .addHelpText(
      'after',
      '\nExample:\n  $ freshet up --demo\n\nSettings come from the environment; "freshet doctor" lists them.',
    )
    .showHelpAfterError('(Run "freshet --help" for usage.)');
  const commands = [
    upCommand(shell, compose),
    statusCommand(shell),
    topicsCommand(shell),
    produceCommand(shell),
    consumeCommand(shell),
    snapshotCommand(shell),
    modelCommand(shell),
    versionsCommand(shell),
    eraseCommand(shell),
    skipCommand(shell),
    verifyCommand(shell),
    doctorCommand(shell),
    resetCommand(shell),
  ];
  for (const command of commands) program.addCommand(command);
  everyCommand(program, (command) => {
    command.exitOverride().configureOutput({
      writeOut: (text) => output.write(text),
      writeErr: (text) => errors.write(text),
    });
  });
  return program;
}

function everyCommand(command: Command, apply: (command: Command) => void): void {
  apply(command);
  for (const child of command.commands) everyCommand(child, apply);
}

function report(error: unknown, shell: Shell): number {
  // Commander has printed its own message, or the requested help or version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  if (error instanceof Failed) return EXIT_FAILURE;
  if (error instanceof UsageError) {
    shell.note(`error: ${error.message}`);
    return EXIT_USAGE;
  }
  const { message, stack } = asError(error);
  shell.note(`error: ${message}`);
  const level = shell.terminal.environment['LOG_LEVEL'];
  if ((level === 'debug' || level === 'trace') && stack !== undefined) shell.note(stack);
  return EXIT_FAILURE;
}

/** True when this file is the program, not a module of one. */
function isProgram(): boolean {
  const started = process.argv[1];
  return started !== undefined && import.meta.url === pathToFileURL(realpathSync(started)).href;
}

/** Runs the process's own command line and lets the process end with its exit code. */
export async function runProcess(args: readonly string[]): Promise<void> {
  // The reader of our output may stop reading: `freshet consume events | head`.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : EXIT_FAILURE);
  });
  // A message that cannot be written must not end what it reports on.
  process.stderr.on('error', () => undefined);
  process.exitCode = await main(args, {
    environment: process.env,
    input: process.stdin,
    output: process.stdout,
    errors: process.stderr,
  });
  // A connection that a driver keeps open must not keep a finished command alive.
  setTimeout(() => process.exit(), LINGER_MS).unref();
}

if (isProgram()) await runProcess(process.argv.slice(2));
