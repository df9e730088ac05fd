/** Asks for confirmation before an irreversible action. */
import { createInterface } from 'node:readline/promises';
import { Failed, type Shell, UsageError } from './shell.js';

/**
 * Resolves on yes. Otherwise the command ends: with `declined` on any other answer, and with `what` if there is no
 * terminal to ask at. `what` is a sentence without its full stop.
 */
export async function confirm(shell: Shell, what: string, declined: string): Promise<void> {
  const { input, errors } = shell.terminal;
  if (!input.isTTY) throw new UsageError(`${what}: add --yes to confirm.`);
  const questions = createInterface({ input, output: errors });
  try {
    const answer = await questions.question(`${what}. Continue? [y/N] `);
    if (/^y(es)?$/i.test(answer.trim())) return;
  } finally {
    questions.close();
  }
  shell.note(declined);
  throw new Failed();
}
