/** The commands in the order of the help. Only the command that is used loads its modules, so that the help is fast. */
import type { Command } from 'commander';
import type { Compose } from '../assembly/running.js';
import type { Shell } from './shell.js';

export interface CommandEntry {
  /** Name, options and arguments as the help shows them. A test compares both texts with the command's own. */
  readonly term: string;
  readonly summary: string;
  load(shell: Shell, compose: Compose): Promise<Command>;
}

export const COMMANDS: readonly CommandEntry[] = [
  {
    term: 'up [options]',
    summary: 'start everything, or the given roles, in this process',
    load: async (shell, compose) => (await import('./up.js')).upCommand(shell, compose),
  },
  {
    term: 'status [options]',
    summary: 'show the running processes and what they wait for',
    load: async (shell) => (await import('./status.js')).statusCommand(shell),
  },
  {
    term: 'topics',
    summary: 'Shows the topics and creates those that are missing.',
    load: async (shell) => (await import('./topics.js')).topicsCommand(shell),
  },
  {
    term: 'produce [options] <topic> <file>',
    summary: 'write records from JSON lines to a topic',
    load: async (shell) => (await import('./produce.js')).produceCommand(shell),
  },
  {
    term: 'consume [options] <topic>',
    summary: 'print records of a topic',
    load: async (shell) => (await import('./consume.js')).consumeCommand(shell),
  },
  {
    term: 'snapshot [options] <artefact>',
    summary: 'build a new version from the topics',
    load: async (shell) => (await import('./snapshot.js')).snapshotCommand(shell),
  },
  {
    term: 'model',
    summary: 'Prepares models that turn texts into vectors.',
    load: async (shell) => (await import('./model.js')).modelCommand(shell),
  },
  {
    term: 'versions',
    summary: 'show what is published, and switch between versions',
    load: async (shell) => (await import('./versions.js')).versionsCommand(shell),
  },
  {
    term: 'erase',
    summary: 'erase a user or a product',
    load: async (shell) => (await import('./erase.js')).eraseCommand(shell),
  },
  {
    term: 'skip [options] [topic] [partition]',
    summary: 'give up records that stop their readers',
    load: async (shell) => (await import('./skip.js')).skipCommand(shell),
  },
  {
    term: 'verify [options]',
    summary: 'compare what is served with a recount from the raw log',
    load: async (shell) => (await import('./verify.js')).verifyCommand(shell),
  },
  {
    term: 'doctor [options]',
    summary: 'show the settings, check every connection',
    load: async (shell) => (await import('./doctor.js')).doctorCommand(shell),
  },
  {
    term: 'reset [options]',
    summary: 'delete everything in the data folder',
    load: async (shell) => (await import('./reset.js')).resetCommand(shell),
  },
];

export function nameOf({ term }: CommandEntry): string {
  return term.split(' ', 1)[0]!;
}
