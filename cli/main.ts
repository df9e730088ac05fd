/** The command `freshet`: finds the command, runs it, turns errors into one sentence and an exit code. */
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { Command, CommanderError, Help } from 'commander';
import { composeUp } from '../assembly/compose.js';
import type { Compose } from '../assembly/running.js';
import { asError } from '../runtime/process/errors.js';
import { COMMANDS, type CommandEntry, nameOf } from './commands.js';
import { packageVersion } from './package-version.js';
import type { Terminal } from './shell.js';

const EXIT_FAILURE = 1;
const EXIT_USAGE = 2;
const LINGER_MS = 1_000;

/** Runs one command line (without the program's name); returns the exit code. Never throws. */
export async function main(args: readonly string[], terminal: Terminal, compose: Compose = composeUp): Promise<number> {
  try {
    const program = await freshet(usedCommand(args), terminal, compose);
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync([...args], { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, terminal);
  }
}

/** The program has no options with a value, so the first word is the command. */
function usedCommand(args: readonly string[]): string | undefined {
  const [first, second] = args.filter((arg) => !arg.startsWith('-'));
  return first === 'help' ? second : first;
}

/** The program with the command of this name; the other commands are only names for the help. */
async function freshet(used: string | undefined, terminal: Terminal, compose: Compose): Promise<Command> {
  const terms = new Map(COMMANDS.map((entry) => [nameOf(entry), entry.term]));
  const program = new Command('freshet')
    .description('Features for recommendation and search, always fresh: folded from events exactly once.')
    .version(packageVersion())
    .addHelpText(
      'after',
      '\nExample:\n  $ freshet up --demo\n\nSettings come from the environment; "freshet doctor" lists them.',
    )
    .showHelpAfterError('(Run "freshet --help" for usage.)')
    .configureHelp({
      subcommandTerm: (command) => terms.get(command.name()) ?? Help.prototype.subcommandTerm(command),
    });
  for (const entry of COMMANDS) {
    const name = nameOf(entry);
    program.addCommand(
      name === used ? await load(entry, terminal, compose) : new Command(name).description(entry.summary),
    );
  }
  everyCommand(program, (command) => {
    command.exitOverride().configureOutput({
      writeOut: (text) => terminal.output.write(text),
      writeErr: (text) => terminal.errors.write(text),
    });
  });
  return program;
}

async function load(entry: CommandEntry, terminal: Terminal, compose: Compose): Promise<Command> {
  const { Shell } = await import('./shell.js');
  return entry.load(new Shell(terminal), compose);
}

function everyCommand(command: Command, apply: (command: Command) => void): void {
  apply(command);
  for (const child of command.commands) everyCommand(child, apply);
}

async function report(error: unknown, terminal: Terminal): Promise<number> {
  // Commander has printed its own message, or the requested help or version.
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  const { Failed, UsageError } = await import('./shell.js');
  if (error instanceof Failed) return EXIT_FAILURE;
  const { message, stack } = asError(error);
  terminal.errors.write(`error: ${message}\n`);
  if (error instanceof UsageError) return EXIT_USAGE;
  const level = terminal.environment['LOG_LEVEL'];
  if ((level === 'debug' || level === 'trace') && stack !== undefined) terminal.errors.write(`${stack}\n`);
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
